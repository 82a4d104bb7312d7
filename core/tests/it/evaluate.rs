//! Evaluating payments: what is granted is what moves, and nothing else does.

use crate::given::{NOON, always, amounts, conditions, effects, fixed, payment, payments, published, ratio};
use proptest::prelude::*;
use rebate_core::{
    evaluate::{Balances, Context, commit, evaluate},
    outcome::{Outcome, Reason},
    payment::Payment,
    refusal::Refusal,
    rule::{Definition, Field, Operator, Predicate, Rule},
    units::{Amount, MAX_ASSETS, PaymentNumber, RuleId, Timestamp},
};

const NOTHING: Balances = [Amount(0); MAX_ASSETS];

fn run(payment: &Payment, rules: &[Rule], number: u64, balances: &mut Balances) -> Result<Vec<Outcome>, Refusal> {
    let mut outcomes = Vec::new();
    let context = Context { rules, offsets: &[], number: PaymentNumber(number) };
    evaluate(payment, &context, balances, &mut outcomes).map(|()| outcomes)
}

/// Up to nine sound rules, some of them in force only for a while, in order of evaluation.
fn rule_books() -> impl Strategy<Value = Vec<Rule>> {
    let rule = (conditions(), effects(3), 0..4u16, prop::option::of((1..i64::MAX / 2, 1..i64::MAX / 2)));
    prop::collection::vec(rule, 0..=9).prop_map(|rules| {
        let mut rules: Vec<_> = (1..)
            .zip(rules)
            .map(|(id, (condition, effect, priority, schedule))| {
                let (starts_at, length) = schedule.unwrap_or((0, 0));
                published(&Definition {
                    priority,
                    condition: &condition,
                    starts_at: Timestamp(starts_at),
                    ends_at: Timestamp(starts_at + length),
                    ..always(id, effect)
                })
            })
            .collect();
        rules.sort_by_key(Rule::order);
        rules
    })
}

fn balances() -> impl Strategy<Value = Balances> {
    prop::array::uniform8(amounts()).prop_map(|balances| balances.map(Amount))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_sum_of_what_is_granted_is_what_each_balance_gains(
        payment in payments(), rules in rule_books(), number in 1..4u64, before in balances(),
    ) {
        let mut after = before;
        let Ok(outcomes) = run(&payment, &rules, number, &mut after) else { return Ok(()) };
        for slot in 0..MAX_ASSETS {
            let mut running = before[slot];
            for outcome in outcomes.iter().filter(|outcome| outcome.asset.slot() == Some(slot)) {
                prop_assert_eq!(outcome.before, running, "each outcome begins where the one before ended");
                prop_assert_eq!(u128::from(outcome.after.0), u128::from(running.0) + u128::from(outcome.amount.0));
                running = outcome.after;
            }
            prop_assert_eq!(running, after[slot]);
        }
    }

    #[test]
    fn every_rule_in_force_has_one_outcome_in_order_and_no_other_rule_has_any(
        payment in payments(), rules in rule_books(), number in 1..4u64,
    ) {
        let Ok(outcomes) = run(&payment, &rules, number, &mut NOTHING.clone()) else { return Ok(()) };
        let expected: Vec<_> = (0..)
            .zip(&rules)
            .filter(|(_, rule)| rule.in_force(payment.paid_at))
            .map(|(slot, rule)| (slot, rule.id, rule.version, rule.asset()))
            .collect();
        let found: Vec<_> =
            outcomes.iter().map(|outcome| (outcome.slot, outcome.rule, outcome.version, outcome.asset)).collect();
        prop_assert_eq!(found, expected);
        for outcome in outcomes {
            prop_assert_eq!(outcome.reason == Reason::Granted, outcome.amount > Amount(0));
            prop_assert!(outcome.reason == Reason::NotMatched || outcome.clause == 0);
        }
    }

    #[test]
    fn what_was_decided_before_leaves_no_trace_in_the_next_decision(
        refused in payments(), payment in payments(), rules in rule_books(), before in balances(),
    ) {
        let context = Context { rules: &rules, offsets: &[], number: PaymentNumber(1) };
        let mut outcomes = Vec::new();
        // Refused or not: the caller throws the balances away and uses the list again.
        let _ = evaluate(&refused, &context, &mut before.clone(), &mut outcomes);
        let mut after = before;
        let decided = evaluate(&payment, &context, &mut after, &mut outcomes).map(|()| outcomes);
        let mut after_alone = before;
        prop_assert_eq!(decided, run(&payment, &rules, 1, &mut after_alone));
        prop_assert!(after == after_alone || run(&payment, &rules, 1, &mut before.clone()).is_err());
    }

    #[test]
    fn what_a_rule_granted_in_all_is_the_sum_of_its_grants(
        paid in prop::collection::vec(1..1_000_000u64, 0..20), mut rules in rule_books(),
    ) {
        let mut balances = NOTHING;
        let mut granted = vec![(0u128, 0u64); rules.len()];
        for (number, amount) in (1..).zip(paid) {
            let Ok(outcomes) = run(&payment("A1", 1, amount), &rules, number, &mut balances) else { return Ok(()) };
            for outcome in outcomes.iter().filter(|outcome| outcome.reason == Reason::Granted) {
                granted[outcome.slot].0 += u128::from(outcome.amount.0);
                granted[outcome.slot].1 += 1;
            }
            commit(&mut rules, &outcomes);
        }
        let totals: Vec<_> = rules.iter().map(|rule| (u128::from(rule.granted.0), rule.grants)).collect();
        prop_assert_eq!(totals, granted);
    }

    #[test]
    fn in_which_order_unrelated_users_pay_does_not_matter(
        paid in prop::collection::vec((0..3usize, 1..1_000_000u64, 0..4u16), 1..24),
        keys in prop::collection::vec(any::<u64>(), 24),
        rules in rule_books(),
    ) {
        // The same payments with the users interleaved otherwise: each user's own keep their order.
        let mut order: Vec<_> = (0..paid.len()).collect();
        order.sort_by_key(|at| keys[*at]);
        let mut turns = [0, 1, 2].map(|user| paid.iter().filter(move |(by, ..)| *by == user).copied());
        let interleaved: Vec<_> = order.iter().filter_map(|at| turns[paid[*at].0].next()).collect();
        prop_assert_eq!(evening(&paid, &rules), evening(&interleaved, &rules));
    }
}

