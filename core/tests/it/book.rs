//! How versions follow one another in a rule book.

use crate::{
    given::{NOON, always, fixed, in_all, key, payment, per_user, published, streak},
    platform::Platform,
};
use proptest::prelude::*;
use rebate_core::{
    book::{NotNext, NothingToEnd, end, is_over, succeed},
    outcome::Reason,
    payment::Payment,
    rule::{Definition, GroupMode, Rule},
    time::DAY,
    units::{Amount, GroupId, OrderHash, RuleId, RuleVersion, Timestamp},
    window::{Scope, Window},
};

const SOUND: Definition<'static> = always(1, fixed(1, 5));

/// Version `version` of [`SOUND`].
fn version(version: u16) -> Definition<'static> {
    Definition { version: RuleVersion(version), ..SOUND }
}

/// Publishes into a book and says into which slot.
fn add(rules: &mut Vec<Rule>, definition: &Definition<'_>, from: i64) -> Result<usize, NotNext> {
    let mut new = Rule::new(definition, Timestamp(from)).unwrap();
    let slot = succeed(rules, &mut new)?;
    rules.insert(slot, new);
    Ok(slot)
}

#[test]
fn versions_are_published_one_after_the_other_from_one() {
    let mut rules = Vec::new();
    assert_eq!(add(&mut rules, &version(2), 0), Err(NotNext::Version));
    assert_eq!(add(&mut rules, &version(1), 0), Ok(0));
    assert_eq!(add(&mut rules, &version(1), 10), Err(NotNext::Version));
    assert_eq!(add(&mut rules, &version(3), 10), Err(NotNext::Version));
    assert_eq!(add(&mut rules, &version(2), 10), Ok(1));
    assert_eq!(add(&mut rules, &version(3), 20), Ok(2));
    assert_eq!(
        add(&mut rules, &Definition { version: RuleVersion(4), ..always(2, fixed(1, 5)) }, 30),
        Err(NotNext::Version)
    );
    let mut last = vec![published(&version(u16::MAX))];
    assert_eq!(add(&mut last, &version(1), 10), Err(NotNext::Version), "there is no version after the last");
}

#[test]
fn a_version_takes_effect_no_earlier_than_the_one_before() {
    let mut rules = Vec::new();
    add(&mut rules, &version(1), 100).unwrap();
    let before = rules.clone();
    assert_eq!(add(&mut rules, &version(2), 99), Err(NotNext::TooEarly));
    assert_eq!(rules, before, "nothing was changed");
    assert_eq!(add(&mut rules, &version(2), 100), Ok(1));
    for (at, expected) in [(99, vec![]), (100, vec![2]), (101, vec![2])] {
        let in_force = rules.iter().filter(|rule| rule.in_force(Timestamp(at))).map(|rule| rule.version.0);
        assert_eq!(in_force.collect::<Vec<_>>(), expected, "at {at}");
    }
}

#[test]
fn a_version_that_is_for_ever_succeeds_none() {
    let mut rules = vec![published(&SOUND)];
    let before = rules.clone();
    assert_eq!(add(&mut rules, &version(2), 0), Err(NotNext::TooEarly), "both would pay, at every time");
    assert_eq!(rules, before);
    assert_eq!(add(&mut rules, &version(2), 1), Ok(1));
}

#[test]
fn a_rule_can_be_ended_without_a_successor_and_earlier_than_by_itself() {
    let mut rules = Vec::new();
    assert_eq!(end(&mut rules, RuleId(1), Timestamp(100)), Err(NothingToEnd));
    add(&mut rules, &Definition { ends_at: Timestamp(500), ..version(1) }, 50).unwrap();
    add(&mut rules, &always(2, fixed(1, 5)), 0).unwrap();
    let before = rules.clone();
    for ends_at in [500, 501, i64::MAX] {
        assert_eq!(end(&mut rules, RuleId(1), Timestamp(ends_at)), Err(NothingToEnd), "at {ends_at} it has ended");
    }
    assert_eq!(rules, before, "nothing was changed");
    assert_eq!(end(&mut rules, RuleId(1), Timestamp(400)), Ok(RuleVersion(1)));
    assert_eq!((rules[0].end(), rules[1].end()), (Some(Timestamp(400)), None));
    assert!(rules[0].in_force(Timestamp(399)) && !rules[0].in_force(Timestamp(400)));
    assert_eq!(end(&mut rules, RuleId(1), Timestamp(400)), Err(NothingToEnd), "a rule ends once");
    assert_eq!(end(&mut rules, RuleId(1), Timestamp(300)), Ok(RuleVersion(1)), "or earlier");
    assert_eq!(end(&mut rules, RuleId(1), Timestamp(0)), Err(NothingToEnd), "0 is no end");
    assert_eq!(rules[0].end(), Some(Timestamp(300)));
}

