//! Conditions, against an evaluator that does what the specification says without thinking of cost.

use crate::given::{NOON, always, amounts, conditions, fixed, midnight, payment, published, unless, utc_plus, when};
use proptest::prelude::*;
use rebate_core::{
    counters::Counters,
    evaluate::{Context, CountersByScope, Evaluation, Stop},
    outcome::Reason,
    payment::Payment,
    refusal::Refusal,
    rule::{Definition, Field, Operator, Predicate},
    time::{DAY, UtcOffset},
    units::{Amount, LocalDay, PaymentNumber, RuleId, RuleVersion, Timestamp},
};
use std::collections::BTreeMap;

/// 1970-01-05, a Monday, noon in Shanghai.
const MONDAY: i64 = 4 * DAY + 4 * 3_600;

fn shanghai() -> Vec<UtcOffset> {
    utc_plus(8, 0)
}

/// What the rule counted before: nothing.
fn nothing() -> Counters {
    counted(0, 0, 0, 0)
}

/// What the rule counted before, over its lifetime.
fn counted(spend: u64, payments: u32, streak: u32, streak_day: i32) -> Counters {
    Counters {
        rule: RuleId(1),
        epoch: RuleVersion(1),
        spend: Amount(spend),
        payments,
        streak,
        streak_day: LocalDay(streak_day),
        ..Counters::default()
    }
}

/// What the rules' evaluator makes of a condition: `None` where it holds, else the clause it reports.
fn decided(
    condition: &[Predicate],
    payment: &Payment,
    number: u64,
    before: Counters,
    offsets: &[UtcOffset],
) -> Result<Option<u8>, Refusal> {
    let rules = [published(&Definition { condition, ..always(1, fixed(1, 1)) })];
    let context = Context { rules: &rules, offsets, number: PaymentNumber(number), free: None };
    let mut evaluation = Evaluation::default();
    let counters = CountersByScope { user: &mut [before], streamer: None, session: None };
    match evaluation.decide(payment, &context, &mut Default::default(), &counters) {
        Ok(()) => {}
        Err(Stop::Refused(refusal)) => return Err(refusal),
        Err(stop) => panic!("{stop:?}"),
    }
    let outcomes = evaluation.outcomes();
    assert_eq!(outcomes.len(), 1, "one rule, one outcome");
    assert!(matches!(outcomes[0].reason, Reason::Granted | Reason::NotMatched), "the rule grants 1");
    Ok((outcomes[0].reason == Reason::NotMatched).then_some(outcomes[0].clause))
}

fn failing(condition: &[Predicate], payment: &Payment, number: u64) -> Option<u8> {
    decided(condition, payment, number, nothing(), &shanghai()).unwrap()
}

/// The same by the specification: a clause fails if none of its predicates holds.
fn naively(condition: &[Predicate], payment: &Payment, number: u64, before: Counters) -> Result<Option<u8>, Refusal> {
    let local = i128::from(payment.paid_at.0) + 8 * 3_600;
    let local_day = local.div_euclid(86_400);
    let fails = |only_base: bool, counters: &Counters| {
        let mut clauses = BTreeMap::<u8, Vec<bool>>::new();
        let of_base = |clause| condition.iter().all(|one| one.clause != clause || one.is_base());
        for predicate in condition.iter().filter(|one| !only_base || of_base(one.clause)) {
            let actual = match predicate.field().unwrap() {
                Field::Amount => i128::from(payment.amount.0),
                Field::Product => i128::from(payment.product),
                Field::Weekday => (local_day + 3).rem_euclid(7) + 1,
                Field::PaymentNumber => i128::from(number),
                Field::Hour => local.rem_euclid(86_400) / 3_600,
                Field::Date => date(local_day),
                Field::Spend => i128::from(counters.spend.0),
                Field::Payments => i128::from(counters.payments),
                Field::StreakDays => i128::from(counters.streak),
                Field::Tier => i128::from(payment.tier),
                Field::Segments => i128::from(payment.segments),
                Field::Streamer => i128::from(payment.streamer),
                Field::Session => i128::from(payment.session),
            };
            let value = i128::from(predicate.value);
            let holds = match predicate.operator().unwrap() {
                Operator::Eq => actual == value,
                Operator::Ne => actual != value,
                Operator::Lt => actual < value,
                Operator::Le => actual <= value,
                Operator::Gt => actual > value,
                Operator::Ge => actual >= value,
                Operator::Any if predicate.field() == Some(Field::Segments) => actual & value != 0,
                Operator::Any => (0..64).any(|bit| value >> bit & 1 == 1 && actual == bit),
            };
            clauses.entry(predicate.clause).or_default().push(if predicate.negated() { !holds } else { holds });
        }
        clauses.into_iter().find(|(_, predicates)| !predicates.contains(&true)).map(|(clause, _)| clause)
    };
    let mut after = before;
    if fails(true, &before).is_none() {
        after.spend.0 = before.spend.0.checked_add(payment.amount.0).ok_or(Refusal::AmountOverflow)?;
        after.payments += 1;
        let day = i128::from(before.streak_day.0);
        after.streak = match local_day - day {
            _ if before.streak == 0 => 1,
            ..=0 => before.streak,
            1 => before.streak + 1,
            _ => 1,
        };
    }
    Ok(fails(false, &after))
}