/// What a user saw, payment by payment, and has in the end.
type Seen = (Vec<Vec<Outcome>>, Balances);

/// What each of three users saw and has, and what the rules granted; `None` if something overflowed.
fn evening(paid: &[(usize, u64, u16)], rules: &[Rule]) -> Option<([Seen; 3], Vec<Rule>)> {
    let mut users = [const { (Vec::new(), NOTHING) }; 3];
    let mut rules = rules.to_vec();
    for (user, amount, product) in paid {
        let (seen, balances) = &mut users[*user];
        let payment = Payment { product: *product, ..payment("A1", *user as u8, *amount) };
        let outcomes = run(&payment, &rules, seen.len() as u64 + 1, balances).ok()?;
        commit(&mut rules, &outcomes);
        seen.push(outcomes);
    }
    Some((users, rules))
}

/// The rules of the demonstration.
fn sample() -> [Rule; 2] {
    let first = [Predicate::new(0, false, Field::PaymentNumber, Operator::Eq, 1)];
    let weekend = [
        Predicate::new(0, false, Field::Weekday, Operator::Any, 0b1100_0000),
        Predicate::new(1, false, Field::Amount, Operator::Ge, 3_000),
    ];
    [
        published(&Definition { condition: &first, ..always(1, ratio(1, 2_000, 0, 100_000)) }),
        published(&Definition { condition: &weekend, priority: 20, ..always(2, fixed(1, 1_000)) }),
    ]
}

#[test]
fn a_first_payment_at_the_weekend_earns_by_both_rules_one_after_the_other() {
    let mut balances = NOTHING;
    balances[0] = Amount(7);
    let outcomes = run(&payment("A1", 1, 5_000), &sample(), 1, &mut balances).unwrap();
    let seen: Vec<_> = outcomes
        .iter()
        .map(|outcome| (outcome.rule, outcome.reason, outcome.amount.0, outcome.before.0, outcome.after.0))
        .collect();
    assert_eq!(
        seen,
        [(RuleId(1), Reason::Granted, 1_000, 7, 1_007), (RuleId(2), Reason::Granted, 1_000, 1_007, 2_007)]
    );
    assert_eq!(balances[0], Amount(2_007));
    assert_eq!(balances[1..], NOTHING[1..]);
}

