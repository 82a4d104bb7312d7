//! Vaults: a token grant needs funds that are free.

use crate::{
    given::{always, fixed, key, payment, ratio},
    platform::Platform,
};
use proptest::prelude::*;
use rebate_core::{
    evaluate::UNLIMITED,
    outcome::Reason,
    rule::{Definition, OnLimit},
    units::{Amount, AssetId, OrderHash},
};

const SHORT: (Reason, u64) = (Reason::VaultShort, 0);

const fn granted(amount: u64) -> (Reason, u64) {
    (Reason::Granted, amount)
}

/// What the rules make of one payment with `free` in the vault of asset 1, where the user owes `debt`.
fn told(rules: &[Definition<'_>], free: u64, debt: u64) -> Vec<(Reason, u64)> {
    let mut platform = Platform::of(rules);
    platform.vaults[0] = Some(free);
    platform.state.users.entry(key(1)).or_default().balances[0].debt = Amount(debt);
    platform.told(&payment("A1", 1, 100))
}

fn on_limit(on_limit: OnLimit, id: u16, amount: u64) -> Definition<'static> {
    Definition { on_limit, ..always(id, fixed(1, amount)) }
}

#[test]
fn a_grant_is_clipped_to_what_is_free_or_rejected_as_the_rules_limits_say() {
    for (free, clipped, rejected) in [
        (u64::MAX, granted(5), granted(5)),
        (6, granted(5), granted(5)),
        (5, granted(5), granted(5)),
        (4, granted(4), SHORT),
        (1, granted(1), SHORT),
        (0, SHORT, SHORT),
    ] {
        assert_eq!(told(&[on_limit(OnLimit::Clip, 1, 5)], free, 0), [clipped], "{free} free");
        assert_eq!(told(&[on_limit(OnLimit::Reject, 1, 5)], free, 0), [rejected], "{free} free");
    }
}

#[test]
fn each_grant_finds_what_the_earlier_ones_left() {
    let rules = [on_limit(OnLimit::Clip, 1, 5), on_limit(OnLimit::Clip, 2, 5), on_limit(OnLimit::Clip, 3, 5)];
    assert_eq!(told(&rules, 8, 0), [granted(5), granted(3), SHORT]);
    let rules = [on_limit(OnLimit::Reject, 1, 5), on_limit(OnLimit::Reject, 2, 9), on_limit(OnLimit::Reject, 3, 3)];
    assert_eq!(told(&rules, 8, 0), [granted(5), SHORT, granted(3)], "what is rejected leaves the rest to the next");
}

#[test]
fn one_assets_vault_is_not_anothers() {
    let rules = [on_limit(OnLimit::Clip, 1, 5), always(2, fixed(2, 5)), on_limit(OnLimit::Clip, 3, 5)];
    assert_eq!(told(&rules, 5, 0), [granted(5), granted(5), SHORT]);
}

#[test]
fn what_repays_a_debt_needs_no_funds() {
    let rule = [on_limit(OnLimit::Clip, 1, 5)];
    assert_eq!(told(&rule, 0, 5), [granted(5)]);
    assert_eq!(told(&rule, 0, 3), [granted(3)], "and what goes beyond it does");
    assert_eq!(told(&rule, 1, 3), [granted(4)]);
    assert_eq!(told(&rule, 2, 3), [granted(5)]);
    assert_eq!(told(&[on_limit(OnLimit::Reject, 1, 5)], 1, 3), [SHORT]);
    let two = [on_limit(OnLimit::Clip, 1, 5), on_limit(OnLimit::Clip, 2, 5)];
    assert_eq!(told(&two, 1, 7), [granted(5), granted(3)], "5 and 2 repay, 1 is free");
}

#[test]
fn a_clipped_grant_is_what_counters_totals_and_ledger_know_of() {
    let mut platform = Platform::of(&[on_limit(OnLimit::Clip, 1, 5)]);
    platform.vaults[0] = Some(3);
    platform.told(&payment("A1", 1, 100));
    assert_eq!((platform.own(key(1), 1).granted, platform.own(key(1), 1).grants), (Amount(3), 1));
    let rule = platform.state.rules[0];
    assert_eq!((rule.granted, rule.grants, rule.budget_spent), (Amount(3), 1, Amount(3)));
    assert_eq!(platform.balance(key(1), 1), (3, 0));
    assert_eq!(platform.state.orders[&OrderHash::of("A1")].grants[0].amount, Amount(3));
}

#[test]
fn a_grant_the_vault_is_short_of_counts_as_none() {
    let mut platform = Platform::of(&[on_limit(OnLimit::Clip, 1, 5)]);
    platform.vaults[0] = Some(0);
    assert_eq!(platform.told(&payment("A1", 1, 100)), [SHORT]);
    let counters = platform.own(key(1), 1);
    assert_eq!((counters.payments, counters.granted, counters.grants), (1, Amount(0), 0));
    assert_eq!(platform.state.rules[0].grants, 0);
}

#[test]
fn what_one_user_has_is_not_free_for_another_until_it_is_gone() {
    let mut platform = Platform::of(&[on_limit(OnLimit::Clip, 1, 60)]);
    platform.vaults[0] = Some(100);
    assert_eq!(platform.told(&payment("A1", 1, 1)), [granted(60)]);
    assert_eq!(platform.told(&payment("B1", 2, 1)), [granted(40)]);
    assert_eq!(platform.told(&payment("C1", 3, 1)), [SHORT]);
    platform.give_back("R1", "A1", 1).unwrap();
    assert_eq!(platform.told(&payment("C2", 3, 1)), [granted(60)]);
}

#[test]
fn an_asset_without_a_vault_is_never_short() {
    let all = [always(1, ratio(1, 10_000, 0, 0)), always(2, fixed(2, u64::MAX))];
    let mut platform = Platform::of(&all);
    assert_eq!(platform.told(&payment("A1", 1, u64::MAX)), [granted(u64::MAX), granted(u64::MAX)]);
    assert_eq!(UNLIMITED, Amount(u64::MAX));
    assert_eq!(AssetId(1).slot(), Some(0));
}

proptest! {
    #[test]
    fn grants_take_no_more_than_is_free_and_owed(
        amounts in prop::collection::vec((1..50u64, any::<bool>()), 1..8), free in 0..150u64, debt in 0..60u64,
    ) {
        let rules: Vec<_> = (1..)
            .zip(&amounts)
            .map(|(id, (amount, clip))| on_limit(if *clip { OnLimit::Clip } else { OnLimit::Reject }, id, *amount))
            .collect();
        let told = told(&rules, free, debt);
        let sum: u64 = told.iter().map(|one| one.1).sum();
        prop_assert!(sum <= free + debt);
        let mut left = free + debt;
        for ((amount, clip), told) in amounts.into_iter().zip(told) {
            let expected = if amount <= left { amount } else if clip { left } else { 0 };
            prop_assert_eq!(told, if expected == 0 { SHORT } else { granted(expected) });
            left -= expected;
        }
    }
}
