//! Evaluating payments: what is granted is what moves, and nothing else does.

use crate::{
    given::{NOON, always, amounts, fixed, key, payment, payments, published, ratio, rewards, when},
    histories::{Draft, books},
    platform::Platform,
};
use proptest::{collection::vec, option, prelude::*};
use rebate_core::{
    balance::{Balance, Balances},
    counters::Counters,
    evaluate::{Context, CountersByScope, Evaluation, Stop, UNLIMITED},
    outcome::{Outcome, Reason},
    payment::Payment,
    refusal::Refusal,
    rule::{Definition, Field, Operator, Rule},
    units::{Amount, MAX_ASSETS, PaymentNumber, RuleId, RuleVersion, Timestamp},
    window::Scope,
};

/// Counters of one user in every scope.
#[derive(Clone, Debug, PartialEq)]
struct Everywhere([Vec<Counters>; 3]);

impl Everywhere {
    fn empty() -> Self {
        Self([(); 3].map(|()| vec![Counters::default(); 12]))
    }

    fn by_scope(&mut self) -> CountersByScope<'_> {
        let [user, streamer, session] = &mut self.0;
        CountersByScope { user, streamer: Some(streamer), session: Some(session) }
    }
}

fn context(rules: &[Rule], number: u64) -> Context<'_> {
    Context { rules, offsets: &[], number: PaymentNumber(number), free: None }
}

/// Decides and commits, where nothing is refused.
fn run(
    payment: &Payment,
    rules: &mut [Rule],
    number: u64,
    balances: &mut Balances,
    counters: &mut Everywhere,
) -> Result<Vec<Outcome>, Stop> {
    let mut evaluation = Evaluation::default();
    evaluation.decide(payment, &context(rules, number), balances, &counters.by_scope())?;
    evaluation.commit(rules, &mut counters.by_scope());
    Ok(evaluation.outcomes().to_vec())
}

/// The same for somebody who comes for the first time.
fn first(payment: &Payment, rules: &mut [Rule]) -> Result<Vec<Outcome>, Stop> {
    run(payment, rules, 1, &mut Balances::default(), &mut Everywhere::empty())
}

/// Up to nine sound rules, some of them in force only for a while, in order of evaluation; a third of the books grants any
/// numbers.
fn rule_books() -> impl Strategy<Value = Vec<Rule>> {
    (books(9), option::weighted(0.3, vec(rewards(3), 9))).prop_map(|(mut drafts, rewards)| {
        for (draft, reward) in drafts.iter_mut().zip(rewards.into_iter().flatten()) {
            draft.reward = reward;
        }
        let mut rules: Vec<_> = drafts.iter().map(Draft::definition).map(|one| published(&one)).collect();
        rules.sort_by_key(Rule::order);
        rules
    })
}

fn balances() -> impl Strategy<Value = Balances> {
    let balance =
        (amounts(), amounts(), prop_oneof![3 => Just(0u64), 1 => 1..500u64]).prop_map(|(one, other, debt)| {
            let previous = other.min(u64::MAX - one);
            let there = u64::from(debt == 0);
            Balance {
                current: Amount(one * there),
                previous: Amount(previous * there),
                debt: Amount(debt),
                ..Balance::default()
            }
        });
    prop::array::uniform8(balance)
}

