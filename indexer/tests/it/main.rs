//! The indexer against a real Postgres, the one that `DATABASE_URL` names.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by any panic")]

mod chain;
mod database;
mod kill;
mod kinds;
mod months;
mod reading;
mod rpc;
mod schema;
mod source;
mod standby;
mod tree;
mod writing;
