//! Records the refunds of a signed message, of orders that were proved.

use crate::{
    error::RebateError,
    events::{OutcomeEntry, RefundRecorded},
    log,
    records::{Brought, Desk, RecordSigned, Recorded, each, stopped},
    state::{
        Refund, order_page,
        refund::{PROVED, grants},
        user::holdings,
    },
};
use alloc::vec::Vec;
use anchor_lang::prelude::*;
use rebate_core::{
    expiry::Expired,
    outcome::Outcome,
    refund::{self, RefundedOrder, Reversal},
    refusal::Refusal,
    units::{Amount, ScopeId, Timestamp, UserKey},
    window::Scope,
};

/// - What [`each`] checks of the message.
/// - The refunded order must be proved, or the refund is of an unknown order.
/// - Counters of the scopes that the order's rules use must be passed, as addresses where they were closed.
/// - Each accepted refund emits `RefundRecorded`, and before it what expired of the user's balances by then.
pub fn handle(ctx: &mut Context<RecordSigned>) -> Result<()> {
    let mut reversal = Reversal::default();
    let mut expired = Vec::new();
    each(ctx, |desk, user, accounts, refund: &refund::Refund| {
        let recorded = record(desk, user, accounts, refund, &mut reversal, &mut expired)?;
        match recorded {
            Ok(()) => log::refunded(desk.platform, refund, reversal.outcomes()),
            Err(refusal) => log::refused(&refund.order, refusal),
        }
        Ok(recorded)
    })
}

fn record(
    desk: &mut Desk<'_>,
    account: AccountView,
    mut accounts: &[AccountView],
    record: &refund::Refund,
    reversal: &mut Reversal,
    expired: &mut Vec<Expired>,
) -> Recorded {
    if let Err(refusal) = desk.admission.check(record.amount, record.paid_at) {
        return Ok(Err(refusal));
    }
    let (mut page, place) = match desk.page(&mut accounts, &record.order, record.paid_at)? {
        Ok(found) => found,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let (proof, accounts) = accounts.split_first().ok_or(RebateError::WrongAccounts)?;
    if proof.data_len() == 0 {
        return Ok(Err(Refusal::UnknownOrder));
    }
    // SAFETY: no other account of a record is a refund's.
    let mut proof = unsafe { Account::<Refund>::load_mut(*proof)? };
    require!(
        anchor_lang::address_eq(&proof.platform, desk.platform.address()) && proof.order == record.of.0,
        RebateError::WrongRefund
    );
    if proof.stage != PROVED {
        return Ok(Err(Refusal::UnknownOrder));
    }
    let key = UserKey(proof.user);
    let user = desk.user(account, &key)?;
    let id = |scope| match scope {
        Scope::User => ScopeId(0),
        Scope::UserStreamer => ScopeId(proof.streamer),
        Scope::UserSession => ScopeId(proof.session),
    };
    let closed = accounts.iter().filter(|account| account.data_len() == 0);
    let closed: Vec<_> = closed.map(|account| closed_scope(desk, account, &key, id)).collect::<Result<_>>()?;
    let open: Vec<_> = accounts.iter().filter(|account| account.data_len() != 0).copied().collect();
    let mut brought = Brought::load(&open, desk.platform.address(), &key, id)?;

    // SAFETY: the only holdings of the user and the only grants of the order that this record makes.
    let (mut holdings, grants) = unsafe { (holdings(&user)?, grants(&proof)?) };
    let held = holdings.balances();
    let mut balances = held;
    desk.expire(&mut balances, expired);
    let mut order =
        RefundedOrder { paid: Amount(proof.paid), paid_at: Timestamp(proof.paid_at), refunded: Amount(proof.refunded) };
    if let Err(refusal) = reversal.decide(record.amount, &order, grants, &balances) {
        return Ok(Err(refusal));
    }
    let mut counters = brought.by_scope(holdings.counters)?;
    for scope in closed {
        // What was closed has no counters left.
        match scope {
            Scope::UserStreamer if counters.streamer.is_none() => counters.streamer = Some(&mut []),
            Scope::UserSession if counters.session.is_none() => counters.session = Some(&mut []),
            _ => return Err(RebateError::WrongCounter.into()),
        }
    }
    let offsets = desk.platform.offsets();
    let rules = desk.book.as_mut_slice();
    if let Err(stop) = reversal.commit(&mut order, grants, rules, offsets, &mut balances, &mut counters) {
        return stopped(stop);
    }
    holdings.counters = counters.user;
    holdings.store(&balances);
    proof.refunded = order.refunded.0;
    desk.platform.account_for(&held, &balances);
    order_page::take(&mut page, place, &record.order)?;

    desk.emit_expired(&key, expired)?;
    let platform = desk.platform.address().to_bytes();
    desk.emitter.emit(desk.journal, |index| RefundRecorded {
        journal_index: index.0,
        at: desk.now.0,
        platform,
        oracle: desk.oracle,
        order: record.order.0,
        of: record.of.0,
        user: key.0,
        amount: record.amount.0,
        paid_at: record.paid_at.0,
        refunded: order.refunded.0,
        outcomes: reversal.outcomes().iter().map(OutcomeEntry::from).collect(),
    })?;
    Ok(Ok(()))
}

/// The scope whose counters would stand at the address of an account that does not exist.
fn closed_scope(
    desk: &Desk<'_>,
    account: &AccountView,
    user: &UserKey,
    id: impl Fn(Scope) -> ScopeId,
) -> Result<Scope> {
    [Scope::UserStreamer, Scope::UserSession]
        .into_iter()
        .find(|scope| {
            let number = id(*scope).0.to_le_bytes();
            let platform = desk.platform.address().as_ref();
            let seeds = [b"counter".as_slice(), platform, &user.0, &[*scope as u8], &number];
            Address::find_program_address(&seeds, desk.program).0 == *account.address()
        })
        .ok_or(RebateError::WrongCounter.into())
}

impl From<&Outcome> for OutcomeEntry {
    fn from(outcome: &Outcome) -> Self {
        Self {
            rule: outcome.rule.0,
            version: outcome.version.0,
            reason: outcome.reason as u8,
            clause: outcome.clause,
            asset: outcome.asset.0,
            amount: outcome.amount.0,
            before: outcome.before.0,
            after: outcome.after.0,
        }
    }
}
