//! Multipliers: on top of what the others of the group granted.

use crate::{
    given::{always, fixed, in_all, key, multiplier, payment, per_user, when},
    platform::Platform,
};
use rebate_core::{
    outcome::Reason,
    refusal::Refusal,
    rule::{Definition, Field, GroupMode, OnLimit, Operator},
    units::{Amount, BasisPoints, GroupId, RuleVersion, Tags, Timestamp},
};

const NOTHING: (Reason, u64) = (Reason::NothingDue, 0);

const fn granted(amount: u64) -> (Reason, u64) {
    (Reason::Granted, amount)
}

/// Doubles what group `group` granted.
fn doubles(id: u16, group: u8) -> Definition<'static> {
    Definition { group: GroupId(group), ..always(id, multiplier(1, 20_000)) }
}

fn grants(id: u16, group: u8, asset: u8, amount: u64) -> Definition<'static> {
    Definition { group: GroupId(group), ..always(id, fixed(asset, amount)) }
}

fn told(rules: &[Definition<'_>]) -> Vec<(Reason, u64)> {
    Platform::of(rules).told(&payment("A1", 1, 100))
}

#[test]
fn a_multiplier_adds_its_part_of_the_sum_rounded_down_once() {
    for (bps, sum, expected) in [
        (20_000, 5, granted(5)),
        (15_000, 5, granted(2)),
        (10_001, 9_999, NOTHING),
        (10_001, 10_000, granted(1)),
        (30_000, 5, granted(10)),
    ] {
        let more = Definition { effect: multiplier(1, bps), ..doubles(1, 0) };
        assert_eq!(told(&[more, grants(2, 0, 1, sum)])[0], expected, "{bps} bps of {sum}");
    }
    let half = Definition { effect: multiplier(1, 15_000), ..doubles(3, 0) };
    assert_eq!(told(&[grants(1, 0, 1, 1), grants(2, 0, 1, 1), half])[2], granted(1), "of the sum, not of each");
}

#[test]
fn a_multiplier_takes_only_its_own_group_and_asset() {
    assert_eq!(told(&[grants(1, 0, 1, 5), grants(2, 1, 1, 7), grants(3, 1, 2, 11), doubles(4, 1)])[3], granted(7));
    assert_eq!(told(&[grants(1, 0, 1, 5), doubles(2, 1)]), [granted(5), NOTHING]);
    assert_eq!(told(&[grants(1, 1, 2, 5), doubles(2, 1)]), [granted(5), NOTHING]);
}

#[test]
fn multipliers_do_not_multiply_one_another() {
    assert_eq!(told(&[doubles(1, 0), grants(2, 0, 1, 5), doubles(3, 0)]), [granted(5), granted(5), granted(5)]);
}

#[test]
fn a_multiplier_takes_what_was_paid_and_not_what_was_due() {
    let clipped = Definition { limits: per_user(3, 0), ..grants(1, 0, 1, 5) };
    assert_eq!(told(&[clipped, doubles(2, 0)]), [granted(3), granted(3)]);
    let excluded = Definition { excludes: Tags(1), ..grants(2, 1, 1, 5) };
    let tagged = Definition { tags: Tags(1), ..grants(1, 0, 1, 7) };
    assert_eq!(told(&[tagged, excluded, doubles(3, 1)])[1..], [(Reason::Excluded, 0), NOTHING]);
    let mut platform = Platform::of(&[grants(1, 0, 1, 5), doubles(2, 0)]);
    platform.vaults[0] = Some(8);
    assert_eq!(platform.told(&payment("A1", 1, 1)), [granted(5), granted(3)], "the vault has 3 left");
}

#[test]
fn multipliers_do_not_compete() {
    for group_mode in [GroupMode::First, GroupMode::Best] {
        let mut rules = [doubles(1, 1), grants(2, 1, 1, 5), grants(3, 1, 1, 9), doubles(4, 1)];
        for rule in &mut rules {
            rule.group_mode = group_mode;
        }
        let told = told(&rules);
        let paid = if group_mode == GroupMode::First { 5 } else { 9 };
        assert_eq!((told[0], told[3]), (granted(paid), granted(paid)), "{group_mode:?}");
        assert_eq!(told[1..3].iter().filter(|one| one.0 == Reason::GroupTaken).count(), 1, "{group_mode:?}");
    }
}

#[test]
fn a_multiplier_has_limits_of_its_own_and_what_is_nothing_is_nothing_due_first() {
    let limited = |limits, on_limit| Definition { limits, on_limit, ..doubles(2, 0) };
    for (limits, on_limit, expected) in [
        (per_user(3, 0), OnLimit::Clip, [granted(3), (Reason::UserLimit, 0)]),
        (per_user(3, 0), OnLimit::Reject, [(Reason::UserLimit, 0); 2]),
        (per_user(0, 1), OnLimit::Clip, [granted(5), (Reason::UserLimit, 0)]),
        (in_all(8, 0), OnLimit::Clip, [granted(5), granted(3)]),
        (in_all(8, 0), OnLimit::Reject, [granted(5), (Reason::BudgetSpent, 0)]),
        (in_all(0, 1), OnLimit::Clip, [granted(5), (Reason::BudgetSpent, 0)]),
    ] {
        let mut platform = Platform::of(&[grants(1, 0, 1, 5), limited(limits, on_limit)]);
        let told = ["A1", "A2"].map(|order| platform.told(&payment(order, 1, 1))[1]);
        assert_eq!(told, expected, "{limits:?} {on_limit:?}");
    }
    let small = [when(0, Field::Amount, Operator::Lt, 50)];
    let sometimes = Definition { condition: &small, ..grants(1, 0, 1, 5) };
    let mut platform = Platform::of(&[sometimes, limited(per_user(0, 1), OnLimit::Clip)]);
    assert_eq!(platform.told(&payment("A1", 1, 49))[1], granted(5));
    assert_eq!(platform.told(&payment("A2", 1, 50))[1], NOTHING);
}

#[test]
fn a_multiplier_has_a_condition_a_control_group_and_counters_of_its_own() {
    let second = [when(0, Field::Payments, Operator::Ge, 2)];
    let mut platform = Platform::of(&[grants(1, 0, 1, 5), Definition { condition: &second, ..doubles(2, 0) }]);
    assert_eq!(platform.told(&payment("A1", 1, 100))[1], (Reason::NotMatched, 0));
    assert_eq!(platform.told(&payment("A2", 1, 100))[1], granted(5));
    let counters = platform.own(key(1), 2);
    assert_eq!((counters.spend, counters.payments), (Amount(200), 2));
    assert_eq!((counters.granted, counters.grants), (Amount(5), 1));
    assert_eq!((platform.state.rules[1].granted, platform.state.rules[1].grants), (Amount(5), 1));
    let held = Definition { holdout: BasisPoints(10_000), ..doubles(2, 0) };
    assert_eq!(told(&[grants(1, 0, 1, 5), held])[1], (Reason::Holdout, 0));
}

#[test]
fn balances_move_in_order_of_the_rules_although_multipliers_are_decided_last() {
    let mut platform = Platform::of(&[doubles(1, 0), grants(2, 0, 1, 5), doubles(3, 0)]);
    let outcomes = platform.pay(&payment("A1", 1, 1)).unwrap();
    let seen: Vec<_> = outcomes.iter().map(|one| (one.rule.0, one.before.0, one.after.0)).collect();
    assert_eq!(seen, [(1, 0, 5), (2, 5, 10), (3, 10, 15)]);
}

#[test]
fn a_multiplier_of_a_later_version_multiplies_what_the_others_grant_now() {
    let mut platform = Platform::of(&[grants(1, 0, 1, 5), doubles(2, 0)]);
    let next = Definition { version: RuleVersion(2), effect: multiplier(1, 30_000), ..doubles(2, 0) };
    platform.publish(&next, crate::given::NOON.0 + 5).unwrap();
    assert_eq!(platform.told(&payment("A1", 1, 1))[1], granted(5));
    platform.now = Timestamp(crate::given::NOON.0 + 5);
    let later = rebate_core::payment::Payment { paid_at: platform.now, ..payment("A2", 1, 1) };
    assert_eq!(platform.told(&later)[1], granted(10));
}

#[test]
fn a_multiple_or_a_sum_beyond_all_numbers_refuses_the_payment() {
    let most = multiplier(1, u32::MAX);
    let refused = |rules: &[Definition<'_>]| Platform::of(rules).pay(&payment("A1", 1, 1));
    let rules = [grants(1, 0, 1, u64::MAX / 400), Definition { effect: most, ..doubles(2, 0) }];
    assert_eq!(refused(&rules), Err(Refusal::AmountOverflow));
    let rules = [grants(1, 0, 1, u64::MAX), grants(2, 0, 1, 1), doubles(3, 0)];
    assert_eq!(refused(&rules), Err(Refusal::AmountOverflow));
    let rules = [grants(1, 0, 1, 1 << 63), Definition { effect: multiplier(1, 19_999), ..doubles(2, 0) }];
    assert!(refused(&rules).is_ok());
    assert_eq!(refused(&[grants(1, 0, 1, 1 << 63), doubles(2, 0)]), Err(Refusal::AmountOverflow));
}