/// Payments at times at which the rules of [`rule_books`] are in force, and others.
fn timely() -> impl Strategy<Value = Payment> {
    (payments(), prop_oneof![4 => 0..86_400i64, 1 => -400_000..400_000i64])
        .prop_map(|(payment, after)| Payment { paid_at: Timestamp(NOON.0 + after), ..payment })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(700))]

    #[test]
    fn the_sum_of_what_is_granted_is_what_each_balance_gains_and_each_debt_loses(
        payment in timely(), mut rules in rule_books(), number in 1..4u64, before in balances(),
    ) {
        let mut after = before;
        let Ok(outcomes) = run(&payment, &mut rules, number, &mut after, &mut Everywhere::empty()) else { return Ok(()) };
        for slot in 0..MAX_ASSETS {
            let (mut running, mut debt) = (before[slot].total(), before[slot].debt.0);
            for outcome in outcomes.iter().filter(|outcome| outcome.asset.slot() == Some(slot)) {
                prop_assert_eq!(outcome.before, running, "each outcome begins where the one before ended");
                let repaid = debt.min(outcome.amount.0);
                debt -= repaid;
                let gained = u128::from(outcome.amount.0 - repaid);
                prop_assert_eq!(u128::from(outcome.after.0), u128::from(running.0) + gained);
                running = outcome.after;
            }
            prop_assert_eq!((running, debt), (after[slot].total(), after[slot].debt.0));
            prop_assert_eq!((after[slot].previous, after[slot].period), (before[slot].previous, before[slot].period));
        }
    }

    #[test]
    fn every_rule_in_force_has_one_outcome_in_order_and_no_other_rule_has_any(
        payment in timely(), mut rules in rule_books(), number in 1..4u64,
    ) {
        let expected: Vec<_> = (0..)
            .zip(&rules)
            .filter(|(_, rule)| rule.in_force(payment.paid_at))
            .map(|(slot, rule)| (slot, rule.id, rule.version, rule.asset()))
            .collect();
        let Ok(outcomes) = run(&payment, &mut rules, number, &mut Balances::default(), &mut Everywhere::empty()) else {
            return Ok(());
        };
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
        other in timely(), payment in timely(), rules in rule_books(), before in balances(), mut others in balances(),
    ) {
        let mut evaluation = Evaluation::with_capacity(9);
        // Refused or not: the caller decides anew over the same memory.
        let _ = evaluation.decide(&other, &context(&rules, 1), &mut others, &Everywhere::empty().by_scope());
        let mut alone = Evaluation::default();
        let decide = |evaluation: &mut Evaluation| {
            let mut after = before;
            let decided = evaluation.decide(&payment, &context(&rules, 1), &mut after, &Everywhere::empty().by_scope());
            (decided, after)
        };
        let decided = decide(&mut evaluation);
        let expected = decide(&mut alone);
        prop_assert_eq!(decided.0, expected.0);
        if decided.0.is_ok() {
            prop_assert_eq!(decided.1, expected.1);
            prop_assert_eq!(evaluation.outcomes(), alone.outcomes());
            let commit = |evaluation: &Evaluation| {
                let (mut rules, mut counters) = (rules.clone(), Everywhere::empty());
                evaluation.commit(&mut rules, &mut counters.by_scope());
                (rules, counters)
            };
            prop_assert_eq!(commit(&evaluation), commit(&alone));
        }
    }

    #[test]
    fn funds_without_limit_are_as_good_as_nothing_to_back(
        payment in timely(), rules in rule_books(), before in balances(),
    ) {
        let decide = |free| {
            let mut evaluation = Evaluation::default();
            let mut after = before;
            let context = Context { free, ..context(&rules, 1) };
            let decided = evaluation.decide(&payment, &context, &mut after, &Everywhere::empty().by_scope());
            decided.map(|()| (after, evaluation.outcomes().to_vec()))
        };
        prop_assert_eq!(decide(Some(&[UNLIMITED; MAX_ASSETS])), decide(None));
    }

    #[test]
    fn what_a_rule_granted_in_all_is_the_sum_of_its_grants(
        paid in vec(1..1_000_000u64, 0..20), mut rules in rule_books(),
    ) {
        let (mut balances, mut counters) = (Balances::default(), Everywhere::empty());
        let mut granted = vec![(0u128, 0u64); rules.len()];
        for (number, amount) in (1..).zip(paid) {
            let outcomes = run(&payment("A1", 1, amount), &mut rules, number, &mut balances, &mut counters);
            let Ok(outcomes) = outcomes else { return Ok(()) };
            for outcome in outcomes.iter().filter(|outcome| outcome.reason == Reason::Granted) {
                granted[outcome.slot].0 += u128::from(outcome.amount.0);
                granted[outcome.slot].1 += 1;
            }
        }
        let totals: Vec<_> = rules.iter().map(|rule| (u128::from(rule.granted.0), rule.grants)).collect();
        prop_assert_eq!(&totals, &granted);
        let budgets: Vec<_> = rules.iter().map(|rule| (u128::from(rule.budget_spent.0), rule.budget_grants)).collect();
        prop_assert_eq!(budgets, granted, "nothing was reversed, and no rule has versions");
    }

    #[test]
    fn where_a_rules_counters_stand_does_not_matter(
        paid in vec((1..2_000u64, 0..3u64), 1..8), rules in rule_books(), keys in any::<[u8; 12]>(),
    ) {
        let sorted = |counters: &Everywhere| {
            counters.clone().0.map(|mut place| {
                place.sort_by_key(|one| (one.rule, one.epoch));
                place
            })
        };
        let (mut straight, mut shuffled) = (Everywhere::empty(), Everywhere::empty());
        let (mut these, mut those) = ((rules.clone(), Balances::default()), (rules, Balances::default()));
        for (number, (amount, streamer)) in (1..).zip(paid) {
            let payment = Payment { streamer, ..payment("A1", 1, amount) };
            let one = run(&payment, &mut these.0, number, &mut these.1, &mut straight);
            let other = run(&payment, &mut those.0, number, &mut those.1, &mut shuffled);
            prop_assert_eq!(one, other);
            prop_assert_eq!(sorted(&straight), sorted(&shuffled));
            for place in &mut shuffled.0 {
                let mut keyed: Vec<_> = keys.iter().zip(place.iter().copied()).collect();
                keyed.sort_by_key(|(key, _)| **key);
                *place = keyed.into_iter().map(|(_, one)| one).collect();
            }
        }
        prop_assert_eq!(these, those);
    }
}

