//! The oracle on a real Postgres, and its providers on notices that others made.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod bad_input;
mod database;
mod dead_letters;
mod direct;
mod faults;
mod fixtures;
mod intake;
mod outbox;
mod providers;
mod retention;
mod served;
mod settings;
mod user_keys;
mod webhooks;
