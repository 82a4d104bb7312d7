//! The oracle: takes the payment providers' notices, keeps each paid order durably before it answers, and brings it onto the
//! chain once.

pub mod api_key;
pub mod database;
pub mod deliveries;
pub mod error;
pub mod fees;
pub mod http;
pub mod intake;
pub mod load;
pub mod metrics;
pub mod order;
pub mod outbox;
pub mod provider;
pub mod reconcile;
pub mod retention;
pub mod settings;
mod signed;
pub mod signer;
mod state;
pub mod user_key;

pub use error::OracleError;
pub use settings::Settings;
pub use state::OracleState;