/// The rules of the demonstration.
fn sample() -> [Rule; 2] {
    let first = [when(0, Field::PaymentNumber, Operator::Eq, 1)];
    let weekend = [when(0, Field::Weekday, Operator::Any, 0b1100_0000), when(1, Field::Amount, Operator::Ge, 3_000)];
    [
        published(&Definition { condition: &first, ..always(1, ratio(1, 2_000, 0, 100_000)) }),
        published(&Definition { condition: &weekend, priority: 20, ..always(2, fixed(1, 1_000)) }),
    ]
}

#[test]
fn a_first_payment_at_the_weekend_earns_by_both_rules_one_after_the_other() {
    let mut balances = Balances::default();
    balances[0] = Balance::of(Amount(7));
    let outcomes = run(&payment("A1", 1, 5_000), &mut sample(), 1, &mut balances, &mut Everywhere::empty()).unwrap();
    let seen: Vec<_> = outcomes
        .iter()
        .map(|outcome| (outcome.rule, outcome.reason, outcome.amount.0, outcome.before.0, outcome.after.0))
        .collect();
    assert_eq!(
        seen,
        [(RuleId(1), Reason::Granted, 1_000, 7, 1_007), (RuleId(2), Reason::Granted, 1_000, 1_007, 2_007)]
    );
    assert_eq!(balances[0], Balance::of(Amount(2_007)));
    assert_eq!(balances[1..], Balances::default()[1..]);
}

#[test]
fn a_rule_that_does_not_match_says_by_which_clause_and_leaves_the_balance() {
    let mut balances = Balances::default();
    let outcomes = run(&payment("A1", 1, 2_999), &mut sample(), 2, &mut balances, &mut Everywhere::empty()).unwrap();
    let seen: Vec<_> = outcomes.iter().map(|outcome| (outcome.reason, outcome.clause, outcome.amount.0)).collect();
    assert_eq!(seen, [(Reason::NotMatched, 0, 0), (Reason::NotMatched, 1, 0)]);
    assert_eq!(balances, Balances::default());
}

#[test]
fn outcomes_that_grant_nothing_still_tell_the_balance() {
    let mut platform = Platform::of(&[always(1, fixed(1, 5)), always(2, ratio(1, 1, 0, 0)), always(3, fixed(1, 2))]);
    let outcomes = platform.pay(&payment("A1", 1, 1)).unwrap();
    let seen: Vec<_> = outcomes.iter().map(|one| (one.reason, one.before.0, one.after.0)).collect();
    assert_eq!(seen, [(Reason::Granted, 0, 5), (Reason::NothingDue, 5, 5), (Reason::Granted, 5, 7)]);
}

#[test]
fn a_reward_that_comes_to_nothing_is_reported_as_such() {
    let mut rules = [published(&always(1, ratio(1, 1, 0, 0)))];
    let outcomes = first(&payment("A1", 1, 9_999), &mut rules).unwrap();
    assert_eq!((outcomes[0].reason, outcomes[0].amount), (Reason::NothingDue, Amount(0)));
}

