//! The API over real HTTP, on a real Postgres. The chain is a handful of account bytes: it is tested elsewhere.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by any panic")]

mod analytics;
mod balances;
mod chain;
mod connections;
mod dead_letters;
mod description;
mod entries;
mod evening;
mod integrity;
mod ledger;
mod limits;
mod live;
mod operators;
mod oracle;
mod orders;
mod platforms;
mod preview;
mod problems;
mod progress;
mod proof;
mod refunds;
mod rules;
mod served;
mod sign_in;
mod status;
mod totals;
mod words;
