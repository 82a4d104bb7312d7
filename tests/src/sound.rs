//! What must be true of a platform after whatever happened: its accounts are what its events say.

#![expect(clippy::expect_used, reason = "this is how a test fails")]

use crate::platform::TestPlatform;
use rebate_client::{
    account::{AssetKind, Refund},
    event::{Event, OutcomeEntry},
};
use rebate_core::{
    outcome::Reason,
    units::{AssetId, MAX_ASSETS, OrderHash, UserKey},
};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// What events say a user has of one asset.
#[derive(Clone, Copy, Default)]
struct Held {
    /// The last balance an entry named.
    balance: u64,
    /// Everything that came less everything that went; below 0 for a debt.
    net: i128,
}

/// What events say of everybody.
#[derive(Default)]
struct Told {
    held: BTreeMap<(UserKey, u8), Held>,
    payments: BTreeMap<UserKey, u64>,
    /// Granted, how often, reversed; by rule and version.
    rules: BTreeMap<(u16, u16), (u64, u64, u64)>,
    refunded: BTreeMap<[u8; 32], u64>,
    wallets: BTreeMap<UserKey, [u8; 32]>,
}

impl Told {
    fn entry(&mut self, user: [u8; 32], asset: u8, change: i128, before: u64, after: u64) {
        let held = self.held.entry((UserKey(user), asset)).or_default();
        assert_eq!(held.balance, before, "an entry goes on where the one before ended");
        held.net += change;
        held.balance = after;
        let expected = u64::try_from(held.net.max(0)).expect("a balance");
        assert_eq!(after, expected, "a balance is the sum of its entries, and who owes has nothing");
    }

    fn outcomes(&mut self, user: [u8; 32], outcomes: &[OutcomeEntry]) {
        for outcome in outcomes {
            let totals = self.rules.entry((outcome.rule, outcome.version)).or_default();
            let change = match Reason::from_number(outcome.reason).expect("a known reason") {
                Reason::Granted => {
                    totals.0 += outcome.amount;
                    totals.1 += 1;
                    i128::from(outcome.amount)
                }
                Reason::Reversed => {
                    totals.2 += outcome.amount;
                    -i128::from(outcome.amount)
                }
                _ => {
                    assert_eq!(outcome.amount, 0, "what is not granted is nothing");
                    0
                }
            };
            self.entry(user, outcome.asset, change, outcome.before, outcome.after);
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::PaymentRecorded(event) => {
                let payments = self.payments.entry(UserKey(event.user)).or_default();
                *payments += 1;
                assert_eq!(event.number, *payments, "payments are numbered without gaps");
                self.outcomes(event.user, &event.outcomes);
            }
            Event::RefundRecorded(event) => {
                let refunded = self.refunded.entry(event.of).or_default();
                *refunded += event.amount;
                assert_eq!(event.refunded, *refunded);
                self.outcomes(event.user, &event.outcomes);
            }
            Event::Redeemed(event) => {
                self.entry(event.user, event.asset, -i128::from(event.amount), event.before, event.after);
            }
            Event::BalanceExpired(event) => {
                self.entry(event.user, event.asset, -i128::from(event.amount), event.before, event.after);
            }
            Event::Claimed(event) => {
                self.entry(event.user, event.asset, -i128::from(event.amount), event.before, event.after);
            }
            Event::WalletLinked(event) => {
                self.wallets.insert(UserKey(event.user), event.wallet);
            }
            Event::RuleDropped(event) => {
                let totals = self.rules.get(&(event.rule, event.version)).copied().unwrap_or_default();
                assert_eq!((event.granted, event.grants, event.reversed), totals, "a dropped rule's totals");
            }
            _ => {}
        }
    }
}

/// The tree head of RFC 6962, §2.1, word for word.
fn tree_head(leaves: &[Vec<u8>]) -> [u8; 32] {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => Sha256::new().chain_update([0]).chain_update(leaf).finalize().into(),
        _ => {
            // The largest power of two smaller than the number of leaves.
            let split = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(split);
            Sha256::new()
                .chain_update([1])
                .chain_update(tree_head(left))
                .chain_update(tree_head(right))
                .finalize()
                .into()
        }
    }
}

