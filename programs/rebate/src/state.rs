//! The accounts. Each begins with the framework's eight-byte discriminator, which the sizes here leave out.

pub mod counter;
pub mod journal;
pub mod order_page;
pub mod platform;
pub mod refund;
pub mod rule_book;
mod tail;
pub mod user;

pub use counter::Counter;
pub use journal::Journal;
pub use order_page::OrderPage;
pub use platform::{
    Asset, MAX_OFFSETS, MAX_ORACLES, MAX_SHARD_ROWS, OracleKey, OrderShards, Platform, Setting, UtcOffsetRow,
};
pub use refund::Refund;
pub use rule_book::{MAX_RULES, RuleBook, RuleBookAccount};
pub use user::User;

/// The layout version this program writes into every account.
pub const VERSION: u8 = 1;
