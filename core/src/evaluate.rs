//! Evaluating one payment against the rules.
//!
//! Evaluation decides and changes nothing; [`commit`] then writes what was decided. A payment that is refused on the
//! way has therefore changed nothing.

use crate::{
    outcome::{Outcome, Reason},
    payment::Payment,
    refusal::Refusal,
    rule::{
        Rule,
        condition::{Facts, first_failing},
    },
    time::{LocalTime, UtcOffset},
    units::{Amount, MAX_ASSETS, PaymentNumber},
};
use alloc::vec::Vec;

/// A user's balances, by asset slot.
pub type Balances = [Amount; MAX_ASSETS];

/// What evaluation reads besides the payment.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The rule book, in order of evaluation.
    pub rules: &'a [Rule],
    /// The platform's table of UTC offsets.
    pub offsets: &'a [UtcOffset],
    /// The how-manieth payment of this user it is.
    pub number: PaymentNumber,
}

/// Decides what every rule in force does with `payment`, in order of evaluation, into `outcomes` (which is emptied
/// first), and takes `balances` from what the user had before to what the user has afterwards.
///
/// # Errors
/// [`Refusal::AmountOverflow`] if a grant, a balance or a rule's total would pass 2^64 − 1. `outcomes` and `balances`
/// then hold nothing of use.
pub fn evaluate(
    payment: &Payment,
    context: &Context<'_>,
    balances: &mut Balances,
    outcomes: &mut Vec<Outcome>,
) -> Result<(), Refusal> {
    outcomes.clear();
    let facts =
        Facts { payment, number: context.number, weekday: LocalTime::at(payment.paid_at, context.offsets).weekday() };
    for (slot, rule) in context.rules.iter().enumerate() {
        if !rule.in_force(payment.paid_at) {
            continue;
        }
        let Some(balance) = rule.asset().slot().and_then(|slot| balances.get_mut(slot)) else { continue };
        let mut outcome = Outcome {
            slot,
            rule: rule.id,
            version: rule.version,
            reason: Reason::NothingDue,
            clause: 0,
            asset: rule.asset(),
            amount: Amount(0),
            before: *balance,
            after: *balance,
        };
        if let Some(clause) = first_failing(rule.condition(), &facts) {
            outcome.reason = Reason::NotMatched;
            outcome.clause = clause;
        } else {
            let reward = match rule.effect() {
                Some(effect) => effect.raw_reward(payment.amount).map_err(|_| Refusal::AmountOverflow)?,
                None => Amount(0),
            };
            if reward.0 > 0 {
                let after = balance.0.checked_add(reward.0).map(Amount).ok_or(Refusal::AmountOverflow)?;
                rule.granted.0.checked_add(reward.0).ok_or(Refusal::AmountOverflow)?;
                outcome.reason = Reason::Granted;
                outcome.amount = reward;
                outcome.after = after;
                *balance = after;
            }
        }
        outcomes.push(outcome);
    }
    Ok(())
}

/// Writes what [`evaluate`] decided into the rules' totals. `rules` is the slice that was evaluated.
pub fn commit(rules: &mut [Rule], outcomes: &[Outcome]) {
    for outcome in outcomes.iter().filter(|outcome| outcome.reason == Reason::Granted) {
        if let Some(rule) = rules.get_mut(outcome.slot) {
            // Checked by `evaluate`; each rule grants once per payment.
            rule.granted = Amount(rule.granted.0.saturating_add(outcome.amount.0));
            rule.grants = rule.grants.saturating_add(1);
        }
    }
}
