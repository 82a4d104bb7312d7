//! What one rule counts of one user, in one scope.

use crate::{
    given::{NOON, always, fixed, key, payment, when},
    platform::Platform,
};
use rebate_core::{
    counters::{CounterOverflow, Counters, LaterWindow},
    outcome::Reason,
    payment::Payment,
    rule::{Definition, Field, Operator},
    time::DAY,
    units::{Amount, LocalDay, RuleId, RuleVersion, ScopeId, Timestamp, WindowIndex},
    window::{Scope, Window},
};

const FULL: Counters = Counters {
    rule: RuleId(7),
    epoch: RuleVersion(2),
    window: WindowIndex(30),
    spend: Amount(100),
    granted: Amount(20),
    payments: 3,
    grants: 2,
    streak: 5,
    streak_day: LocalDay(40),
};

/// Counters that went on to a window of an epoch.
fn rolled(mut counters: Counters, epoch: u16, window: i32) -> Result<Counters, LaterWindow> {
    let before = counters;
    let moved = counters.roll(RuleVersion(epoch), WindowIndex(window));
    assert_eq!(counters != before, moved.unwrap_or(false), "it says whether that changed anything");
    moved.map(|_| counters)
}

#[test]
fn a_later_window_resets_all_but_the_streak() {
    assert_eq!(rolled(FULL, 2, 30), Ok(FULL));
    for window in [31, i32::MAX] {
        let expected = Counters {
            window: WindowIndex(window),
            spend: Amount(0),
            granted: Amount(0),
            payments: 0,
            grants: 0,
            ..FULL
        };
        assert_eq!(rolled(FULL, 2, window), Ok(expected));
    }
}

#[test]
fn an_earlier_window_is_none_to_go_back_to() {
    for window in [29, 0, -1, i32::MIN] {
        assert_eq!(rolled(FULL, 2, window), Err(LaterWindow), "{window}");
    }
}

#[test]
fn a_later_epoch_resets_everything_in_whatever_window() {
    for window in [29, 30, 31] {
        let anew =
            Counters { rule: RuleId(7), epoch: RuleVersion(3), window: WindowIndex(window), ..Counters::default() };
        assert_eq!(rolled(FULL, 3, window), Ok(anew));
        assert_eq!(rolled(FULL, 1, window), Err(LaterWindow), "and an earlier one is none to go back to");
    }
}

#[test]
fn counters_that_counted_nothing_are_free_and_begin_in_any_window() {
    let none = Counters::of(RuleId(7));
    assert!(none.is_free() && !FULL.is_free() && Counters::default().is_free());
    for window in [i32::MIN, -1, 0, 5] {
        let begun = rolled(none, 1, window).unwrap();
        assert_eq!(begun, Counters { epoch: RuleVersion(1), window: WindowIndex(window), ..none });
        assert!(!begun.is_free());
    }
}

#[test]
fn a_payment_that_counts_adds_to_spend_payments_and_streak() {
    for (day, streak, streak_day, lengthened) in
        [(40, 5, 40, false), (41, 6, 41, true), (42, 1, 42, true), (39, 5, 40, false), (i32::MIN, 5, 40, false)]
    {
        let mut counters = FULL;
        assert_eq!(counters.count(Amount(50), LocalDay(day)), Ok(lengthened), "day {day}");
        let expected = Counters { spend: Amount(150), payments: 4, streak, streak_day: LocalDay(streak_day), ..FULL };
        assert_eq!(counters, expected, "day {day}");
    }
}

#[test]
fn the_first_day_of_all_begins_a_streak_on_any_day() {
    for day in [i32::MIN, -1, 0, 1, i32::MAX].map(LocalDay) {
        let mut counters = Counters::of(RuleId(1));
        assert_eq!(counters.count(Amount(1), day), Ok(true), "{day}");
        assert_eq!((counters.streak, counters.streak_day), (1, day));
        assert_eq!(counters.count(Amount(1), day), Ok(false), "{day} again");
        assert_eq!(counters.streak, 1);
    }
}

#[test]
fn counters_at_their_ends_overflow() {
    let full = Counters { spend: Amount(u64::MAX - 1), ..FULL };
    assert_eq!({ full }.count(Amount(1), LocalDay(40)), Ok(false));
    assert_eq!({ full }.count(Amount(2), LocalDay(40)), Err(CounterOverflow));
    assert_eq!(Counters { payments: u32::MAX, ..FULL }.count(Amount(1), LocalDay(40)), Err(CounterOverflow));
    let mut longest = Counters { streak: u32::MAX, ..FULL };
    assert_eq!({ longest }.count(Amount(1), LocalDay(41)), Err(CounterOverflow));
    assert_eq!(longest.count(Amount(1), LocalDay(42)), Ok(true), "a new beginning is none");
    assert_eq!(longest.streak, 1);
}

#[test]
fn counters_take_40_bytes_and_room_for_them_is_all_zero() {
    assert_eq!(size_of::<Counters>(), 40);
    assert_eq!(bytemuck::cast::<_, [u8; 40]>(Counters::default()), [0; 40]);
    let mut expected = [0; 40];
    (expected[0], expected[2], expected[4], expected[8], expected[16]) = (7, 2, 30, 100, 20);
    (expected[24], expected[28], expected[32], expected[36]) = (3, 2, 5, 40);
    assert_eq!(bytemuck::cast::<_, [u8; 40]>(FULL), expected);
}

