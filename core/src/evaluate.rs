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
    units::{Amount, LocalDay, MAX_ASSETS, PaymentNumber, RuleId, Tags, WindowIndex},
    window::{Scope, Window},
};
use alloc::vec::Vec;
use bytemuck::Zeroable;

/// What evaluation reads besides the payment and the user's state.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The rule book, in order of evaluation.
    pub rules: &'a [Rule],
    /// The platform's table of UTC offsets.
    pub offsets: &'a [UtcOffset],
    /// The how-manieth payment of this user it is.
    pub number: PaymentNumber,
    /// What each asset's vault holds beyond what users have of it, by asset slot, [`UNLIMITED`] where nothing backs it;
    /// `None` where nothing backs any.
    pub free: Option<&'a [Amount; MAX_ASSETS]>,
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

/// What becomes of the counters of one outcome's rule.
#[derive(Clone, Copy, Debug, Zeroable)]
struct Change {
    /// Afterwards.
    counters: Counters,
    /// Where they stand, or are to stand, among those of their scope.
    place: usize,
    /// The number of their [`Scope`].
    scope: u8,
    /// Whether they are written at all.
    counts: bool,
}

/// What an evaluation decided. Its memory is used again by the next one.
#[derive(Debug, Default)]
pub struct Evaluation {
    /// How many of the others are of this evaluation.
    count: usize,
    outcomes: Vec<Outcome>,
    /// One for each outcome.
    changes: Vec<Change>,
    /// The candidates of groups of which one takes all.
    competitors: Vec<usize>,
    /// Those of them that are left, so far.
    holders: Vec<usize>,
    /// The outcomes of multipliers that may pay.
    multipliers: Vec<usize>,
    /// How much of each asset this payment may still grant: what is free, and what pays a debt and so goes to nobody.
    /// `None` where nothing limits it.
    room: Option<[Amount; MAX_ASSETS]>,
}

impl Evaluation {
    /// Room for the outcomes of `rules` rules.
    pub fn with_capacity(rules: usize) -> Self {
        let mut new = Self::default();
        new.make_room(rules);
        new
    }

    fn make_room(&mut self, rules: usize) {
        if self.outcomes.len() < rules {
            self.outcomes = bytemuck::zeroed_vec(rules);
            self.changes = bytemuck::zeroed_vec(rules);
        }
    }

    /// What every rule in force did, in order of evaluation.
    #[inline(always)]
    pub fn outcomes(&self) -> &[Outcome] {
        self.outcomes.get(..self.count).unwrap_or_default()
    }

    /// Decides what every rule in force does with `payment`, in order of evaluation. `balances` become those afterwards;
    /// nothing else is written before [`commit`](Self::commit).
    ///
    /// # Errors
    /// [`Stop`]. What was decided until then, and what `balances` are then, is of no use.
    pub fn decide(
        &mut self,
        payment: &Payment,
        context: &Context<'_>,
        balances: &mut Balances,
        counters: &CountersByScope<'_>,
    ) -> Result<(), Stop> {
        self.count = 0;
        self.make_room(context.rules.len());
        self.competitors.clear();
        self.holders.clear();
        self.multipliers.clear();
        self.room = context.free.map(|free| room(free, balances));
        let contested = self.each_by_itself(payment, context, counters)? || self.room.is_some();
        if !self.competitors.is_empty() {
            self.compete(context.rules);
        }
        let paid = if contested { self.against_each_other(context.rules) } else { Tags(0) };
        if !self.multipliers.is_empty() {
            self.multiply(context.rules, paid)?;
        }
        self.settle(context.rules, balances)?;
        Ok(())
    }

    /// Step 2 of the specification. Says whether a rule in force excludes others.
    #[inline(always)]
    fn each_by_itself(
        &mut self,
        payment: &Payment,
        context: &Context<'_>,
        counters: &CountersByScope<'_>,
    ) -> Result<bool, Stop> {
        let local = LocalTime::at(payment.paid_at, context.offsets);
        let mut pass = Pass {
            payment,
            rules: context.rules,
            number: context.number,
            local,
            day: local.day(),
            month: None,
            counters: Scope::ALL.map(|scope| counters.of(scope)),
            hints: [0; Scope::ALL.len()],
            rooms: Default::default(),
        };
        let mut excludes = Tags(0);
        let mut count = 0usize;
        let mut rest = self.outcomes.iter_mut().zip(&mut self.changes);
        for (slot, rule) in context.rules.iter().enumerate() {
            if !rule.in_force(payment.paid_at) {
                continue;
            }
            let Some((outcome, change)) = rest.next() else { break };
            pass.rule(slot, rule, outcome, change)?;
            if outcome.reason == Reason::Granted {
                if rule.is_multiplier() {
                    self.multipliers.push(count);
                } else if rule.group_mode() != GroupMode::Stackable {
                    self.competitors.push(count);
                }
            }
            count = count.wrapping_add(1);
            excludes = excludes.with(rule.excludes);
        }
        self.count = count;
        Ok(excludes.0 != 0)
    }

