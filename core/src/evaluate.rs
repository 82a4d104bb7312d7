//! Evaluating one payment against the rules.
//!
//! Evaluation decides and changes nothing; [`commit`] then writes what was decided. A payment that is refused on the
//! way has therefore changed nothing.

use crate::{
    balance::Balances,
    counters::Counters,
    holdout,
    outcome::{Outcome, Reason},
    payment::Payment,
    refusal::Refusal,
    rule::{
        GroupMode, Rule,
        condition::{Facts, base_holds, first_failing},
        limits::within,
    },
    time::{LocalTime, UtcOffset},
    units::{Amount, MAX_ASSETS, PaymentNumber, RuleId, Tags, WindowIndex},
    window::{Scope, Window},
};
use alloc::vec::Vec;

/// What evaluation reads besides the payment and the user's state.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The rule book, in order of evaluation.
    pub rules: &'a [Rule],
    /// The platform's table of UTC offsets.
    pub offsets: &'a [UtcOffset],
    /// The how-manieth payment of this user it is.
    pub number: PaymentNumber,
    /// What each asset's vault holds beyond what users have of it, by asset slot; [`UNLIMITED`] where nothing backs it.
    pub free: &'a [Amount; MAX_ASSETS],
}

/// The free funds of an asset that needs none.
pub const UNLIMITED: Amount = Amount(u64::MAX);

/// A user's counters, by scope. Room that is free has a rule's [`Counters::is_free`].
#[derive(Debug)]
pub struct CountersByScope<'a> {
    /// The user's own.
    pub user: &'a mut [Counters],
    /// Towards the payment's streamer, where they were brought.
    pub streamer: Option<&'a mut [Counters]>,
    /// In the payment's session, where they were brought.
    pub session: Option<&'a mut [Counters]>,
}

impl CountersByScope<'_> {
    #[inline(always)]
    pub(crate) fn of(&self, scope: Scope) -> Option<&[Counters]> {
        match scope {
            Scope::User => Some(self.user),
            Scope::UserStreamer => self.streamer.as_deref(),
            Scope::UserSession => self.session.as_deref(),
        }
    }

    #[inline(always)]
    pub(crate) fn of_mut(&mut self, scope: Scope) -> Option<&mut [Counters]> {
        match scope {
            Scope::User => Some(self.user),
            Scope::UserStreamer => self.streamer.as_deref_mut(),
            Scope::UserSession => self.session.as_deref_mut(),
        }
    }
}

/// Why a payment was not evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The record is refused.
    Refused(Refusal),
    /// A rule in force needs counters of a scope that were not brought.
    MissingCounters(RuleId, Scope),
    /// The counters of a scope have no room for another rule's.
    NoRoom(RuleId, Scope),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Counters to be written.
#[derive(Clone, Copy, Debug)]
struct Change {
    /// The outcome they belong to.
    outcome: usize,
    scope: Scope,
    place: usize,
    counters: Counters,
}

/// What an evaluation decided. Its memory is used again by the next one.
#[derive(Debug, Default)]
pub struct Evaluation {
    outcomes: Vec<Outcome>,
    changes: Vec<Change>,
    /// The outcomes that hold a group which one candidate takes.
    holders: Vec<usize>,
    /// The balances afterwards.
    balances: Balances,
    /// How much of each asset this payment may still grant: what is free, and what pays a debt and so goes to nobody.
    room: [Amount; MAX_ASSETS],
}

impl Evaluation {
    /// Room for the outcomes of `rules` rules.
    pub fn with_capacity(rules: usize) -> Self {
        Self { outcomes: Vec::with_capacity(rules), changes: Vec::with_capacity(rules), ..Self::default() }
    }

    /// What every rule in force did, in order of evaluation.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The balances afterwards.
    pub fn balances(&self) -> &Balances {
        &self.balances
    }

    /// Decides what every rule in force does with `payment`, in order of evaluation.
    ///
    /// # Errors
    /// [`Stop`]. What was decided until then is of no use.
    pub fn decide(
        &mut self,
        payment: &Payment,
        context: &Context<'_>,
        balances: &Balances,
        counters: &CountersByScope<'_>,
    ) -> Result<(), Stop> {
        self.outcomes.clear();
        self.changes.clear();
        self.holders.clear();
        self.balances = *balances;
        self.room = *context.free;
        if context.free.iter().any(|free| *free != UNLIMITED) {
            for (room, balance) in self.room.iter_mut().zip(balances).filter(|(room, _)| **room != UNLIMITED) {
                *room = Amount(room.0.saturating_add(balance.debt.0).min(u64::MAX - 1));
            }
        }
        let multipliers = self.each_by_itself(payment, context, counters)?;
        let paid = self.against_each_other(context.rules);
        if multipliers {
            self.multiply(context.rules, paid)?;
        }
        self.settle(context.rules)?;
        Ok(())
    }