#[test]
fn only_the_last_version_is_ended() {
    let mut rules = Vec::new();
    add(&mut rules, &version(1), 50).unwrap();
    add(&mut rules, &version(2), 100).unwrap();
    assert_eq!(end(&mut rules, RuleId(1), Timestamp(200)), Ok(RuleVersion(2)));
    assert_eq!((rules[0].end(), rules[1].end()), (Some(Timestamp(100)), Some(Timestamp(200))));
}

#[test]
fn a_version_that_was_ended_stays_so_when_a_later_one_succeeds_it() {
    let mut rules = Vec::new();
    add(&mut rules, &version(1), 50).unwrap();
    end(&mut rules, RuleId(1), Timestamp(100)).unwrap();
    add(&mut rules, &version(2), 200).unwrap();
    assert_eq!((rules[0].end(), rules[1].end()), (Some(Timestamp(100)), None));
    assert!(!rules.iter().any(|rule| rule.in_force(Timestamp(150))), "between the two there is none");
    let mut rules = Vec::new();
    add(&mut rules, &version(1), 50).unwrap();
    end(&mut rules, RuleId(1), Timestamp(300)).unwrap();
    add(&mut rules, &version(2), 200).unwrap();
    assert_eq!(rules[0].end(), Some(Timestamp(200)), "and one that was to end later ends there");
}

#[test]
fn all_rules_of_a_group_compete_in_the_same_way() {
    let in_group = |id, group, group_mode| Definition { group: GroupId(group), group_mode, ..always(id, fixed(1, 5)) };
    let mut rules = Vec::new();
    add(&mut rules, &in_group(1, 1, GroupMode::First), 0).unwrap();
    assert_eq!(add(&mut rules, &in_group(2, 1, GroupMode::Best), 0), Err(NotNext::GroupMode));
    assert_eq!(add(&mut rules, &in_group(2, 2, GroupMode::Best), 0), Ok(1));
    assert_eq!(add(&mut rules, &in_group(3, 1, GroupMode::First), 0), Ok(2));
    let other = Definition { version: RuleVersion(2), ..in_group(1, 1, GroupMode::Stackable) };
    assert_eq!(add(&mut rules, &other, 10), Err(NotNext::GroupMode));
}

#[test]
fn a_rule_belongs_into_its_place_in_the_order_of_evaluation() {
    let mut rules = Vec::new();
    let at = |id, priority| Definition { priority, ..always(id, fixed(1, 5)) };
    for (definition, expected) in [(at(5, 10), 0), (at(3, 10), 0), (at(9, 5), 0), (at(4, 10), 2), (at(1, 20), 4)] {
        assert_eq!(add(&mut rules, &definition, 0), Ok(expected));
    }
    let moved = Definition { version: RuleVersion(2), ..at(5, 1) };
    assert_eq!(add(&mut rules, &moved, 10), Ok(0), "a version may have another priority");
    assert!(rules.is_sorted_by_key(Rule::order));
}

#[test]
fn the_version_before_ends_where_the_next_takes_effect() {
    let mut rules = Vec::new();
    add(&mut rules, &Definition { ends_at: Timestamp(150), ..version(1) }, 50).unwrap();
    assert_eq!((rules[0].end(), rules[0].has_siblings), (Some(Timestamp(150)), 0));
    add(&mut rules, &version(2), 100).unwrap();
    assert_eq!((rules[0].superseded_at, rules[0].end()), (Timestamp(100), Some(Timestamp(100))));
    assert_eq!((rules[1].superseded_at, rules[1].end()), (Timestamp(0), None));
    assert_eq!((rules[0].has_siblings, rules[1].has_siblings), (1, 1));
    add(&mut rules, &version(3), 200).unwrap();
    assert_eq!(rules[0].superseded_at, Timestamp(100), "only the last version is succeeded");
    assert_eq!(rules[1].superseded_at, Timestamp(200));
}

#[test]
fn a_version_is_over_once_no_payment_can_come_for_it() {
    let mut rule = published(&Definition { ends_at: Timestamp(150), ..SOUND });
    for (open_from, expected) in [(149, false), (150, true), (151, true)] {
        assert_eq!(is_over(&rule, Timestamp(open_from)), expected, "{open_from}");
        assert_eq!(rule.in_force(Timestamp(open_from)), !expected);
    }
    rule.superseded_at = Timestamp(120);
    assert!(is_over(&rule, Timestamp(120)) && !is_over(&rule, Timestamp(119)));
    assert!(!is_over(&published(&SOUND), Timestamp(i64::MAX)), "an open end never comes");
}

