//! One user alone: what rules count of a user, rebuilt from what is on record of that user, and what a payment more would
//! come to.
//!
//! What a rule granted depends on others as well: on its budget, on a vault. So a payment on record is not decided again.
//! The evaluator counts it, by rules whose budget is spent, and what they really granted is taken from the record.

use rebate_core::{
    admission::Admission,
    balance::Balances,
    counters::Counters,
    evaluate::{Context, CountersByScope, Evaluation, Stop, UNLIMITED},
    expiry::{Expired, Periods, expire},
    outcome::{Outcome, Reason},
    payment::Payment,
    refund::{Grant, RefundedOrder, Reversal},
    refusal::Refusal,
    rule::{Limits, Rule},
    time::{LocalTime, UtcOffset},
    units::{Amount, MAX_ASSETS, PaymentNumber, ScopeId, Timestamp},
    window::Scope,
};
use std::collections::HashMap;

/// What a user paid and was paid back so far, as rules count it.
#[derive(Debug, Default)]
pub struct Standing {
    user: Vec<Counters>,
    streamers: HashMap<u64, Vec<Counters>>,
    sessions: HashMap<u64, Vec<Counters>>,
    evaluation: Evaluation,
    reversal: Reversal,
    /// The rules of the last payment that was counted, as they count and grant nothing.
    spent: Vec<Rule>,
}

/// A payment on record, as far as a refund of it needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refundable {
    /// The streamer it was for.
    pub streamer: u64,
    /// The session it was made in.
    pub session: u64,
    /// What was paid, when, and what of it was paid back.
    pub order: RefundedOrder,
    /// What was granted for it.
    pub grants: Vec<Grant>,
}

impl Refundable {
    /// A payment with what was granted for it.
    pub fn new<'a>(payment: &Payment, outcomes: impl IntoIterator<Item = &'a Outcome>) -> Self {
        let granted = outcomes.into_iter().filter(|outcome| outcome.reason == Reason::Granted);
        Self {
            streamer: payment.streamer,
            session: payment.session,
            order: RefundedOrder { paid: payment.amount, paid_at: payment.paid_at, refunded: Amount(0) },
            grants: granted
                .map(|outcome| Grant::new(outcome.rule, outcome.version, outcome.asset, outcome.amount))
                .collect(),
        }
    }
}

/// What everybody has in common when a payment is decided.
#[derive(Clone, Debug)]
pub struct Moment<'a> {
    /// The chain's clock.
    pub now: Timestamp,
    /// What is let in.
    pub admission: Admission,
    /// Local time, by date.
    pub offsets: &'a [UtcOffset],
    /// By which calendar period each asset expires, by asset slot.
    pub periods: Periods,
    /// What each asset's vault holds beyond what users have of it, by asset slot; [`UNLIMITED`] where nothing backs it.
    pub free: [Amount; MAX_ASSETS],
}

/// What a payment comes to.
#[derive(Clone, Debug)]
pub struct Decision {
    /// What every rule in force does with it.
    pub outcomes: Vec<Outcome>,
    /// What of the user's balances has expired before.
    pub expired: Vec<Expired>,
    /// The balances afterwards.
    pub balances: Balances,
}

impl Standing {
    /// A user of whom nothing is on record.
    pub fn new() -> Self {
        Self::default()
    }

    /// What rules count of the user: the user's own counters, or those towards a streamer or in a session.
    pub fn counters(&self, scope: Scope, id: ScopeId) -> &[Counters] {
        let counters = match scope {
            Scope::User => Some(&self.user),
            Scope::UserStreamer => self.streamers.get(&id.0),
            Scope::UserSession => self.sessions.get(&id.0),
        };
        counters.map_or(&[], Vec::as_slice)
    }

    /// Counts a payment on record, of which this is what every rule that was in force did. `rule` gives their definitions.
    ///
    /// # Errors
    /// A [`Refusal`] where the record contradicts itself: the chain would have refused the payment.
    pub fn recount(
        &mut self,
        payment: &Payment,
        number: PaymentNumber,
        recorded: &[Outcome],
        offsets: &[UtcOffset],
        rule: impl Fn(&Outcome) -> Option<Rule>,
    ) -> Result<(), Refusal> {
        let known = self.spent.len() == recorded.len()
            && self.spent.iter().zip(recorded).all(|(rule, did)| (rule.id, rule.version) == (did.rule, did.version));
        if !known {
            self.spent.clear();
            self.spent.extend(recorded.iter().filter_map(|outcome| rule(outcome).map(spent)));
        }
        let mut rules = std::mem::take(&mut self.spent);
        let context = Context { rules: &rules, offsets, number, free: None };
        let decided = self.decide_over(payment, &context, &mut Balances::default());
        if decided.is_ok() {
            self.commit(payment, &mut rules);
            let granted = recorded.iter().filter(|outcome| outcome.reason == Reason::Granted);
            for outcome in granted {
                let Some(rule) = rules.iter().find(|rule| rule.id == outcome.rule) else { continue };
                let scoped = self.scoped(rule.scope(), payment);
                let Some(counters) = scoped.iter_mut().find(|counters| counters.rule == outcome.rule) else { continue };
                counters.granted = Amount(counters.granted.0.saturating_add(outcome.amount.0));
                counters.grants = counters.grants.saturating_add(1);
            }
        }
        std::mem::swap(&mut self.spent, &mut rules);
        decided
    }