    /// Step 2 of the specification, and step 3 as far as candidates are known. Says whether a multiplier may pay.
    #[inline(always)]
    fn each_by_itself(
        &mut self,
        payment: &Payment,
        context: &Context<'_>,
        counters: &CountersByScope<'_>,
    ) -> Result<bool, Stop> {
        let local = LocalTime::at(payment.paid_at, context.offsets);
        let mut windows = Windows { local, month: None };
        let mut multipliers = false;
        // Counters stand in the order in which rules met the user, mostly that of evaluation: each search begins where
        // the one before ended.
        let mut hint = 0;
        let mut rooms = [Room::default(); Scope::ALL.len()];
        for (slot, rule) in context.rules.iter().enumerate() {
            if !rule.in_force(payment.paid_at) {
                continue;
            }
            let scope = rule.scope();
            let brought = counters.of(scope).ok_or(Stop::MissingCounters(rule.id, scope))?;
            let found = find(brought, rule.id, if scope == Scope::User { hint } else { 0 });
            let mut counted = match found {
                Some((place, stored)) => {
                    if scope == Scope::User {
                        hint = place.wrapping_add(1);
                    }
                    *stored
                }
                None => Counters::of(rule.id),
            };
            let mut judgement = Judgement { reason: Reason::LateForWindow, clause: 0, amount: Amount(0) };
            if let Ok(rolled) = counted.roll(rule.epoch, windows.index(rule.window())) {
                let counts;
                (judgement, counts) = judge(rule, payment, context.number, local, &mut counted)?;
                // Counters in a window that never ends, which nothing was counted into, are none.
                if counts || rolled && (found.is_some() || rule.window().is_periodic()) {
                    let place = match found {
                        Some((place, _)) => place,
                        None => {
                            let room = rooms.get_mut((scope as usize).wrapping_sub(1));
                            let place = room.and_then(|room| room.next(brought, context.rules));
                            place.ok_or(Stop::NoRoom(rule.id, scope))?
                        }
                    };
                    self.changes.push(Change { outcome: self.outcomes.len(), scope, place, counters: counted });
                }
            }
            if judgement.reason == Reason::Granted {
                if rule.is_multiplier() {
                    multipliers = true;
                } else if rule.group_mode() != GroupMode::Stackable {
                    self.compete(context.rules, rule, &mut judgement);
                }
            }
            self.outcomes.push(Outcome {
                slot,
                rule: rule.id,
                version: rule.version,
                reason: judgement.reason,
                clause: judgement.clause,
                asset: rule.asset(),
                amount: judgement.amount,
                before: Amount(0),
                after: Amount(0),
            });
        }
        Ok(multipliers)
    }

    /// Step 3: of a group with the mode `first` or `best`, one candidate is left. `new` is what the next outcome will be.
    fn compete(&mut self, rules: &[Rule], rule: &Rule, new: &mut Judgement) {
        let outcome = self.outcomes.len();
        let holder = self.holders.iter_mut().find(|holder| {
            let slot = self.outcomes.get(**holder).map(|held| held.slot);
            slot.and_then(|slot| rules.get(slot)).is_some_and(|held| held.group == rule.group)
        });
        let Some(holder) = holder else {
            self.holders.push(outcome);
            return;
        };
        let Some(held) = self.outcomes.get_mut(*holder) else { return };
        if rule.group_mode() == GroupMode::Best && new.amount > held.amount {
            held.reason = Reason::GroupTaken;
            held.amount = Amount(0);
            *holder = outcome;
        } else {
            new.reason = Reason::GroupTaken;
            new.amount = Amount(0);
        }
    }

    /// Steps 4 and 5, for all candidates but multipliers. Returns the tags of those that pay.
    #[inline(always)]
    fn against_each_other(&mut self, rules: &[Rule]) -> Tags {
        let mut paid = Tags(0);
        for outcome in self.outcomes.iter_mut().filter(|outcome| outcome.reason == Reason::Granted) {
            let Some(rule) = rules.get(outcome.slot) else { continue };
            if !rule.is_multiplier() {
                admit(outcome, rule, &mut paid, &mut self.room);
            }
        }
        paid
    }

