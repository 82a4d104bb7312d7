//! Limits: how much and how often a rule grants at most.

use crate::{
    given::{NOON, UNLIMITED, always, fixed, in_all, key, payment, per_user, ratio, step, tiers},
    platform::Platform,
};
use rebate_core::{
    outcome::Reason,
    payment::Payment,
    rule::{Definition, Limits, OnLimit, TierMode},
    time::DAY,
    units::{Amount, Timestamp},
    window::{Scope, Window},
};

const SHORT: (Reason, u64) = (Reason::UserLimit, 0);
const SPENT: (Reason, u64) = (Reason::BudgetSpent, 0);

const fn granted(amount: u64) -> (Reason, u64) {
    (Reason::Granted, amount)
}

/// A rule that grants what is paid, within limits.
fn all_of_it(limits: Limits, on_limit: OnLimit) -> Definition<'static> {
    Definition { limits, on_limit, ..always(1, ratio(1, 10_000, 0, 0)) }
}

/// What the rule makes of payments of these amounts by one user.
fn told(rule: Definition<'_>, amounts: &[u64]) -> Vec<(Reason, u64)> {
    let mut platform = Platform::of(&[rule]);
    let paid = amounts.iter().enumerate();
    paid.map(|(number, amount)| platform.told(&payment(&number.to_string(), 1, *amount))[0]).collect()
}

#[test]
fn a_user_gets_up_to_the_amount_and_the_last_grant_is_clipped() {
    let rule = all_of_it(per_user(100, 0), OnLimit::Clip);
    assert_eq!(told(rule, &[60, 39, 2, 1]), [granted(60), granted(39), granted(1), SHORT]);
    assert_eq!(told(rule, &[100, 1]), [granted(100), SHORT]);
    assert_eq!(told(rule, &[u64::MAX - 1, 1]), [granted(100), SHORT]);
}

#[test]
fn under_reject_a_grant_that_is_too_much_is_none_and_a_smaller_one_still_is() {
    let rule = all_of_it(per_user(100, 0), OnLimit::Reject);
    assert_eq!(told(rule, &[60, 41, 40, 1]), [granted(60), SHORT, granted(40), SHORT]);
}

#[test]
fn a_user_gets_something_up_to_the_count_however_little() {
    for on_limit in OnLimit::ALL {
        let rule = all_of_it(per_user(0, 2), on_limit);
        assert_eq!(told(rule, &[1, 60, 1, 1]), [granted(1), granted(60), SHORT, SHORT], "{on_limit:?}");
    }
}

#[test]
fn a_clipped_grant_counts_as_one_and_nothing_counts_as_none() {
    let rule = all_of_it(per_user(100, 3), OnLimit::Clip);
    assert_eq!(told(rule, &[50, 100, 1]), [granted(50), granted(50), SHORT]);
    let rule = all_of_it(per_user(100, 2), OnLimit::Reject);
    assert_eq!(told(rule, &[101, 99, 2, 1, 1]), [SHORT, granted(99), SHORT, granted(1), SHORT]);
    let rule = Definition { limits: per_user(0, 1), ..always(1, ratio(1, 5_000, 0, 0)) };
    assert_eq!(told(rule, &[1, 2, 2]), [(Reason::NothingDue, 0), granted(1), SHORT]);
}

#[test]
fn a_new_window_has_all_of_a_users_limits_anew() {
    for (window, days) in [(Window::Day, 1), (Window::Week, 7), (Window::Month, 31)] {
        for limits in [per_user(5, 0), per_user(0, 1)] {
            let mut platform = Platform::of(&[Definition { window, limits, ..always(1, fixed(1, 5)) }]);
            assert_eq!(platform.told(&payment("A1", 1, 1)), [granted(5)]);
            assert_eq!(platform.told(&payment("A2", 1, 1)), [SHORT]);
            platform.now = Timestamp(NOON.0 + days * DAY);
            let next = Payment { paid_at: platform.now, ..payment("A3", 1, 1) };
            assert_eq!(platform.told(&next), [granted(5)], "{window:?}");
        }
    }
}

#[test]
fn limits_of_a_user_are_those_of_user_and_scope() {
    let rule = Definition { scope: Scope::UserStreamer, limits: per_user(0, 1), ..always(1, fixed(1, 5)) };
    let mut platform = Platform::of(&[rule]);
    for (order, user, streamer, expected) in
        [("A1", 1, 7, granted(5)), ("A2", 1, 7, SHORT), ("A3", 1, 8, granted(5)), ("A4", 2, 7, granted(5))]
    {
        let payment = Payment { streamer, ..payment(order, user, 1) };
        assert_eq!(platform.told(&payment), [expected], "{order}");
    }
}

