//! The outbox on a chain inside the process and a real Postgres.

mod chain;
mod chaos;
mod signers;
mod validator;
