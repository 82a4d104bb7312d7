//! Writes the event of an order that is to be refunded, piece by piece.

use crate::{
    error::RebateError,
    state::{
        Refund,
        refund::{WRITING, event},
    },
};
use alloc::vec::Vec;
use anchor_lang::prelude::*;

#[derive(Accounts)]
pub struct WriteRefund {
    #[account(address = refund.payer @ RebateError::NotPayer)]
    pub payer: Signer,
    #[account(mut)]
    pub refund: Account<Refund>,
}

/// - Signed by who opened the account.
/// - The bytes follow those written before, and are no more than the event has.
pub fn handle(ctx: &mut Context<WriteRefund>, bytes: Vec<u8>) -> Result<()> {
    let refund = &mut ctx.accounts.refund;
    require!(refund.stage == WRITING, RebateError::InvalidProof);
    let begin = refund.written as usize;
    let end = begin.saturating_add(bytes.len());
    require!(end <= refund.event_length as usize, RebateError::InvalidProof);
    // SAFETY: the only slice of the event that is made here.
    let place = unsafe { event(refund) }.get_mut(begin..end).ok_or(RebateError::InvalidProof)?;
    place.copy_from_slice(&bytes);
    // At most the event's length, a u32.
    refund.written = end as u32;
    Ok(())
}
