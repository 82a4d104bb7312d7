//! Local time, against a calendar that counts months and leap years.

use crate::given::NOON;
use proptest::prelude::*;
use rebate_core::{
    time::{DAY, InvalidOffsets, LocalTime, MAX_OFFSET, UtcOffset, utc_day},
    units::{Day, LocalDay, Timestamp},
};

fn weekday(at: i64, table: &[UtcOffset]) -> u8 {
    LocalTime::at(Timestamp(at), table).weekday().0
}

/// Days of a month in the Gregorian calendar.
fn days_of(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Zeller's congruence for the Gregorian calendar, which knows nothing of Unix time; 1 is Monday.
fn zeller(year: u32, month: u32, day: u32) -> u8 {
    let (year, month) = if month < 3 { (year - 1, month + 12) } else { (year, month) };
    let (century, of_century) = (year / 100, year % 100);
    let from_saturday = (day + 13 * (month + 1) / 5 + of_century + of_century / 4 + century / 4 + 5 * century) % 7;
    ((from_saturday + 5) % 7 + 1) as u8
}

/// Every day from 1970 to 2100: its first second in UTC, its date and its weekday.
fn calendar() -> impl Iterator<Item = (i64, (u32, u32, u32), u8)> {
    (1970..=2100u32)
        .flat_map(|year| (1..=12).map(move |month| (year, month)))
        .flat_map(|(year, month)| (1..=days_of(year, month)).map(move |day| (year, month, day)))
        .zip(0..)
        .map(|((year, month, day), number)| (number * DAY, (year, month, day), zeller(year, month, day)))
}

#[test]
fn every_day_from_1970_to_2100_has_its_weekday_from_first_to_last_second() {
    assert_eq!(calendar().count(), 47_847, "131 years, 32 of them leap years: 2100 is none");
    for (midnight, _, expected) in calendar() {
        for second in [midnight, midnight + DAY / 2, midnight + DAY - 1] {
            assert_eq!(weekday(second, &[]), expected, "{second}");
        }
    }
}

#[test]
fn every_day_from_1970_to_2100_has_its_date_week_and_month_from_first_to_last_second() {
    let mut week = -1;
    for (number, (midnight, (year, month, day), weekday)) in (0..).zip(calendar()) {
        // Weeks are counted from that of 1970-01-01, a Thursday, and begin on Mondays.
        week += i32::from(weekday == 1 || number == 0);
        for second in [midnight, midnight + DAY - 1] {
            let local = LocalTime::at(Timestamp(second), &[]);
            let date = local.date();
            assert_eq!((date.year, date.month, date.day), (year as i32, month as u8, day as u8), "{second}");
            assert_eq!(date.number(), u64::from(year * 10_000 + month * 100 + day), "{second}");
            assert_eq!(local.month(), (year as i32 - 1970) * 12 + month as i32 - 1, "{second}");
            assert_eq!((local.day(), local.week()), (LocalDay(number), week), "{second}");
        }
    }
}

#[test]
fn every_hour_of_a_day_lasts_from_its_first_second_to_its_last() {
    for (hours, minutes) in [(0, 0), (8, 0), (5, 30), (-3, -30), (12, 45), (14, 0), (-14, 0)] {
        let offset = hours * 3_600 + minutes * 60;
        for hour in 0..24u8 {
            for second in [0, 1, 1_800, 3_599] {
                let at = NOON.0.div_euclid(DAY) * DAY - i64::from(offset) + i64::from(hour) * 3_600 + second;
                let local = LocalTime::at(Timestamp(at), &[UtcOffset::new(Timestamp(0), offset)]);
                assert_eq!(local.hour(), hour, "{at} at UTC{offset:+} s");
            }
        }
    }
}

#[test]
fn dates_before_1970_and_far_away_are_those_of_the_gregorian_calendar() {
    for (at, (year, month, day), months) in [
        (-1, (1969, 12, 31), -1),
        (-14_182_980, (1969, 7, 20), -6),
        (-11_644_473_600, (1601, 1, 1), -4_428),
        (-62_135_596_800, (1, 1, 1), -23_628),
        (-62_167_219_200, (0, 1, 1), -23_640),
        (-62_167_219_201, (-1, 12, 31), -23_641),
        (253_402_300_799, (9999, 12, 31), 96_359),
        (253_402_300_800, (10_000, 1, 1), 96_360),
    ] {
        let local = LocalTime::at(Timestamp(at), &[]);
        let date = local.date();
        assert_eq!((date.year, date.month, date.day), (year, month, day), "{at}");
        assert_eq!(local.month(), months, "{at}");
    }
    let number = |at| LocalTime::at(Timestamp(at), &[]).date().number();
    assert_eq!(number(-62_135_596_800), 10_101);
    assert_eq!(number(-62_167_219_201), 1_231, "before the year 0 there is no year in the number");
}

#[test]
fn days_people_remember_have_their_weekdays() {
    for (at, expected, what) in [
        (0, 4, "1970-01-01, a Thursday"),
        (-1, 3, "the second before, a Wednesday"),
        (-14_182_980, 7, "1969-07-20 20:17, the moon landing, a Sunday"),
        (951_782_400, 2, "2000-02-29, a leap day although of a century, a Tuesday"),
        (1_709_164_800, 4, "2024-02-29, a Thursday"),
        (4_107_542_400, 1, "2100-03-01, the day after 02-28, a Monday"),
        (1_791_000_000, 6, "2026-10-03, a Saturday"),
    ] {
        assert_eq!(weekday(at, &[]), expected, "{what}");
    }
}

#[test]
fn local_midnight_is_where_the_offset_says_also_by_half_hours() {
    let friday_evening = 20_728 * DAY; // 2026-10-02 00:00 UTC
    for seconds in
        [8 * 3_600, 5 * 3_600 + 1_800, 5 * 3_600 + 2_700, -(3 * 3_600 + 1_800), MAX_OFFSET, -MAX_OFFSET, 1, -1]
    {
        let table = [UtcOffset::new(Timestamp(0), seconds)];
        let midnight = friday_evening - i64::from(seconds);
        assert_eq!(weekday(midnight - 1, &table), 4, "a second before midnight at UTC{seconds:+} s");
        assert_eq!(weekday(midnight, &table), 5, "midnight at UTC{seconds:+} s");
    }
}

/// The first and the last local second that is told from its neighbours: about five million years either way.
const BOUNDS: (i64, i64) = (-1_812_322_268 * DAY, i32::MAX as i64 * DAY);

/// The weekday by the definition, with room for every intermediate value.
fn by_definition(at: i64, seconds: i32) -> u8 {
    let local = i128::from(at) + i128::from(seconds);
    let local = local.clamp(i128::from(BOUNDS.0), i128::from(BOUNDS.1));
    u8::try_from((local.div_euclid(86_400) + 3).rem_euclid(7) + 1).unwrap()
}

#[test]
fn weekdays_hold_for_millions_of_years_either_way_and_stand_still_beyond() {
    for seconds in [0, 8 * 3_600, -3 * 3_600, MAX_OFFSET, -MAX_OFFSET] {
        let table = [UtcOffset::new(Timestamp(i64::MIN), seconds)];
        for around in (-15 * DAY..15 * DAY).step_by(3_599) {
            for at in
                [BOUNDS.0 + around, BOUNDS.1 + around, i64::MIN.saturating_add(around), i64::MAX.saturating_add(around)]
            {
                assert_eq!(weekday(at, &table), by_definition(at, seconds), "{at} at UTC{seconds:+} s");
            }
        }
    }
}

proptest! {
    #[test]
    fn weekdays_hold_at_any_time_under_any_offset(
        at in prop_oneof![any::<i64>(), BOUNDS.0..BOUNDS.1],
        seconds in -MAX_OFFSET..=MAX_OFFSET,
    ) {
        let table = [UtcOffset::new(Timestamp(i64::MIN), seconds)];
        prop_assert_eq!(weekday(at, &table), by_definition(at, seconds));
    }

    #[test]
    fn days_weeks_months_and_hours_go_up_with_time(at in BOUNDS.0..BOUNDS.1, later in 0..400 * DAY) {
        let parts = |at| {
            let local = LocalTime::at(Timestamp(at), &[]);
            (local.day(), local.week(), local.month(), local.date())
        };
        let (one, other) = (parts(at), parts(at + later));
        prop_assert!(one.0 <= other.0 && one.1 <= other.1 && one.2 <= other.2 && one.3 <= other.3);
        prop_assert_eq!(i64::from(one.0.0), at.div_euclid(DAY));
        prop_assert_eq!(i64::from(one.1), (at.div_euclid(DAY) + 3).div_euclid(7));
        let hour = LocalTime::at(Timestamp(at), &[]).hour();
        prop_assert_eq!(i64::from(hour), at.rem_euclid(DAY) / 3_600);
    }

    #[test]
    fn a_date_is_followed_by_the_next_day_or_the_first_of_the_next_month(day in -700_000..2_000_000_000i64) {
        let date = |day: i64| {
            let date = LocalTime::at(Timestamp(day * DAY), &[]).date();
            (date.year, date.month, date.day)
        };
        let ((year, month, of_month), next) = (date(day), date(day + 1));
        let year_of_cycle = u32::try_from(year.rem_euclid(400)).unwrap();
        let last = u32::from(of_month) == days_of(year_of_cycle, u32::from(month));
        let expected = match (last, month) {
            (true, 12) => (year + 1, 1, 1),
            (true, _) => (year, month + 1, 1),
            (false, _) => (year, month, of_month + 1),
        };
        prop_assert_eq!(next, expected);
    }

    #[test]
    fn the_offset_in_use_is_that_of_the_last_row_that_has_begun(
        rows in prop::collection::btree_map(-1_000_000..1_000_000i64, -MAX_OFFSET..=MAX_OFFSET, 0..16),
        at in -1_100_000..1_100_000i64,
    ) {
        let table: Vec<_> = rows.iter().map(|(from, seconds)| UtcOffset::new(Timestamp(*from), *seconds)).collect();
        prop_assert_eq!(UtcOffset::check(&table), Ok(()));
        let offset = rows.range(..=at).next_back().map_or(0, |(_, seconds)| *seconds);
        prop_assert_eq!(weekday(at, &table), by_definition(at, offset));
    }
}

#[test]
fn an_offset_begins_at_its_first_second_and_not_before() {
    // Out of UTC+8 for 16 hours less, so that the day of the week tells which row was used.
    let noon = 20_728 * DAY + DAY / 2; // Friday, 2026-10-02 12:00 UTC
    let table = [UtcOffset::new(Timestamp(noon), 14 * 3_600), UtcOffset::new(Timestamp(noon + 60), -14 * 3_600)];
    assert_eq!(weekday(noon - 1, &table), 5, "UTC before the first row");
    assert_eq!(weekday(noon, &table), 6, "the first row's first second");
    assert_eq!(weekday(noon + 59, &table), 6, "and its last");
    assert_eq!(weekday(noon + 60, &table), 4, "the second row's first second");
}

#[test]
fn a_table_of_offsets_ascends_strictly_and_stays_within_fourteen_hours() {
    let row = |from, seconds| UtcOffset::new(Timestamp(from), seconds);
    assert_eq!(UtcOffset::check(&[]), Ok(()));
    assert_eq!(UtcOffset::check(&[row(i64::MIN, MAX_OFFSET), row(0, -MAX_OFFSET), row(1, 0)]), Ok(()));
    assert_eq!(UtcOffset::check(&[row(0, 0), row(0, 0)]), Err(InvalidOffsets::NotAscending));
    assert_eq!(UtcOffset::check(&[row(0, 0), row(5, 0), row(4, 0)]), Err(InvalidOffsets::NotAscending));
    assert_eq!(UtcOffset::check(&[row(0, MAX_OFFSET + 1)]), Err(InvalidOffsets::OutOfRange));
    assert_eq!(UtcOffset::check(&[row(0, 0), row(1, -MAX_OFFSET - 1)]), Err(InvalidOffsets::OutOfRange));
    assert_eq!(UtcOffset::check(&[row(0, i32::MIN)]), Err(InvalidOffsets::OutOfRange));
}

#[test]
fn the_utc_day_begins_at_midnight_and_ends_where_a_u32_does() {
    let last = i64::from(u32::MAX) * DAY;
    for (at, expected) in [
        (i64::MIN, None),
        (-1, None),
        (0, Some(Day(0))),
        (DAY - 1, Some(Day(0))),
        (DAY, Some(Day(1))),
        (1_791_000_000, Some(Day(20_729))),
        (last, Some(Day(u32::MAX))),
        (last + DAY - 1, Some(Day(u32::MAX))),
        (last + DAY, None),
        (i64::MAX, None),
    ] {
        assert_eq!(utc_day(Timestamp(at)), expected, "{at}");
    }
}