#[test]
fn a_rule_not_in_force_has_no_outcome_and_the_slots_still_name_the_others() {
    let over = published(&Definition { ends_at: NOON, ..always(1, fixed(1, 5)) });
    let outcomes = first(&payment("A1", 1, 1), &mut [over, published(&always(2, fixed(1, 5)))]).unwrap();
    assert_eq!(outcomes.iter().map(|outcome| (outcome.slot, outcome.rule)).collect::<Vec<_>>(), [(1, RuleId(2))]);
}

#[test]
fn a_rule_not_in_force_counts_nothing() {
    let mut platform = Platform::of(&[Definition { starts_at: Timestamp(NOON.0 + 1), ..always(1, fixed(1, 5)) }]);
    assert_eq!(platform.pay(&payment("A1", 1, 1)), Ok(vec![]));
    assert_eq!(platform.counters(key(1), Scope::User, 0, 1), None);
}

#[test]
fn rules_pay_by_priority_then_id_however_they_were_published() {
    let at = |priority, id| Definition { priority, ..always(id, fixed(1, 1)) };
    let mut platform = Platform::of(&[at(9, 4), at(1, 7), at(9, 3), at(0, 9), at(1, 5)]);
    let outcomes = platform.pay(&payment("A1", 1, 1)).unwrap();
    assert_eq!(outcomes.iter().map(|one| one.rule.0).collect::<Vec<_>>(), [9, 5, 7, 3, 4]);
}

#[test]
fn only_accepted_payments_are_numbered_and_each_user_from_one() {
    let third = [when(0, Field::PaymentNumber, Operator::Eq, 3)];
    let mut platform = Platform::of(&[Definition { condition: &third, ..always(1, fixed(1, 5)) }]);
    platform.told(&payment("A1", 1, 1));
    platform.told(&payment("B1", 2, 1));
    assert_eq!(platform.pay(&payment("A1", 1, 1)), Err(Refusal::DuplicateOrder));
    assert_eq!(platform.told(&payment("A2", 1, 1)), [(Reason::NotMatched, 0)]);
    assert_eq!(platform.told(&payment("A3", 1, 1)), [(Reason::Granted, 5)]);
    assert_eq!(platform.told(&payment("B2", 2, 1)), [(Reason::NotMatched, 0)]);
}

#[test]
fn the_largest_balance_can_be_reached_and_not_passed() {
    let mut rules = [published(&always(1, fixed(1, 5)))];
    let mut balances = Balances::default();
    balances[0] = Balance { previous: Amount(9), ..Balance::of(Amount(u64::MAX - 14)) };
    let mut counters = Everywhere::empty();
    run(&payment("A1", 1, 1), &mut rules, 1, &mut balances, &mut counters).unwrap();
    assert_eq!(balances[0].total(), Amount(u64::MAX));
    let before = (rules, balances, counters.clone());
    let refused = run(&payment("A2", 1, 1), &mut rules, 2, &mut balances, &mut counters);
    assert_eq!(refused, Err(Stop::Refused(Refusal::AmountOverflow)));
    assert_eq!((rules, balances, counters), before);
}

#[test]
fn a_grant_that_pays_a_debt_can_be_more_than_the_balance_has_room_for() {
    let mut rules = [published(&always(1, fixed(1, u64::MAX))), published(&always(2, fixed(1, 5)))];
    let mut balances = Balances::default();
    balances[0].debt = Amount(5);
    run(&payment("A1", 1, 1), &mut rules, 1, &mut balances, &mut Everywhere::empty()).unwrap();
    assert_eq!((balances[0].total(), balances[0].debt), (Amount(u64::MAX), Amount(0)));
}

#[test]
fn the_largest_total_of_a_rule_can_be_reached_and_not_passed() {
    for budget in [false, true] {
        let mut rules = [published(&always(1, fixed(1, 5)))];
        let spent = Amount(u64::MAX - 5);
        rules[0].granted = spent;
        rules[0].budget_spent = if budget { spent } else { Amount(0) };
        first(&payment("A1", 1, 1), &mut rules).unwrap();
        assert_eq!((rules[0].granted, rules[0].grants), (Amount(u64::MAX), 1));
        let refused = first(&payment("A2", 1, 1), &mut rules);
        assert_eq!(refused, Err(Stop::Refused(Refusal::AmountOverflow)));
    }
}

