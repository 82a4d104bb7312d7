//! Refunds: what was granted for an order goes back in proportion.

use crate::{
    given::{NOON, always, amounts, fixed, in_all, key, payment, per_user, ratio, step, streak, tiers, when},
    platform::Platform,
};
use proptest::prelude::*;
use rebate_core::{
    balance::{Balance, Balances},
    counters::Counters,
    evaluate::{CountersByScope, Stop},
    outcome::{Outcome, Reason},
    payment::Payment,
    refund::{Grant, Refund, RefundedOrder, Reversal},
    refusal::Refusal,
    rule::{Definition, Field, Operator, TierMode},
    time::DAY,
    units::{Amount, AssetId, OrderHash, RuleId, RuleVersion, Seconds, Timestamp},
    window::{Scope, Window},
};

/// Rule, amount, balance before and after.
fn seen(outcomes: &[Outcome]) -> Vec<(u16, u64, u64, u64)> {
    outcomes
        .iter()
        .map(|one| {
            assert_eq!((one.reason, one.clause), (Reason::Reversed, 0));
            (one.rule.0, one.amount.0, one.before.0, one.after.0)
        })
        .collect()
}

/// An order of 50.00 with 10.00 granted.
fn one_order() -> Platform {
    let mut platform = Platform::of(&[always(1, ratio(1, 2_000, 0, 0))]);
    platform.told(&payment("A1", 1, 5_000));
    platform
}

#[test]
fn half_of_an_order_reverses_half_of_what_it_was_granted() {
    let mut platform = one_order();
    let outcomes = platform.give_back("R1", "A1", 2_500).unwrap();
    assert_eq!(seen(&outcomes), [(1, 500, 1_000, 500)]);
    assert_eq!((outcomes[0].version, outcomes[0].asset, outcomes[0].slot), (RuleVersion(1), AssetId(1), 0));
    assert_eq!(platform.balance(key(1), 1), (500, 0));
}

