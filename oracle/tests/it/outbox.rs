//! The outbox on a chain inside the process and a real Postgres.

mod chain;
mod chaos;
mod reconcile;
mod remote_signer;
mod signers;
mod tables;
mod validator;
