//! The instructions, one file each.
#![allow(
    ambiguous_glob_reexports,
    reason = "the framework needs its hidden items re-exported; `handle` is named by its file"
)]

pub mod create_platform;
pub mod open_order_page;
pub mod open_user;
pub mod publish_rule;
pub mod record_payments;
pub mod register_oracle_key;
pub mod set_paused;

pub use crate::events::{AssetEntry, EffectEntry, OffsetEntry, PredicateEntry, RuleDefinition};
pub use create_platform::*;
pub use open_order_page::*;
pub use open_user::*;
pub use publish_rule::*;
pub use record_payments::*;
pub use register_oracle_key::*;
pub use set_paused::*;
