//! Groups: how the rules of one compete.

use crate::{
    given::{always, fixed, in_all, key, payment, per_user, ratio, when},
    platform::Platform,
};
use proptest::prelude::*;
use rebate_core::{
    outcome::Reason,
    payment::Payment,
    rule::{Definition, Field, GroupMode, Operator},
    units::{Amount, GroupId},
};

const TAKEN: (Reason, u64) = (Reason::GroupTaken, 0);

const fn granted(amount: u64) -> (Reason, u64) {
    (Reason::Granted, amount)
}

fn member(id: u16, group: u8, group_mode: GroupMode, amount: u64) -> Definition<'static> {
    Definition { group: GroupId(group), group_mode, ..always(id, fixed(1, amount)) }
}

fn told(rules: &[Definition<'_>]) -> Vec<(Reason, u64)> {
    Platform::of(rules).told(&payment("A1", 1, 100))
}

#[test]
fn all_candidates_of_a_stackable_group_pay() {
    let [one, other] = [1, 2].map(|id| member(id, 1, GroupMode::Stackable, 5));
    assert_eq!(told(&[one, other]), [granted(5), granted(5)]);
}

#[test]
fn the_first_candidate_in_order_takes_a_group_however_little_it_pays() {
    let rules = [(1, 5), (2, 9), (3, 1)].map(|(id, amount)| member(id, 1, GroupMode::First, amount));
    assert_eq!(told(&rules), [granted(5), TAKEN, TAKEN]);
    let later = Definition { priority: 99, ..rules[0] };
    assert_eq!(told(&[later, rules[1], rules[2]]), [granted(9), TAKEN, TAKEN], "in order of evaluation");
}

#[test]
fn the_candidate_that_pays_most_takes_a_group_and_of_equals_the_first() {
    for (amounts, winner) in [([5, 9, 7], 1), ([9, 5, 9], 0), ([5, 5, 5], 0), ([1, 2, 3], 2), ([3, 3, 4], 2)] {
        let rules: Vec<_> = (1..).zip(amounts).map(|(id, amount)| member(id, 1, GroupMode::Best, amount)).collect();
        let expected: Vec<_> = amounts
            .iter()
            .enumerate()
            .map(|(at, amount)| if at == winner { granted(*amount) } else { TAKEN })
            .collect();
        assert_eq!(told(&rules), expected, "{amounts:?}");
    }
}

#[test]
fn rules_that_are_no_candidates_do_not_compete_and_keep_their_reason() {
    let never = [when(0, Field::Product, Operator::Eq, 9)];
    for mode in [GroupMode::First, GroupMode::Best] {
        let rules = [
            Definition { condition: &never, ..member(1, 1, mode, 1_000) },
            Definition { holdout: rebate_core::units::BasisPoints(10_000), ..member(2, 1, mode, 1_000) },
            Definition { effect: ratio(1, 1, 0, 0), ..member(3, 1, mode, 1_000) },
            member(4, 1, mode, 5),
            member(5, 1, mode, 4),
        ];
        let expected = [(Reason::NotMatched, 0), (Reason::Holdout, 0), (Reason::NothingDue, 0), granted(5), TAKEN];
        assert_eq!(told(&rules), expected, "{mode:?}");
    }
}

#[test]
fn a_candidate_competes_with_what_its_limits_leave() {
    let clipped = Definition { limits: per_user(3, 0), ..member(1, 1, GroupMode::Best, 9) };
    assert_eq!(told(&[clipped, member(2, 1, GroupMode::Best, 5)]), [TAKEN, granted(5)]);
    let spent = Definition { limits: in_all(2, 0), ..clipped };
    assert_eq!(told(&[spent, member(2, 1, GroupMode::Best, 2)]), [granted(2), TAKEN]);
    let mut platform = Platform::of(&[spent, member(2, 1, GroupMode::Best, 1)]);
    platform.told(&payment("A1", 1, 1));
    assert_eq!(
        platform.told(&payment("A2", 1, 1)),
        [(Reason::BudgetSpent, 0), granted(1)],
        "who has nothing left is none"
    );
}

#[test]
fn groups_do_not_compete_with_each_other() {
    let rules = [
        member(1, 200, GroupMode::First, 1),
        member(2, 3, GroupMode::Best, 2),
        member(3, 0, GroupMode::Stackable, 3),
        member(4, 200, GroupMode::First, 4),
        member(5, 3, GroupMode::Best, 5),
        member(6, 0, GroupMode::Stackable, 6),
    ];
    assert_eq!(told(&rules), [granted(1), TAKEN, granted(3), TAKEN, granted(5), granted(6)]);
}

#[test]
fn candidates_of_different_assets_compete_by_their_numbers() {
    let other = Definition { effect: fixed(2, 6), ..member(2, 1, GroupMode::Best, 0) };
    assert_eq!(told(&[member(1, 1, GroupMode::Best, 5), other]), [TAKEN, granted(6)]);
}

#[test]
fn a_rule_whose_group_was_taken_counts_the_payment_and_no_grant() {
    let mut platform = Platform::of(&[member(1, 1, GroupMode::First, 5), member(2, 1, GroupMode::First, 5)]);
    platform.told(&payment("A1", 1, 100));
    let counters = platform.own(key(1), 2);
    assert_eq!((counters.spend, counters.payments), (Amount(100), 1));
    assert_eq!((counters.granted, counters.grants), (Amount(0), 0));
    assert_eq!((platform.state.rules[1].granted, platform.state.rules[1].grants), (Amount(0), 0));
}

#[test]
fn a_group_is_taken_anew_by_each_payment() {
    let small = [when(0, Field::Amount, Operator::Lt, 50)];
    let first = Definition { condition: &small, ..member(1, 1, GroupMode::First, 5) };
    let mut platform = Platform::of(&[first, member(2, 1, GroupMode::First, 7)]);
    assert_eq!(platform.told(&payment("A1", 1, 49)), [granted(5), TAKEN]);
    assert_eq!(platform.told(&payment("A2", 1, 50)), [(Reason::NotMatched, 0), granted(7)]);
    assert_eq!(platform.told(&Payment { product: 3, ..payment("A3", 1, 49) }), [granted(5), TAKEN]);
}

proptest! {
    #[test]
    fn of_each_group_that_competes_exactly_one_candidate_pays(
        members in prop::collection::vec((0..3u8, 1..5u64), 1..10),
    ) {
        let modes = [GroupMode::Stackable, GroupMode::First, GroupMode::Best];
        let rules: Vec<_> = (1..)
            .zip(&members)
            .map(|(id, (group, amount))| member(id, *group, modes[usize::from(*group)], *amount))
            .collect();
        let told = told(&rules);
        for group in 0..3u8 {
            let of_group = || members.iter().zip(&told).filter(|((of, _), _)| *of == group);
            let paid: Vec<_> = of_group().filter(|(_, told)| told.0 == Reason::Granted).map(|(_, told)| told.1).collect();
            let amounts: Vec<_> = of_group().map(|((_, amount), _)| *amount).collect();
            let expected = match group {
                0 => amounts,
                1 => amounts.into_iter().take(1).collect(),
                _ => amounts.into_iter().max().into_iter().collect(),
            };
            prop_assert_eq!(paid, expected);
        }
    }
}
