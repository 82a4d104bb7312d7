//! Rule files: what a sound one comes to, what is said of it, and how a broken one is told to be broken.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by any panic")]

mod export;
mod rule_check;
mod rule_file;
