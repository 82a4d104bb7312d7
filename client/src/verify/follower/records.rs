//! Records of users: payments, refunds, redemptions, links of wallets, claims, and what expires.

use super::{
    super::signature::SignedRecord,
    Follower, Taken, Wallet,
    wrong::{Named, Wrong},
};
use crate::{
    address::day_of,
    event::{BalanceExpired, Claimed, Event, OutcomeEntry, PaymentRecorded, Redeemed, RefundRecorded, WalletLinked},
    replay::{OrderIndex, Terms, UserIndex},
};
use rebate_core::{
    admission::Admission,
    balance::Balances,
    expiry::Expired,
    outcome::Outcome,
    refund::Reversal,
    refusal::Refusal,
    units::{Amount, AssetId, OrderHash, RuleId, RuleVersion, Seconds, Timestamp, UserKey},
};

impl Follower {
    pub(super) fn pay(&mut self, event: &Event, paid: &PaymentRecorded) {
        let Some(SignedRecord::Payment(payment)) = SignedRecord::of(event) else { return };
        let now = self.tick(paid.at);
        let (user, index) = (self.number(&payment.user), OrderIndex(self.order_count));
        if self.is_taken(&payment.order, payment.paid_at) {
            self.wrong(event, Wrong::Refused(Refusal::DuplicateOrder));
            self.expired.clear();
            return;
        }
        self.vaults.allow(&mut self.ledger, &paid.outcomes, &self.expired);
        match self.ledger.pay(index, user, &payment, now, true) {
            Err(refusal) => {
                self.wrong(event, Wrong::Refused(refusal));
                self.expired.clear();
            }
            Ok(decided) => {
                self.decided.extend(decided.outcomes.iter().map(entry));
                let expired = decided.expired.to_vec();
                self.know(payment.user, user);
                self.take(payment.order, payment.paid_at);
                let expected = self.ledger.payments_of(user).0;
                if expected != paid.number {
                    self.wrong(event, Wrong::Number { expected, said: paid.number });
                }
                self.compare_outcomes(event, &paid.outcomes);
                self.compare_expired(event, &payment.user, &expired);
            }
        }
    }

    pub(super) fn refund(&mut self, event: &Event, refunded: &RefundRecorded) {
        let Some(SignedRecord::Refund(refund)) = SignedRecord::of(event) else { return };
        let now = self.tick(refunded.at);
        if self.is_taken(&refund.order, refund.paid_at) {
            self.wrong(event, Wrong::Refused(Refusal::DuplicateOrder));
            self.expired.clear();
            return;
        }
        let of = self.refunded_order(refunded);
        let whose = of.and_then(|of| self.ledger.paid(of)).map(|(user, ..)| user);
        if let Some(user) = whose
            && self.keys.get(user.0) != Some(&UserKey(refunded.user))
        {
            self.wrong(event, Wrong::AnotherUser);
        }
        let index = OrderIndex(self.order_count);
        match self.ledger.refund(index, of, refund.amount, refund.paid_at, now) {
            Err(refusal) => {
                self.wrong(event, Wrong::Refused(refusal));
                self.expired.clear();
            }
            Ok(decided) => {
                self.decided.extend(decided.outcomes.iter().map(entry));
                let expired = decided.expired.to_vec();
                self.take(refund.order, refund.paid_at);
                let sum = of.and_then(|of| self.ledger.paid(of)).map(|(_, order, _)| order.refunded.0);
                if let Some(expected) = sum.filter(|sum| *sum != refunded.refunded) {
                    self.wrong(event, Wrong::RefundedSum { expected, said: refunded.refunded });
                }
                self.compare_outcomes(event, &refunded.outcomes);
                self.compare_expired(event, &UserKey(refunded.user), &expired);
            }
        }
    }

