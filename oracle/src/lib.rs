//! The oracle: takes the payment providers' notices, keeps each paid order durably before it answers, and brings it onto the
//! chain once.

pub mod database;
pub mod error;
pub mod fees;
pub mod outbox;
pub mod signer;

pub use error::OracleError;
