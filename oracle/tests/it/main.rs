//! The oracle on a real Postgres.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod database;