    /// Takes a refund on record out of the counters, where `book` are the versions in the rule book then.
    ///
    /// # Errors
    /// A [`Refusal`] where the record contradicts itself.
    pub fn refund(
        &mut self,
        amount: Amount,
        paid: &mut Refundable,
        book: &mut [Rule],
        offsets: &[UtcOffset],
    ) -> Result<(), Refusal> {
        // Balances are none of the counters' business.
        let mut balances = Balances::default();
        self.reversal.decide(amount, &paid.order, &paid.grants, &balances)?;
        let (mut no_streamer, mut no_session) = (Vec::new(), Vec::new());
        let mut counters = CountersByScope {
            user: &mut self.user,
            streamer: Some(self.streamers.get_mut(&paid.streamer).unwrap_or(&mut no_streamer)),
            session: Some(self.sessions.get_mut(&paid.session).unwrap_or(&mut no_session)),
        };
        let committed =
            self.reversal.commit(&mut paid.order, &mut paid.grants, book, offsets, &mut balances, &mut counters);
        match committed {
            Err(Stop::Refused(refusal)) => Err(refusal),
            // It stops for counters that were not brought, and all were.
            _ => Ok(()),
        }
    }

    /// What a payment would come to, by these rules with their totals, of a user with these balances. What the rules count
    /// afterwards is in this standing.
    ///
    /// # Errors
    /// The [`Refusal`]; nothing was changed.
    pub fn decide(
        &mut self,
        payment: &Payment,
        number: PaymentNumber,
        rules: &mut [Rule],
        mut balances: Balances,
        moment: &Moment<'_>,
    ) -> Result<Decision, Refusal> {
        moment.admission.check(payment.amount, payment.paid_at)?;
        let mut expired = Vec::new();
        expire(&mut balances, &moment.periods, LocalTime::at(moment.now, moment.offsets), |gone| expired.push(gone));
        let mut free = moment.free;
        for gone in &expired {
            if let Some(free) = gone.asset.slot().and_then(|slot| free.get_mut(slot)) {
                free.0 = free.0.saturating_add(gone.amount.0);
            }
        }
        let limited = free.iter().any(|free| *free != UNLIMITED);
        let context = Context { rules, offsets: moment.offsets, number, free: limited.then_some(&free) };
        self.decide_over(payment, &context, &mut balances)?;
        self.commit(payment, rules);
        Ok(Decision { outcomes: self.evaluation.outcomes().to_vec(), expired, balances })
    }

    fn scoped(&mut self, scope: Scope, payment: &Payment) -> &mut Vec<Counters> {
        match scope {
            Scope::User => &mut self.user,
            Scope::UserStreamer => self.streamers.entry(payment.streamer).or_default(),
            Scope::UserSession => self.sessions.entry(payment.session).or_default(),
        }
    }

    /// Decides with room for the counters of every rule, so that none takes the place of another's.
    fn decide_over(
        &mut self,
        payment: &Payment,
        context: &Context<'_>,
        balances: &mut Balances,
    ) -> Result<(), Refusal> {
        for scope in Scope::ALL {
            let scoped = self.scoped(scope, payment);
            let used = scoped.iter().rposition(|counters| !counters.is_free()).map_or(0, |last| last.saturating_add(1));
            scoped.resize(used.saturating_add(context.rules.len()), Counters::default());
        }
        let streamer = self.streamers.entry(payment.streamer).or_default();
        let session = self.sessions.entry(payment.session).or_default();
        let counters = CountersByScope { user: &mut self.user, streamer: Some(streamer), session: Some(session) };
        match self.evaluation.decide(payment, context, balances, &counters) {
            Ok(()) => Ok(()),
            Err(Stop::Refused(refusal)) => Err(refusal),
            // All are brought, with room.
            Err(Stop::MissingCounters(..) | Stop::NoRoom(..)) => Err(Refusal::AmountOverflow),
        }
    }

    fn commit(&mut self, payment: &Payment, rules: &mut [Rule]) {
        let streamer = self.streamers.entry(payment.streamer).or_default();
        let session = self.sessions.entry(payment.session).or_default();
        let mut counters = CountersByScope { user: &mut self.user, streamer: Some(streamer), session: Some(session) };
        self.evaluation.commit(rules, &mut counters);
    }
}

/// The rule as it counts and grants nothing, in force at any time.
fn spent(mut rule: Rule) -> Rule {
    let open = Timestamp(0);
    (rule.effective_at, rule.superseded_at, rule.starts_at, rule.ends_at) = (open, open, open, open);
    rule.limits = Limits { total_count: 1, ..Limits::default() };
    rule.budget_grants = 1;
    rule.has_siblings = 0;
    rule
}
