//! What the client reads from a chain and writes to one, without a chain.
#![expect(clippy::unwrap_used, reason = "a test may fail by any panic")]

mod account;
mod address;
mod block;
mod definition;
mod error;
mod event;
mod explorer;
mod given;
mod history;
mod instruction;
mod merkle;
mod node;
mod platform_id;
mod proof;
mod recorder;
mod replay;
