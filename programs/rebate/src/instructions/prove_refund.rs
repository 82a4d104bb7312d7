//! Follows the path from an order's event to a peak of the journal.

use crate::{
    error::RebateError,
    events::payment_recorded,
    state::{
        Journal, Platform, Refund,
        refund::{CLIMBING, PROVED, WRITING, event, grants},
    },
};
use alloc::vec::Vec;
use anchor_lang::prelude::*;
use rebate_core::{
    journal::{self, Climb},
    outcome::Reason,
    refund::Grant,
    units::JournalIndex,
};

#[derive(Accounts)]
pub struct ProveRefund {
    #[account(address = refund.payer @ RebateError::NotPayer)]
    pub payer: Signer,
    pub platform: Account<Platform>,
    #[account(constraint = anchor_lang::address_eq(&journal.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub journal: Account<Journal>,
    #[account(mut, constraint = anchor_lang::address_eq(&refund.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub refund: Account<Refund>,
}

/// - Signed by who opened the account.
/// - The event must be whole, be a payment of the platform, and be that of the order.
/// - The path goes on from the node reached, and may come in parts: inner nodes never change once they are complete.
/// - Once a peak of the journal is reached, the order is proved, and its grants take the event's place.
pub fn handle(ctx: &mut Context<ProveRefund>, path: Vec<[u8; 32]>) -> Result<()> {
    let (journal, refund) = (&ctx.accounts.journal, &mut ctx.accounts.refund);
    require!(refund.stage != PROVED, RebateError::RefundInUse);
    if refund.stage == WRITING {
        begin(refund)?;
    }
    let mut climb = Climb { index: JournalIndex(refund.journal_index), height: refund.height, node: refund.node };
    for sibling in &path {
        climb.step(sibling).map_err(|_| RebateError::InvalidProof)?;
    }
    refund.height = climb.height;
    refund.node = climb.node;
    if climb.is_at_peak(journal.count, &journal.peaks) { end(refund) } else { Ok(()) }
}

/// The event is whole: its hash is the leaf that the path begins at.
fn begin(refund: &mut Account<Refund>) -> Result<()> {
    require!(refund.written == refund.event_length, RebateError::InvalidProof);
    // SAFETY: the only slice of the event while this function runs.
    let bytes = unsafe { event(refund) }.get(..refund.event_length as usize).ok_or(RebateError::InvalidProof)?;
    let order = payment_recorded::read(bytes).ok_or(RebateError::InvalidProof)?;
    require!(order.platform == refund.platform.as_array() && *order.order == refund.order, RebateError::InvalidProof);
    refund.node = journal::leaf(bytes);
    refund.height = 0;
    refund.journal_index = order.journal_index.0;
    refund.stage = CLIMBING;
    Ok(())
}

/// The order is in the journal: keeps what refunds need of it.
fn end(refund: &mut Account<Refund>) -> Result<()> {
    // SAFETY: the only slice of the event until the grants are written; what is kept of it is copied.
    let bytes = unsafe { event(refund) }.get(..refund.event_length as usize).ok_or(RebateError::InvalidProof)?;
    let order = payment_recorded::read(bytes).ok_or(RebateError::InvalidProof)?;
    let granted: Vec<_> = order
        .outcomes()
        .filter(|outcome| outcome.reason == Reason::Granted as u8)
        .map(|outcome| Grant::new(outcome.rule, outcome.version, outcome.asset, outcome.amount))
        .collect();
    refund.user = *order.user;
    refund.paid = order.amount.0;
    refund.paid_at = order.paid_at.0;
    refund.streamer = order.streamer;
    refund.session = order.session;
    refund.grants = u16::try_from(granted.len()).map_err(|_| RebateError::InvalidProof)?;
    refund.stage = PROVED;
    // SAFETY: nothing refers to the event any more.
    let places = unsafe { grants(refund)? };
    for (place, grant) in places.iter_mut().zip(granted) {
        *place = grant;
    }
    Ok(())
}
