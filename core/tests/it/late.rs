//! Payments that come late: whose window has gone by.

use crate::{
    given::{NOON, always, fixed, key, payment, per_user},
    platform::Platform,
};
use rebate_core::{
    outcome::Reason,
    payment::Payment,
    rule::Definition,
    time::DAY,
    units::{Amount, Timestamp},
    window::{Scope, Window},
};

/// A payment `days` before NOON.
fn earlier(order: &str, days: i64) -> Payment {
    Payment { paid_at: Timestamp(NOON.0 - days * DAY), ..payment(order, 1, 100) }
}

#[test]
fn a_payment_of_an_earlier_window_is_late_and_the_counters_stay() {
    for (window, days) in [(Window::Day, 1), (Window::Week, 7), (Window::Month, 3)] {
        let mut platform = Platform::of(&[Definition { window, ..always(1, fixed(1, 5)) }]);
        assert_eq!(platform.told(&earlier("A1", 0)), [(Reason::Granted, 5)]);
        let before = platform.own(key(1), 1);
        let outcomes = platform.pay(&earlier("A2", days)).unwrap();
        assert_eq!((outcomes[0].reason, outcomes[0].clause, outcomes[0].amount), (Reason::LateForWindow, 0, Amount(0)));
        assert_eq!((outcomes[0].before, outcomes[0].after), (Amount(5), Amount(5)));
        assert_eq!(platform.own(key(1), 1), before, "{window:?}");
    }
}

#[test]
fn a_late_payment_whose_window_still_stands_is_judged_as_any_other() {
    // NOON is a Saturday, the 3rd: the Monday before is in its week and not in its month.
    let rules = [
        Definition { window: Window::Day, ..always(1, fixed(1, 5)) },
        Definition { window: Window::Week, ..always(2, fixed(1, 5)) },
        Definition { window: Window::Month, ..always(3, fixed(1, 5)) },
        Definition { window: Window::Lifetime, ..always(4, fixed(1, 5)) },
        Definition { window: Window::Schedule, ..always(5, fixed(1, 5)) },
    ];
    let mut platform = Platform::of(&rules);
    platform.told(&earlier("A1", 0));
    let late: Vec<_> = platform.told(&earlier("A2", 5)).iter().map(|one| one.0 == Reason::LateForWindow).collect();
    assert_eq!(late, [true, false, true, false, false]);
    assert_eq!([1, 2, 3, 4, 5].map(|rule| platform.own(key(1), rule).payments), [1, 2, 1, 2, 2]);
}

#[test]
fn a_late_payment_that_comes_first_is_judged_as_any_other() {
    let mut platform = Platform::of(&[Definition { window: Window::Day, ..always(1, fixed(1, 5)) }]);
    assert_eq!(platform.told(&earlier("A1", 30)), [(Reason::Granted, 5)]);
    assert_eq!(platform.told(&earlier("A2", 10)), [(Reason::Granted, 5)]);
    assert_eq!(platform.told(&earlier("A3", 30)), [(Reason::LateForWindow, 0)]);
}

#[test]
fn one_scopes_later_window_does_not_make_anothers_late() {
    let per_streamer = Definition { window: Window::Day, scope: Scope::UserStreamer, ..always(1, fixed(1, 5)) };
    let mut platform = Platform::of(&[per_streamer]);
    platform.told(&Payment { streamer: 7, ..earlier("A1", 0) });
    assert_eq!(platform.told(&Payment { streamer: 8, ..earlier("A2", 1) }), [(Reason::Granted, 5)]);
    assert_eq!(platform.told(&Payment { streamer: 7, ..earlier("A3", 1) }), [(Reason::LateForWindow, 0)]);
}

#[test]
fn a_late_payment_is_numbered_and_known_as_any_other() {
    let mut platform = Platform::of(&[Definition { window: Window::Day, ..always(1, fixed(1, 5)) }]);
    platform.told(&earlier("A1", 0));
    platform.told(&earlier("A2", 1));
    assert_eq!(platform.state.users[&key(1)].payments, 2);
    assert!(platform.pay(&earlier("A2", 1)).is_err());
}

#[test]
fn being_late_comes_before_every_other_reason() {
    let held_out = Definition {
        window: Window::Day,
        holdout: rebate_core::units::BasisPoints(10_000),
        limits: per_user(1, 1),
        ..always(1, fixed(1, 5))
    };
    let mut platform = Platform::of(&[held_out]);
    assert_eq!(platform.told(&earlier("A1", 0)), [(Reason::Holdout, 0)]);
    assert_eq!(platform.told(&earlier("A2", 1)), [(Reason::LateForWindow, 0)]);
}