#[test]
fn only_base_clauses_decide_whether_a_payment_counts() {
    let condition = [
        when(0, Field::Product, Operator::Eq, 1),
        when(1, Field::Spend, Operator::Ge, 300),
        // A clause with one predicate on the counters is none of the base: it keeps no payment from counting.
        when(2, Field::Payments, Operator::Eq, 9),
        when(2, Field::Tier, Operator::Eq, 4),
    ];
    let mut platform = Platform::of(&[Definition { condition: &condition, ..always(1, fixed(1, 5)) }]);
    for (order, product, tier, expected, clause, spend) in [
        ("A1", 1, 4, Reason::NotMatched, 1, 200),
        ("A2", 2, 4, Reason::NotMatched, 0, 200),
        ("A3", 1, 3, Reason::NotMatched, 2, 400),
        ("A4", 1, 4, Reason::Granted, 0, 600),
    ] {
        let outcomes = platform.pay(&Payment { product, tier, ..payment(order, 1, 200) }).unwrap();
        assert_eq!((outcomes[0].reason, outcomes[0].clause), (expected, clause), "{order}");
        assert_eq!(platform.own(key(1), 1).spend, Amount(spend), "{order}");
    }
}

#[test]
fn a_clause_of_base_predicates_counts_by_any_of_them_and_a_negated_one_by_its_opposite() {
    let condition = [
        when(0, Field::Product, Operator::Eq, 1),
        when(0, Field::Product, Operator::Eq, 2),
        crate::given::unless(1, Field::Tier, Operator::Eq, 9),
        when(2, Field::Payments, Operator::Gt, 1_000),
    ];
    let mut platform = Platform::of(&[Definition { condition: &condition, ..always(1, fixed(1, 5)) }]);
    for (order, product, tier) in [("A1", 1, 0), ("A2", 2, 0), ("A3", 3, 0), ("A4", 1, 9)] {
        platform.told(&Payment { product, tier, ..payment(order, 1, 1) });
    }
    assert_eq!(platform.own(key(1), 1).payments, 2);
}

#[test]
fn a_payment_that_does_not_count_still_rolls_counters_over_calendar_windows() {
    let product = [when(0, Field::Product, Operator::Eq, 1)];
    let rule = |window| Definition { window, condition: &product, ..always(1, fixed(1, 5)) };
    for window in [Window::Day, Window::Week, Window::Month] {
        let mut platform = Platform::of(&[rule(window)]);
        platform.told(&Payment { product: 1, ..payment("A1", 1, 100) });
        let before = platform.own(key(1), 1);
        platform.now = Timestamp(NOON.0 + 40 * DAY);
        platform.told(&Payment { paid_at: platform.now, ..payment("A2", 1, 100) });
        let after = platform.own(key(1), 1);
        assert!(after.window > before.window, "{window:?}");
        assert_eq!((after.spend, after.payments, after.streak), (Amount(0), 0, 1), "{window:?}");
        assert_eq!(platform.told(&payment("A3", 1, 100)), [(Reason::LateForWindow, 0)], "{window:?}");

        let mut platform = Platform::of(&[rule(window)]);
        platform.told(&payment("A1", 1, 100));
        assert!(platform.counters(key(1), Scope::User, 0, 1).is_some(), "{window:?}");
    }
    for window in [Window::Lifetime, Window::Schedule] {
        let mut platform = Platform::of(&[rule(window)]);
        platform.told(&payment("A1", 1, 100));
        assert_eq!(platform.counters(key(1), Scope::User, 0, 1), None, "{window:?}: nothing was counted");
    }
}

#[test]
fn counters_belong_to_user_rule_and_scope_id() {
    let per_streamer = Definition { scope: Scope::UserStreamer, ..always(2, fixed(1, 5)) };
    let per_session = Definition { scope: Scope::UserSession, ..always(3, fixed(1, 5)) };
    let mut platform = Platform::of(&[always(1, fixed(1, 5)), per_streamer, per_session]);
    for (order, user, streamer, session, amount) in
        [("A1", 1, 7, 5, 1), ("A2", 1, 8, 5, 10), ("A3", 1, 0, 0, 100), ("A4", 2, 7, 5, 1_000), ("A5", 1, 7, 6, 10_000)]
    {
        platform.told(&Payment { streamer, session, ..payment(order, user, amount) });
    }
    let spend = |user, scope, id, rule| platform.counters(key(user), scope, id, rule).map(|one| one.spend.0);
    assert_eq!((spend(1, Scope::User, 0, 1), spend(2, Scope::User, 0, 1)), (Some(10_111), Some(1_000)));
    let streamers = [7, 8, 0].map(|id| spend(1, Scope::UserStreamer, id, 2).unwrap());
    assert_eq!(streamers, [10_001, 10, 100], "no streamer is one like any other");
    let sessions = [5, 6, 0].map(|id| spend(1, Scope::UserSession, id, 3).unwrap());
    assert_eq!(sessions, [11, 10_000, 100], "whoever streams in it, and no session is one like any other");
    assert_eq!(spend(2, Scope::UserStreamer, 7, 2), Some(1_000));
    assert_eq!(spend(1, Scope::User, 0, 2), None, "a rule counts in its own scope only");
}

#[test]
fn a_payment_names_the_counters_of_each_scope() {
    let payment = Payment { streamer: 7, session: u64::MAX, ..payment("A1", 1, 1) };
    let ids = Scope::ALL.map(|scope| payment.scope_id(scope));
    assert_eq!(ids, [ScopeId(0), ScopeId(7), ScopeId(u64::MAX)]);
}

#[test]
fn who_is_granted_nothing_for_another_reason_is_counted_all_the_same() {
    let mut nobody = always(1, fixed(1, 5));
    nobody.holdout = rebate_core::units::BasisPoints(10_000);
    let mut platform = Platform::of(&[nobody]);
    assert_eq!(platform.told(&payment("A1", 1, 100)), [(Reason::Holdout, 0)]);
    let counters = platform.own(key(1), 1);
    assert_eq!((counters.spend, counters.payments, counters.granted, counters.grants), (Amount(100), 1, Amount(0), 0));
}
