//! Records the payments of a signed message.

use crate::{
    error::RebateError,
    events::{PaymentRecorded, payment_recorded},
    journal::Emitter,
    log, signed_message,
    state::{Journal, OrderPage, Platform, RuleBookAccount, User, order_page},
};
use alloc::vec::Vec;
use anchor_lang::prelude::*;
use rebate_core::{
    evaluate, message,
    outcome::Outcome,
    payment::Payment,
    refusal::Refusal,
    rule::Rule,
    units::{JournalIndex, PaymentNumber, Timestamp},
};

/// Behind these come, for each record in order, the account of its user and the order page of its day and shard.
/// Anybody may submit: what counts is who signed.
#[event_cpi]
#[derive(Accounts)]
pub struct RecordPayments {
    pub platform: Account<Platform>,
    #[account(mut, constraint = anchor_lang::address_eq(&rule_book.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub rule_book: RuleBookAccount,
    #[account(mut, constraint = anchor_lang::address_eq(&journal.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub journal: Account<Journal>,
    /// The framework checks the sysvar's address.
    pub instructions: Sysvar<SysvarInstructions>,
}

/// - The platform must be running.
/// - The message in the Ed25519 instruction just before must be signed by an oracle key valid now, for this program and
///   this platform.
/// - Record by record: a refused one changes nothing, gets a log line with its reason, and the others go on. If every
///   one is refused, the instruction fails with the first one's error.
/// - Each accepted record emits `PaymentRecorded`.
pub fn handle(ctx: &mut Context<RecordPayments>) -> Result<()> {
    ctx.accounts.platform.require_running()?;
    let passed = ctx.remaining_accounts()?;
    let accounts = &mut ctx.accounts;
    let platform = &accounts.platform;
    let now = Clock::get()?.unix_timestamp;
    let ed25519 = signed_message::instruction_before(&accounts.instructions)?;
    let signed = signed_message::read(&ed25519, platform, now)?;
    let mut records = message::open(signed.bytes, ctx.program_id.as_array(), platform.address().as_array())
        .map_err(RebateError::from)?;
    require!(passed.len() == records.left().saturating_mul(2), RebateError::WrongAccounts);

    let mut emitter = Emitter::new(&accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    let rules = accounts.rule_book.as_mut_slice();
    let mut outcomes = Vec::with_capacity(rules.len());
    let mut accounts_of_records = passed.chunks_exact(2);
    let mut first_refusal = None;
    let mut accepted = 0u64;
    while let Some(payment) = records.next_payment().map_err(RebateError::from)? {
        let Some([user, page]) = accounts_of_records.next() else { return Err(RebateError::WrongAccounts.into()) };
        // SAFETY: the framework refuses a trailing account that is one of the declared ones; `record` drops both
        // before the next record, and they cannot be one account, having different discriminators.
        let (mut user, load_page) =
            unsafe { (Account::<User>::load_mut(*user)?, || Account::<OrderPage>::load_mut(*page)) };
        require!(user.is(platform.address(), &payment.user), RebateError::WrongUser);

        match record(platform, rules, &mut user, load_page, now, &payment, &mut outcomes)? {
            Err(refusal) => {
                log::refused(&payment.order, refusal);
                first_refusal = first_refusal.or(Some(refusal));
            }
            Ok(number) => {
                accepted = accepted.saturating_add(1);
                log::accepted(platform, &payment.order, &outcomes);
                let context = payment_recorded::Context {
                    journal_index: JournalIndex(accounts.journal.count),
                    at: Timestamp(now),
                    platform: platform.address().as_array(),
                    oracle: &signed.oracle.key,
                    number,
                };
                emitter.emit_with::<PaymentRecorded>(&mut accounts.journal, |buffer| {
                    payment_recorded::write(buffer, &context, &payment, &outcomes);
                    Ok(())
                })?;
            }
        }
    }
    match (accepted, first_refusal) {
        (0, Some(refusal)) => Err(RebateError::from(refusal).into()),
        _ => {
            let book = &mut accounts.rule_book;
            book.payments = book.payments.saturating_add(accepted);
            Ok(())
        }
    }
}

/// Decides and stores one record. The outer error fails the whole instruction; the inner refusal, this record.
fn record(
    platform: &Account<Platform>,
    rules: &mut [Rule],
    user: &mut User,
    load_page: impl FnOnce() -> Result<Account<OrderPage>>,
    now: i64,
    payment: &Payment,
    outcomes: &mut Vec<Outcome>,
) -> Result<core::result::Result<PaymentNumber, Refusal>> {
    if let Err(refusal) = payment.admit(Timestamp(now), platform.max_lateness()) {
        return Ok(Err(refusal));
    }
    // Only now: the page of a record that is too late may be closed.
    let mut page = load_page()?;
    require!(page.is_for(platform.address(), platform.order_shards, payment), RebateError::WrongOrderPage);
    let place = match order_page::look_up(&page, payment)? {
        Ok(place) => place,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let number = user.next_payment();
    let context = evaluate::Context { rules, offsets: platform.offsets(), number };
    let mut balances = user.balances();
    if let Err(refusal) = evaluate::evaluate(payment, &context, &mut balances, outcomes) {
        return Ok(Err(refusal));
    }
    order_page::take(&mut page, place, payment)?;
    evaluate::commit(rules, outcomes);
    user.apply(number, &balances);
    Ok(Ok(number))
}
