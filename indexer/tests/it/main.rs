//! The indexer against a real Postgres, the one that `DATABASE_URL` names.

mod chain;
mod database;
mod kill;
mod reading;
mod rpc;
mod schema;
mod source;
mod writing;
