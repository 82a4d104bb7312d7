//! The HTTP API over what the indexer wrote: users' balances and entries, orders with what every rule did, rules, and
//! whether all of it is what the chain holds.
//!
//! [`serve`] runs it on a listener; `/openapi.json` describes it.

pub mod access;
mod connections;
pub mod database;
mod definition;
mod integrity;
mod limit;
mod metrics;
mod openapi;
mod page;
mod problem;
mod request;
mod routes;
mod server;
mod snapshot;
mod state;
mod transaction;
mod tree;
mod value;

pub use connections::{Bounds, room_for};
pub use limit::Rate;
pub use openapi::openapi;
pub use server::{router, serve};
pub use state::{ApiState, Settings};
