//! The command `rebate`: what it does, as a library, so that tests do the same.

pub mod arguments;
pub mod backtest;
pub mod bench;
pub mod cast;
pub mod demo;
pub mod index;
pub mod keys;
pub mod operator;
pub mod oracle;
pub mod pay;
pub mod payment_file;
pub mod platform;
pub mod rule;
pub mod run;
pub mod simulate;
pub mod stage;
pub mod token;
pub mod vault;
pub mod verify;
mod wording;

pub use rebate_local as local;
