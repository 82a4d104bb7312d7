//! The rules of the rebate system, decided in one place.
//!
//! The on-chain program, the simulator, the verifier and the tests all call this crate; none of them decides
//! anything itself. It is `no_std`, integer-only and does no I/O, so the same bytes in give the same bytes out
//! wherever it runs.
#![no_std]

extern crate alloc;

pub mod admission;
pub mod balance;
pub mod book;
pub mod counters;
pub mod evaluate;
pub mod expiry;
pub mod holdout;
pub mod journal;
pub mod message;
pub mod order;
pub mod outcome;
pub mod payment;
pub mod redemption;
pub mod refund;
pub mod refusal;
pub mod rule;
pub mod time;
pub mod units;
pub mod wallet;
pub mod window;