    pub(super) fn redeem(&mut self, event: &Event, redeemed: &Redeemed) {
        let Some(SignedRecord::Redemption(record)) = SignedRecord::of(event) else { return };
        let now = self.tick(redeemed.at);
        let (user, index) = (self.number(&record.user), OrderIndex(self.order_count));
        if self.is_taken(&record.order, record.redeemed_at) {
            self.wrong(event, Wrong::Refused(Refusal::DuplicateOrder));
            self.expired.clear();
            return;
        }
        match self.ledger.redeem(index, user, record.asset, record.amount, record.redeemed_at, now) {
            Err(refusal) => {
                self.wrong(event, Wrong::Refused(refusal));
                self.expired.clear();
            }
            Ok(decided) => {
                let (expected, expired) = ((decided.before.0, decided.after.0), decided.expired.to_vec());
                self.take(record.order, record.redeemed_at);
                self.compare_balance(event, redeemed.asset, expected, (redeemed.before, redeemed.after));
                self.compare_expired(event, &record.user, &expired);
            }
        }
    }

    pub(super) fn claim(&mut self, event: &Event, claimed: &Claimed) {
        let (key, asset) = (UserKey(claimed.user), AssetId(claimed.asset));
        let now = self.tick(claimed.at);
        if self.settings.as_ref().is_some_and(|settings| settings.paused) {
            self.wrong(event, Wrong::Paused);
        }
        if self.wallets.get(&key).is_none_or(|wallet| wallet.wallet != claimed.wallet) {
            self.wrong(event, Wrong::Wallet);
        }
        let Some(user) = self.user(&key) else {
            self.wrong(event, Wrong::Refused(Refusal::InsufficientBalance));
            return;
        };
        let expired = self.ledger.expire(user, now).to_vec();
        self.compare_expired(event, &key, &expired);
        match self.ledger.claim(user, asset, Amount(claimed.amount)) {
            Err(refusal) => self.wrong(event, Wrong::Refused(refusal)),
            Ok((before, after)) => {
                let expected = (before.0, after.0);
                self.compare_balance(event, claimed.asset, expected, (claimed.before, claimed.after));
            }
        }
        self.vaults.claimed(asset);
    }

    pub(super) fn link(&mut self, event: &Event, linked: &WalletLinked) {
        let now = self.tick(linked.at);
        let terms = self.ledger.terms();
        let admission = Admission::new(now, terms.max_lateness).closed_before(terms.open_from);
        let before = self.wallets.get(&UserKey(linked.user)).map_or(0, |wallet| wallet.linked_at);
        if admission.check_time(Timestamp(linked.linked_at)).is_err() || linked.linked_at <= before {
            self.wrong(event, Wrong::StaleLink);
        }
        let wallet = Wallet { wallet: linked.wallet, linked_at: linked.linked_at };
        self.wallets.insert(UserKey(linked.user), wallet);
    }

    /// What expired by itself.
    pub(super) fn expire_alone(&mut self, event: &Event) {
        let Some(first) = self.expired.first() else { return };
        let (key, now) = (UserKey(first.user), first.at);
        let now = self.tick(now);
        let expired = match self.user(&key) {
            Some(user) => self.ledger.expire(user, now).to_vec(),
            None => Vec::new(),
        };
        self.compare_expired(event, &key, &expired);
    }

    /// The chain's clock moves on, and with it what holds.
    fn tick(&mut self, at: i64) -> Timestamp {
        let now = Timestamp(at);
        if let Some(settings) = &self.settings {
            let max_lateness = Seconds(settings.max_lateness.at(now));
            if self.ledger.terms().max_lateness != max_lateness {
                let terms = Terms { max_lateness, ..self.ledger.terms().clone() };
                self.ledger.set_terms(terms);
            }
        }
        now
    }

    /// The user's number, or the one the user gets with a payment.
    fn number(&self, key: &UserKey) -> UserIndex {
        self.user(key).unwrap_or(UserIndex(self.keys.len()))
    }

    fn know(&mut self, key: UserKey, user: UserIndex) {
        if user.0 == self.keys.len() {
            self.keys.push(key);
            self.users.insert(key, user);
        }
    }

    /// The chain takes an order once a day of the time it was made at.
    fn is_taken(&self, order: &OrderHash, at: Timestamp) -> bool {
        let day = day_of(at);
        self.orders.get(order).is_some_and(|taken| taken.day == day)
            || self.repeated.get(order).is_some_and(|taken| taken.iter().any(|taken| taken.day == day))
    }