#[test]
fn a_rule_that_does_not_match_says_by_which_clause_and_leaves_the_balance() {
    let mut balances = NOTHING;
    let outcomes = run(&payment("A1", 1, 2_999), &sample(), 2, &mut balances).unwrap();
    let seen: Vec<_> = outcomes.iter().map(|outcome| (outcome.reason, outcome.clause, outcome.amount.0)).collect();
    assert_eq!(seen, [(Reason::NotMatched, 0, 0), (Reason::NotMatched, 1, 0)]);
    assert_eq!(balances, NOTHING);
}

#[test]
fn a_reward_that_comes_to_nothing_is_reported_as_such() {
    let rules = [published(&always(1, ratio(1, 1, 0, 0)))];
    let outcomes = run(&payment("A1", 1, 9_999), &rules, 1, &mut NOTHING.clone()).unwrap();
    assert_eq!((outcomes[0].reason, outcomes[0].amount), (Reason::NothingDue, Amount(0)));
}

#[test]
fn a_rule_not_in_force_has_no_outcome_and_the_slots_still_name_the_others() {
    let over = published(&Definition { ends_at: NOON, ..always(1, fixed(1, 5)) });
    let outcomes =
        run(&payment("A1", 1, 1), &[over, published(&always(2, fixed(1, 5)))], 1, &mut NOTHING.clone()).unwrap();
    assert_eq!(outcomes.iter().map(|outcome| (outcome.slot, outcome.rule)).collect::<Vec<_>>(), [(1, RuleId(2))]);
}

#[test]
fn the_largest_balance_can_be_reached_and_not_passed() {
    let rules = [published(&always(1, fixed(1, 5)))];
    let mut balances = NOTHING;
    balances[0] = Amount(u64::MAX - 5);
    run(&payment("A1", 1, 1), &rules, 1, &mut balances).unwrap();
    assert_eq!(balances[0], Amount(u64::MAX));
    assert_eq!(run(&payment("A2", 1, 1), &rules, 2, &mut balances), Err(Refusal::AmountOverflow));
}

#[test]
fn the_largest_total_of_a_rule_can_be_reached_and_not_passed() {
    let mut rules = [published(&always(1, fixed(1, 5)))];
    rules[0].granted = Amount(u64::MAX - 5);
    let outcomes = run(&payment("A1", 1, 1), &rules, 1, &mut NOTHING.clone()).unwrap();
    commit(&mut rules, &outcomes);
    assert_eq!((rules[0].granted, rules[0].grants), (Amount(u64::MAX), 1));
    assert_eq!(run(&payment("A2", 1, 1), &rules, 2, &mut NOTHING.clone()), Err(Refusal::AmountOverflow));
}

#[test]
fn a_reward_beyond_all_numbers_refuses_the_payment_even_behind_a_sound_grant() {
    let rules = [published(&always(1, fixed(2, 5))), published(&always(2, ratio(1, 20_000, 0, 0)))];
    let refused = run(&payment("A1", 1, u64::MAX), &rules, 1, &mut NOTHING.clone());
    assert_eq!(refused, Err(Refusal::AmountOverflow));
}

#[test]
fn a_rule_whose_effect_this_code_does_not_know_grants_nothing() {
    // As an older program would see the rule of a newer one. The kind of the effect stands at 6.
    let mut bytes: [u8; 360] = bytemuck::cast(published(&always(1, fixed(1, 5))));
    bytes[6] = 99;
    let unknown: Rule = bytemuck::cast(bytes);
    assert_eq!(unknown.effect(), None);
    let outcomes = run(&payment("A1", 1, 1), &[unknown], 1, &mut NOTHING.clone()).unwrap();
    assert_eq!((outcomes[0].reason, outcomes[0].after), (Reason::NothingDue, Amount(0)));
}

#[test]
fn only_grants_are_committed() {
    let mut rules = sample();
    let outcomes = run(&payment("A1", 1, 2_000), &rules, 1, &mut NOTHING.clone()).unwrap();
    commit(&mut rules, &outcomes);
    assert_eq!((rules[0].granted, rules[0].grants), (Amount(400), 1));
    assert_eq!(rules[1], sample()[1], "the weekend bonus asks for 30.00");
}
