//! Gives up a proof that did not end.

use crate::{
    error::RebateError,
    state::{Refund, refund::PROVED},
};
use anchor_lang::{AccountClose, prelude::*};

#[derive(Accounts)]
pub struct CloseRefund {
    /// Gets the rent back.
    #[account(mut, address = refund.payer @ RebateError::NotPayer)]
    pub payer: Signer,
    #[account(mut)]
    pub refund: Account<Refund>,
}

/// - Signed by who opened the account.
/// - The order must not be proved: what was refunded of it is remembered for good.
pub fn handle(ctx: &mut Context<CloseRefund>) -> Result<()> {
    require!(ctx.accounts.refund.stage != PROVED, RebateError::RefundInUse);
    let payer = *ctx.accounts.payer.account();
    ctx.accounts.refund.close(payer)
}
