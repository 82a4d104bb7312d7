//! What one machine lends the project: a private Postgres, NATS and validator for the demo and the tests, made
//! from the system's binaries.

pub mod nats;
pub mod postgres;
mod run;
pub mod validator;

pub use postgres::{AsRoot, LocalPostgres, LocalPostgresError, Settings};
pub use run::{RunError, run_with_postgres};
