//! Publishes a rule version.

use crate::{
    error::RebateError,
    events::{EffectEntry, RuleDefinition, RulePublished},
    journal::Emitter,
    state::{
        Journal, MAX_RULES, Platform, RuleBookAccount,
        rule_book::{insert, may_take_effect},
    },
};
use alloc::vec::Vec;
use anchor_lang::prelude::*;
use rebate_core::{
    rule::{Definition, Effect, Field, InvalidRule, Operator, Predicate, Rule},
    units::{Amount, AssetId, BasisPoints, RuleId, RuleVersion, Timestamp},
};

/// By how many rules a full book grows: 10 kB is what an account may grow by in one instruction.
const MORE_RULES: usize = 16;

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

impl TryFrom<&EffectEntry> for Effect {
    type Error = RebateError;

    fn try_from(effect: &EffectEntry) -> core::result::Result<Self, RebateError> {
        Ok(match *effect {
            EffectEntry::Fixed { asset, amount } => Self::Fixed { asset: AssetId(asset), amount: Amount(amount) },
            EffectEntry::Ratio { asset, bps, min, max } => {
                Self::Ratio { asset: AssetId(asset), bps: BasisPoints(bps), min: Amount(min), max: Amount(max) }
            }
        })
    }
}

fn condition(rule: &RuleDefinition) -> core::result::Result<Vec<Predicate>, RebateError> {
    rule.condition
        .iter()
        .map(|entry| {
            let field = Field::from_number(entry.field).ok_or(InvalidRule::Predicate)?;
            let operator = Operator::from_number(entry.operator).ok_or(InvalidRule::Predicate)?;
            Ok(Predicate::new(entry.clause, entry.negated, field, operator, entry.value))
        })
        .collect::<core::result::Result<_, InvalidRule>>()
        .map_err(RebateError::from)
}

/// - Signed by the platform's admin.
/// - The definition must be sound, its asset one of the platform's, its version the next one.
/// - It takes effect no earlier than the timelock allows; before the first payment, at any time.
/// - The version before it ends there.
/// - Emits `RulePublished` with the whole definition.
pub fn handle(ctx: &mut Context<PublishRule>, rule: RuleDefinition, effective_at: i64) -> Result<()> {
    let now = Timestamp(Clock::get()?.unix_timestamp);
    let effective_at = Timestamp(effective_at);
    let platform = ctx.accounts.platform.address().to_bytes();

    let condition = condition(&rule)?;
    let definition = Definition {
        id: RuleId(rule.id),
        version: RuleVersion(rule.version),
        name: &rule.name,
        priority: rule.priority,
        starts_at: Timestamp(rule.starts_at),
        ends_at: Timestamp(rule.ends_at),
        condition: &condition,
        effect: Effect::try_from(&rule.effect)?,
    };
    let new = Rule::new(&definition, effective_at).map_err(RebateError::from)?;
    require!(ctx.accounts.platform.asset(new.asset()).is_some(), RebateError::UnknownAsset);

    let timelock = ctx.accounts.platform.timelock;
    let book = &mut ctx.accounts.rule_book;
    require!(may_take_effect(book, effective_at, now, timelock), RebateError::TooEarly);
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