impl TestPlatform {
    /// Checks that the journal is that of the platform's events, that every user has what the events say, that what is owed of
    /// tokens is what users have of them, and that rules' totals are those of the events.
    pub fn assert_sound(&self) {
        let platform = self.addresses.platform.to_bytes();
        let events: Vec<_> = self.events().into_iter().filter(|emitted| emitted.event.platform() == platform).collect();
        let journal = self.journal();
        assert_eq!(journal.count, events.len() as u64, "an event each");
        for (index, emitted) in events.iter().enumerate() {
            assert_eq!(emitted.event.journal_index(), index as u64, "indices have no gap");
            assert_eq!(emitted.event.encode().expect("bytes"), emitted.bytes, "decoding loses nothing");
        }
        let leaves: Vec<_> = events.iter().map(|emitted| emitted.bytes.clone()).collect();
        assert_eq!(journal.root(), tree_head(&leaves), "the journal's tree head");

        let mut told = Told::default();
        events.iter().for_each(|emitted| told.event(&emitted.event));
        self.assert_users(&told);
        self.assert_rules(&told);
        for (order, refunded) in &told.refunded {
            let data = self.data(&self.addresses.refund(&OrderHash(*order))).expect("a refund");
            assert_eq!(Refund::decode(&data).expect("a refund's account").refunded.0, *refunded);
        }
    }

    fn assert_users(&self, told: &Told) {
        let users: BTreeSet<_> =
            told.held.keys().map(|(user, _)| user).chain(told.payments.keys()).chain(told.wallets.keys()).collect();
        let mut sums = [0u64; MAX_ASSETS];
        for key in users {
            let state = self.user_of(key);
            assert_eq!(state.user.payments, told.payments.get(key).copied().unwrap_or(0), "payments of {key}");
            assert_eq!(state.user.wallet, told.wallets.get(key).copied().unwrap_or_default(), "wallet of {key}");
            for ((balance, sum), asset) in state.balances.iter().zip(&mut sums).zip(1..) {
                let held = told.held.get(&(*key, asset)).copied().unwrap_or_default();
                assert_eq!(balance.total().0, held.balance, "asset {asset} of {key}");
                let debt = u64::try_from((-held.net).max(0)).expect("a debt");
                assert_eq!(balance.debt.0, debt, "debt in asset {asset} of {key}");
                *sum += balance.total().0;
            }
        }
        for ((asset, sum), id) in self.platform().assets().iter().zip(sums).zip(1..) {
            let owed = if asset.kind == AssetKind::Token as u8 { sum } else { 0 };
            assert_eq!(asset.liability.0, owed, "what is owed of asset {}", AssetId(id));
        }
    }

    fn assert_rules(&self, told: &Told) {
        let (book, rules) = self.rule_book();
        assert_eq!(book.payments, told.payments.values().sum::<u64>(), "payments under the book");
        assert!(rules.is_sorted_by_key(|rule| rule.order()), "rules stand in order of evaluation");
        for rule in &rules {
            let id = (rule.id.0, rule.version.0);
            let totals = told.rules.get(&id).copied().unwrap_or_default();
            assert_eq!((rule.granted.0, rule.grants, rule.reversed.0), totals, "totals of rule {id:?}");
            let versions = told.rules.iter().filter(|((rule, _), _)| *rule == id.0).map(|(_, totals)| totals);
            let (spent, grants) = versions.fold((0, 0), |(spent, grants), (granted, times, reversed)| {
                (spent + granted - reversed, grants + times)
            });
            assert_eq!((rule.budget_spent.0, rule.budget_grants), (spent, grants), "budget of rule {id:?}");
            let versions = rules.iter().filter(|other| other.id == rule.id).count();
            assert_eq!(rule.has_siblings, u8::from(versions > 1), "versions of rule {id:?}");
        }
    }
}
