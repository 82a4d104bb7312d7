//! Publishes a rule version.

use crate::{
    error::RebateError,
    events::{RuleDefinition, RulePublished},
    journal::Emitter,
    state::{
        Journal, MAX_RULES, Platform, RuleBookAccount,
        rule_book::{insert, may_take_effect},
    },
};
use anchor_lang::prelude::*;
use rebate_core::{rule::Rule, units::Timestamp};

/// By how many rules a full book grows: 10 kB is what an account may grow by in one instruction.
const MORE_RULES: usize = 16;

/// What the admin does to the rule book.
#[event_cpi]
#[derive(Accounts)]
pub struct PublishRule {
    #[account(mut, address = platform.admin @ RebateError::NotAdmin)]
    pub admin: Signer,
    pub platform: Account<Platform>,
    #[account(mut, constraint = anchor_lang::address_eq(&rule_book.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub rule_book: RuleBookAccount,
    #[account(mut, constraint = anchor_lang::address_eq(&journal.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub journal: Account<Journal>,
    /// For the rent of a book that grows.
    pub system_program: Program<System>,
}

/// - Signed by the platform's admin.
/// - The definition must be sound, its asset one of the platform's and active by then, its version the next one, its group's
///   mode that of the group's other rules.
/// - It takes effect no earlier than the timelock allows; before the first payment, at any time.
/// - The version before it ends there.
/// - Emits `RulePublished` with the whole definition.
pub fn handle(ctx: &mut Context<PublishRule>, rule: RuleDefinition, effective_at: i64) -> Result<()> {
    let now = Timestamp(Clock::get()?.unix_timestamp);
    let effective_at = Timestamp(effective_at);
    let platform = ctx.accounts.platform.address().to_bytes();

    let new: Rule = rule.rule(effective_at).map_err(RebateError::from)?;
    let asset = ctx.accounts.platform.asset(new.asset()).ok_or(RebateError::UnknownAsset)?;
    require!(asset.active_from <= effective_at.0.max(rule.starts_at), RebateError::TooEarly);

    let book = &mut ctx.accounts.rule_book;
    require!(may_take_effect(book, effective_at, &ctx.accounts.platform, now), RebateError::TooEarly);
    if book.is_full() {
        let capacity = book.capacity().saturating_add(MORE_RULES).min(MAX_RULES);
        require!(capacity > book.len(), RebateError::RuleBookFull);
        // At most MAX_RULES.
        book.resize_to_capacity(capacity as u32)?;
        book.top_up(ctx.accounts.admin.account())?;
    }
    insert(book, new)?;

    let mut emitter = Emitter::new(&ctx.accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    emitter.emit(&mut ctx.accounts.journal, |index| RulePublished {
        journal_index: index.0,
        at: now.0,
        platform,
        effective_at: effective_at.0,
        rule,
    })
}
