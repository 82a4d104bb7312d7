//! The command `rebate`: the files it reads, and what it says on a command line.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by any panic")]

mod command;
mod payment_file;
mod simulate;
