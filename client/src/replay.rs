//! A platform's state in memory, decided by `rebate-core` alone: what the program on the chain would come to, without a chain.
//!
//! [`Ledger`] knows users and orders by number, for who has names of their own for them. [`Replay`] knows them as the chain
//! does, by key and by hash.

mod known_funds;
mod ledger;
mod standing;
mod vault;

pub use known_funds::KnownFunds;
pub use ledger::{AssetTerms, Decided, Ledger, NoSuchRule, NotPublished, OrderIndex, Redeemed, Terms, UserIndex};
pub use standing::{Decision, Moment, Refundable, Standing};
pub use vault::Vault;

use rebate_core::{
    balance::Balances,
    counters::Counters,
    expiry::Expired,
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    refusal::Refusal,
    units::{Amount, AssetId, OrderHash, ScopeId, Timestamp, UserKey},
    window::Scope,
};
use std::collections::HashMap;

/// A platform as the chain has it, record by record.
#[derive(Debug)]
pub struct Replay {
    ledger: Ledger,
    orders: HashMap<OrderHash, OrderIndex>,
    users: HashMap<UserKey, UserIndex>,
}

impl Replay {
    /// A platform on these terms, before its first record and without rules.
    pub fn new(terms: Terms) -> Self {
        Self { ledger: Ledger::new(terms), orders: HashMap::new(), users: HashMap::new() }
    }

    /// The platform: its rules, its vaults, what it accepted.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The platform, to publish and end rules, and to fund vaults.
    pub fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Records a payment while the chain's clock shows `now`.
    ///
    /// # Errors
    /// The [`Refusal`]; nothing was changed.
    pub fn pay(&mut self, payment: &Payment, now: Timestamp) -> Result<Decided<'_>, Refusal> {
        let (order, user) = (self.order(&payment.order), self.user(&payment.user));
        let decided = self.ledger.pay(order, user, payment, now, true)?;
        self.orders.insert(payment.order, order);
        self.users.insert(payment.user, user);
        Ok(decided)
    }

    /// Records a refund while the chain's clock shows `now`.
    ///
    /// # Errors
    /// The [`Refusal`]; nothing was changed.
    pub fn refund(&mut self, refund: &Refund, now: Timestamp) -> Result<Decided<'_>, Refusal> {
        let (order, of) = (self.order(&refund.order), self.orders.get(&refund.of).copied());
        let decided = self.ledger.refund(order, of, refund.amount, refund.paid_at, now)?;
        self.orders.insert(refund.order, order);
        Ok(decided)
    }

    /// Records a redemption while the chain's clock shows `now`.
    ///
    /// # Errors
    /// The [`Refusal`]; nothing was changed.
    pub fn redeem(&mut self, redemption: &Redemption, now: Timestamp) -> Result<Redeemed<'_>, Refusal> {
        let (order, user) = (self.order(&redemption.order), self.user(&redemption.user));
        let Redemption { asset, amount, redeemed_at, .. } = *redemption;
        let redeemed = self.ledger.redeem(order, user, asset, amount, redeemed_at, now)?;
        self.orders.insert(redemption.order, order);
        self.users.insert(redemption.user, user);
        Ok(redeemed)
    }

    /// A user takes all of a token out of its vault while the chain's clock shows `now`. Returns the balance before and after.
    ///
    /// # Errors
    /// [`Refusal::InsufficientBalance`] if there is nothing; nothing was changed but what expired.
    pub fn claim_all(&mut self, user: &UserKey, asset: AssetId, now: Timestamp) -> Result<(Amount, Amount), Refusal> {
        let index = *self.users.get(user).ok_or(Refusal::InsufficientBalance)?;
        self.ledger.expire(index, now);
        let balances = self.ledger.balances(index);
        let all = asset.slot().and_then(|slot| balances.get(slot)).map(|balance| balance.total());
        let all = all.filter(|all| all.0 > 0).ok_or(Refusal::InsufficientBalance)?;
        self.ledger.claim(index, asset, all)
    }

    /// Lets expire what of a user's balances is over when the chain's clock shows `now`.
    pub fn expire(&mut self, user: &UserKey, now: Timestamp) -> &[Expired] {
        match self.users.get(user) {
            Some(user) => self.ledger.expire(*user, now),
            None => &[],
        }
    }

    /// A user's balances, by asset slot.
    pub fn balances(&self, user: &UserKey) -> Balances {
        self.users.get(user).map(|user| self.ledger.balances(*user)).unwrap_or_default()
    }

    /// What rules count of a user in a scope: the user's own, or towards a streamer or in a session by number.
    pub fn counters(&self, user: &UserKey, scope: Scope, id: ScopeId) -> &[Counters] {
        self.users.get(user).map(|user| self.ledger.counters(*user, scope, id.0)).unwrap_or_default()
    }

    /// A user takes `amount` of a token out of its vault, of which nothing is over by now. Returns the balance before and
    /// after.
    ///
    /// # Errors
    /// [`Refusal::InsufficientBalance`] if the user has less; nothing was changed.
    pub fn claim(&mut self, user: &UserKey, asset: AssetId, amount: Amount) -> Result<(Amount, Amount), Refusal> {
        let user = *self.users.get(user).ok_or(Refusal::InsufficientBalance)?;
        self.ledger.claim(user, asset, amount)
    }

    /// The order's number, or the one it gets if it is taken.
    fn order(&self, order: &OrderHash) -> OrderIndex {
        self.orders.get(order).copied().unwrap_or(OrderIndex(self.orders.len()))
    }

    /// The user's number, or the one the user gets with a record that is accepted.
    fn user(&self, user: &UserKey) -> UserIndex {
        self.users.get(user).copied().unwrap_or(UserIndex(self.users.len()))
    }
}