#[test]
fn every_grant_of_an_order_is_reversed_in_the_order_granted() {
    let mut platform = Platform::of(&[always(9, fixed(1, 10)), always(3, fixed(2, 7)), always(5, fixed(1, 3))]);
    platform.told(&payment("A1", 1, 100));
    let outcomes = platform.give_back("R1", "A1", 50).unwrap();
    assert_eq!(seen(&outcomes), [(3, 3, 7, 4), (5, 1, 13, 12), (9, 5, 12, 7)]);
    assert_eq!(outcomes.iter().map(|one| one.slot).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn only_grants_with_something_due_are_listed() {
    let mut platform = Platform::of(&[always(1, fixed(1, 1)), always(2, fixed(1, 10))]);
    platform.told(&payment("A1", 1, 100));
    assert_eq!(seen(&platform.give_back("R1", "A1", 50).unwrap()), [(2, 5, 11, 6)]);
    assert_eq!(seen(&platform.give_back("R2", "A1", 5).unwrap()), []);
    assert_eq!(seen(&platform.give_back("R3", "A1", 45).unwrap()), [(1, 1, 6, 5), (2, 5, 5, 0)]);
}

#[test]
fn what_is_due_is_the_share_of_all_refunded_so_far_less_what_was_reversed() {
    let mut platform = Platform::of(&[always(1, fixed(1, 10))]);
    platform.told(&payment("A1", 1, 3));
    let reversed = ["R1", "R2", "R3"].map(|order| platform.give_back(order, "A1", 1).unwrap()[0].amount.0);
    assert_eq!(reversed, [3, 3, 4], "3.33, 6.66 and 10, rounded down each time");
}

#[test]
fn an_orders_refunds_never_exceed_it() {
    let mut platform = one_order();
    assert_eq!(platform.give_back("R1", "A1", 5_001), Err(Refusal::OverRefund));
    platform.give_back("R2", "A1", 3_000).unwrap();
    assert_eq!(platform.give_back("R3", "A1", 2_001), Err(Refusal::OverRefund));
    assert_eq!(platform.give_back("R4", "A1", u64::MAX), Err(Refusal::OverRefund));
    platform.give_back("R5", "A1", 2_000).unwrap();
    assert_eq!(platform.give_back("R6", "A1", 1), Err(Refusal::OverRefund));
    assert_eq!(platform.balance(key(1), 1), (0, 0));
}

#[test]
fn refunds_are_refused_as_records_are_and_change_nothing() {
    let mut platform = one_order();
    platform.max_lateness = Seconds(100);
    platform.give_back("R1", "A1", 1_000).unwrap();
    let before = platform.state.clone();
    let refund = |order: &str, of: &str, amount, after| Refund {
        order: OrderHash::of(order),
        of: OrderHash::of(of),
        amount: Amount(amount),
        paid_at: Timestamp(NOON.0 + after),
    };
    for (refund, expected) in [
        (refund("R2", "A1", 0, -101), Refusal::ZeroAmount),
        (refund("R2", "A1", 1, -101), Refusal::TooLate),
        (refund("R2", "A1", 1, 61), Refusal::FromTheFuture),
        (refund("R1", "A1", 1, 0), Refusal::DuplicateOrder),
        (refund("A1", "A1", 1, 0), Refusal::DuplicateOrder),
        (refund("R2", "A9", 1, 0), Refusal::UnknownOrder),
        (refund("R2", "R1", 1, 0), Refusal::UnknownOrder),
        (refund("R2", "A1", 4_001, 0), Refusal::OverRefund),
    ] {
        assert_eq!(platform.refund(&refund), Err(expected));
        assert_eq!(platform.state, before, "{expected}");
    }
}

#[test]
fn what_the_balance_does_not_have_becomes_a_debt_that_the_next_grant_pays_first() {
    let mut platform = one_order();
    platform.state.users.get_mut(&key(1)).unwrap().balances[0] = Balance::of(Amount(300));
    assert_eq!(seen(&platform.give_back("R1", "A1", 5_000).unwrap()), [(1, 1_000, 300, 0)]);
    assert_eq!(platform.balance(key(1), 1), (0, 700));
    let outcomes = platform.pay(&payment("A2", 1, 1_500)).unwrap();
    assert_eq!((outcomes[0].amount, outcomes[0].before, outcomes[0].after), (Amount(300), Amount(0), Amount(0)));
    assert_eq!(platform.balance(key(1), 1), (0, 400));
    let outcomes = platform.pay(&payment("A3", 1, 5_000)).unwrap();
    assert_eq!((outcomes[0].amount, outcomes[0].before, outcomes[0].after), (Amount(1_000), Amount(0), Amount(600)));
    assert_eq!(platform.balance(key(1), 1), (600, 0));
    assert_eq!(
        platform.own(key(1), 1).granted,
        Amount(1_300),
        "granted counts the whole grant, and not what was reversed"
    );
}

#[test]
fn a_grant_that_only_paid_a_debt_is_reversed_like_any_other() {
    let mut platform = one_order();
    platform.state.users.get_mut(&key(1)).unwrap().balances[0] = Balance::of(Amount(0));
    platform.give_back("R1", "A1", 5_000).unwrap();
    platform.told(&payment("A2", 1, 2_000));
    assert_eq!(platform.balance(key(1), 1), (0, 600));
    assert_eq!(seen(&platform.give_back("R2", "A2", 2_000).unwrap()), [(1, 400, 0, 0)]);
    assert_eq!(platform.balance(key(1), 1), (0, 1_000));
}

#[test]
fn one_assets_debt_is_not_anothers() {
    let mut platform = Platform::of(&[always(1, fixed(1, 5)), always(2, fixed(2, 5))]);
    platform.told(&payment("A1", 1, 100));
    platform.state.users.get_mut(&key(1)).unwrap().balances[0] = Balance::default();
    platform.give_back("R1", "A1", 100).unwrap();
    assert_eq!((platform.balance(key(1), 1), platform.balance(key(1), 2)), ((0, 5), (0, 0)));
    platform.told(&payment("A2", 1, 100));
    assert_eq!((platform.balance(key(1), 1), platform.balance(key(1), 2)), ((0, 0), (5, 0)));
}

#[test]
fn a_counter_that_still_stands_in_the_window_loses_what_was_reversed_and_what_was_refunded() {
    for window in Window::ALL {
        let mut platform = Platform::of(&[Definition { window, ..always(1, ratio(1, 2_000, 0, 0)) }]);
        platform.told(&payment("A1", 1, 5_000));
        platform.told(&payment("A2", 1, 100));
        platform.now = Timestamp(NOON.0 + 3_600);
        platform.give_back("R1", "A1", 2_000).unwrap();
        let counters = platform.own(key(1), 1);
        assert_eq!((counters.spend, counters.granted), (Amount(3_100), Amount(620)), "{window:?}");
        assert_eq!((counters.payments, counters.grants, counters.streak), (2, 2, 1), "{window:?}: counts stay");
    }
}

#[test]
fn a_counter_of_a_later_window_loses_nothing() {
    for (window, days) in [(Window::Day, 1), (Window::Week, 7), (Window::Month, 31)] {
        let mut platform = Platform::of(&[Definition { window, ..always(1, ratio(1, 2_000, 0, 0)) }]);
        platform.told(&payment("A1", 1, 5_000));
        platform.now = Timestamp(NOON.0 + days * DAY);
        platform.told(&Payment { paid_at: platform.now, ..payment("A2", 1, 100) });
        platform.give_back("R1", "A1", 5_000).unwrap();
        let counters = platform.own(key(1), 1);
        assert_eq!((counters.spend, counters.granted), (Amount(100), Amount(20)), "{window:?}");
        assert_eq!(platform.balance(key(1), 1), (20, 0), "{window:?}: the balance loses all the same");
    }
}

#[test]
fn a_counter_that_no_payment_rolled_stands_in_the_window_however_late_the_refund() {
    let mut platform = Platform::of(&[Definition { window: Window::Day, ..always(1, ratio(1, 2_000, 0, 0)) }]);
    platform.told(&payment("A1", 1, 5_000));
    platform.now = Timestamp(NOON.0 + 90 * DAY);
    platform.give_back("R1", "A1", 5_000).unwrap();
    assert_eq!((platform.own(key(1), 1).spend, platform.own(key(1), 1).granted), (Amount(0), Amount(0)));
}

#[test]
fn a_counter_that_a_later_version_began_anew_loses_nothing() {
    let mut platform = Platform::of(&[always(1, ratio(1, 2_000, 0, 0))]);
    platform.told(&payment("A1", 1, 5_000));
    let next = Definition { version: RuleVersion(2), window: Window::Schedule, ..always(1, ratio(1, 2_000, 0, 0)) };
    platform.publish(&next, NOON.0 + 5).unwrap();
    platform.now = Timestamp(NOON.0 + 5);
    platform.told(&Payment { paid_at: platform.now, ..payment("A2", 1, 100) });
    platform.give_back("R1", "A1", 5_000).unwrap();
    assert_eq!((platform.own(key(1), 1).spend, platform.own(key(1), 1).granted), (Amount(100), Amount(20)));
}

#[test]
fn counters_never_go_below_zero() {
    let mut platform = one_order();
    let place = platform.state.counters.values_mut().next().unwrap();
    (place[0].spend, place[0].granted) = (Amount(10), Amount(20));
    platform.give_back("R1", "A1", 5_000).unwrap();
    assert_eq!((platform.own(key(1), 1).spend, platform.own(key(1), 1).granted), (Amount(0), Amount(0)));
}

#[test]
fn only_counters_of_rules_that_granted_lose_anything() {
    let never = [when(0, Field::Spend, Operator::Ge, 1_000_000)];
    let mut platform =
        Platform::of(&[always(1, ratio(1, 2_000, 0, 0)), Definition { condition: &never, ..always(2, fixed(1, 1)) }]);
    platform.told(&payment("A1", 1, 5_000));
    platform.give_back("R1", "A1", 5_000).unwrap();
    assert_eq!(platform.own(key(1), 2).spend, Amount(5_000), "by grant, and the second rule has none");
}

#[test]
fn the_counters_of_the_orders_streamer_and_session_are_the_ones_that_lose() {
    let in_scope = |id, scope| Definition { scope, ..always(id, ratio(1, 2_000, 0, 0)) };
    let mut platform = Platform::of(&[in_scope(1, Scope::UserStreamer), in_scope(2, Scope::UserSession)]);
    platform.told(&Payment { streamer: 7, session: 3, ..payment("A1", 1, 100) });
    platform.told(&Payment { streamer: 8, session: 4, ..payment("A2", 1, 100) });
    platform.give_back("R1", "A1", 100).unwrap();
    let spend = |scope, id, rule| platform.counters(key(1), scope, id, rule).unwrap().spend.0;
    assert_eq!([spend(Scope::UserStreamer, 7, 1), spend(Scope::UserStreamer, 8, 1)], [0, 100]);
    assert_eq!([spend(Scope::UserSession, 3, 2), spend(Scope::UserSession, 4, 2)], [0, 100]);
}

#[test]
fn the_budget_gets_back_what_is_due_and_its_count_stays() {
    let mut platform = Platform::of(&[Definition { limits: in_all(1_000, 3), ..always(1, ratio(1, 2_000, 0, 0)) }]);
    platform.told(&payment("A1", 1, 5_000));
    assert_eq!(platform.told(&payment("B1", 2, 5)), [(Reason::BudgetSpent, 0)]);
    platform.give_back("R1", "A1", 2_500).unwrap();
    let rule = platform.state.rules[0];
    assert_eq!((rule.budget_spent, rule.budget_grants), (Amount(500), 1));
    assert_eq!((rule.granted, rule.grants, rule.reversed), (Amount(1_000), 1, Amount(500)), "totals only grow");
    assert_eq!(platform.told(&payment("B2", 2, 5_000)), [(Reason::Granted, 500)]);
}

#[test]
fn a_users_limit_has_room_again_for_what_was_reversed_and_not_for_the_count() {
    let mut platform = Platform::of(&[Definition { limits: per_user(1_000, 2), ..always(1, ratio(1, 2_000, 0, 0)) }]);
    platform.told(&payment("A1", 1, 5_000));
    platform.give_back("R1", "A1", 5_000).unwrap();
    assert_eq!(platform.told(&payment("A2", 1, 6_000)), [(Reason::Granted, 1_000)]);
    platform.give_back("R2", "A2", 6_000).unwrap();
    assert_eq!(platform.told(&payment("A3", 1, 5)), [(Reason::UserLimit, 0)], "two grants are two grants");
}

#[test]
fn tiers_after_a_refund_are_those_of_what_is_still_spent() {
    let steps = [step(1_000, 100), step(2_000, 100)];
    let mut platform = Platform::of(&[always(1, tiers(TierMode::Fixed, &steps))]);
    assert_eq!(platform.told(&payment("A1", 1, 2_000)), [(Reason::Granted, 200)]);
    platform.give_back("R1", "A1", 1_000).unwrap();
    assert_eq!(platform.told(&payment("A2", 1, 999)), [(Reason::NothingDue, 0)], "1 999 are spent, 100 granted");
    assert_eq!(platform.told(&payment("A3", 1, 1)), [(Reason::Granted, 100)]);
}

#[test]
fn streak_and_payment_number_are_not_taken_back() {
    let mut platform = Platform::of(&[always(1, streak(2, 100, false)), always(2, fixed(1, 5))]);
    platform.told(&payment("A1", 1, 100));
    platform.give_back("R1", "A1", 100).unwrap();
    platform.now = Timestamp(NOON.0 + DAY);
    let next_day = Payment { paid_at: platform.now, ..payment("A2", 1, 100) };
    assert_eq!(platform.told(&next_day)[0], (Reason::Granted, 100));
    assert_eq!(platform.state.users[&key(1)].payments, 2);
}

#[test]
fn an_order_that_was_granted_nothing_is_refunded_without_outcomes() {
    let mut platform = Platform::of(&[]);
    platform.told(&payment("A1", 1, 100));
    assert_eq!(platform.give_back("R1", "A1", 100), Ok(vec![]));
    assert_eq!(platform.give_back("R2", "A1", 1), Err(Refusal::OverRefund));
}

#[test]
fn a_debt_beyond_all_numbers_refuses_the_refund() {
    let grants = [Grant::new(RuleId(1), RuleVersion(1), AssetId(1), Amount(10))];
    let order = RefundedOrder { paid: Amount(100), paid_at: NOON, refunded: Amount(0) };
    let mut balances = Balances::default();
    balances[0].debt = Amount(u64::MAX - 9);
    let mut reversal = Reversal::default();
    assert_eq!(reversal.decide(Amount(100), &order, &grants, &balances), Err(Refusal::AmountOverflow));
    assert_eq!(reversal.decide(Amount(99), &order, &grants, &balances), Ok(()));
    assert_eq!(reversal.balances()[0].debt, Amount(u64::MAX));
}

#[test]
fn a_refund_needs_the_counters_of_every_scope_and_writes_nothing_without() {
    let scopes = [Scope::User, Scope::UserStreamer, Scope::UserSession];
    let rules: Vec<_> = (1..)
        .zip(scopes)
        .map(|(id, scope)| crate::given::published(&Definition { scope, ..always(id, fixed(1, 10)) }))
        .collect();
    let grants: Vec<_> = (1..=3).map(|id| Grant::new(RuleId(id), RuleVersion(1), AssetId(1), Amount(10))).collect();
    let order = RefundedOrder { paid: Amount(100), paid_at: NOON, refunded: Amount(0) };
    let mut balances = Balances::default();
    balances[0] = Balance::of(Amount(30));
    let mut reversal = Reversal::default();
    reversal.decide(Amount(50), &order, &grants, &balances).unwrap();

    let commit = |streamer: Option<&mut [Counters]>, session: Option<&mut [Counters]>| {
        let (mut order, mut grants, mut rules, mut balances) = (order, grants.clone(), rules.clone(), balances);
        let before = (order, grants.clone(), rules.clone(), balances);
        let mut counters = CountersByScope { user: &mut [], streamer, session };
        let done = reversal.commit(&mut order, &mut grants, &mut rules, &[], &mut balances, &mut counters);
        (done, (order, grants, rules, balances) == before)
    };
    let missing = |id, scope| (Err(Stop::MissingCounters(RuleId(id), scope)), true);
    assert_eq!(commit(None, Some(&mut [])), missing(2, Scope::UserStreamer));
    assert_eq!(commit(Some(&mut []), None), missing(3, Scope::UserSession));
    assert_eq!(commit(Some(&mut []), Some(&mut [])), (Ok(()), false), "closed counters are brought empty");
}

#[test]
fn a_reversal_decided_over_and_not_written_changes_nothing_and_leaves_no_trace() {
    let grants = [Grant::new(RuleId(1), RuleVersion(1), AssetId(1), Amount(10))];
    let order = RefundedOrder { paid: Amount(100), paid_at: NOON, refunded: Amount(0) };
    let mut balances = Balances::default();
    balances[0] = Balance::of(Amount(30));
    let mut reversal = Reversal::default();
    reversal.decide(Amount(100), &order, &[grants[0], grants[0]], &balances).unwrap();
    reversal.decide(Amount(50), &order, &grants, &balances).unwrap();
    assert_eq!(seen(reversal.outcomes()), [(1, 5, 30, 25)]);
    assert_eq!((reversal.refunded(), reversal.balances()[0]), (Amount(50), Balance::of(Amount(25))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn in_however_many_parts_an_order_is_refunded_its_grants_are_reversed_exactly_and_never_more(
        paid in amounts(), granted in prop::collection::vec(amounts(), 1..4), parts in prop::collection::vec(0..=10_000u64, 0..8),
    ) {
        prop_assume!(paid > 0);
        let before: Vec<_> = (1..)
            .zip(&granted)
            .map(|(asset, amount)| Grant::new(RuleId(asset.into()), RuleVersion(1), AssetId(asset), Amount(*amount)))
            .collect();
        let mut grants = before.clone();
        let mut order = RefundedOrder { paid: Amount(paid), paid_at: NOON, refunded: Amount(0) };
        let mut balances = Balances::default();
        for (balance, amount) in balances.iter_mut().zip(&granted) {
            *balance = Balance::of(Amount(*amount));
        }
        let mut reversal = Reversal::default();
        let parts = parts.into_iter().map(Some).chain([None]);
        for part in parts {
            let left = paid - order.refunded.0;
            let amount = part.map_or(left, |part| (u128::from(left) * u128::from(part) / 10_000) as u64);
            reversal.decide(Amount(amount), &order, &grants, &balances).unwrap();
            let mut counters = CountersByScope { user: &mut [], streamer: None, session: None };
            reversal.commit(&mut order, &mut grants, &mut [], &[], &mut balances, &mut counters).unwrap();
            for (at, grant) in grants.iter().enumerate() {
                let share = u128::from(grant.amount.0) * u128::from(order.refunded.0) / u128::from(paid);
                prop_assert_eq!(u128::from(grant.reversed.0), share, "in proportion at every moment");
                prop_assert_eq!(balances[at].total().0, grant.amount.0 - grant.reversed.0);
            }
        }
        prop_assert_eq!(order.refunded, order.paid);
        prop_assert!(grants.iter().all(|grant| grant.reversed == grant.amount));
        prop_assert_eq!(balances, Balances::default());
    }
}
