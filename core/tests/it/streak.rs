//! Streaks: paying day after day.

use crate::{
    given::{NOON, always, payment, streak, utc_plus, when},
    platform::Platform,
};
use proptest::prelude::*;
use rebate_core::{
    outcome::Reason,
    payment::Payment,
    rule::{Definition, Field, Operator},
    time::{DAY, UtcOffset},
    units::{LocalDay, Timestamp},
    window::{Scope, Window},
};

const GRANTED: (Reason, u64) = (Reason::Granted, 100);
const NOTHING: (Reason, u64) = (Reason::NothingDue, 0);

/// Pays on each of these days, counted from NOON's, and says what the one rule made of it.
fn on_days(platform: &mut Platform, days: &[i64]) -> Vec<(Reason, u64)> {
    days.iter()
        .enumerate()
        .map(|(number, day)| {
            let paid_at = Timestamp(NOON.0 + day * DAY);
            platform.now = platform.now.max(paid_at);
            platform.told(&Payment { paid_at, ..payment(&number.to_string(), 1, 1) })[0]
        })
        .collect()
}

#[test]
fn a_streak_pays_on_the_day_that_completes_it_and_only_then() {
    let mut platform = Platform::of(&[always(1, streak(3, 100, false))]);
    let told = on_days(&mut platform, &[0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(told, [NOTHING, NOTHING, GRANTED, NOTHING, NOTHING, NOTHING, NOTHING]);
}

#[test]
fn a_recurring_streak_pays_on_every_multiple() {
    let mut platform = Platform::of(&[always(1, streak(3, 100, true))]);
    let told = on_days(&mut platform, &[0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(told, [NOTHING, NOTHING, GRANTED, NOTHING, NOTHING, GRANTED, NOTHING]);
}

#[test]
fn further_payments_of_the_completing_day_do_not_pay_again() {
    for recurring in [false, true] {
        let mut platform = Platform::of(&[always(1, streak(2, 100, recurring))]);
        assert_eq!(on_days(&mut platform, &[0, 0, 1, 1, 1]), [NOTHING, NOTHING, GRANTED, NOTHING, NOTHING]);
        assert_eq!(platform.own(payment("", 1, 1).user, 1).streak, 2);
    }
}

#[test]
fn a_day_left_out_begins_again_at_one() {
    let mut platform = Platform::of(&[always(1, streak(3, 100, false))]);
    let told = on_days(&mut platform, &[0, 1, 3, 4, 5]);
    assert_eq!(told, [NOTHING, NOTHING, NOTHING, NOTHING, GRANTED], "a streak that was broken can be completed again");
}

#[test]
fn a_payment_of_an_earlier_day_changes_no_streak() {
    let mut platform = Platform::of(&[always(1, streak(3, 100, false))]);
    assert_eq!(on_days(&mut platform, &[0, 2, 1, 3, 4]), [NOTHING, NOTHING, NOTHING, NOTHING, GRANTED]);
    let counters = platform.own(payment("", 1, 1).user, 1);
    assert_eq!((counters.streak, counters.payments), (3, 5), "it was counted all the same");
}

#[test]
fn a_streak_of_one_day_pays_on_each_first_day() {
    let mut platform = Platform::of(&[always(1, streak(1, 100, false))]);
    assert_eq!(on_days(&mut platform, &[0, 0, 1, 3]), [GRANTED, NOTHING, NOTHING, GRANTED]);
    let mut platform = Platform::of(&[always(1, streak(1, 100, true))]);
    assert_eq!(on_days(&mut platform, &[0, 0, 1, 3]), [GRANTED, NOTHING, GRANTED, GRANTED]);
}

#[test]
fn windows_do_not_end_a_streak() {
    for window in [Window::Day, Window::Week, Window::Month] {
        let mut platform = Platform::of(&[Definition { window, ..always(1, streak(40, 100, false)) }]);
        let told = on_days(&mut platform, &(0..40).collect::<Vec<_>>());
        assert_eq!(told.last(), Some(&GRANTED), "{window:?}");
        assert!(platform.own(payment("", 1, 1).user, 1).payments < 40, "{window:?}: but they end what is counted");
    }
}

#[test]
fn only_payments_that_count_make_a_streak() {
    let product = [when(0, Field::Product, Operator::Eq, 1)];
    let mut platform = Platform::of(&[Definition { condition: &product, ..always(1, streak(2, 100, false)) }]);
    for (number, (day, product, expected)) in
        [(0, 1, NOTHING), (1, 2, (Reason::NotMatched, 0)), (2, 1, NOTHING), (3, 1, GRANTED)].into_iter().enumerate()
    {
        platform.now = Timestamp(NOON.0 + day * DAY);
        let payment = Payment { product, paid_at: platform.now, ..payment(&number.to_string(), 1, 1) };
        assert_eq!(platform.told(&payment), [expected], "day {day}");
    }
}

#[test]
fn a_streak_that_its_condition_keeps_from_paying_goes_on() {
    // The third day is completed by a payment too small, and no other payment of that day lengthens the streak.
    let spent = [when(0, Field::Spend, Operator::Ge, 100)];
    let day = Definition { window: Window::Day, condition: &spent, ..always(1, streak(3, 100, false)) };
    let mut platform = Platform::of(&[day]);
    for (number, (day, amount, expected)) in
        [(0, 100, NOTHING), (1, 100, NOTHING), (2, 99, (Reason::NotMatched, 0)), (2, 1, NOTHING), (3, 100, NOTHING)]
            .into_iter()
            .enumerate()
    {
        platform.now = Timestamp(NOON.0 + day * DAY);
        let payment = Payment { paid_at: platform.now, ..payment(&number.to_string(), 1, amount) };
        assert_eq!(platform.told(&payment), [expected], "payment {number}");
    }
    assert_eq!(platform.own(payment("", 1, 1).user, 1).streak, 4);
}

#[test]
fn the_days_of_a_streak_are_local_days() {
    // 23:59:59 and 00:00:00 in each time zone, a second apart: two days.
    for (hours, minutes) in [(0, 0), (8, 0), (5, 30), (-3, -30), (12, 45)] {
        let mut platform = Platform::of(&[always(1, streak(2, 100, false))]);
        platform.offsets = utc_plus(hours, minutes);
        let midnight = 20_729 * DAY - i64::from(hours * 3_600 + minutes * 60);
        platform.now = Timestamp(midnight);
        let before = Payment { paid_at: Timestamp(midnight - 1), ..payment("A1", 1, 1) };
        assert_eq!(platform.told(&before), [NOTHING]);
        let after = Payment { paid_at: Timestamp(midnight), ..payment("A2", 1, 1) };
        assert_eq!(platform.told(&after), [GRANTED], "{hours}:{minutes}");
        assert_eq!(platform.own(after.user, 1).streak_day, LocalDay(20_729));
    }
}

#[test]
fn a_clock_put_back_over_midnight_leaves_the_streak_as_it_is() {
    let noon = 20_729 * DAY;
    let mut platform = Platform::of(&[always(1, streak(2, 100, false))]);
    platform.offsets = vec![UtcOffset::new(Timestamp(0), 0), UtcOffset::new(Timestamp(noon + 600), -3_600)];
    for (number, (after, expected, streak)) in
        [(0, NOTHING, 1), (599, NOTHING, 1), (600, NOTHING, 1), (4_200, NOTHING, 1), (600 + DAY, NOTHING, 1)]
            .into_iter()
            .enumerate()
    {
        platform.now = Timestamp(noon + after);
        let payment = Payment { paid_at: platform.now, ..payment(&number.to_string(), 1, 1) };
        assert_eq!(platform.told(&payment), [expected], "{after} s");
        assert_eq!(platform.own(payment.user, 1).streak, streak, "{after} s");
    }
    platform.now = Timestamp(noon + DAY + 3_600);
    let next = Payment { paid_at: platform.now, ..payment("next", 1, 1) };
    assert_eq!(platform.told(&next), [GRANTED], "the local day after the first");
}

#[test]
fn each_streamer_has_a_streak_of_its_own() {
    let mut platform = Platform::of(&[Definition { scope: Scope::UserStreamer, ..always(1, streak(2, 100, false)) }]);
    for (number, (day, streamer, expected)) in
        [(0, 7, NOTHING), (1, 8, NOTHING), (2, 8, GRANTED), (3, 7, NOTHING), (4, 7, GRANTED)].into_iter().enumerate()
    {
        platform.now = Timestamp(NOON.0 + day * DAY);
        let payment = Payment { streamer, paid_at: platform.now, ..payment(&number.to_string(), 1, 1) };
        assert_eq!(platform.told(&payment), [expected], "day {day}, streamer {streamer}");
    }
}

proptest! {
    #[test]
    fn a_streak_is_the_run_of_days_that_ends_on_the_latest_day(
        days in prop::collection::vec(0..12i64, 1..25), length in 1..4u32, recurring: bool,
    ) {
        let mut platform = Platform::of(&[always(1, streak(length, 100, recurring))]);
        let told = on_days(&mut platform, &days);
        // Day by day: earlier days are forgotten, whether or not they were paid on before.
        let (mut run, mut latest) = (0, i64::MIN);
        for (day, told) in days.into_iter().zip(told) {
            let lengthened = day > latest;
            if lengthened {
                run = if latest + 1 == day { run + 1 } else { 1 };
                latest = day;
            }
            let reached = if recurring { run % length == 0 } else { run == length };
            prop_assert_eq!(told, if lengthened && reached { GRANTED } else { NOTHING });
        }
        prop_assert_eq!(platform.own(payment("", 1, 1).user, 1).streak, run);
    }
}
