//! Ends a rule without a successor.

use super::PublishRule;
use crate::{error::RebateError, events::RuleEnded, journal::Emitter};
use anchor_lang::prelude::*;
use rebate_core::{
    book,
    units::{RuleId, Timestamp},
};

/// - Signed by the platform's admin.
/// - The rule's last version ends for payments from `ends_at` on, no earlier than the timelock allows, and earlier than it
///   would by itself.
/// - Emits `RuleEnded`.
pub fn handle(ctx: &mut Context<PublishRule>, rule: u16, ends_at: i64) -> Result<()> {
    let now = Timestamp(Clock::get()?.unix_timestamp);
    let platform = ctx.accounts.platform.address().to_bytes();
    require!(Timestamp(ends_at) >= ctx.accounts.platform.earliest_change(now), RebateError::TooEarly);
    let rules = ctx.accounts.rule_book.as_mut_slice();
    let version = book::end(rules, RuleId(rule), Timestamp(ends_at)).map_err(|_| RebateError::NoSuchRule)?.0;

    let mut emitter = Emitter::new(&ctx.accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    emitter.emit(&mut ctx.accounts.journal, |index| RuleEnded {
        journal_index: index.0,
        at: now.0,
        platform,
        rule,
        version,
        ends_at,
    })
}