/// yyyymmdd, found by going through the years and months.
fn date(day: i128) -> i128 {
    let (mut year, mut month) = (1970, 1);
    let begins = |year: i128, month: i128| i128::from(midnight(year as i64, month as i64, 1) / DAY);
    while begins(year + 1, 1) <= day {
        year += 1;
    }
    while month < 12 && begins(year, month + 1) <= day {
        month += 1;
    }
    year * 10_000 + month * 100 + (day - begins(year, month)) + 1
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_condition_fails_at_the_first_clause_none_of_whose_predicates_holds(
        condition in conditions(12),
        amount in amounts(),
        (product, tier, segments, streamer, session) in (0..4u16, 0..4u8, 0..8u32, 0..3u64, 0..3u64),
        paid_at in prop_oneof![0..4_000_000_000i64, NOON.0 - 60 * DAY..NOON.0 + 60 * DAY],
        number in 1..5u64,
        (spend, payments, streak) in (prop_oneof![0..2_000u64, amounts()], 0..6u32, 0..5u32),
        since in -1..4i64,
    ) {
        let payment = Payment {
            amount: Amount(amount), paid_at: Timestamp(paid_at), product, tier, segments, streamer, session,
            ..payment("A1", 1, 1)
        };
        let day = (paid_at + 8 * 3_600) / DAY - since;
        let before = counted(spend, payments, streak, day as i32);
        let expected = naively(&condition, &payment, number, before);
        prop_assert_eq!(decided(&condition, &payment, number, before, &shanghai()), expected);
    }

    #[test]
    fn a_negated_predicate_holds_where_the_predicate_does_not(condition in conditions(12), amount in amounts()) {
        let payment = Payment { amount: Amount(amount), ..payment("A1", 1, 1) };
        for predicate in condition {
            let (field, operator) = (predicate.field().unwrap(), predicate.operator().unwrap());
            let holds = |not| failing(&[Predicate::new(0, not, field, operator, predicate.value)], &payment, 2).is_none();
            prop_assert_ne!(holds(false), holds(true));
        }
    }
}

#[test]
fn no_condition_always_holds() {
    assert_eq!(failing(&[], &payment("A1", 1, 1), 1), None);
}

#[test]
fn each_operator_compares_below_at_and_above_its_value() {
    for (operator, expected) in [
        (Operator::Eq, [false, true, false]),
        (Operator::Ne, [true, false, true]),
        (Operator::Lt, [true, false, false]),
        (Operator::Le, [true, true, false]),
        (Operator::Gt, [false, false, true]),
        (Operator::Ge, [false, true, true]),
    ] {
        for value in [3_000, 1 << 63, u64::MAX - 1] {
            let amounts = [value - 1, value, value + 1].map(|amount| payment("A1", 1, amount));
            let condition = [when(0, Field::Amount, operator, value)];
            assert_eq!(amounts.map(|one| failing(&condition, &one, 1).is_none()), expected, "{operator:?}");
            let negated = [unless(0, Field::Amount, operator, value)];
            let other = expected.map(|holds| !holds);
            assert_eq!(amounts.map(|one| failing(&negated, &one, 1).is_none()), other, "not {operator:?}");
        }
    }
}

