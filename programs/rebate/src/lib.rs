//! The rebate program: a table of contents. One file per instruction; each loads accounts, calls `rebate-core`, stores
//! and emits.
#![cfg_attr(not(feature = "idl-build"), no_std)]
#![allow(unexpected_cfgs, reason = "the framework's macros test for cfgs of their own")]

extern crate alloc;

#[cfg(target_os = "solana")]
use solana_compiler_builtins as _;

mod definition;
pub mod error;
pub mod events;
pub mod instructions;
pub mod journal;
mod log;
mod mint;
pub mod records;
mod security;
mod signed_message;
pub mod state;
mod vault;

use alloc::vec::Vec;
use anchor_lang::prelude::*;
use instructions::*;

declare_id!("ReBo6PHCPNUAdG9RMgkdmMmoW6gDbtJ8aMVU7AJgm5u");

/// Rebates on payments, by published rules.
#[program]
pub mod rebate {
    use super::*;

    /// Creates a platform with its rule book and its journal.
    pub fn create_platform(ctx: &mut Context<CreatePlatform>, settings: PlatformSettings) -> Result<()> {
        instructions::create_platform::handle(ctx, settings)
    }

    /// Lets an oracle key sign for the platform.
    pub fn register_oracle_key(ctx: &mut Context<RegisterOracleKey>, key: OracleKeySettings) -> Result<()> {
        instructions::register_oracle_key::handle(ctx, key)
    }

    /// Ends an oracle key's validity.
    pub fn retire_oracle_key(ctx: &mut Context<SetPauser>, key: [u8; 32], valid_until: i64) -> Result<()> {
        instructions::retire_oracle_key::handle(ctx, key, valid_until)
    }

    /// Adds an asset that rules may grant.
    pub fn add_asset(ctx: &mut Context<RegisterOracleKey>, asset: AssetEntry, active_from: i64) -> Result<()> {
        instructions::add_asset::handle(ctx, asset, active_from)
    }

    /// Adds a row to the table of UTC offsets.
    pub fn add_utc_offset(ctx: &mut Context<RegisterOracleKey>, offset: OffsetEntry) -> Result<()> {
        instructions::add_utc_offset::handle(ctx, offset)
    }

    /// Changes a setting that is a span of time: 1 max_lateness, 2 timelock.
    pub fn change_setting(ctx: &mut Context<SetPauser>, setting: u8, value: u32, effective_at: i64) -> Result<()> {
        instructions::change_setting::handle(ctx, setting, value, effective_at)
    }

    /// Changes into how many pages the orders of later days are spread, and the least slots the first of them have.
    pub fn set_order_shards(ctx: &mut Context<SetPauser>, from_day: u32, shards: u16, page_slots: u16) -> Result<()> {
        instructions::set_order_shards::handle(ctx, from_day, shards, page_slots)
    }

    /// Names who may take up the role of admin.
    pub fn propose_admin(ctx: &mut Context<SetPauser>, next: [u8; 32]) -> Result<()> {
        instructions::propose_admin::handle(ctx, next)
    }

    /// Takes up the role of admin.
    pub fn accept_admin(ctx: &mut Context<AcceptAdmin>) -> Result<()> {
        instructions::accept_admin::handle(ctx)
    }

    /// Gives the role of pauser to somebody.
    pub fn set_pauser(ctx: &mut Context<SetPauser>, pauser: [u8; 32]) -> Result<()> {
        instructions::set_pauser::handle(ctx, pauser)
    }

    /// Stops or resumes recording and claiming, at once.
    pub fn set_paused(ctx: &mut Context<SetPaused>, paused: bool) -> Result<()> {
        instructions::set_paused::handle(ctx, paused)
    }

    /// Publishes a rule version.
    pub fn publish_rule(ctx: &mut Context<PublishRule>, rule: RuleDefinition, effective_at: i64) -> Result<()> {
        instructions::publish_rule::handle(ctx, rule, effective_at)
    }

    /// Ends a rule without a successor.
    pub fn end_rule(ctx: &mut Context<PublishRule>, rule: u16, ends_at: i64) -> Result<()> {
        instructions::end_rule::handle(ctx, rule, ends_at)
    }

    /// Drops a rule version that no payment can come for any more.
    pub fn drop_rule(ctx: &mut Context<PublishRule>, rule: u16, version: u16) -> Result<()> {
        instructions::drop_rule::handle(ctx, rule, version)
    }

    /// Opens a user's account.
    pub fn open_user(ctx: &mut Context<OpenUser>, key: [u8; 32], counter_slots: u8) -> Result<()> {
        instructions::open_user::handle(ctx, key, counter_slots)
    }

