//! Gives up a proof that did not end.

use crate::{
    error::RebateError,
    state::{Refund, refund::PROVED},
};
use anchor_lang::{AccountClose, prelude::*};

/// For how long nobody else can give up a proof, in seconds: it takes a few transactions.
const STALE: i64 = 3_600;

#[derive(Accounts)]
pub struct CloseRefund {
    pub closer: Signer,
    #[account(mut)]
    pub refund: Account<Refund>,
    /// Gets the rent back. May be who closes.
    #[account(mut, unsafe(dup), address = refund.payer @ RebateError::NotPayer)]
    pub payer: UncheckedAccount,
}

/// - Signed by who opened the account; an hour later by anybody, or somebody could keep an order from being refunded.
/// - The order must not be proved: what was refunded of it is remembered for good.
pub fn handle(ctx: &mut Context<CloseRefund>) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let refund = &mut ctx.accounts.refund;
    require!(refund.stage != PROVED, RebateError::RefundInUse);
    let own = anchor_lang::address_eq(ctx.accounts.closer.account().address(), &refund.payer);
    require!(own || now >= refund.opened_at.saturating_add(STALE), RebateError::NotPayer);
    let payer = *ctx.accounts.payer.account();
    refund.close(payer)
}