    /// Step 6, `paid` being the tags of those that pay already.
    #[inline(always)]
    fn multiply(&mut self, rules: &[Rule], mut paid: Tags) -> Result<(), Refusal> {
        let multiplier = |outcome: &Outcome| {
            let rule = if outcome.reason == Reason::Granted { rules.get(outcome.slot) } else { None };
            rule.filter(|rule| rule.is_multiplier())
        };
        for at in 0..self.outcomes.len() {
            let Some(rule) = self.outcomes.get(at).and_then(multiplier) else { continue };
            let mut sum = 0u64;
            for other in &self.outcomes {
                if other.reason == Reason::Granted
                    && other.asset == rule.asset()
                    && rules.get(other.slot).is_some_and(|other| other.group == rule.group && !other.is_multiplier())
                {
                    sum = sum.checked_add(other.amount.0).ok_or(Refusal::AmountOverflow)?;
                }
            }
            let reward = rule.multiplied(Amount(sum)).map_err(|_| Refusal::AmountOverflow)?;
            let change = self.changes.iter().find(|change| change.outcome == at);
            let none = Counters::default();
            let left = limit(rule, reward, change.map_or(&none, |change| &change.counters));
            let Some(outcome) = self.outcomes.get_mut(at) else { continue };
            match left {
                Ok(left) => {
                    outcome.amount = left;
                    admit(outcome, rule, &mut paid, &mut self.room);
                }
                Err(reason) => outcome.reason = reason,
            }
        }
        Ok(())
    }

    /// Step 7, but for writing it: balances and counters afterwards, in order.
    #[inline(always)]
    fn settle(&mut self, rules: &[Rule]) -> Result<(), Refusal> {
        let mut changes = self.changes.iter_mut();
        for (at, outcome) in self.outcomes.iter_mut().enumerate() {
            let Some(balance) = outcome.asset.slot().and_then(|slot| self.balances.get_mut(slot)) else { continue };
            let before = balance.total();
            outcome.before = before;
            outcome.after = before;
            if outcome.reason != Reason::Granted {
                continue;
            }
            balance.credit(outcome.amount).map_err(|_| Refusal::AmountOverflow)?;
            outcome.after = balance.total();
            let rule = rules.get(outcome.slot).ok_or(Refusal::AmountOverflow)?;
            // Its budget's total is checked on its own: other versions add to it, and refunds take from it.
            rule.granted.0.checked_add(outcome.amount.0).ok_or(Refusal::AmountOverflow)?;
            rule.budget_spent.0.checked_add(outcome.amount.0).ok_or(Refusal::AmountOverflow)?;
            // What grants was counted: each grant has its change, in the same order.
            if let Some(change) = changes.find(|change| change.outcome == at) {
                let counters = &mut change.counters;
                let granted = counters.granted.0.checked_add(outcome.amount.0).ok_or(Refusal::AmountOverflow)?;
                counters.granted = Amount(granted);
                counters.grants = counters.grants.checked_add(1).ok_or(Refusal::AmountOverflow)?;
            }
        }
        Ok(())
    }

    /// Writes what was decided: the rules' totals, the counters, the balances. All are those that it was decided over.
    pub fn commit(&self, rules: &mut [Rule], balances: &mut Balances, counters: &mut CountersByScope<'_>) {
        for outcome in self.outcomes.iter().filter(|outcome| outcome.reason == Reason::Granted) {
            let Some(rule) = rules.get_mut(outcome.slot) else { continue };
            // Checked by `settle`; each rule grants once per payment.
            rule.granted = Amount(rule.granted.0.saturating_add(outcome.amount.0));
            rule.grants = rule.grants.saturating_add(1);
            rule.budget_spent = Amount(rule.budget_spent.0.saturating_add(outcome.amount.0));
            rule.budget_grants = rule.budget_grants.saturating_add(1);
            if rule.has_siblings != 0 {
                share_budget(rules, outcome.slot);
            }
        }
        for change in &self.changes {
            if let Some(place) = counters.of_mut(change.scope).and_then(|brought| brought.get_mut(change.place)) {
                *place = change.counters;
            }
        }
        *balances = self.balances;
    }
}

/// All versions of a rule have one budget.
pub(crate) fn share_budget(rules: &mut [Rule], slot: usize) {
    let Some(rule) = rules.get(slot) else { return };
    let (id, spent, grants) = (rule.id, rule.budget_spent, rule.budget_grants);
    for sibling in rules.iter_mut().filter(|sibling| sibling.id == id) {
        sibling.budget_spent = spent;
        sibling.budget_grants = grants;
    }
}

/// Room for counters that a user has none of yet, in one scope: each place is looked at once in an evaluation, or a user who
/// meets many rules at once would cost as much as their cube.
#[derive(Clone, Copy, Debug, Default)]
struct Room {
    /// Places below were looked at for free ones.
    free: usize,
    /// Places below were looked at for those of rules that left the book.
    left: usize,
}