    /// Makes room in a user's account.
    pub fn grow_user(ctx: &mut Context<GrowUser>, counter_slots: u8) -> Result<()> {
        instructions::grow_user::handle(ctx, counter_slots)
    }

    /// Lets what is left of a user's closed periods expire.
    pub fn expire_balances(ctx: &mut Context<ExpireBalances>) -> Result<()> {
        instructions::expire_balances::handle(ctx)
    }

    /// Opens a user's counters towards one streamer or in one session.
    pub fn open_counter(
        ctx: &mut Context<OpenCounter>,
        user: [u8; 32],
        scope: u8,
        scope_id: u64,
        slots: u8,
    ) -> Result<()> {
        instructions::open_counter::handle(ctx, user, scope, scope_id, slots)
    }

    /// Makes room in counters towards one streamer or in one session.
    pub fn grow_counter(ctx: &mut Context<GrowCounter>, slots: u8) -> Result<()> {
        instructions::grow_counter::handle(ctx, slots)
    }

    /// Closes counters that nothing can be counted into any more.
    pub fn close_counter(ctx: &mut Context<CloseCounter>) -> Result<()> {
        instructions::close_counter::handle(ctx)
    }

    /// Opens a page that remembers the orders of one day and shard.
    pub fn open_order_page(
        ctx: &mut Context<OpenOrderPage>,
        day: u32,
        shard: u16,
        number: u16,
        slots: u16,
    ) -> Result<()> {
        instructions::open_order_page::handle(ctx, day, shard, number, slots)
    }

    /// Grows an order page that is still empty.
    pub fn grow_order_page(ctx: &mut Context<GrowOrderPage>, slots: u32) -> Result<()> {
        instructions::grow_order_page::handle(ctx, slots)
    }

    /// Closes order pages of days that are over, and these days for good.
    pub fn close_order_pages(ctx: &mut Context<CloseOrderPages>) -> Result<()> {
        instructions::close_order_pages::handle(ctx)
    }

    /// Records the payments of the signed message in the instruction just before.
    pub fn record_payments(ctx: &mut Context<RecordSigned>) -> Result<()> {
        instructions::record_payments::handle(ctx)
    }

    /// Records the refunds of the signed message in the instruction just before.
    pub fn record_refunds(ctx: &mut Context<RecordSigned>) -> Result<()> {
        instructions::record_refunds::handle(ctx)
    }

    /// Records the redemptions of the signed message in the instruction just before.
    pub fn record_redemptions(ctx: &mut Context<RecordSigned>) -> Result<()> {
        instructions::record_redemptions::handle(ctx)
    }

    /// Links the wallets of the signed message in the instruction just before.
    pub fn link_wallets(ctx: &mut Context<RecordSigned>) -> Result<()> {
        instructions::link_wallets::handle(ctx)
    }

    /// Opens the account that proves an order before it is refunded.
    pub fn open_refund(ctx: &mut Context<OpenRefund>, order: [u8; 32], event_length: u32) -> Result<()> {
        instructions::open_refund::handle(ctx, order, event_length)
    }

    /// Writes the event of an order that is to be refunded, piece by piece.
    pub fn write_refund(ctx: &mut Context<WriteRefund>, bytes: Vec<u8>) -> Result<()> {
        instructions::write_refund::handle(ctx, bytes)
    }

    /// Follows the path from an order's event to a peak of the journal.
    pub fn prove_refund(ctx: &mut Context<ProveRefund>, path: Vec<[u8; 32]>) -> Result<()> {
        instructions::prove_refund::handle(ctx, path)
    }

    /// Gives up a proof that did not end.
    pub fn close_refund(ctx: &mut Context<CloseRefund>) -> Result<()> {
        instructions::close_refund::handle(ctx)
    }
    /// Opens the vault of a token asset.
    pub fn open_vault(ctx: &mut Context<OpenVault>, asset: u8) -> Result<()> {
        instructions::open_vault::handle(ctx, asset)
    }

    /// Puts tokens into a vault; 0 counts what somebody sent there otherwise.
    pub fn deposit(ctx: &mut Context<Deposit>, asset: u8, amount: u64) -> Result<()> {
        instructions::deposit::handle(ctx, asset, amount)
    }

    /// Pays a user's tokens out to the linked wallet; 0 for all of them.
    pub fn claim(ctx: &mut Context<Claim>, asset: u8, amount: u64) -> Result<()> {
        instructions::claim::handle(ctx, asset, amount)
    }

    /// Takes tokens out of a vault that no user has a claim to; 0 for all of them.
    pub fn withdraw_surplus(ctx: &mut Context<WithdrawSurplus>, asset: u8, amount: u64) -> Result<()> {
        instructions::withdraw_surplus::handle(ctx, asset, amount)
    }
}
