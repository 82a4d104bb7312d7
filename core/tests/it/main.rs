//! The rules, module by module, against the specification and against what others computed.
#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails, as it should")]
#![expect(clippy::unwrap_used, reason = "a test may fail by any panic")]

mod condition;
mod effect;
mod evaluate;
mod given;
mod journal;
mod message;
mod order;
mod payment;
mod rule;
mod time;
mod units;