#[test]
fn each_field_reads_its_own_part_of_the_payment_and_of_what_was_counted() {
    let payment = Payment {
        amount: Amount(11),
        product: 22,
        paid_at: Timestamp(MONDAY),
        streamer: 33,
        session: 55,
        tier: 66,
        segments: 77,
        ..payment("A1", 1, 1)
    };
    let before = counted(88, 98, 109, 3);
    for (field, value) in [
        (Field::Amount, 11),
        (Field::Product, 22),
        (Field::Weekday, 1),
        (Field::PaymentNumber, 44),
        (Field::Hour, 12),
        (Field::Date, 19_700_105),
        (Field::Spend, 99),
        (Field::Payments, 99),
        (Field::StreakDays, 110),
        (Field::Tier, 66),
        (Field::Segments, 77),
        (Field::Streamer, 33),
        (Field::Session, 55),
    ] {
        let failing =
            |value| decided(&[when(0, field, Operator::Eq, value)], &payment, 44, before, &shanghai()).unwrap();
        assert_eq!(failing(value), None, "{field:?}");
        assert_eq!(failing(value + 1), Some(0), "{field:?}");
    }
}

#[test]
fn a_set_of_weekdays_holds_on_exactly_those_days() {
    for set in 1..=127u64 {
        let condition = [when(0, Field::Weekday, Operator::Any, set << 1)];
        for day in 0..7 {
            let payment = Payment { paid_at: Timestamp(MONDAY + day * DAY), ..payment("A1", 1, 1) };
            let expected = set >> day & 1 == 1;
            assert_eq!(failing(&condition, &payment, 1).is_none(), expected, "day {day} of {set:#b}");
        }
    }
}

#[test]
fn a_set_of_hours_holds_in_exactly_those_hours_to_the_second() {
    for (hours, minutes) in [(0, 0), (8, 0), (5, 30), (-3, -30), (12, 45)] {
        let offsets = utc_plus(hours, minutes);
        let midnight = NOON.0.div_euclid(DAY) * DAY - i64::from(hours * 3_600 + minutes * 60);
        for hour in 0..24 {
            let condition = [when(0, Field::Hour, Operator::Any, 1 << hour)];
            for (second, expected) in [
                (hour * 3_600 - 1, false),
                (hour * 3_600, true),
                (hour * 3_600 + 3_599, true),
                (hour * 3_600 + 3_600, false),
            ] {
                let payment = Payment { paid_at: Timestamp(midnight + second), ..payment("A1", 1, 1) };
                let holds = decided(&condition, &payment, 1, nothing(), &offsets).unwrap().is_none();
                assert_eq!(holds, expected, "{second} s into a day at {hours}:{minutes}, hour {hour}");
            }
        }
    }
    let night = [when(0, Field::Hour, Operator::Any, 1 << 23 | 1)];
    for (hour, expected) in [(22, false), (23, true), (24, true), (25, false)] {
        let payment = Payment { paid_at: Timestamp(20_729 * DAY + hour * 3_600), ..payment("A1", 1, 1) };
        assert_eq!(decided(&night, &payment, 1, nothing(), &[]).unwrap().is_none(), expected, "{hour}");
    }
}

#[test]
fn segments_are_met_by_any_one_in_common_and_compared_as_a_number() {
    for (segments, any, expected) in [
        (0b0101, 0b0100, true),
        (0b0101, 0b1010, false),
        (0, 1, false),
        (u32::MAX, 1 << 31, true),
        (1 << 31, 1 << 31, true),
    ] {
        let payment = Payment { segments, ..payment("A1", 1, 1) };
        let condition = [when(0, Field::Segments, Operator::Any, any)];
        assert_eq!(failing(&condition, &payment, 1).is_none(), expected, "{segments:#b} any {any:#b}");
        let condition = [unless(0, Field::Segments, Operator::Any, any)];
        assert_eq!(failing(&condition, &payment, 1).is_none(), !expected, "not {segments:#b} any {any:#b}");
        let condition = [when(0, Field::Segments, Operator::Eq, u64::from(segments))];
        assert_eq!(failing(&condition, &payment, 1), None);
    }
}

