//! Adds an asset that rules may grant.

use super::RegisterOracleKey;
use crate::{
    error::RebateError,
    events::{AssetAdded, AssetEntry},
    journal::Emitter,
    state::{Asset, rule_book::may_take_effect},
};
use anchor_lang::prelude::*;
use rebate_core::units::Timestamp;

/// - Signed by the platform's admin.
/// - The asset must be sound, and there must be room for it.
/// - Rules may grant it no earlier than the timelock allows; before the first payment, at any time.
/// - Emits `AssetAdded`.
pub fn handle(ctx: &mut Context<RegisterOracleKey>, entry: AssetEntry, active_from: i64) -> Result<()> {
    let now = Timestamp(Clock::get()?.unix_timestamp);
    let platform = &mut ctx.accounts.platform;
    let address = platform.address().to_bytes();
    require!(may_take_effect(&ctx.accounts.rule_book, Timestamp(active_from), platform, now), RebateError::TooEarly);
    let asset = Asset::new(&entry, active_from).ok_or(RebateError::AssetsFull)?;
    let id = platform.add_asset(asset).ok_or(RebateError::AssetsFull)?;

    let mut emitter = Emitter::new(&ctx.accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    emitter.emit(&mut ctx.accounts.journal, |index| AssetAdded {
        journal_index: index.0,
        at: now.0,
        platform: address,
        asset: id.0,
        entry,
        active_from,
    })
}
