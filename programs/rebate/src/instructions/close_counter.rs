//! Closes counters that nothing can be counted into any more.

use crate::{
    error::RebateError,
    state::{Counter, Platform, RuleBookAccount, counter::counters},
};
use anchor_lang::{AccountClose, prelude::*};
use rebate_core::{book, units::Day};

#[derive(Accounts)]
pub struct CloseCounter {
    /// Anybody may: the rent goes back to who paid it.
    pub closer: Signer,
    pub platform: Account<Platform>,
    #[account(constraint = anchor_lang::address_eq(&rule_book.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub rule_book: RuleBookAccount,
    #[account(mut, constraint = anchor_lang::address_eq(&counter.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub counter: Account<Counter>,
    /// May be who closes.
    #[account(mut, unsafe(dup), address = counter.payer @ RebateError::NotPayer)]
    pub payer: UncheckedAccount,
}

/// - Every window that the counters stand in must be over, and every day of it closed, so that no payment can come for it any
///   more; a streak must have ended too. A window without an end is over where its rule's versions are.
pub fn handle(ctx: &mut Context<CloseCounter>) -> Result<()> {
    let open_from = Day(ctx.accounts.platform.open_from);
    // SAFETY: the only slice of the counters.
    let counted = unsafe { counters(&ctx.accounts.counter)? };
    let rules = ctx.accounts.rule_book.as_slice();
    let offsets = ctx.accounts.platform.offsets();
    let over = counted.iter().all(|counters| book::is_closable(counters, rules, offsets, open_from));
    require!(over, RebateError::CounterInUse);
    let payer = *ctx.accounts.payer.account();
    ctx.accounts.counter.close(payer)
}
