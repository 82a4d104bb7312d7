//! Records the payments of a signed message.

use crate::{
    error::RebateError,
    events::{PaymentRecorded, payment_recorded},
    log,
    records::{Brought, Desk, RecordSigned, Recorded, each, stopped},
    state::{order_page, user::holdings},
};
use alloc::vec::Vec;
use anchor_lang::prelude::*;
use rebate_core::{
    evaluate::{self, Evaluation},
    expiry::Expired,
    outcome::{Outcome, Reason},
    payment::Payment,
    units::{JournalIndex, MAX_ASSETS},
};

/// - What [`each`] checks of the message.
/// - Each accepted payment emits `PaymentRecorded`, and before it what expired of the user's balances by then.
pub fn handle(ctx: &mut Context<RecordSigned>) -> Result<()> {
    let mut evaluation = Evaluation::with_capacity(ctx.accounts.rule_book.len());
    let mut expired = Vec::new();
    each(ctx, |desk, user, accounts, payment: &Payment| {
        let recorded = record(desk, user, accounts, payment, &mut evaluation, &mut expired)?;
        if let Err(refusal) = recorded {
            log::refused(&payment.order, refusal);
        }
        Ok(recorded)
    })
}

#[inline(always)]
fn record(
    desk: &mut Desk<'_>,
    account: AccountView,
    mut accounts: &[AccountView],
    payment: &Payment,
    evaluation: &mut Evaluation,
    expired: &mut Vec<Expired>,
) -> Recorded {
    let mut user = desk.user(account, &payment.user)?;
    if let Err(refusal) = desk.admission.check(payment.amount, payment.paid_at) {
        return Ok(Err(refusal));
    }
    // Only now: the pages of a record that is too late may be closed.
    let (mut page, place) = match desk.page(&mut accounts, &payment.order, payment.paid_at)? {
        Ok(found) => found,
        Err(refusal) => return Ok(Err(refusal)),
    };
    log::mark();
    let mut brought = Brought::load(accounts, desk.platform.address(), &payment.user, |scope| payment.scope_id(scope))?;
    // SAFETY: the only holdings of the user that this record makes.
    let mut holdings = unsafe { holdings(&user)? };
    let mut balances = holdings.balances();
    desk.expire(&mut balances, expired);
    let mut free = desk.platform.free();
    if let Some(free) = &mut free {
        free_expired(free, expired);
    }

    let number = user.next_payment();
    let mut counters = brought.by_scope(holdings.counters)?;
    let context = evaluate::Context {
        rules: desk.book.as_slice(),
        offsets: desk.platform.offsets(),
        number,
        free: free.as_ref(),
    };
    log::mark();
    if let Err(stop) = evaluation.decide(payment, &context, &mut balances, &counters) {
        return stopped(stop);
    }
    log::mark();
    evaluation.commit(desk.book.as_mut_slice(), &mut counters);
    holdings.counters = counters.user;
    if !holdings.has_room_for(&balances) {
        let new = |outcome: &&Outcome| outcome.asset.slot().is_some_and(|slot| slot >= holdings.balances.len());
        let granted = evaluation.outcomes().iter().filter(|outcome| outcome.reason == Reason::Granted);
        granted.filter(new).for_each(|outcome| log::missing_balance(outcome.rule, outcome.asset));
        return Err(RebateError::NoRoom.into());
    }
    desk.platform.account_for(holdings.balances, &balances);
    holdings.store(&balances);
    user.payments = number.0;
    order_page::take(&mut page, place, &payment.order)?;
    desk.book.payments = desk.book.payments.saturating_add(1);

    log::mark();
    log::accepted(desk.platform, &payment.order, evaluation.outcomes());
    log::mark();
    desk.emit_expired(&payment.user, expired)?;
    let context = payment_recorded::Context {
        journal_index: JournalIndex(desk.journal.count),
        at: desk.now,
        platform: desk.platform.address().as_array(),
        oracle: &desk.oracle,
        number,
    };
    desk.emitter.emit_with::<PaymentRecorded>(desk.journal, |buffer| {
        payment_recorded::write(buffer, &context, payment, evaluation.outcomes());
        Ok(())
    })?;
    log::mark();
    Ok(Ok(()))
}

/// What expires of a token is nobody's any more.
fn free_expired(free: &mut [rebate_core::units::Amount; MAX_ASSETS], expired: &[Expired]) {
    for expired in expired {
        if let Some(free) = expired.asset.slot().and_then(|slot| free.get_mut(slot)) {
            // What has no limit stays so: the sum ends at the greatest there is.
            free.0 = free.0.saturating_add(expired.amount.0);
        }
    }
}