    fn take(&mut self, order: OrderHash, at: Timestamp) {
        let taken = Taken { index: OrderIndex(self.order_count), day: day_of(at) };
        self.order_count = self.order_count.saturating_add(1);
        if let std::collections::hash_map::Entry::Vacant(vacant) = self.orders.entry(order) {
            vacant.insert(taken);
        } else {
            self.repeated.entry(order).or_default().push(taken);
        }
    }

    /// The payment that a refund is of. Where an oracle signed one order number for several days, the chain keeps to the one
    /// that was proved first; which that is, the first refund shows.
    fn refunded_order(&mut self, refunded: &RefundRecorded) -> Option<OrderIndex> {
        let of = OrderHash(refunded.of);
        let first = self.orders.get(&of)?.index;
        let Some(others) = self.repeated.get(&of) else { return Some(first) };
        if let Some(proved) = self.proved.get(&of) {
            return Some(*proved);
        }
        let mut candidates = [first].into_iter().chain(others.iter().map(|taken| taken.index));
        let mut reversal = Reversal::default();
        let found = candidates.find(|candidate| {
            let Some((user, order, grants)) = self.ledger.paid(*candidate) else { return false };
            let decided = reversal.decide(Amount(refunded.amount), order, grants, &Balances::default());
            let reversed =
                reversal.outcomes().iter().map(|outcome| (outcome.rule.0, outcome.version.0, outcome.amount.0));
            let said = refunded.outcomes.iter().map(|outcome| (outcome.rule, outcome.version, outcome.amount));
            self.keys.get(user.0) == Some(&UserKey(refunded.user))
                && decided.is_ok()
                && reversal.refunded().0 == refunded.refunded
                && reversed.eq(said)
        });
        if let Some(found) = found {
            self.proved.insert(of, found);
        }
        Some(found.unwrap_or(first))
    }

    fn compare_outcomes(&mut self, event: &Event, said: &[OutcomeEntry]) {
        if self.decided == said {
            return;
        }
        let decided = std::mem::take(&mut self.decided);
        for position in 0..decided.len().max(said.len()) {
            let (expected, said) = (decided.get(position), said.get(position));
            if expected != said {
                let (expected, said) = (expected.map(|entry| self.named(entry)), said.map(|entry| self.named(entry)));
                self.wrong(event, Wrong::Outcome { position, expected, said });
            }
        }
        self.decided = decided;
    }

    /// An outcome with the names of its rule and its asset.
    pub fn named(&self, outcome: &OutcomeEntry) -> Named {
        Named {
            outcome: *outcome,
            rule: self.rule_name(RuleId(outcome.rule), RuleVersion(outcome.version)).to_owned(),
            asset: self.asset_name(outcome.asset),
        }
    }

    fn compare_balance(&mut self, event: &Event, asset: u8, expected: (u64, u64), said: (u64, u64)) {
        if expected != said {
            let asset = self.asset_name(asset);
            self.wrong(event, Wrong::Balance { asset, expected, said });
        }
    }

    /// What the events before said that expired of a user's balances, is what did.
    fn compare_expired(&mut self, event: &Event, user: &UserKey, expected: &[Expired]) {
        let said = std::mem::take(&mut self.expired);
        let same = |(said, expected): (&BalanceExpired, &Expired)| {
            said.user == user.0
                && (said.asset, said.amount) == (expected.asset.0, expected.amount.0)
                && (said.before, said.after) == (expected.before.0, expected.after.0)
        };
        if said.len() != expected.len() || !said.iter().zip(expected).all(same) {
            let expected = expected.iter().map(|of| (self.asset_name(of.asset.0), of.amount.0)).collect();
            let said = said.iter().map(|of| (self.asset_name(of.asset), of.amount)).collect();
            self.wrong(event, Wrong::Expired { expected, said });
        }
    }
}

fn entry(outcome: &Outcome) -> OutcomeEntry {
    OutcomeEntry {
        rule: outcome.rule.0,
        version: outcome.version.0,
        reason: outcome.reason as u8,
        clause: outcome.clause,
        asset: outcome.asset.0,
        amount: outcome.amount.0,
        before: outcome.before.0,
        after: outcome.after.0,
    }
}
