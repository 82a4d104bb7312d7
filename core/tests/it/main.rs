//! The rules, module by module, against the specification, against a second implementation of it, and against what others
//! computed.
#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails, as it should")]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by any panic")]

mod admission;
mod balance;
mod book;
mod closing;
mod condition;
mod counters;
mod effect;
mod evaluate;
mod exclusion;
mod expiry;
mod given;
mod groups;
mod histories;
mod holdout;
mod journal;
mod late;
mod limits;
mod message;
mod model;
mod model_agrees;
mod multiplier;
mod order;
mod platform;
mod proof;
mod properties;
mod redemption;
mod refund;
mod rule;
mod streak;
mod tiers;
mod time;
mod units;
mod vault;
mod wallet;
mod window;