impl Room {
    /// The next place: a free one, or else one of a rule that left the book, which never comes back.
    fn next(&mut self, brought: &[Counters], rules: &[Rule]) -> Option<usize> {
        let next = |from: &mut usize, fits: &dyn Fn(&Counters) -> bool| {
            let place = brought.iter().enumerate().skip(*from).find(|(_, counters)| fits(counters)).map(|(at, _)| at);
            *from = place.map_or(brought.len(), |place| place.wrapping_add(1));
            place
        };
        let left = |counters: &Counters| !counters.is_free() && rules.iter().all(|rule| rule.id != counters.rule);
        next(&mut self.free, &Counters::is_free).or_else(|| next(&mut self.left, &left))
    }
}

/// The windows that a payment lies in.
struct Windows {
    local: LocalTime,
    /// Worked out once: dates are dear.
    month: Option<WindowIndex>,
}

impl Windows {
    #[inline(always)]
    fn index(&mut self, window: Window) -> WindowIndex {
        match window {
            Window::Month => *self.month.get_or_insert_with(|| window.index(self.local)),
            window => window.index(self.local),
        }
    }
}

/// Where a rule's counters stand, looking at `hint` first.
#[inline(always)]
fn find(brought: &[Counters], rule: RuleId, hint: usize) -> Option<(usize, &Counters)> {
    let is = |counters: &Counters| counters.rule == rule && !counters.is_free();
    if let Some(counters) = brought.get(hint).filter(|counters| is(counters)) {
        return Some((hint, counters));
    }
    brought.iter().enumerate().find(|(_, counters)| is(counters))
}

/// What one rule by itself makes of a payment.
struct Judgement {
    reason: Reason,
    clause: u8,
    amount: Amount,
}

/// Step 2 of the specification from the counting on, over counters that were rolled. Says whether the payment counts. A
/// multiplier that may pay is granted 0 here.
#[inline(always)]
fn judge(
    rule: &Rule,
    payment: &Payment,
    number: PaymentNumber,
    local: LocalTime,
    counters: &mut Counters,
) -> Result<(Judgement, bool), Refusal> {
    let condition = rule.condition();
    let nothing = |reason| Judgement { reason, clause: 0, amount: Amount(0) };
    let mut lengthened = false;
    if !condition.is_empty() {
        let reads_counters = rule.reads_counters();
        let facts = Facts { payment, number, local, counters: &*counters };
        let (counts, mut failing) = if reads_counters {
            (base_holds(condition, &facts), None)
        } else {
            let failing = first_failing(condition, &facts);
            (failing.is_none(), failing)
        };
        if counts {
            lengthened = counters.count(payment.amount, local.day()).map_err(|_| Refusal::AmountOverflow)?;
        }
        if reads_counters {
            failing = first_failing(condition, &Facts { payment, number, local, counters: &*counters });
        }
        if let Some(clause) = failing {
            return Ok((Judgement { reason: Reason::NotMatched, clause, amount: Amount(0) }, counts));
        }
    } else {
        lengthened |= counters.count(payment.amount, local.day()).map_err(|_| Refusal::AmountOverflow)?;
    }
    if holdout::is_held_out(rule.id, &payment.user, rule.holdout()) {
        return Ok((nothing(Reason::Holdout), true));
    }
    if rule.is_multiplier() {
        return Ok((nothing(Reason::Granted), true));
    }
    let reward = rule.raw_reward(payment.amount, counters, lengthened).map_err(|_| Refusal::AmountOverflow)?;
    let judgement = match limit(rule, reward, counters) {
        Ok(amount) => Judgement { reason: Reason::Granted, clause: 0, amount },
        Err(reason) => nothing(reason),
    };
    Ok((judgement, true))
}

/// What the rule's limits leave of a reward.
#[inline(always)]
fn limit(rule: &Rule, reward: Amount, counters: &Counters) -> Result<Amount, Reason> {
    if reward.0 == 0 {
        return Err(Reason::NothingDue);
    }
    if rule.limits.is_none() {
        return Ok(reward);
    }
    rule.limits.leave(
        reward,
        rule.on_limit(),
        (counters.granted, u64::from(counters.grants)),
        (rule.budget_spent, rule.budget_grants),
    )
}

/// Steps 4 and 5 for one candidate: it pays unless it is excluded, and no more than the vault has free.
#[inline(always)]
fn admit(outcome: &mut Outcome, rule: &Rule, paid: &mut Tags, room: &mut [Amount; MAX_ASSETS]) {
    if rule.excludes.meets(*paid) {
        outcome.reason = Reason::Excluded;
        outcome.amount = Amount(0);
        return;
    }
    if let Some(room) = outcome.asset.slot().and_then(|slot| room.get_mut(slot))
        && *room != UNLIMITED
    {
        let Some(left) = within(outcome.amount, *room, rule.on_limit()) else {
            outcome.reason = Reason::VaultShort;
            outcome.amount = Amount(0);
            return;
        };
        outcome.amount = left;
        *room = Amount(room.0.saturating_sub(left.0));
    }
    *paid = paid.with(rule.tags);
}
