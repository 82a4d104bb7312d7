//! What `rebate-core` decides by itself, to hold the chain and the API against.

use super::api::Order;
use rebate_core::{
    evaluate::{self, Balances, Context},
    outcome::Outcome,
    payment::Payment,
    refusal::Refusal,
    rule::Rule,
    time::UtcOffset,
    units::{OrderHash, PaymentNumber, Seconds, Timestamp, UserKey},
};
use std::collections::{HashMap, HashSet};

/// The evening as core sees it.
pub struct Expected {
    rules: Vec<Rule>,
    offsets: Vec<UtcOffset>,
    max_lateness: Seconds,
    orders: HashSet<OrderHash>,
    users: HashMap<UserKey, (PaymentNumber, Balances)>,
}

impl Expected {
    /// An evening with these rules, before the first payment.
    pub fn new(rules: Vec<Rule>, offsets: Vec<UtcOffset>, max_lateness: u32) -> Self {
        let max_lateness = Seconds(max_lateness);
        Self { rules, offsets, max_lateness, orders: HashSet::new(), users: HashMap::new() }
    }

    /// Records a payment at `now`.
    pub fn record(&mut self, payment: &Payment, now: Timestamp) -> Result<Vec<Outcome>, Refusal> {
        payment.admit(now, self.max_lateness)?;
        if self.orders.contains(&payment.order) {
            return Err(Refusal::DuplicateOrder);
        }
        let (number, mut balances) = self.users.get(&payment.user).copied().unwrap_or_default();
        let number = PaymentNumber(number.0.saturating_add(1));
        let context = Context { rules: &self.rules, offsets: &self.offsets, number };
        let mut outcomes = Vec::new();
        evaluate::evaluate(payment, &context, &mut balances, &mut outcomes)?;
        evaluate::commit(&mut self.rules, &outcomes);
        self.users.insert(payment.user, (number, balances));
        self.orders.insert(payment.order);
        Ok(outcomes)
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