#[test]
fn the_budget_is_one_for_all_users_and_windows() {
    let rule = Definition { window: Window::Day, ..all_of_it(in_all(100, 0), OnLimit::Clip) };
    let mut platform = Platform::of(&[rule]);
    assert_eq!(platform.told(&payment("A1", 1, 60)), [granted(60)]);
    platform.now = Timestamp(NOON.0 + DAY);
    let tomorrow = |order, user, amount| Payment { paid_at: Timestamp(NOON.0 + DAY), ..payment(order, user, amount) };
    assert_eq!(platform.told(&tomorrow("B1", 2, 60)), [granted(40)]);
    assert_eq!(platform.told(&tomorrow("C1", 3, 1)), [SPENT]);
}

#[test]
fn under_reject_a_budget_too_small_grants_nothing_and_stays() {
    let rule = all_of_it(in_all(100, 0), OnLimit::Reject);
    assert_eq!(told(rule, &[101, 60, 41, 40, 1]), [SPENT, granted(60), SPENT, granted(40), SPENT]);
}

#[test]
fn the_budgets_count_is_of_grants_to_all_users() {
    let mut platform = Platform::of(&[Definition { limits: in_all(0, 2), ..always(1, fixed(1, 5)) }]);
    let told: Vec<_> = (1..=3).map(|user| platform.told(&payment(&user.to_string(), user, 1))[0]).collect();
    assert_eq!(told, [granted(5), granted(5), SPENT]);
}

#[test]
fn the_users_limit_is_reported_before_the_budget_and_each_clips_what_the_one_before_left() {
    let both = Limits { user_amount: Amount(50), total_amount: Amount(50), ..UNLIMITED };
    assert_eq!(told(all_of_it(both, OnLimit::Clip), &[60, 1]), [granted(50), SHORT]);
    let both = Limits { user_count: 1, total_count: 1, ..UNLIMITED };
    assert_eq!(told(all_of_it(both, OnLimit::Clip), &[60, 1]), [granted(60), SHORT]);
    let smaller = Limits { user_amount: Amount(50), total_amount: Amount(30), ..UNLIMITED };
    assert_eq!(told(all_of_it(smaller, OnLimit::Clip), &[60, 60]), [granted(30), SPENT]);
    let larger = Limits { user_amount: Amount(30), total_amount: Amount(50), ..UNLIMITED };
    assert_eq!(told(all_of_it(larger, OnLimit::Clip), &[60, 60]), [granted(30), SHORT]);
    // Rejected by the user's window: the budget is not even asked.
    assert_eq!(told(all_of_it(larger, OnLimit::Reject), &[60, 30, 1]), [SHORT, granted(30), SHORT]);
    assert_eq!(told(all_of_it(smaller, OnLimit::Reject), &[60, 40, 30, 1]), [SHORT, SPENT, granted(30), SPENT]);
}

#[test]
fn within_each_the_count_comes_before_the_amount() {
    // Under reject an amount too large is refused without a count; the reason is the same, and so is what is left.
    let rule = all_of_it(Limits { user_count: 1, user_amount: Amount(100), ..UNLIMITED }, OnLimit::Clip);
    assert_eq!(told(rule, &[60, 60]), [granted(60), SHORT], "40 are left of the amount, none of the count");
    let rule = all_of_it(Limits { total_count: 1, total_amount: Amount(100), ..UNLIMITED }, OnLimit::Clip);
    assert_eq!(told(rule, &[60, 60]), [granted(60), SPENT]);
}

#[test]
fn a_reward_of_nothing_is_nothing_due_even_where_a_limit_is_reached() {
    let rule = Definition { limits: per_user(0, 1), ..always(1, ratio(1, 5_000, 0, 0)) };
    assert_eq!(told(rule, &[2, 1]), [granted(1), (Reason::NothingDue, 0)]);
}

#[test]
fn tiers_that_were_clipped_are_due_again() {
    let steps = [step(0, 10_000)];
    let rule = Definition { limits: per_user(50, 0), ..always(1, tiers(TierMode::Marginal, &steps)) };
    assert_eq!(told(rule, &[30, 30, 1]), [granted(30), granted(20), SHORT]);
    let rule = Definition { limits: per_user(0, 1), ..always(1, tiers(TierMode::Marginal, &steps)) };
    assert_eq!(told(rule, &[30, 30]), [granted(30), SHORT]);
}

#[test]
fn limits_at_the_largest_amount_are_as_good_as_none() {
    let most = Limits {
        user_amount: Amount(u64::MAX),
        user_count: u64::MAX,
        total_amount: Amount(u64::MAX),
        total_count: u64::MAX,
    };
    assert_eq!(told(all_of_it(most, OnLimit::Reject), &[u64::MAX]), [granted(u64::MAX)]);
}

#[test]
fn what_a_user_was_limited_to_is_what_the_counters_say() {
    let mut platform = Platform::of(&[all_of_it(per_user(100, 0), OnLimit::Clip)]);
    for (order, amount) in [("A1", 60), ("A2", 60), ("A3", 60)] {
        platform.told(&payment(order, 1, amount));
    }
    let counters = platform.own(key(1), 1);
    assert_eq!((counters.spend, counters.payments), (Amount(180), 3));
    assert_eq!((counters.granted, counters.grants), (Amount(100), 2));
}