#[test]
fn a_version_goes_on_with_counters_and_budget() {
    let mut platform = Platform::of(&[Definition { limits: in_all(12, 0), ..SOUND }]);
    platform.told(&payment("A1", 1, 100));
    let dearer = always(1, fixed(1, 10));
    let next = Definition { version: RuleVersion(2), limits: in_all(12, 0), ..dearer };
    platform.publish(&next, NOON.0 + 10).unwrap();
    assert_eq!(platform.state.rules[1].budget_spent, Amount(5));
    platform.now = Timestamp(NOON.0 + 10);
    let later = Payment { paid_at: platform.now, ..payment("A2", 1, 100) };
    assert_eq!(platform.told(&later), [(Reason::Granted, 7)], "5 of the budget of 12 were spent by version 1");
    let counters = platform.own(key(1), 1);
    assert_eq!((counters.payments, counters.grants, counters.granted), (2, 2, Amount(12)));
    for rule in &platform.state.rules {
        assert_eq!((rule.budget_spent, rule.budget_grants), (Amount(12), 2), "all versions know of one budget");
    }
    let own: Vec<_> = platform.state.rules.iter().map(|rule| (rule.granted.0, rule.grants)).collect();
    assert_eq!(own, [(5, 1), (7, 1)], "and each of its own grants");
}

#[test]
fn a_late_payment_is_judged_by_the_version_of_its_time_and_spends_the_same_budget() {
    let mut platform = Platform::of(&[Definition { limits: in_all(12, 0), ..SOUND }]);
    let next = Definition { version: RuleVersion(2), limits: in_all(12, 0), ..always(1, fixed(1, 10)) };
    platform.publish(&next, NOON.0 + 10).unwrap();
    platform.now = Timestamp(NOON.0 + 10);
    let on_time = Payment { paid_at: platform.now, ..payment("A1", 1, 100) };
    assert_eq!(platform.told(&on_time), [(Reason::Granted, 10)]);
    let late = platform.pay(&payment("A2", 1, 100)).unwrap();
    assert_eq!((late[0].version, late[0].amount), (RuleVersion(1), Amount(2)));
    assert_eq!(platform.told(&payment("A3", 1, 100)), [(Reason::BudgetSpent, 0)]);
}

/// A platform with two versions, of which the second changes something, and what the second makes of the counters.
fn changed(first: &Definition<'_>, second: &Definition<'_>) -> (Platform, u32) {
    let mut platform = Platform::of(&[*first]);
    platform.told(&payment("A1", 1, 100));
    platform.publish(&Definition { version: RuleVersion(2), ..*second }, NOON.0 + 10).unwrap();
    platform.now = Timestamp(NOON.0 + 10);
    platform.told(&Payment { paid_at: platform.now, ..payment("A2", 1, 100) });
    let payments = platform.counters(key(1), second.scope, 0, 1).unwrap().payments;
    (platform, payments)
}

#[test]
fn a_version_with_another_window_or_scope_begins_its_counters_anew() {
    let day = Definition { window: Window::Day, ..SOUND };
    let schedule = Definition { window: Window::Schedule, starts_at: Timestamp(5), ..SOUND };
    for (first, second, expected, what) in [
        (SOUND, always(1, streak(2, 5, true)), 2, "another effect"),
        (SOUND, Definition { limits: per_user(7, 7), priority: 1, ..SOUND }, 2, "other limits, another priority"),
        (SOUND, Definition { starts_at: Timestamp(5), ..SOUND }, 2, "another start, over a lifetime"),
        (schedule, schedule, 2, "the same schedule"),
        (schedule, Definition { ends_at: Timestamp(NOON.0 + 99), ..schedule }, 2, "the same start"),
        (schedule, Definition { starts_at: Timestamp(6), ..schedule }, 1, "another schedule"),
        (day, SOUND, 1, "another window"),
        (SOUND, Definition { window: Window::Schedule, ..SOUND }, 1, "another window that never ends"),
        (SOUND, Definition { scope: Scope::UserStreamer, ..SOUND }, 1, "another scope"),
    ] {
        let (platform, payments) = changed(&first, &second);
        assert_eq!(payments, expected, "{what}");
        let epoch = platform.state.rules.iter().find(|rule| rule.version == RuleVersion(2)).unwrap().epoch;
        assert_eq!(epoch, RuleVersion(if expected == 2 { 1 } else { 2 }), "{what}");
    }
}

