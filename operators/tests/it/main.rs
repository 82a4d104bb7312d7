//! Operators' keys and their log, on a real Postgres.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod audit;
mod keys;
mod nonces;