    /// Step 3: of each group with the mode `first` or `best`, one candidate is left.
    #[inline(never)]
    fn compete(&mut self, rules: &[Rule]) {
        for at in &self.competitors {
            let Some((before, [new, ..])) = self.outcomes.split_at_mut_checked(*at) else { continue };
            let Some(rule) = rules.get(new.slot) else { continue };
            let holder = self.holders.iter_mut().find(|holder| {
                let slot = before.get(**holder).map(|held| held.slot);
                slot.and_then(|slot| rules.get(slot)).is_some_and(|held| held.group == rule.group)
            });
            let Some(holder) = holder else {
                self.holders.push(*at);
                continue;
            };
            let Some(held) = before.get_mut(*holder) else { continue };
            let loser = if rule.group_mode() == GroupMode::Best && new.amount > held.amount {
                *holder = *at;
                held
            } else {
                new
            };
            loser.reason = Reason::GroupTaken;
            loser.amount = Amount(0);
        }
    }

    /// Steps 4 and 5, for all candidates but multipliers. Returns the tags of those that pay.
    #[inline(never)]
    fn against_each_other(&mut self, rules: &[Rule]) -> Tags {
        let mut paid = Tags(0);
        let outcomes = self.outcomes.get_mut(..self.count).unwrap_or_default();
        for outcome in outcomes.iter_mut().filter(|outcome| outcome.reason == Reason::Granted) {
            let Some(rule) = rules.get(outcome.slot) else { continue };
            if !rule.is_multiplier() {
                admit(outcome, rule, &mut paid, &mut self.room);
            }
        }
        paid
    }