#[test]
fn a_version_that_begins_anew_forgets_the_streak_too() {
    let mut platform = Platform::of(&[Definition { window: Window::Day, ..always(1, streak(2, 5, false)) }]);
    platform.told(&payment("A1", 1, 100));
    let weekly = Definition { version: RuleVersion(2), window: Window::Week, ..always(1, streak(2, 5, false)) };
    platform.publish(&weekly, NOON.0 + 10).unwrap();
    platform.now = Timestamp(NOON.0 + DAY);
    let next_day = Payment { paid_at: platform.now, ..payment("A2", 1, 100) };
    assert_eq!(platform.told(&next_day), [(Reason::NothingDue, 0)]);
    assert_eq!(platform.own(key(1), 1).streak, 1);
}

#[test]
fn counters_that_a_later_version_began_anew_make_an_earlier_ones_payment_late() {
    let (mut platform, _) = changed(&SOUND, &Definition { window: Window::Month, ..SOUND });
    let counters = platform.own(key(1), 1);
    assert_eq!(platform.told(&payment("A3", 1, 100)), [(Reason::LateForWindow, 0)]);
    assert_eq!(platform.own(key(1), 1), counters, "the counters stay");
}

#[test]
fn a_window_that_comes_back_is_a_new_one() {
    let day = Definition { window: Window::Day, ..SOUND };
    let (mut platform, _) = changed(&day, &Definition { window: Window::Week, ..SOUND });
    platform.publish(&Definition { version: RuleVersion(3), ..day }, NOON.0 + 20).unwrap();
    platform.now = Timestamp(NOON.0 + 20);
    platform.told(&Payment { paid_at: platform.now, ..payment("A3", 1, 100) });
    assert_eq!((platform.own(key(1), 1).payments, platform.own(key(1), 1).epoch), (1, RuleVersion(3)));
}

#[test]
fn a_refund_of_what_an_earlier_version_granted_gives_back_to_the_budget_of_all() {
    let mut platform = Platform::of(&[Definition { limits: in_all(12, 0), ..SOUND }]);
    platform.told(&payment("A1", 1, 100));
    let next = Definition { version: RuleVersion(2), limits: in_all(12, 0), ..always(1, fixed(1, 10)) };
    platform.publish(&next, NOON.0 + 10).unwrap();
    platform.now = Timestamp(NOON.0 + 10);
    platform.give_back("R1", "A1", 100).unwrap();
    let totals: Vec<_> =
        platform.state.rules.iter().map(|rule| (rule.reversed.0, rule.budget_spent.0, rule.budget_grants)).collect();
    assert_eq!(totals, [(5, 0, 1), (0, 0, 1)], "what was reversed is the version's, the budget everybody's");
    let later = Payment { paid_at: platform.now, ..payment("A2", 1, 100) };
    assert_eq!(platform.told(&later), [(Reason::Granted, 10)]);
}

#[test]
fn a_refund_of_what_a_version_long_gone_granted_gives_back_to_the_budget() {
    let mut platform = Platform::of(&[SOUND]);
    platform.told(&payment("A1", 1, 100));
    platform.publish(&version(2), NOON.0 + 10).unwrap();
    platform.state.rules.retain(|rule| rule.version == RuleVersion(2));
    platform.now = Timestamp(NOON.0 + 10);
    let outcomes = platform.give_back("R1", "A1", 100).unwrap();
    assert_eq!((outcomes[0].version, outcomes[0].amount), (RuleVersion(1), Amount(5)));
    assert_eq!((platform.state.rules[0].budget_spent, platform.state.rules[0].reversed), (Amount(0), Amount(0)));
    assert_eq!(platform.balance(key(1), 1), (0, 0));
}

#[test]
fn a_refund_of_what_a_rule_long_gone_granted_still_reverses_it() {
    let mut platform = Platform::of(&[SOUND, always(2, fixed(1, 3))]);
    platform.told(&payment("A1", 1, 100));
    platform.state.rules.retain(|rule| rule.id.0 == 2);
    platform.give_back("R1", "A1", 100).unwrap();
    assert_eq!(platform.balance(key(1), 1), (0, 0));
    assert_eq!(platform.state.orders[&OrderHash::of("A1")].grants[0].reversed, Amount(5));
    assert_eq!(platform.state.rules[0].reversed, Amount(3), "and no other rule is told of it");
}

proptest! {
    #[test]
    fn at_every_second_exactly_the_last_version_in_effect_is_in_force(
        steps in prop::collection::vec(0..20i64, 1..8), at in 0..200i64,
    ) {
        let mut rules = Vec::new();
        let (mut from, mut expected) = (0, None);
        for (number, wait) in (1..).zip(steps) {
            from += wait + i64::from(number == 1);
            add(&mut rules, &version(number), from).unwrap();
            if from <= at {
                expected = Some(number);
            }
        }
        let in_force: Vec<_> =
            rules.iter().filter(|rule| rule.in_force(Timestamp(at))).map(|rule| rule.version.0).collect();
        prop_assert_eq!(in_force, Vec::from_iter(expected));
    }
}
