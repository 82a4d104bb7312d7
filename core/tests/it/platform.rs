//! A platform in memory: what stands around the rules on chain, with everything decided by them.

use crate::given::NOON;
use rebate_core::{
    admission::Admission,
    balance::Balances,
    book::{NotNext, succeed},
    counters::Counters,
    evaluate::{Context, CountersByScope, Evaluation, Stop, UNLIMITED},
    expiry::{Expired, Periods, expire},
    outcome::{Outcome, Reason},
    payment::Payment,
    redemption::{Redemption, redeem},
    refund::{Grant, Refund, RefundedOrder, Reversal},
    refusal::Refusal,
    rule::{Definition, Rule},
    time::{LocalTime, UtcOffset},
    units::{Amount, AssetId, MAX_ASSETS, OrderHash, PaymentNumber, RuleId, ScopeId, Seconds, Timestamp, UserKey},
    window::Scope,
};
use std::collections::{BTreeMap, BTreeSet};

/// How many rules' counters one place of counters has room for.
const ROOM: usize = 12;

/// What a user has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct User {
    /// How many payments were accepted.
    pub payments: u64,
    /// What there is of each asset.
    pub balances: Balances,
}

/// An order, as the chain remembers it.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// What was paid.
    pub payment: Payment,
    /// What of it was refunded.
    pub refunded: RefundedOrder,
    /// What was granted for it.
    pub grants: Vec<Grant>,
}

/// One line of a user's ledger: `amount` came or, below 0, went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// Whose.
    pub user: UserKey,
    /// Of what.
    pub asset: AssetId,
    /// How much.
    pub amount: i128,
}

/// Whose counters these are.
pub type Place = (UserKey, u8, ScopeId);

/// All that a platform remembers.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The rule book, in order.
    pub rules: Vec<Rule>,
    /// The users.
    pub users: BTreeMap<UserKey, User>,
    /// The counters, by place.
    pub counters: BTreeMap<Place, Vec<Counters>>,
    /// The orders.
    pub orders: BTreeMap<OrderHash, Order>,
    /// Every order number taken, of refunds and redemptions too.
    pub taken: BTreeSet<OrderHash>,
    /// Every movement.
    pub ledger: Vec<Entry>,
}

/// A platform.
#[derive(Debug)]
pub struct Platform {
    /// What it remembers.
    pub state: State,
    /// Its time zone.
    pub offsets: Vec<UtcOffset>,
    /// When its assets expire.
    pub periods: Periods,
    /// What the vault of each asset holds, by slot; `None` where there is none.
    pub vaults: [Option<u64>; MAX_ASSETS],
    /// The chain's clock.
    pub now: Timestamp,
    /// How late a payment may come.
    pub max_lateness: Seconds,
    /// How often something expired.
    pub expired: u64,
    evaluation: Evaluation,
    reversal: Reversal,
}

