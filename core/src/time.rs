//! Local time from a platform's table of dated UTC offsets.

use crate::units::{Day, LocalDay, Timestamp};
use bytemuck::{Pod, Zeroable};

/// Seconds of a day.
pub const DAY: i64 = 86_400;

/// The longest that a platform's `max_lateness` and `timelock` can be: 366 days, in seconds. Making them longer counts
/// at once, so that without a bound a stolen key could put off every change for a lifetime.
pub const MAX_SPAN: u32 = 366 * 86_400;

/// From `from` on, local time is UTC plus `seconds`. Rows of a table are in ascending order of `from`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct UtcOffset {
    /// The first instant of this offset.
    pub from: Timestamp,
    /// Local minus UTC, in seconds, within ±14 h.
    pub seconds: i32,
    /// Padding; zero.
    pub reserved: [u8; 4],
}

/// The widest offset in use anywhere, in seconds.
pub const MAX_OFFSET: i32 = 14 * 3_600;

/// Why a table of UTC offsets is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidOffsets {
    /// A row's `from` is not later than that of the row before.
    NotAscending,
    /// An offset beyond ±14 h.
    OutOfRange,
}

impl UtcOffset {
    /// A row of the table.
    pub fn new(from: Timestamp, seconds: i32) -> Self {
        Self { from, seconds, reserved: [0; 4] }
    }

    /// Checks that `table` ascends strictly and stays within ±14 h. An empty table is UTC.
    ///
    /// # Errors
    /// The first thing wrong with it.
    pub fn check(table: &[Self]) -> Result<(), InvalidOffsets> {
        for (row, next) in table.iter().zip(table.iter().skip(1)) {
            if next.from <= row.from {
                return Err(InvalidOffsets::NotAscending);
            }
        }
        if table.iter().any(|row| row.seconds < -MAX_OFFSET || row.seconds > MAX_OFFSET) {
            return Err(InvalidOffsets::OutOfRange);
        }
        Ok(())
    }
}

/// Day of the week, ISO: 1 is Monday, 7 is Sunday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weekday(pub u8);

/// A date of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// 1970 or so.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

/// An instant as the platform's clocks on the wall show it.
///
/// It counts in days and seconds from a day long ago, so that everything divides without a sign: the chain has no
/// signed division. Instants more than two billion days away from 1970 are taken for the nearest that is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// Days since [`ORIGIN`] days before 1970-01-01.
    days: u32,
    /// Seconds into the day, below 86 400.
    seconds: u32,
}

/// How many days before 1970-01-01 the count of a [`LocalTime`] begins: on a first of March with which a cycle of 400 years
/// begins. 0000-03-01 lies 719 468 days before 1970 and was a Wednesday; a cycle has 146 097 days, a whole number of weeks.
const ORIGIN: u32 = 719_468 + 146_097 * CYCLES;

/// Cycles of 400 years before the year 0: 4.9 million years.
const CYCLES: u32 = 12_400;

/// The same in years.
const YEARS: u64 = 400 * CYCLES as u64;

/// A day in a year that begins in March.
struct March {
    /// Since the beginning of the count of a [`LocalTime`].
    year: u64,
    /// 0 for March to 11 for February.
    month: u64,
    /// From 0.
    day_of_year: u64,
}

/// The bounds of a local time, in seconds since 1970-01-01: those of [`LocalDay`] that fit.
const FIRST: i64 = -(ORIGIN as i64) * DAY;
const LAST: i64 = i32::MAX as i64 * DAY;

#[expect(clippy::arithmetic_side_effects, reason = "divisors are constants that are not 0; bounds are with each step")]
impl LocalTime {
    /// `at` under the offset that `table` has for it: that of the last row beginning at or before `at`; UTC before the
    /// first row.
    #[inline]
    pub fn at(at: Timestamp, table: &[UtcOffset]) -> Self {
        let offset = table.iter().rev().find(|row| row.from <= at).map_or(0, |row| row.seconds);
        let local = at.0.saturating_add(i64::from(offset)).clamp(FIRST, LAST);
        // 0 or more, and at most (2^31 + ORIGIN) days.
        let since = (local - FIRST).cast_unsigned();
        Self { days: (since / DAY.cast_unsigned()) as u32, seconds: (since % DAY.cast_unsigned()) as u32 }
    }

    /// The day on the platform's calendar.
    #[inline]
    pub fn day(self) -> LocalDay {
        // At most i32::MAX, see `LAST`; at least -ORIGIN.
        LocalDay(self.days.wrapping_sub(ORIGIN).cast_signed())
    }

    /// Day of the week. 1970-01-01 was a Thursday.
    #[inline]
    pub fn weekday(self) -> Weekday {
        // The origin is a Wednesday.
        Weekday(((u64::from(self.days) + 2) % 7) as u8 + 1)
    }

    /// Weeks, from Monday on, since that of 1970-01-01.
    #[inline]
    pub fn week(self) -> i32 {
        // Of the week of 1970-01-01; the origin is two days into its week.
        const WEEKS: u32 = (ORIGIN + 2) / 7;
        (((u64::from(self.days) + 2) / 7) as u32).wrapping_sub(WEEKS).cast_signed()
    }

    /// Hour of the day, 0 to 23.
    #[inline]
    pub fn hour(self) -> u8 {
        (self.seconds / 3_600) as u8
    }

    /// The date.
    ///
    /// Howard Hinnant's `civil_from_days` (chrono-compatible low-level date algorithms): in years that begin on the first
    /// of March, the months' lengths are a straight line.
    pub fn date(self) -> Date {
        let March { year, month: month_from_march, day_of_year } = self.march();
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = (year + u64::from(month <= 2)) as i64 - YEARS as i64;
        // Within ±12 million.
        Date { year: year as i32, month: month as u8, day: day as u8 }
    }

    /// Months since January 1970.
    pub fn month(self) -> i32 {
        // 1969-03 was ten months before 1970-01.
        const TO_1970: u64 = (YEARS + 1_969) * 12 + 10;
        let March { year, month, .. } = self.march();
        // Within ±150 million.
        (year * 12 + month).wrapping_sub(TO_1970) as i32
    }

    /// The year that began on the first of March before.
    #[inline(always)]
    fn march(self) -> March {
        // In 64 bits, which the chain's machine calculates in: it masks narrower ones at every step.
        let days = u64::from(self.days);
        let (cycle, day_of_cycle) = (days / 146_097, days % 146_097);
        let year_of_cycle =
            (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
        let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
        // Below 30 000 cycles, 12 million years.
        March { year: cycle * 400 + year_of_cycle, month: (5 * day_of_year + 2) / 153, day_of_year }
    }
}

impl Date {
    /// The date as a number, `20261003` for 2026-10-03; 0 before the year 0.
    pub fn number(self) -> u64 {
        let year = u64::try_from(self.year).unwrap_or(0);
        year.saturating_mul(10_000)
            .saturating_add(u64::from(self.month).saturating_mul(100))
            .saturating_add(u64::from(self.day))
    }
}

/// The UTC day of `at`: the day whose order page knows the payment. `None` before 1970 or after about 11 million years.
#[expect(clippy::arithmetic_side_effects, reason = "the divisor is a constant that is not 0")]
pub fn utc_day(at: Timestamp) -> Option<Day> {
    let seconds = u64::try_from(at.0).ok()?;
    u32::try_from(seconds / DAY.cast_unsigned()).ok().map(Day)
}
