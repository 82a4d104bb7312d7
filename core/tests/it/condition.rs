//! Conditions, against an evaluator that does what the specification says without thinking of cost.

use crate::given::{always, amounts, conditions, fixed, payment, published};
use proptest::prelude::*;
use rebate_core::{
    evaluate::{Context, evaluate},
    outcome::Reason,
    payment::Payment,
    rule::{Definition, Field, Operator, Predicate},
    time::UtcOffset,
    units::{Amount, MAX_ASSETS, PaymentNumber, Timestamp},
};
use std::collections::BTreeMap;

/// 1970-01-05, a Monday, noon in Shanghai.
const MONDAY: i64 = 4 * 86_400 + 4 * 3_600;

fn shanghai() -> UtcOffset {
    UtcOffset::new(Timestamp(0), 8 * 3_600)
}

/// What the rules' evaluator makes of a condition: `None` where it holds, else the clause it reports.
fn failing(condition: &[Predicate], payment: &Payment, number: u64) -> Option<u8> {
    let rules = [published(&Definition { condition, ..always(1, fixed(1, 1)) })];
    let context = Context { rules: &rules, offsets: &[shanghai()], number: PaymentNumber(number) };
    let mut outcomes = Vec::new();
    evaluate(payment, &context, &mut [Amount(0); MAX_ASSETS], &mut outcomes).unwrap();
    assert_eq!(outcomes.len(), 1, "one rule, one outcome");
    assert_ne!(outcomes[0].reason, Reason::NothingDue, "the rule grants 1");
    (outcomes[0].reason == Reason::NotMatched).then_some(outcomes[0].clause)
}

/// The same by the specification: a clause fails if none of its predicates holds.
fn naively(condition: &[Predicate], payment: &Payment, number: u64) -> Option<u8> {
    let mut clauses = BTreeMap::<u8, Vec<bool>>::new();
    for predicate in condition {
        let local_day = (i128::from(payment.paid_at.0) + 8 * 3_600).div_euclid(86_400);
        let actual = match predicate.field().unwrap() {
            Field::Amount => i128::from(payment.amount.0),
            Field::Product => i128::from(payment.product),
            Field::Weekday => (local_day + 3).rem_euclid(7) + 1,
            Field::PaymentNumber => i128::from(number),
        };
        let value = i128::from(predicate.value);
        let holds = match predicate.operator().unwrap() {
            Operator::Eq => actual == value,
            Operator::Ne => actual != value,
            Operator::Lt => actual < value,
            Operator::Le => actual <= value,
            Operator::Gt => actual > value,
            Operator::Ge => actual >= value,
            Operator::Any => (0..64).any(|bit| value >> bit & 1 == 1 && actual == bit),
        };
        clauses.entry(predicate.clause).or_default().push(if predicate.negated() { !holds } else { holds });
    }
    clauses.into_iter().find(|(_, predicates)| !predicates.contains(&true)).map(|(clause, _)| clause)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_condition_fails_at_the_first_clause_none_of_whose_predicates_holds(
        condition in conditions(),
        amount in amounts(),
        product in 0..4u16,
        paid_at in 0..4_000_000_000i64,
        number in 1..5u64,
    ) {
        let payment =
            Payment { amount: Amount(amount), product, paid_at: Timestamp(paid_at), ..payment("A1", 1, 1) };
        prop_assert_eq!(failing(&condition, &payment, number), naively(&condition, &payment, number));
    }

    #[test]
    fn a_negated_predicate_holds_where_the_predicate_does_not(condition in conditions(), amount in amounts()) {
        let payment = Payment { amount: Amount(amount), ..payment("A1", 1, 1) };
        for predicate in condition {
            let (field, operator) = (predicate.field().unwrap(), predicate.operator().unwrap());
            let holds = |not| failing(&[Predicate::new(0, not, field, operator, predicate.value)], &payment, 2).is_none();
            prop_assert_ne!(holds(false), holds(true));
        }
    }
}

fn when(clause: u8, field: Field, operator: Operator, value: u64) -> Predicate {
    Predicate::new(clause, false, field, operator, value)
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
        let condition = [when(0, Field::Amount, operator, 3_000)];
        let holds = [2_999, 3_000, 3_001].map(|amount| failing(&condition, &payment("A1", 1, amount), 1).is_none());
        assert_eq!(holds, expected, "{operator:?}");
    }
}

#[test]
fn each_field_reads_its_own_part_of_the_payment() {
    let payment = Payment { amount: Amount(11), product: 22, paid_at: Timestamp(MONDAY), ..payment("A1", 1, 1) };
    for (field, value) in [(Field::Amount, 11), (Field::Product, 22), (Field::Weekday, 1), (Field::PaymentNumber, 44)] {
        assert_eq!(failing(&[when(0, field, Operator::Eq, value)], &payment, 44), None, "{field:?}");
        let other = if field == Field::Weekday { 2 } else { value + 1 };
        assert_eq!(failing(&[when(0, field, Operator::Eq, other)], &payment, 44), Some(0), "{field:?}");
    }
}

#[test]
fn a_set_of_weekdays_holds_on_exactly_those_days() {
    for set in 1..=127u64 {
        let condition = [when(0, Field::Weekday, Operator::Any, set << 1)];
        for day in 0..7 {
            let payment = Payment { paid_at: Timestamp(MONDAY + day * 86_400), ..payment("A1", 1, 1) };
            let expected = set >> day & 1 == 1;
            assert_eq!(failing(&condition, &payment, 1).is_none(), expected, "day {day} of {set:#b}");
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
