//! What `rebate-core` decides by itself, to hold the chain and the API against.

use super::api::Order;
use rebate_core::{
    admission::Admission,
    balance::Balances,
    counters::Counters,
    evaluate::{Context, CountersByScope, Evaluation, Stop, UNLIMITED},
    outcome::Outcome,
    payment::Payment,
    refusal::Refusal,
    rule::Rule,
    time::UtcOffset,
    units::{MAX_ASSETS, OrderHash, PaymentNumber, ScopeId, Seconds, Timestamp, UserKey},
    window::Scope,
};
use std::collections::{HashMap, HashSet};

/// The evening as core sees it.
pub struct Expected {
    rules: Vec<Rule>,
    offsets: Vec<UtcOffset>,
    max_lateness: Seconds,
    orders: HashSet<OrderHash>,
    users: HashMap<UserKey, (PaymentNumber, Balances)>,
    counters: HashMap<(UserKey, u8, ScopeId), Vec<Counters>>,
}

impl Expected {
    /// An evening with these rules, before the first payment.
    pub fn new(rules: Vec<Rule>, offsets: Vec<UtcOffset>, max_lateness: u32) -> Self {
        let max_lateness = Seconds(max_lateness);
        let (orders, users, counters) = (HashSet::new(), HashMap::new(), HashMap::new());
        Self { rules, offsets, max_lateness, orders, users, counters }
    }

    /// Records a payment at `now`.
    pub fn record(&mut self, payment: &Payment, now: Timestamp) -> Result<Vec<Outcome>, Refusal> {
        Admission::new(now, self.max_lateness).check(payment.amount, payment.paid_at)?;
        if self.orders.contains(&payment.order) {
            return Err(Refusal::DuplicateOrder);
        }
        let (number, mut balances) = self.users.get(&payment.user).copied().unwrap_or_default();
        let number = PaymentNumber(number.0.saturating_add(1));
        let context = Context { rules: &self.rules, offsets: &self.offsets, number, free: &[UNLIMITED; MAX_ASSETS] };
        let room = vec![Counters::default(); self.rules.len()];
        let keys = Scope::ALL.map(|scope| (payment.user, scope as u8, payment.scope_id(scope)));
        let [mut user, mut streamer, mut session] =
            keys.map(|key| self.counters.get(&key).cloned().unwrap_or_else(|| room.clone()));
        let mut counters =
            CountersByScope { user: &mut user, streamer: Some(&mut streamer), session: Some(&mut session) };
        let mut evaluation = Evaluation::default();
        evaluation.decide(payment, &context, &balances, &counters).map_err(|stop| match stop {
            Stop::Refused(refusal) => refusal,
            // All counters are there, with room for all rules.
            Stop::MissingCounters(..) | Stop::NoRoom(..) => Refusal::AmountOverflow,
        })?;
        evaluation.commit(&mut self.rules, &mut balances, &mut counters);
        self.users.insert(payment.user, (number, balances));
        self.counters.extend(keys.into_iter().zip([user, streamer, session]));
        self.orders.insert(payment.order);
        Ok(evaluation.outcomes().to_vec())
    }

    /// A user's balances, by asset slot.
    pub fn balances(&self, user: &UserKey) -> Balances {
        self.users.get(user).map(|(_, balances)| *balances).unwrap_or_default()
    }

    /// How many payments were accepted.
    pub fn accepted(&self) -> u64 {
        self.orders.len() as u64
    }
}

/// What differs between core's outcomes and those that the API shows.
pub fn compare(order: &str, expected: &[Outcome], shown: &Order) -> Option<String> {
    let expected: Vec<_> = expected
        .iter()
        .map(|outcome| {
            let numbers = [outcome.amount, outcome.before, outcome.after].map(|amount| amount.to_string());
            (outcome.rule.0, outcome.version.0, outcome.reason.name().to_owned(), numbers)
        })
        .collect();
    let shown: Vec<_> = shown
        .outcomes
        .iter()
        .map(|outcome| {
            let numbers = [&outcome.amount, &outcome.before, &outcome.after].map(Clone::clone);
            (outcome.rule, outcome.version, outcome.reason.clone(), numbers)
        })
        .collect();
    (expected != shown).then(|| format!("order {order}: core decides {expected:?}, the API shows {shown:?}"))
}