#[test]
fn the_budget_of_all_versions_can_be_full_before_a_versions_own_total_is() {
    let mut rules = [published(&always(1, fixed(1, 5)))];
    rules[0].budget_spent = Amount(u64::MAX - 4);
    assert_eq!(first(&payment("A1", 1, 1), &mut rules), Err(Stop::Refused(Refusal::AmountOverflow)));
}

#[test]
fn the_largest_counters_can_be_reached_and_not_passed() {
    let full = Counters {
        rule: RuleId(1),
        epoch: RuleVersion(1),
        spend: Amount(u64::MAX - 7),
        granted: Amount(u64::MAX - 5),
        payments: u32::MAX - 1,
        grants: u32::MAX - 1,
        ..Counters::default()
    };
    let with = |stored: Counters, amount: u64| {
        let mut counters = Everywhere::empty();
        counters.0[0][3] = stored;
        let mut rules = [published(&always(1, fixed(1, 5)))];
        let outcomes = run(&payment("A1", 1, amount), &mut rules, 1, &mut Balances::default(), &mut counters);
        outcomes.map(|_| counters.0[0][3])
    };
    let reached = with(full, 7).unwrap();
    assert_eq!((reached.spend, reached.granted), (Amount(u64::MAX), Amount(u64::MAX)));
    assert_eq!((reached.payments, reached.grants), (u32::MAX, u32::MAX));
    let refused = Err(Stop::Refused(Refusal::AmountOverflow));
    assert_eq!(with(full, 8), refused, "spend");
    assert_eq!(with(Counters { granted: Amount(u64::MAX - 4), ..full }, 1), refused, "granted");
    assert_eq!(with(Counters { payments: u32::MAX, ..full }, 1), refused, "payments");
    assert_eq!(with(Counters { grants: u32::MAX, ..full }, 1), refused, "grants");
}

#[test]
fn a_reward_beyond_all_numbers_refuses_the_payment_even_behind_a_sound_grant() {
    let mut rules = [published(&always(1, fixed(2, 5))), published(&always(2, ratio(1, 20_000, 0, 0)))];
    let refused = first(&payment("A1", 1, u64::MAX), &mut rules);
    assert_eq!(refused, Err(Stop::Refused(Refusal::AmountOverflow)));
}

#[test]
fn a_rule_whose_effect_this_code_does_not_know_grants_nothing() {
    // As an older program would see the rule of a newer one. The kind of the effect stands at 8.
    let mut bytes: [u8; 560] = bytemuck::cast(published(&always(1, fixed(1, 5))));
    bytes[8] = 99;
    let unknown: Rule = bytemuck::cast(bytes);
    assert_eq!(unknown.effect(), None);
    let outcomes = first(&payment("A1", 1, 1), &mut [unknown]).unwrap();
    assert_eq!((outcomes[0].reason, outcomes[0].after), (Reason::NothingDue, Amount(0)));
}

#[test]
fn only_grants_are_added_to_a_rules_totals() {
    let mut rules = sample();
    first(&payment("A1", 1, 2_000), &mut rules).unwrap();
    assert_eq!((rules[0].granted, rules[0].grants), (Amount(400), 1));
    assert_eq!(rules[1], sample()[1], "the weekend bonus asks for 30.00");
}

#[test]
fn deciding_changes_neither_rules_nor_counters() {
    let (rules, mut counters) = (sample(), Everywhere::empty());
    let mut evaluation = Evaluation::default();
    let payment = payment("A1", 1, 5_000);
    let mut balances = Balances::default();
    evaluation.decide(&payment, &context(&rules, 1), &mut balances, &counters.by_scope()).unwrap();
    assert_eq!(balances[0], Balance::of(Amount(2_000)), "it is only said what would be");
    assert_eq!((rules, counters), (sample(), Everywhere::empty()));
}