    /// Step 6, `paid` being the tags of those that pay already.
    #[inline(never)]
    fn multiply(&mut self, rules: &[Rule], mut paid: Tags) -> Result<(), Refusal> {
        for at in &self.multipliers {
            let slot = self.outcomes.get(*at).map(|outcome| outcome.slot);
            let Some(rule) = slot.and_then(|slot| rules.get(slot)) else { continue };
            let mut sum = 0u64;
            for other in self.outcomes() {
                if other.reason == Reason::Granted
                    && other.asset == rule.asset()
                    && rules.get(other.slot).is_some_and(|other| other.group == rule.group && !other.is_multiplier())
                {
                    sum = sum.checked_add(other.amount.0).ok_or(Refusal::AmountOverflow)?;
                }
            }
            let reward = rule.multiplied(Amount(sum)).map_err(|_| Refusal::AmountOverflow)?;
            let (Some(outcome), Some(change)) = (self.outcomes.get_mut(*at), self.changes.get(*at)) else { continue };
            match limit(rule, reward, &change.counters) {
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
    #[inline(never)]
    fn settle(&mut self, rules: &[Rule], balances: &mut Balances) -> Result<(), Refusal> {
        let outcomes = self.outcomes.get_mut(..self.count).unwrap_or_default();
        for (outcome, change) in outcomes.iter_mut().zip(&mut self.changes) {
            let Some(balance) = outcome.asset.slot().and_then(|slot| balances.get_mut(slot)) else { continue };
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
            let counters = &mut change.counters;
            let granted = counters.granted.0.checked_add(outcome.amount.0).ok_or(Refusal::AmountOverflow)?;
            counters.granted = Amount(granted);
            counters.grants = counters.grants.checked_add(1).ok_or(Refusal::AmountOverflow)?;
        }
        Ok(())
    }

    /// Writes what was decided: the rules' totals and the counters. They are those that it was decided over.
    #[inline(never)]
    pub fn commit(&self, rules: &mut [Rule], counters: &mut CountersByScope<'_>) {
        for (outcome, change) in self.outcomes().iter().zip(&self.changes) {
            if change.counts
                && let Some(scope) = Scope::from_number(change.scope)
                && let Some(place) = counters.of_mut(scope).and_then(|brought| brought.get_mut(change.place))
            {
                *place = change.counters;
            }
            if outcome.reason != Reason::Granted {
                continue;
            }
            let Some(rule) = rules.get_mut(outcome.slot) else { continue };
            // Checked by `settle`; each rule grants once per payment.
            rule.granted = Amount(rule.granted.0.wrapping_add(outcome.amount.0));
            rule.grants = rule.grants.wrapping_add(1);
            rule.budget_spent = Amount(rule.budget_spent.0.wrapping_add(outcome.amount.0));
            rule.budget_grants = rule.budget_grants.wrapping_add(1);
            if rule.has_siblings != 0 {
                share_budget(rules, outcome.slot);
            }
        }
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

/// How much of each asset one payment may grant to a user with `balances`.
fn room(free: &[Amount; MAX_ASSETS], balances: &Balances) -> [Amount; MAX_ASSETS] {
    let mut all = *free;
    for (room, balance) in all.iter_mut().zip(balances).filter(|(room, _)| **room != UNLIMITED) {
        *room = Amount(room.0.saturating_add(balance.debt.0).min(u64::MAX - 1));
    }
    all
}

/// What the rules of one payment have in common.
struct Pass<'a> {
    payment: &'a Payment,
    rules: &'a [Rule],
    number: PaymentNumber,
    local: LocalTime,
    day: LocalDay,
    /// The month that the payment lies in, worked out once: dates are dear.
    month: Option<WindowIndex>,
    /// By scope.
    counters: [Option<&'a [Counters]>; Scope::ALL.len()],
    /// By scope, where the counters of the next rule are looked for first: they stand in the order in which rules met the
    /// user, mostly that of evaluation.
    hints: [usize; Scope::ALL.len()],
    /// By scope.
    rooms: [Room; Scope::ALL.len()],
}

impl Pass<'_> {
    /// What one rule in force by itself makes of the payment.
    // A function of its own: the chain's machine has ten registers, and calls cost it next to nothing.
    #[inline(never)]
    fn rule(&mut self, slot: usize, rule: &Rule, outcome: &mut Outcome, change: &mut Change) -> Result<(), Stop> {
        outcome.slot = slot;
        outcome.rule = rule.id;
        outcome.version = rule.version;
        outcome.reason = Reason::LateForWindow;
        outcome.clause = 0;
        outcome.asset = rule.asset();
        outcome.amount = Amount(0);

        let scope = rule.scope();
        let by = (scope as usize).wrapping_sub(1);
        let brought = self.counters.get(by).copied().flatten().ok_or(Stop::MissingCounters(rule.id, scope))?;
        let Some(hint) = self.hints.get_mut(by) else { return Ok(()) };
        let found = find(brought, rule.id, *hint);
        change.scope = scope as u8;
        change.counts = false;
        if let Some((place, stored)) = found {
            *hint = place.wrapping_add(1);
            change.place = place;
            change.counters = *stored;
        } else {
            change.counters = Counters::of(rule.id);
        }

        let Ok(rolled) = change.counters.roll(rule.epoch, self.window(rule.window())) else { return Ok(()) };
        self.judge(rule, outcome, change)?;
        // Counters in a window that never ends, which nothing was counted into, are none.
        change.counts |= rolled && (found.is_some() || rule.window().is_periodic());
        if change.counts && found.is_none() {
            let room = self.rooms.get_mut(by).and_then(|room| room.next(brought, self.rules));
            change.place = room.ok_or(Stop::NoRoom(rule.id, scope))?;
        }
        Ok(())
    }

    /// Step 2 of the specification from the counting on, over counters that were rolled. Says in `change` whether the payment
    /// counts. A multiplier that may pay is granted 0 here.
    #[inline(never)]
    fn judge(&self, rule: &Rule, outcome: &mut Outcome, change: &mut Change) -> Result<(), Refusal> {
        let condition = rule.condition();
        let amount = self.payment.amount;
        let counters = &mut change.counters;
        let lengthened;
        if condition.is_empty() {
            lengthened = counters.count(amount, self.day).map_err(|_| Refusal::AmountOverflow)?;
            change.counts = true;
        } else {
            let reads_counters = rule.reads_counters();
            let mut failing = None;
            change.counts = if reads_counters {
                base_holds(condition, &self.facts(counters))
            } else {
                failing = first_failing(condition, &self.facts(counters));
                failing.is_none()
            };
            lengthened = change.counts && counters.count(amount, self.day).map_err(|_| Refusal::AmountOverflow)?;
            if reads_counters {
                failing = first_failing(condition, &self.facts(counters));
            }
            if let Some(clause) = failing {
                outcome.reason = Reason::NotMatched;
                outcome.clause = clause;
                return Ok(());
            }
        }
        outcome.reason = if holdout::is_held_out(rule.id, &self.payment.user, rule.holdout()) {
            Reason::Holdout
        } else if rule.is_multiplier() {
            Reason::Granted
        } else {
            let reward = rule.raw_reward(amount, counters, lengthened).map_err(|_| Refusal::AmountOverflow)?;
            match limit(rule, reward, counters) {
                Ok(left) => {
                    outcome.amount = left;
                    Reason::Granted
                }
                Err(reason) => reason,
            }
        };
        Ok(())
    }

    /// The window of this kind that the payment lies in.
    #[inline(always)]
    fn window(&mut self, window: Window) -> WindowIndex {
        match window {
            Window::Month => *self.month.get_or_insert_with(|| window.index(self.local)),
            window => window.index(self.local),
        }
    }

    /// What the predicates of the rule with these counters read.
    #[inline(always)]
    fn facts<'a>(&'a self, counters: &'a Counters) -> Facts<'a> {
        Facts { payment: self.payment, number: self.number, local: self.local, counters }
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
fn admit(outcome: &mut Outcome, rule: &Rule, paid: &mut Tags, room: &mut Option<[Amount; MAX_ASSETS]>) {
    if rule.excludes.meets(*paid) {
        outcome.reason = Reason::Excluded;
        outcome.amount = Amount(0);
        return;
    }
    if let Some(room) = room
        && let Some(room) = outcome.asset.slot().and_then(|slot| room.get_mut(slot))
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
