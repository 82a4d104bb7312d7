//! Who may operate a platform: [`keys`] with [roles](role), in a database of their own, and the [log](audit) of all that
//! operators did, which shows where it was tampered with.

pub mod audit;
pub mod database;
mod error;
pub mod key;
pub mod keys;
pub mod nonces;
pub mod role;

pub use error::OperatorsError;
