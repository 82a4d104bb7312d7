//! Windows: where each begins and ends on the platform's calendar.

use crate::{
    given::{NOON, always, fixed, key, midnight, payment, utc_plus},
    platform::Platform,
};
use proptest::prelude::*;
use rebate_core::{
    outcome::Reason,
    payment::Payment,
    rule::Definition,
    time::{DAY, LocalTime, MAX_OFFSET, UtcOffset},
    units::{Timestamp, WindowIndex},
    window::{Scope, Window},
};

/// Offsets in use, also by half and quarter hours.
const OFFSETS: [(i32, i32); 6] = [(0, 0), (8, 0), (5, 30), (-3, -30), (12, 45), (-11, 0)];

fn index(window: Window, at: i64, offsets: &[UtcOffset]) -> i32 {
    window.index(LocalTime::at(Timestamp(at), offsets)).0
}

/// Checks that `first` is the first local second of a window everywhere.
fn begins(window: Window, first: i64) {
    for (hours, minutes) in OFFSETS {
        let at = first - i64::from(hours * 3_600 + minutes * 60);
        let offsets = utc_plus(hours, minutes);
        let [before, after] = [at - 1, at].map(|at| index(window, at, &offsets));
        assert_eq!(after, before + 1, "{window:?} at local second {first}, UTC{hours:+}:{minutes}");
    }
}

/// Checks that `first` is the first second of no window anywhere.
fn goes_on(window: Window, first: i64) {
    for (hours, minutes) in OFFSETS {
        let at = first - i64::from(hours * 3_600 + minutes * 60);
        let offsets = utc_plus(hours, minutes);
        let [before, after] = [at - 1, at].map(|at| index(window, at, &offsets));
        assert_eq!(after, before, "{window:?} at local second {first}, UTC{hours:+}:{minutes}");
    }
}

#[test]
fn days_begin_at_local_midnight() {
    for (year, month, day) in [(1970, 1, 2), (2000, 2, 29), (2026, 10, 3), (2026, 12, 31), (2100, 3, 1)] {
        let first = midnight(year, month, day);
        begins(Window::Day, first);
        goes_on(Window::Day, first + 1);
        goes_on(Window::Day, first + DAY / 2);
    }
}

#[test]
fn weeks_begin_on_local_mondays() {
    // Mondays: the first of 1970, one over the turn of a year, one over a leap day, a common one.
    for (year, month, day) in [(1970, 1, 5), (2024, 12, 30), (2024, 2, 26), (2026, 10, 5)] {
        let monday = midnight(year, month, day);
        begins(Window::Week, monday);
        for later in 1..7 {
            goes_on(Window::Week, monday + later * DAY);
        }
        begins(Window::Week, monday + 7 * DAY);
    }
}

#[test]
fn months_begin_on_their_local_first_also_after_leap_days_and_at_the_turn_of_the_year() {
    for (year, month) in [(1970, 2), (2000, 3), (2024, 3), (2026, 3), (2026, 1), (2027, 1), (2100, 3), (2100, 12)] {
        begins(Window::Month, midnight(year, month, 1));
        goes_on(Window::Month, midnight(year, month, 2));
    }
    goes_on(Window::Month, midnight(2024, 2, 29));
    goes_on(Window::Month, midnight(2000, 2, 29));
}

#[test]
fn there_is_one_lifetime_and_one_schedule() {
    for window in [Window::Lifetime, Window::Schedule] {
        for at in [i64::MIN, -1, 0, NOON.0, i64::MAX] {
            assert_eq!(index(window, at, &[]), 0, "{window:?} at {at}");
        }
    }
}

#[test]
fn windows_are_counted_from_that_of_the_first_of_january_1970() {
    for window in [Window::Day, Window::Week, Window::Month] {
        assert_eq!((index(window, 0, &[]), index(window, DAY - 1, &[])), (0, 0), "{window:?}");
    }
    assert_eq!(
        [index(Window::Day, -1, &[]), index(Window::Week, -4 * DAY, &[]), index(Window::Month, -1, &[])],
        [-1; 3]
    );
    assert_eq!(index(Window::Month, NOON.0, &[]), 56 * 12 + 9);
    assert_eq!(index(Window::Day, NOON.0, &[]), 20_729);
    assert_eq!(index(Window::Week, NOON.0, &[]), 2_961);
}

