//! The HTTP API over what the indexer wrote: users' balances and entries, orders with what every rule did, rules, and
//! whether all of it is what the chain holds.
//!
//! [`serve`] runs it on a listener; `/openapi.json` describes it. At `/` stands the operators' console, at `/orders/{order}`
//! the page of an order for its user.

pub mod access;
mod analytics;
mod backtests;
mod book;
mod calendar;
mod connections;
mod console;
pub mod database;
mod definition;
mod drafts;
mod integrity;
mod language;
mod limit;
mod live;
mod metrics;
mod openapi;
mod page;
mod problem;
mod request;
mod routes;
mod server;
mod snapshot;
mod standing;
mod state;
mod transaction;
mod tree;
mod value;
mod words;

pub use connections::{Bounds, room_for};
pub use limit::Rate;
pub use openapi::openapi;
pub use server::{router, serve};
pub use state::{ApiState, Settings};