#[test]
fn a_rule_in_force_needs_the_counters_of_its_scope_and_one_that_is_not_does_not() {
    for (scope, streamer, session) in
        [(Scope::UserStreamer, false, true), (Scope::UserSession, true, false), (Scope::UserSession, false, false)]
    {
        let rules = [published(&Definition { scope, ends_at: Timestamp(NOON.0 + 1), ..always(4, fixed(1, 5)) })];
        let mut room = [[Counters::default(); 2]; 3];
        let [own, others, more] = &mut room;
        let counters = CountersByScope {
            user: own,
            streamer: streamer.then_some(&mut others[..]),
            session: session.then_some(&mut more[..]),
        };
        let decide = |payment: &Payment| {
            Evaluation::default().decide(payment, &context(&rules, 1), &mut Balances::default(), &counters)
        };
        assert_eq!(decide(&payment("A1", 1, 1)), Err(Stop::MissingCounters(RuleId(4), scope)));
        assert_eq!(decide(&Payment { paid_at: Timestamp(NOON.0 + 1), ..payment("A1", 1, 1) }), Ok(()));
    }
}

#[test]
fn counters_take_as_many_rules_as_they_have_room_for_and_no_more() {
    let never = [when(0, Field::Product, Operator::Eq, 9)];
    let rules = [
        published(&always(1, fixed(1, 5))),
        published(&Definition { condition: &never, ..always(2, fixed(1, 5)) }),
        published(&always(3, fixed(1, 5))),
        published(&Definition { scope: Scope::UserStreamer, ..always(4, fixed(1, 5)) }),
    ];
    let decide = |places: usize, rules: &[Rule]| {
        let counters = CountersByScope {
            user: &mut vec![Counters::default(); places],
            streamer: Some(&mut [Counters::default()]),
            session: None,
        };
        Evaluation::default().decide(&payment("A1", 1, 1), &context(rules, 1), &mut Balances::default(), &counters)
    };
    assert_eq!(decide(2, &rules), Ok(()), "a rule that counts nothing in its lifetime takes no room");
    assert_eq!(decide(1, &rules), Err(Stop::NoRoom(RuleId(3), Scope::User)));
    assert_eq!(decide(0, &rules), Err(Stop::NoRoom(RuleId(1), Scope::User)));
    let more = [rules[3], published(&Definition { scope: Scope::UserStreamer, ..always(5, fixed(1, 5)) })];
    assert_eq!(decide(0, &more), Err(Stop::NoRoom(RuleId(5), Scope::UserStreamer)));
}

#[test]
fn counters_of_a_rule_that_left_the_book_make_room_where_none_is_free() {
    let rules = [published(&always(1, fixed(1, 5))), published(&always(2, fixed(1, 5)))];
    let of = |rule, spend| Counters {
        rule: RuleId(rule),
        epoch: RuleVersion(1),
        spend: Amount(spend),
        ..Counters::default()
    };
    let after = |brought: &[Counters]| {
        let mut counters = Everywhere([brought.to_vec(), Vec::new(), Vec::new()]);
        let outcomes = run(&payment("A1", 1, 7), &mut rules.clone(), 1, &mut Balances::default(), &mut counters);
        outcomes.map(|_| counters.0[0].iter().map(|one| (one.rule.0, one.spend.0)).collect::<Vec<_>>())
    };
    assert_eq!(after(&[of(9, 100), of(1, 10), of(8, 100)]), Ok(vec![(2, 7), (1, 17), (8, 100)]));
    assert_eq!(after(&[of(9, 100), of(8, 100)]), Ok(vec![(1, 7), (2, 7)]), "and begin anew");
    assert_eq!(after(&[of(9, 100), Counters::default(), of(2, 10)]), Ok(vec![(9, 100), (1, 7), (2, 17)]));
    assert_eq!(after(&[of(2, 10)]), Err(Stop::NoRoom(RuleId(1), Scope::User)), "the second is still in the book");
    assert_eq!(after(&[of(9, 100)]), Err(Stop::NoRoom(RuleId(2), Scope::User)), "a place is taken once");
}

#[test]
fn two_rules_that_come_for_the_first_time_take_two_places() {
    let mut platform = Platform::of(&[always(1, fixed(1, 5)), always(2, fixed(1, 6))]);
    platform.told(&payment("A1", 1, 100));
    assert_eq!((platform.own(key(1), 1).granted, platform.own(key(1), 2).granted), (Amount(5), Amount(6)));
}
