//! Local time from a platform's table of dated UTC offsets.

use crate::units::{Day, Timestamp};
use bytemuck::{Pod, Zeroable};

/// Seconds of a day.
pub const DAY: i64 = 86_400;

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

/// An instant as the platform's clocks on the wall show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    seconds: i64,
}

impl LocalTime {
    /// `at` under the offset that `table` has for it: that of the last row beginning at or before `at`; UTC before the
    /// first row.
    pub fn at(at: Timestamp, table: &[UtcOffset]) -> Self {
        let offset = table.iter().rev().find(|row| row.from <= at).map_or(0, |row| row.seconds);
        Self { seconds: at.0.saturating_add(i64::from(offset)) }
    }

    /// Day of the week. 1970-01-01 was a Thursday.
    ///
    /// Counts from 2^63 s before 1970, so that it can divide without a sign: the chain has no signed division.
    #[expect(clippy::arithmetic_side_effects, reason = "two constants that are not 0, and a sum below 2 · 604 800")]
    pub fn weekday(self) -> Weekday {
        let into_week = (self.seconds.cast_unsigned() ^ SIGN) % WEEK + BEGIN_INTO_WEEK;
        Weekday((into_week / DAY.cast_unsigned() % 7) as u8 + 1)
    }
}

/// Seconds of a week.
const WEEK: u64 = 7 * DAY.cast_unsigned();

/// Flipping this bit of an `i64` adds 2^63 to it and makes it a `u64`.
const SIGN: u64 = 1 << 63;

/// How far into its week, from Monday on, the second 2^63 before 1970 lies. 1970 began three days into one.
const BEGIN_INTO_WEEK: u64 = 3 * DAY.cast_unsigned() + WEEK - SIGN % WEEK;

/// The UTC day of `at`: the day whose order page knows the payment. `None` before 1970 or after about 11 million years.
#[expect(clippy::arithmetic_side_effects, reason = "the divisor is a constant that is not 0")]
pub fn utc_day(at: Timestamp) -> Option<Day> {
    let seconds = u64::try_from(at.0).ok()?;
    u32::try_from(seconds / DAY.cast_unsigned()).ok().map(Day)
}
