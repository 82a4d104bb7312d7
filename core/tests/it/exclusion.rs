//! Exclusion: by what has already paid on the same payment.

use crate::{
    given::{always, fixed, key, multiplier, payment, when},
    platform::Platform,
};
use rebate_core::{
    outcome::Reason,
    rule::{Definition, Field, GroupMode, Operator},
    units::{Amount, GroupId, Tags},
};

const EXCLUDED: (Reason, u64) = (Reason::Excluded, 0);

const fn granted(amount: u64) -> (Reason, u64) {
    (Reason::Granted, amount)
}

fn tagged(id: u16, tags: u32, excludes: u32) -> Definition<'static> {
    Definition { tags: Tags(tags), excludes: Tags(excludes), ..always(id, fixed(1, 5)) }
}

fn told(rules: &[Definition<'_>]) -> Vec<(Reason, u64)> {
    Platform::of(rules).told(&payment("A1", 1, 100))
}

#[test]
fn a_rule_does_not_pay_behind_one_with_a_tag_it_excludes() {
    for (tags, excludes, expected) in [
        (0b01, 0b01, EXCLUDED),
        (0b01, 0b10, granted(5)),
        (0b11, 0b10, EXCLUDED),
        (1 << 31, 1 << 31, EXCLUDED),
        (0, u32::MAX, granted(5)),
        (u32::MAX, 0, granted(5)),
    ] {
        assert_eq!(told(&[tagged(1, tags, 0), tagged(2, 0, excludes)])[1], expected, "{tags:#b}, {excludes:#b}");
    }
}

#[test]
fn a_rule_is_not_excluded_by_one_behind_it_nor_by_itself() {
    assert_eq!(told(&[tagged(1, 0, 1), tagged(2, 1, 0)]), [granted(5), granted(5)]);
    assert_eq!(told(&[tagged(1, 1, 1)]), [granted(5)]);
    assert_eq!(told(&[tagged(1, 1, 1), tagged(2, 1, 1), tagged(3, 2, 0)]), [granted(5), EXCLUDED, granted(5)]);
}

#[test]
fn tags_of_all_that_paid_exclude_not_only_the_last() {
    assert_eq!(told(&[tagged(1, 0b001, 0), tagged(2, 0b010, 0), tagged(3, 0, 0b001)])[2], EXCLUDED);
}

#[test]
fn a_rule_that_does_not_pay_excludes_nobody() {
    let never = [when(0, Field::Product, Operator::Eq, 9)];
    let unmatched = Definition { condition: &never, ..tagged(1, 1, 0) };
    assert_eq!(told(&[unmatched, tagged(2, 0, 1)])[1], granted(5));
    // Excluded itself.
    assert_eq!(
        told(&[tagged(1, 0b01, 0), tagged(2, 0b10, 0b01), tagged(3, 0, 0b10)]),
        [granted(5), EXCLUDED, granted(5)]
    );
    // Its group was taken.
    let group = |rule: Definition<'static>| Definition { group: GroupId(1), group_mode: GroupMode::First, ..rule };
    let rules = [group(tagged(1, 0, 0)), group(tagged(2, 1, 0)), tagged(3, 0, 1)];
    assert_eq!(told(&rules), [granted(5), (Reason::GroupTaken, 0), granted(5)]);
    // The vault was short of it.
    let mut platform = Platform::of(&[tagged(1, 1, 0), tagged(2, 0, 1)]);
    platform.vaults[0] = Some(0);
    assert_eq!(platform.told(&payment("A1", 1, 1)), [(Reason::VaultShort, 0), (Reason::VaultShort, 0)]);
    let other = Definition { effect: fixed(2, 5), ..tagged(2, 0, 1) };
    let mut platform = Platform::of(&[tagged(1, 1, 0), other]);
    platform.vaults[0] = Some(0);
    assert_eq!(platform.told(&payment("A1", 1, 1)), [(Reason::VaultShort, 0), granted(5)]);
}

#[test]
fn a_group_is_decided_before_exclusion_and_the_excluded_one_gives_its_place_to_nobody() {
    let group = |rule: Definition<'static>| Definition { group: GroupId(1), group_mode: GroupMode::First, ..rule };
    let rules = [tagged(1, 1, 0), group(tagged(2, 0, 1)), group(tagged(3, 0, 0))];
    assert_eq!(told(&rules), [granted(5), EXCLUDED, (Reason::GroupTaken, 0)]);
}

#[test]
fn exclusion_is_by_payment_and_not_for_ever() {
    let small = [when(0, Field::Amount, Operator::Lt, 50)];
    let mut platform = Platform::of(&[Definition { condition: &small, ..tagged(1, 1, 0) }, tagged(2, 0, 1)]);
    assert_eq!(platform.told(&payment("A1", 1, 49)), [granted(5), EXCLUDED]);
    assert_eq!(platform.told(&payment("A2", 1, 50)), [(Reason::NotMatched, 0), granted(5)]);
}

#[test]
fn a_rule_that_is_excluded_counts_the_payment_and_no_grant() {
    let mut platform = Platform::of(&[tagged(1, 1, 0), tagged(2, 0, 1)]);
    platform.told(&payment("A1", 1, 100));
    let counters = platform.own(key(1), 2);
    assert_eq!((counters.payments, counters.granted, counters.grants), (1, Amount(0), 0));
}

#[test]
fn multipliers_are_excluded_by_all_that_paid_before_them_also_by_multipliers() {
    let more = |id, tags, excludes| Definition { effect: multiplier(1, 20_000), ..tagged(id, tags, excludes) };
    // The plain rule stands behind the multiplier and pays before it all the same.
    assert_eq!(told(&[more(1, 0, 1), tagged(2, 1, 0)]), [EXCLUDED, granted(5)]);
    assert_eq!(told(&[more(1, 1, 0), more(2, 0, 1), tagged(3, 0, 0)]), [granted(5), EXCLUDED, granted(5)]);
    assert_eq!(told(&[more(1, 0, 1), more(2, 1, 0), tagged(3, 0, 0)]), [granted(5), granted(5), granted(5)]);
    assert_eq!(told(&[more(1, 1, 0), tagged(2, 0, 1)]), [granted(5), granted(5)], "and exclude no plain rule");
}
