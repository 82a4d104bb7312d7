//! Opens the account that proves an order before it is refunded.
#![allow(unused_variables, reason = "the framework binds every argument that `#[instruction]` names")]

use crate::{
    error::RebateError,
    state::{Platform, Refund, VERSION, refund::WRITING},
};
use anchor_lang::prelude::*;

/// The longest event an account can be opened for: it is created with 10 kB at most.
const MAX_EVENT: u32 = 10_000;

#[derive(Accounts)]
#[instruction(order: [u8; 32], event_length: u32)]
pub struct OpenRefund {
    /// Pays the rent. Anybody may prove an order; only a signed refund does anything with it.
    #[account(mut)]
    pub payer: Signer,
    pub platform: Account<Platform>,
    #[account(init, payer = payer, space = Refund::space(event_length.min(MAX_EVENT)), seeds = [b"refund", platform.address().as_ref(), order.as_ref()], bump)]
    pub refund: Account<Refund>,
    pub system_program: Program<System>,
}

/// - Nobody must be proving the order yet; who does has an hour for it.
/// - The event must have a length that an event of a payment can have.
pub fn handle(ctx: &mut Context<OpenRefund>, order: [u8; 32], event_length: u32) -> Result<()> {
    require!(event_length <= MAX_EVENT, RebateError::InvalidProof);
    let (platform, payer) = (*ctx.accounts.platform.address(), *ctx.accounts.payer.account().address());
    let refund = &mut ctx.accounts.refund;
    refund.platform = platform;
    refund.order = order;
    refund.payer = payer;
    refund.opened_at = Clock::get()?.unix_timestamp;
    refund.event_length = event_length;
    refund.stage = WRITING;
    refund.version = VERSION;
    refund.bump = ctx.bumps.refund;
    Ok(())
}
