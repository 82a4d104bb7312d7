//! `rebate verify`: an order and a platform recomputed from a node alone, and every lie named.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by any panic")]

mod database;
mod evening;
mod node;
mod order;
mod platform;