#[test]
fn an_offset_that_changes_inside_a_day_makes_it_shorter_or_longer_or_comes_back_to_it() {
    let noon = midnight(2026, 10, 3) + DAY / 2;
    let offset = |from: i64, hours: i32| UtcOffset::new(Timestamp(from), hours * 3_600);
    // An hour forward at noon: the day ends an hour earlier.
    let forward = [offset(0, 0), offset(noon, 1)];
    let day = index(Window::Day, noon - 1, &forward);
    assert_eq!(index(Window::Day, noon + 11 * 3_600 - 1, &forward), day);
    assert_eq!(index(Window::Day, noon + 11 * 3_600, &forward), day + 1);
    // An hour back: it ends an hour later.
    let back = [offset(0, 0), offset(noon, -1)];
    assert_eq!(index(Window::Day, noon + 13 * 3_600 - 1, &back), day);
    assert_eq!(index(Window::Day, noon + 13 * 3_600, &back), day + 1);
    // Half an hour after midnight, an hour back: the day before comes back.
    let midnight = midnight(2026, 10, 4);
    let again = [offset(0, 0), offset(midnight + 1_800, -1)];
    let days = [-1, 0, 1_799, 1_800, 3_599, 3_600].map(|after| index(Window::Day, midnight + after, &again) - day);
    assert_eq!(days, [0, 1, 1, 0, 0, 1]);
}

#[test]
fn where_a_clock_is_put_back_over_midnight_the_day_before_is_a_window_gone_by() {
    let midnight = midnight(2026, 10, 4);
    let mut platform = Platform::of(&[Definition { window: Window::Day, ..always(1, fixed(1, 5)) }]);
    platform.offsets = vec![UtcOffset::new(Timestamp(0), 0), UtcOffset::new(Timestamp(midnight + 1_800), -3_600)];
    for (order, after, expected) in [
        ("A1", -1, Reason::Granted),
        ("A2", 0, Reason::Granted),
        ("A3", 1_800, Reason::LateForWindow),
        ("A4", 3_600, Reason::Granted),
    ] {
        platform.now = Timestamp(midnight + after);
        let payment = Payment { paid_at: platform.now, ..payment(order, 1, 1) };
        assert_eq!(platform.told(&payment)[0].0, expected, "{after} s after midnight");
    }
    assert_eq!(platform.own(key(1), 1).payments, 2, "the two after midnight");
}

#[test]
fn the_window_of_a_payment_is_that_of_when_it_was_paid() {
    let mut platform = Platform::of(&[Definition { window: Window::Month, ..always(1, fixed(1, 5)) }]);
    platform.now = Timestamp(midnight(2026, 11, 5));
    let october = Payment { paid_at: Timestamp(midnight(2026, 11, 1) - 1), ..payment("A1", 1, 1) };
    platform.told(&october);
    assert_eq!(platform.own(key(1), 1).window, WindowIndex(56 * 12 + 9));
}

#[test]
fn windows_and_scopes_keep_their_numbers_and_names() {
    let windows = Window::ALL.map(|window| (window as u8, window.name()));
    assert_eq!(windows, [(1, "day"), (2, "week"), (3, "month"), (4, "lifetime"), (5, "schedule")]);
    let scopes = Scope::ALL.map(|scope| (scope as u8, scope.name()));
    assert_eq!(scopes, [(1, "user"), (2, "user_streamer"), (3, "user_session")]);
    for number in 0..=u8::MAX {
        let known = Window::from_number(number).map(|window| window as u8);
        assert_eq!(known, (1..=5).contains(&number).then_some(number));
        let known = Scope::from_number(number).map(|scope| scope as u8);
        assert_eq!(known, (1..=3).contains(&number).then_some(number));
    }
}

proptest! {
    #[test]
    fn a_window_is_that_of_the_local_date(at in 0..4_133_980_800i64, seconds in -MAX_OFFSET..=MAX_OFFSET) {
        let offsets = [UtcOffset::new(Timestamp(0), seconds)];
        let day = (at + i64::from(seconds)).div_euclid(DAY);
        prop_assert_eq!(i64::from(index(Window::Day, at, &offsets)), day);
        prop_assert_eq!(i64::from(index(Window::Week, at, &offsets)), (day + 3).div_euclid(7));
        let month = i64::from(index(Window::Month, at, &offsets));
        let first = |month: i64| midnight(1970 + month / 12, month % 12 + 1, 1) / DAY;
        if month >= 0 {
            prop_assert!(first(month) <= day && day < first(month + 1));
        } else {
            prop_assert!(month == -1 && day < 0);
        }
    }
}
