//! The indexer against a real Postgres, the one that `DATABASE_URL` names.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by any panic")]

mod audit;
mod by_address;
mod chain;
mod database;
mod faults;
mod finality;
mod geyser;
mod kill;
mod kinds;
mod months;
mod node;
mod provisional;
mod reading;
mod rollups;
mod rpc;
mod schema;
mod source;
mod standby;
mod tree;
mod writing;