impl Platform {
    /// One with these rules, in UTC, at [`NOON`], without vaults and expiry.
    pub fn of(definitions: &[Definition<'_>]) -> Self {
        let mut platform = Self {
            state: State {
                rules: Vec::new(),
                users: BTreeMap::new(),
                counters: BTreeMap::new(),
                orders: BTreeMap::new(),
                taken: BTreeSet::new(),
                ledger: Vec::new(),
            },
            offsets: Vec::new(),
            periods: Periods::default(),
            vaults: [None; MAX_ASSETS],
            now: NOON,
            max_lateness: Seconds(u32::MAX),
            expired: 0,
            evaluation: Evaluation::default(),
            reversal: Reversal::default(),
        };
        for definition in definitions {
            platform.publish(definition, 0).unwrap();
        }
        platform
    }

    /// Publishes a rule, in effect from `effective_at` on.
    pub fn publish(&mut self, definition: &Definition<'_>, effective_at: i64) -> Result<(), NotNext> {
        let mut rule = Rule::new(definition, Timestamp(effective_at)).unwrap();
        let slot = succeed(&mut self.state.rules, &mut rule)?;
        self.state.rules.insert(slot, rule);
        Ok(())
    }

    fn admit(&self, amount: Amount, at: Timestamp, order: &OrderHash) -> Result<(), Refusal> {
        Admission::new(self.now, self.max_lateness).check(amount, at)?;
        if self.state.taken.contains(order) { Err(Refusal::DuplicateOrder) } else { Ok(()) }
    }

    /// The user with every period closed that is over, and what expired.
    fn up_to_date(&self, user: &UserKey) -> (User, Vec<Expired>) {
        let mut user = self.state.users.get(user).cloned().unwrap_or_default();
        let mut expired = Vec::new();
        let now = LocalTime::at(self.now, &self.offsets);
        expire(&mut user.balances, &self.periods, now, |one| expired.push(one));
        (user, expired)
    }

    fn keep(&mut self, key: UserKey, user: User, expired: &[Expired]) {
        self.state.users.insert(key, user);
        for one in expired {
            assert_eq!(one.before.0 - one.after.0, one.amount.0, "what expired is what is gone");
            self.write(key, one.asset, -i128::from(one.amount.0));
            self.expired += 1;
        }
    }

    fn write(&mut self, user: UserKey, asset: AssetId, amount: i128) {
        self.state.ledger.push(Entry { user, asset, amount });
    }

    /// What is free of each asset while `user` has `balances`.
    fn free(&self, user: &UserKey, balances: &Balances) -> [Amount; MAX_ASSETS] {
        let mut free = [UNLIMITED; MAX_ASSETS];
        for (slot, vault) in self.vaults.iter().enumerate() {
            let others = self.state.users.iter().filter(|(other, _)| *other != user);
            let held: u64 = others.map(|(_, other)| other.balances[slot].total().0).sum();
            if let Some(vault) = vault {
                free[slot] = Amount(vault.saturating_sub(held + balances[slot].total().0));
            }
        }
        free
    }

    /// Takes the counters of a place, or makes room for some.
    fn brought(&mut self, place: Place) -> Vec<Counters> {
        self.state.counters.remove(&place).unwrap_or_else(|| vec![Counters::default(); ROOM])
    }

    /// Puts counters back, unless there are none.
    fn put(&mut self, place: Place, counters: Vec<Counters>) {
        if counters.iter().any(|one| !one.is_free()) {
            self.state.counters.insert(place, counters);
        }
    }

    fn places(payment: &Payment) -> [Place; 3] {
        Scope::ALL.map(|scope| (payment.user, scope as u8, payment.scope_id(scope)))
    }

    /// Takes a payment.
    pub fn pay(&mut self, payment: &Payment) -> Result<Vec<Outcome>, Refusal> {
        self.admit(payment.amount, payment.paid_at, &payment.order)?;
        let (mut user, expired) = self.up_to_date(&payment.user);
        let free = self.free(&payment.user, &user.balances);
        let places = Self::places(payment);
        let [mut own, mut streamer, mut session] = places.map(|place| self.brought(place));
        let mut counters =
            CountersByScope { user: &mut own, streamer: Some(&mut streamer), session: Some(&mut session) };
        let context = Context {
            rules: &self.state.rules,
            offsets: &self.offsets,
            number: PaymentNumber(user.payments + 1),
            free: Some(&free),
        };
        let mut balances = user.balances;
        let decided = self.evaluation.decide(payment, &context, &mut balances, &counters);
        if decided.is_ok() {
            self.evaluation.commit(&mut self.state.rules, &mut counters);
            user.balances = balances;
        }
        for (place, counters) in places.into_iter().zip([own, streamer, session]) {
            self.put(place, counters);
        }
        match decided {
            Ok(()) => {}
            Err(Stop::Refused(refusal)) => return Err(refusal),
            Err(stop) => panic!("every scope was brought, with room: {stop:?}"),
        }
        let outcomes = self.evaluation.outcomes().to_vec();
        user.payments += 1;
        self.keep(payment.user, user, &expired);
        let granted = outcomes.iter().filter(|outcome| outcome.reason == Reason::Granted);
        let grants: Vec<_> = granted.map(|one| Grant::new(one.rule, one.version, one.asset, one.amount)).collect();
        for grant in &grants {
            self.write(payment.user, grant.asset, i128::from(grant.amount.0));
        }
        let refunded = RefundedOrder { paid: payment.amount, paid_at: payment.paid_at, refunded: Amount(0) };
        self.state.taken.insert(payment.order);
        self.state.orders.insert(payment.order, Order { payment: *payment, refunded, grants });
        Ok(outcomes)
    }

    /// Takes a refund.
    pub fn refund(&mut self, refund: &Refund) -> Result<Vec<Outcome>, Refusal> {
        self.admit(refund.amount, refund.paid_at, &refund.order)?;
        let mut order = self.state.orders.get(&refund.of).cloned().ok_or(Refusal::UnknownOrder)?;
        let key = order.payment.user;
        let (mut user, expired) = self.up_to_date(&key);
        self.reversal.decide(refund.amount, &order.refunded, &order.grants, &user.balances)?;
        let places = Self::places(&order.payment);
        let [mut own, mut streamer, mut session] = places.map(|place| self.brought(place));
        let mut counters =
            CountersByScope { user: &mut own, streamer: Some(&mut streamer), session: Some(&mut session) };
        self.reversal
            .commit(
                &mut order.refunded,
                &mut order.grants,
                &mut self.state.rules,
                &self.offsets,
                &mut user.balances,
                &mut counters,
            )
            .unwrap();
        assert_eq!(user.balances, *self.reversal.balances());
        assert_eq!(order.refunded.refunded, self.reversal.refunded());
        for (place, counters) in places.into_iter().zip([own, streamer, session]) {
            self.put(place, counters);
        }
        let outcomes = self.reversal.outcomes().to_vec();
        self.keep(key, user, &expired);
        for outcome in &outcomes {
            self.write(key, outcome.asset, -i128::from(outcome.amount.0));
        }
        self.state.taken.insert(refund.order);
        self.state.orders.insert(refund.of, order);
        Ok(outcomes)
    }

    /// Takes a redemption. Returns the balance before and after.
    pub fn redeem(&mut self, redemption: &Redemption) -> Result<(Amount, Amount), Refusal> {
        self.admit(redemption.amount, redemption.redeemed_at, &redemption.order)?;
        let (mut user, expired) = self.up_to_date(&redemption.user);
        let moved = redeem(&mut user.balances, redemption.asset, redemption.amount)?;
        self.keep(redemption.user, user, &expired);
        self.write(redemption.user, redemption.asset, -i128::from(redemption.amount.0));
        self.state.taken.insert(redemption.order);
        Ok(moved)
    }

    /// Closes every period that is over, for everybody.
    pub fn close_periods(&mut self) {
        for key in self.state.users.keys().copied().collect::<Vec<_>>() {
            let (user, expired) = self.up_to_date(&key);
            self.keep(key, user, &expired);
        }
    }

    /// Takes a payment that must be accepted, and says what each rule made of it.
    pub fn told(&mut self, payment: &Payment) -> Vec<(Reason, u64)> {
        let outcomes = self.pay(payment).unwrap();
        outcomes.iter().map(|outcome| (outcome.reason, outcome.amount.0)).collect()
    }

    /// Refunds `amount` of the order numbered `of`, by the order number `order`, now.
    pub fn give_back(&mut self, order: &str, of: &str, amount: u64) -> Result<Vec<Outcome>, Refusal> {
        let (order, of) = (OrderHash::of(order), OrderHash::of(of));
        self.refund(&Refund { order, of, amount: Amount(amount), paid_at: self.now })
    }

    /// What a user has of an asset, and owes.
    pub fn balance(&self, user: UserKey, asset: u8) -> (u64, u64) {
        let balance = self.state.users[&user].balances[AssetId(asset).slot().unwrap()];
        (balance.total().0, balance.debt.0)
    }

    /// The counters of a rule in one place; `None` if nothing was counted there.
    pub fn counters(&self, user: UserKey, scope: Scope, id: u64, rule: u16) -> Option<Counters> {
        let place = self.state.counters.get(&(user, scope as u8, ScopeId(id)))?;
        place.iter().find(|counters| !counters.is_free() && counters.rule == RuleId(rule)).copied()
    }

    /// A user's own counters of a rule.
    pub fn own(&self, user: UserKey, rule: u16) -> Counters {
        self.counters(user, Scope::User, 0, rule).expect("the rule counted something")
    }
}
