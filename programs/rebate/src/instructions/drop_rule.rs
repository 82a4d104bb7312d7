//! Drops a rule version that no payment can come for any more.

use super::PublishRule;
use crate::{error::RebateError, events::RuleDropped, journal::Emitter, state::rule_book::remove};
use anchor_lang::prelude::*;
use rebate_core::{
    book,
    time::DAY,
    units::{RuleId, RuleVersion, Timestamp},
};

/// - Signed by the platform's admin, who gets the rent of the room that becomes free.
/// - Every day that the version was for must be closed.
/// - Emits `RuleDropped` with its totals.
pub fn handle(ctx: &mut Context<PublishRule>, rule: u16, version: u16) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let platform = ctx.accounts.platform.address().to_bytes();
    let open_from = Timestamp(i64::from(ctx.accounts.platform.open_from).saturating_mul(DAY));
    let book = &mut ctx.accounts.rule_book;
    let is = |other: &rebate_core::rule::Rule| other.id == RuleId(rule) && other.version == RuleVersion(version);
    let slot = book.iter().position(is).ok_or(RebateError::NoSuchRule)?;
    let dropped = *book.get(slot).ok_or(RebateError::NoSuchRule)?;
    require!(book::is_over(&dropped, open_from), RebateError::RuleInForce);
    remove(book, slot);
    // At most MAX_RULES.
    book.resize_to_capacity(book.len() as u32)?;
    let mut admin = *ctx.accounts.admin.account();
    book.refund(&mut admin)?;

    let mut emitter = Emitter::new(&ctx.accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    emitter.emit(&mut ctx.accounts.journal, |index| RuleDropped {
        journal_index: index.0,
        at: now,
        platform,
        rule,
        version,
        granted: dropped.granted.0,
        grants: dropped.grants,
        reversed: dropped.reversed.0,
    })
}