#[test]
fn a_date_is_that_of_the_local_calendar_on_leap_days_and_at_the_turn_of_the_year() {
    for (year, month, day) in [
        (1970, 1, 1),
        (1999, 12, 31),
        (2000, 2, 29),
        (2024, 2, 29),
        (2026, 2, 28),
        (2026, 3, 1),
        (2100, 2, 28),
        (2100, 12, 31),
    ] {
        let expected = (year * 10_000 + month * 100 + day) as u64;
        let condition = [when(0, Field::Date, Operator::Eq, expected)];
        for (hours, minutes) in [(0, 0), (5, 30), (-3, -30), (12, 45)] {
            let first = midnight(year, month, day) - i64::from(hours * 3_600 + minutes * 60);
            for (at, expected) in [(first - 1, false), (first, true), (first + DAY - 1, true), (first + DAY, false)] {
                let payment = Payment { paid_at: Timestamp(at), ..payment("A1", 1, 1) };
                let holds = decided(&condition, &payment, 1, nothing(), &utc_plus(hours, minutes)).unwrap().is_none();
                assert_eq!(holds, expected, "{year}-{month}-{day}, {at} at {hours}:{minutes}");
            }
        }
    }
}

#[test]
fn the_first_clause_that_fails_is_reported_not_a_later_one() {
    let holds = |clause| when(clause, Field::Amount, Operator::Ge, 1);
    let fails = |clause| when(clause, Field::Amount, Operator::Eq, 0);
    let payment = payment("A1", 1, 100);
    assert_eq!(failing(&[fails(0), holds(0), holds(1)], &payment, 1), None);
    assert_eq!(failing(&[holds(0), fails(1), fails(2)], &payment, 1), Some(1));
    assert_eq!(failing(&[holds(0), fails(1), fails(1), holds(1), fails(2), fails(2)], &payment, 1), Some(2));
    assert_eq!(failing(&[fails(0), fails(1)], &payment, 1), Some(0));
}

#[test]
fn a_clause_on_counters_that_fails_first_is_reported_before_a_base_clause_behind_it() {
    let spent = when(0, Field::Spend, Operator::Ge, 1_000);
    let product = when(1, Field::Product, Operator::Eq, 1);
    let payment = payment("A1", 1, 100);
    assert_eq!(failing(&[spent, product], &payment, 1), Some(0));
    let other_way_round = [when(0, Field::Product, Operator::Eq, 1), when(1, Field::Spend, Operator::Ge, 1_000)];
    assert_eq!(failing(&other_way_round, &payment, 1), Some(0));
}

#[test]
fn spend_payments_and_streak_include_a_payment_that_counts_and_not_one_that_does_not() {
    let first = [when(0, Field::Spend, Operator::Ge, 100), when(1, Field::Payments, Operator::Eq, 1)];
    assert_eq!(failing(&first, &payment("A1", 1, 100), 1), None);
    assert_eq!(failing(&first, &payment("A1", 1, 99), 1), Some(0));
    let streak = [when(0, Field::StreakDays, Operator::Ge, 1)];
    assert_eq!(failing(&streak, &payment("A1", 1, 1), 1), None);
    // A payment of another product does not count: its 100 are not among what was spent.
    let product = [when(0, Field::Spend, Operator::Ge, 100), when(1, Field::Product, Operator::Eq, 1)];
    assert_eq!(failing(&product, &payment("A1", 1, 100), 1), Some(0));
    assert_eq!(failing(&product, &Payment { product: 1, ..payment("A1", 1, 100) }, 1), None);
}

#[test]
fn the_largest_spend_can_be_reached_and_not_passed() {
    let condition = [when(0, Field::Spend, Operator::Eq, u64::MAX)];
    let before = counted(u64::MAX - 5, 1, 1, 0);
    assert_eq!(decided(&condition, &payment("A1", 1, 5), 1, before, &[]), Ok(None));
    assert_eq!(decided(&condition, &payment("A1", 1, 6), 1, before, &[]), Err(Refusal::AmountOverflow));
}
