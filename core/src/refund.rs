//! Refunds: what was granted for an order goes back in proportion.

use crate::{
    balance::Balances,
    evaluate::{CountersByScope, Stop, share_budget},
    outcome::{Outcome, Reason},
    refusal::Refusal,
    rule::Rule,
    time::{LocalTime, UtcOffset},
    units::{Amount, AssetId, OrderHash, RuleId, RuleVersion, Timestamp},
};
use alloc::vec::Vec;
use bytemuck::{Pod, Zeroable};

/// One refund, as the oracle signs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refund {
    /// SHA-256 of the refund's own order number.
    pub order: OrderHash,
    /// SHA-256 of the order it refunds.
    pub of: OrderHash,
    /// How much, in the platform's minor currency unit; more than 0.
    pub amount: Amount,
    /// When it was paid back.
    pub paid_at: Timestamp,
}

/// A grant of an order, and what of it was reversed. 24 bytes, no padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Grant {
    /// The rule that granted.
    pub rule: RuleId,
    /// Its version.
    pub version: RuleVersion,
    /// What it granted.
    pub asset: AssetId,
    /// Zero.
    pub reserved: [u8; 3],
    /// How much.
    pub amount: Amount,
    /// What of it was reversed so far.
    pub reversed: Amount,
}

impl Grant {
    /// A grant of which nothing was reversed.
    pub fn new(rule: RuleId, version: RuleVersion, asset: AssetId, amount: Amount) -> Self {
        Self { rule, version, asset, reserved: [0; 3], amount, reversed: Amount(0) }
    }

    /// What is to be reversed once `refunded` of an order of `paid` was: `grant × refunded / paid`, rounded down, less what
    /// was reversed already.
    fn due(&self, refunded: Amount, paid: Amount) -> Amount {
        let share = u128::from(self.amount.0)
            .saturating_mul(u128::from(refunded.0))
            .checked_div(u128::from(paid.0))
            .and_then(|share| u64::try_from(share).ok());
        // No more than the grant: `refunded` is no more than `paid`.
        Amount(share.unwrap_or(self.amount.0).saturating_sub(self.reversed.0))
    }
}

/// What is known of an order that is refunded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefundedOrder {
    /// What was paid.
    pub paid: Amount,
    /// When.
    pub paid_at: Timestamp,
    /// What of it was refunded before.
    pub refunded: Amount,
}

/// What a refund came to. Its memory is used again by the next one.
#[derive(Debug, Default)]
pub struct Reversal {
    outcomes: Vec<Outcome>,
    /// Of every grant, in the order granted: what is reversed of it now.
    due: Vec<Amount>,
    balances: Balances,
    /// What was refunded of the order, with this refund.
    refunded: Amount,
    amount: Amount,
}

impl Reversal {
    /// The grants that lose something, in the order granted. The `slot` of an outcome is the grant's.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The balances and debts afterwards.
    pub fn balances(&self) -> &Balances {
        &self.balances
    }

    /// What was refunded of the order, with this refund.
    pub fn refunded(&self) -> Amount {
        self.refunded
    }

    /// Decides what refunding `amount` of `order` reverses.
    ///
    /// # Errors
    /// [`Refusal::OverRefund`] if more would be refunded than was paid; [`Refusal::AmountOverflow`] if a debt would pass
    /// 2^64 − 1.
    pub fn decide(
        &mut self,
        amount: Amount,
        order: &RefundedOrder,
        grants: &[Grant],
        balances: &Balances,
    ) -> Result<(), Refusal> {
        self.outcomes.clear();
        self.due.clear();
        self.balances = *balances;
        self.amount = amount;
        let refunded = order.refunded.0.checked_add(amount.0).filter(|refunded| *refunded <= order.paid.0);
        self.refunded = Amount(refunded.ok_or(Refusal::OverRefund)?);
        for (slot, grant) in grants.iter().enumerate() {
            let due = grant.due(self.refunded, order.paid);
            self.due.push(due);
            let Some(balance) = grant.asset.slot().and_then(|slot| self.balances.get_mut(slot)) else { continue };
            if due.0 == 0 {
                continue;
            }
            let before = balance.total();
            balance.reverse(due).map_err(|_| Refusal::AmountOverflow)?;
            self.outcomes.push(Outcome {
                slot,
                rule: grant.rule,
                version: grant.version,
                reason: Reason::Reversed,
                clause: 0,
                asset: grant.asset,
                amount: due,
                before,
                after: balance.total(),
            });
        }
        Ok(())
    }

    /// Writes what was decided, over what it was decided over. A scope whose counters were closed is brought as an empty
    /// slice.
    ///
    /// # Errors
    /// [`Stop::MissingCounters`] if the counters of a scope were not brought; nothing was written.
    pub fn commit(
        &self,
        order: &mut RefundedOrder,
        grants: &mut [Grant],
        rules: &mut [Rule],
        offsets: &[UtcOffset],
        balances: &mut Balances,
        counters: &mut CountersByScope<'_>,
    ) -> Result<(), Stop> {
        for grant in grants.iter() {
            if let Some(rule) = rules.iter().find(|rule| rule.id == grant.rule && rule.version == grant.version) {
                counters.of(rule.scope()).ok_or(Stop::MissingCounters(rule.id, rule.scope()))?;
            }
        }
        let local = LocalTime::at(order.paid_at, offsets);
        for (grant, due) in grants.iter_mut().zip(&self.due) {
            grant.reversed = Amount(grant.reversed.0.saturating_add(due.0));
            let slot = rules.iter().position(|rule| rule.id == grant.rule && rule.version == grant.version);
            if let Some(rule) = slot.and_then(|slot| rules.get_mut(slot)) {
                rule.reversed = Amount(rule.reversed.0.saturating_add(due.0));
                let (epoch, window) = (rule.epoch, rule.window().index(local));
                let standing = counters.of_mut(rule.scope()).and_then(|brought| {
                    brought.iter_mut().find(|counters| {
                        counters.rule == grant.rule && counters.epoch == epoch && counters.window == window
                    })
                });
                if let Some(counters) = standing {
                    counters.granted = Amount(counters.granted.0.saturating_sub(due.0));
                    counters.spend = Amount(counters.spend.0.saturating_sub(self.amount.0));
                }
            }
            // The budget is the rule's: where the version is gone, another one keeps it.
            let slot = slot.or_else(|| rules.iter().position(|rule| rule.id == grant.rule));
            if let Some((slot, rule)) = slot.and_then(|slot| Some((slot, rules.get_mut(slot)?))) {
                rule.budget_spent = Amount(rule.budget_spent.0.saturating_sub(due.0));
                if rule.has_siblings != 0 {
                    share_budget(rules, slot);
                }
            }
        }
        order.refunded = self.refunded;
        *balances = self.balances;
        Ok(())
    }
}
