//! What must hold whatever bytes come. Each target takes bytes and panics where something does not hold.
//!
//! The tests of this crate give the targets random bytes for some seconds; `make fuzz` lets libFuzzer look for bytes that
//! reach further. Either prints what failed, and `REBATE_FUZZ_INPUT=<file or hexadecimal> cargo test -p rebate-fuzz` plays
//! it again, step by step.

#![expect(clippy::expect_used, clippy::panic, reason = "this is how a target fails")]

mod coverage;
pub mod program;
pub mod records;
