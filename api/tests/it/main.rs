//! The API over real HTTP, on a real Postgres. The chain is a handful of account bytes: it is tested elsewhere.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by any panic")]

mod balances;
mod chain;
mod connections;
mod dead_letters;
mod description;
mod entries;
mod integrity;
mod ledger;
mod limits;
mod operators;
mod oracle;
mod orders;
mod platforms;
mod problems;
mod proof;
mod refunds;
mod rules;
mod served;
mod sign_in;
mod status;
