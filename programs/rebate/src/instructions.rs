//! The instructions, one file each.
#![allow(
    ambiguous_glob_reexports,
    reason = "the framework needs its hidden items re-exported; `handle` is named by its file"
)]

pub mod accept_admin;
pub mod add_asset;
pub mod add_utc_offset;
pub mod change_setting;
pub mod claim;
pub mod close_counter;
pub mod close_order_pages;
pub mod close_refund;
pub mod create_platform;
pub mod deposit;
pub mod drop_rule;
pub mod end_rule;
pub mod expire_balances;
pub mod grow_counter;
pub mod grow_order_page;
pub mod grow_user;
pub mod link_wallets;
pub mod open_counter;
pub mod open_order_page;
pub mod open_refund;
pub mod open_user;
pub mod open_vault;
pub mod propose_admin;
pub mod prove_refund;
pub mod publish_rule;
pub mod record_payments;
pub mod record_redemptions;
pub mod record_refunds;
pub mod register_oracle_key;
pub mod retire_oracle_key;
pub mod set_order_shards;
pub mod set_paused;
pub mod set_pauser;
pub mod withdraw_surplus;
pub mod write_refund;

pub use crate::{
    events::{AssetEntry, EffectEntry, LimitsEntry, OffsetEntry, PredicateEntry, RuleDefinition, StepEntry},
    records::*,
};
pub use accept_admin::*;
pub use change_setting::*;
pub use claim::*;
pub use close_counter::*;
pub use close_order_pages::*;
pub use close_refund::*;
pub use create_platform::*;
pub use deposit::*;
pub use expire_balances::*;
pub use grow_counter::*;
pub use grow_order_page::*;
pub use grow_user::*;
pub use open_counter::*;
pub use open_order_page::*;
pub use open_refund::*;
pub use open_user::*;
pub use open_vault::*;
pub use prove_refund::*;
pub use publish_rule::*;
pub use register_oracle_key::*;
pub use set_paused::*;
pub use set_pauser::*;
pub use withdraw_surplus::*;
pub use write_refund::*;
