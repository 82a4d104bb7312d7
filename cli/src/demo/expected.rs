//! What `rebate-core` decides by itself, to hold the chain and the API against.

use super::api::{Order, Outcome as Shown, Redemption as ShownRedemption, Refund as ShownRefund};
use rebate_client::{
    account::{AssetKind, Platform},
    replay::{Replay, Terms, Vault},
};
use rebate_core::{
    balance::Balances,
    expiry::Expired,
    outcome::Outcome,
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    refusal::Refusal,
    rule::Rule,
    units::{Amount, AssetId, Timestamp, UserKey},
};
use std::collections::HashSet;

/// The evening as core sees it.
pub struct Expected {
    replay: Replay,
    /// Who has a wallet.
    linked: HashSet<UserKey>,
}

impl Expected {
    /// An evening with these rules at `now`, before the first payment. The vaults of tokens are empty.
    pub fn new(platform: &Platform, rules: Vec<Rule>, now: Timestamp) -> Self {
        let mut replay = Replay::new(Terms::of_platform(platform, now));
        replay.ledger_mut().set_rules(rules);
        for (asset, id) in platform.assets().iter().zip(1..) {
            if asset.kind == AssetKind::Token as u8 {
                replay.ledger_mut().set_funds(AssetId(id), Amount(0));
            }
        }
        Self { replay, linked: HashSet::new() }
    }

    /// Somebody puts `amount` into the vault of an asset.
    pub fn deposit(&mut self, asset: AssetId, amount: Amount) {
        let funds = self.vault(asset).map_or(0, |vault| vault.funds.0);
        self.replay.ledger_mut().set_funds(asset, Amount(funds.saturating_add(amount.0)));
    }

    /// Records a payment at `now`.
    pub fn pay(&mut self, payment: &Payment, now: Timestamp) -> Result<Vec<Outcome>, Refusal> {
        self.replay.pay(payment, now).map(|decided| decided.outcomes.to_vec())
    }

    /// Records a refund at `now`.
    pub fn refund(&mut self, refund: &Refund, now: Timestamp) -> Result<Vec<Outcome>, Refusal> {
        self.replay.refund(refund, now).map(|decided| decided.outcomes.to_vec())
    }

    /// Records a redemption at `now`. The balance before and after.
    pub fn redeem(&mut self, redemption: &Redemption, now: Timestamp) -> Result<(Amount, Amount), Refusal> {
        self.replay.redeem(redemption, now).map(|redeemed| (redeemed.before, redeemed.after))
    }

    /// A wallet is linked to a user.
    pub fn link(&mut self, user: UserKey) {
        self.linked.insert(user);
    }

    /// A user claims all of an asset at `now`, with the wallet that the cast has for the user. The balance before and after,
    /// or the name of the program's error.
    pub fn claim(&mut self, user: &UserKey, asset: AssetId, now: Timestamp) -> Result<(Amount, Amount), &'static str> {
        if !self.linked.contains(user) {
            return Err("NotWallet");
        }
        self.replay.claim_all(user, asset, now).map_err(|_| "NothingToClaim")
    }

    /// What of a user's balances is over at `now` expires.
    pub fn expire(&mut self, user: &UserKey, now: Timestamp) -> Vec<Expired> {
        self.replay.expire(user, now).to_vec()
    }

    /// A user's balances, by asset slot.
    pub fn balances(&self, user: &UserKey) -> Balances {
        self.replay.balances(user)
    }

    /// What is behind a token.
    pub fn vault(&self, asset: AssetId) -> Option<Vault> {
        self.replay.ledger().vault(asset)
    }

    /// How many payments were accepted.
    pub fn accepted(&self) -> u64 {
        self.replay.ledger().payments()
    }

    /// The rules, with what they granted.
    pub fn rules(&self) -> &[Rule] {
        self.replay.ledger().rules()
    }
}

/// What differs between core's outcomes of a payment and those that the API shows.
pub fn compare_order(order: &str, expected: &[Outcome], shown: &Order) -> Option<String> {
    compare(order, expected, &shown.outcomes)
}

/// The same of a refund.
pub fn compare_refund(order: &str, expected: &[Outcome], shown: &ShownRefund) -> Option<String> {
    compare(order, expected, &shown.outcomes)
}

/// The same of a redemption's balances before and after.
pub fn compare_redemption(order: &str, expected: (Amount, Amount), shown: &ShownRedemption) -> Option<String> {
    compare_balances(&format!("order {order}"), expected, &shown.before, &shown.after)
}

/// The same of any balance before and after.
pub fn compare_balances(what: &str, expected: (Amount, Amount), before: &str, after: &str) -> Option<String> {
    let (old, new) = expected;
    let differs = old.to_string() != before || new.to_string() != after;
    differs.then(|| format!("{what}: core goes from {old} to {new}, the API shows {before} to {after}"))
}

fn compare(order: &str, expected: &[Outcome], shown: &[Shown]) -> Option<String> {
    let expected: Vec<_> = expected
        .iter()
        .map(|outcome| {
            let numbers = [outcome.amount, outcome.before, outcome.after].map(|amount| amount.to_string());
            (outcome.rule.0, outcome.version.0, outcome.reason.name().to_owned(), numbers)
        })
        .collect();
    let shown: Vec<_> = shown
        .iter()
        .map(|outcome| {
            let numbers = [&outcome.amount, &outcome.before, &outcome.after].map(Clone::clone);
            (outcome.rule, outcome.version, outcome.reason.clone(), numbers)
        })
        .collect();
    (expected != shown).then(|| format!("order {order}: core decides {expected:?}, the API shows {shown:?}"))
}
