//! A platform's clocks: when a rule's windows begin and end, and how people there say a moment.

use rebate_core::{
    time::{DAY, LocalTime, UtcOffset},
    units::{Timestamp, WindowIndex},
    window::Window,
};
use time::{Date, Month, OffsetDateTime, UtcOffset as Offset};

/// From when to when something lasts, Unix seconds; `None` for open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first second.
    pub start: Option<i64>,
    /// The first second after it.
    pub end: Option<i64>,
}

/// A platform's clocks.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offsets: Vec<UtcOffset>,
}

impl Clock {
    /// Clocks set by this table, in ascending order.
    pub fn new(offsets: Vec<UtcOffset>) -> Self {
        Self { offsets }
    }

    /// The table.
    pub fn offsets(&self) -> &[UtcOffset] {
        &self.offsets
    }

    /// `at` as these clocks show it; `None` where the calendar does not reach.
    pub fn local(&self, at: i64) -> Option<OffsetDateTime> {
        let seconds = self.offsets.iter().rev().find(|row| row.from.0 <= at).map_or(0, |row| row.seconds);
        let offset = Offset::from_whole_seconds(seconds).ok()?;
        OffsetDateTime::from_unix_timestamp(at).ok()?.checked_to_offset(offset)
    }

    /// The window of the calendar that `at` lies in; open where `window` is none of the calendar's.
    pub fn window(&self, window: Window, at: i64) -> Span {
        let index = window.index(self.at(at));
        let begins = |index: WindowIndex| local_start(window, index).and_then(|start| self.first(window, index, start));
        Span { start: begins(index), end: index.0.checked_add(1).and_then(|next| begins(WindowIndex(next))) }
    }

    /// When the month begins that is so many after January 1970.
    pub fn month(&self, index: i32) -> Option<i64> {
        let index = WindowIndex(index);
        self.first(Window::Month, index, local_start(Window::Month, index)?)
    }

    /// What these clocks show, as the evaluator reads it.
    pub fn at(&self, at: i64) -> LocalTime {
        LocalTime::at(Timestamp(at), &self.offsets)
    }

    /// The first second of the window `index` or a later one, where its clocks show `local` seconds: clocks that are set
    /// forward skip that moment, and clocks that are set back show it twice.
    fn first(&self, window: Window, index: WindowIndex, local: i64) -> Option<i64> {
        let before = UtcOffset::new(Timestamp(i64::MIN), 0);
        let rows: Vec<&UtcOffset> = std::iter::once(&before).chain(&self.offsets).collect();
        let ends = rows.iter().skip(1).map(|row| row.from.0).chain([i64::MAX]);
        let firsts = rows.iter().zip(ends).filter_map(|(row, end)| {
            let first = local.checked_sub(i64::from(row.seconds))?.max(row.from.0);
            (first < end && window.index(self.at(first)) >= index).then_some(first)
        });
        firsts.min()
    }
}

/// What the clocks show when a window begins, in seconds since 1970-01-01; `None` where there is none before it.
fn local_start(window: Window, index: WindowIndex) -> Option<i64> {
    let days = match window {
        Window::Day => i64::from(index.0),
        // 1970-01-01 was a Thursday.
        Window::Week => i64::from(index.0).checked_mul(7)?.checked_sub(3)?,
        Window::Month => {
            let year = index.0.div_euclid(12).checked_add(1_970)?;
            let month = Month::try_from(u8::try_from(index.0.rem_euclid(12)).ok()?.checked_add(1)?).ok()?;
            let first = Date::from_calendar_date(year, month, 1).ok()?;
            let epoch = OffsetDateTime::UNIX_EPOCH.date();
            i64::from(first.to_julian_day()).checked_sub(i64::from(epoch.to_julian_day()))?
        }
        Window::Lifetime | Window::Schedule => return None,
    };
    days.checked_mul(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i32 = 3_600;

    fn clock(rows: &[(i64, i32)]) -> Clock {
        Clock::new(rows.iter().map(|(from, seconds)| UtcOffset::new(Timestamp(*from), *seconds)).collect())
    }

    #[test]
    fn a_week_ends_on_monday_at_midnight_of_the_platform() {
        // Saturday 2026-10-03 12:00 in Shanghai.
        let noon = 1_791_000_000;
        let shanghai = clock(&[(0, 8 * HOUR)]);
        let week = shanghai.window(Window::Week, noon);
        let text = |at: Option<i64>| shanghai.local(at.unwrap()).unwrap().to_string();
        assert_eq!(text(week.start), "2026-09-28 0:00:00.0 +08:00:00");
        assert_eq!(text(week.end), "2026-10-05 0:00:00.0 +08:00:00");
        let month = shanghai.window(Window::Month, noon);
        assert_eq!(text(month.start), "2026-10-01 0:00:00.0 +08:00:00");
        assert_eq!(text(month.end), "2026-11-01 0:00:00.0 +08:00:00");
        assert_eq!(shanghai.window(Window::Lifetime, noon), Span { start: None, end: None });
    }

    #[test]
    fn windows_begin_where_the_evaluator_begins_to_count_into_them() {
        let noon = 1_791_000_000;
        // Clocks that are set forward over midnight, back over it, and by odd amounts.
        let tables: [&[(i64, i32)]; 5] = [
            &[],
            &[(0, -5 * HOUR), (noon + 43_000, -4 * HOUR), (noon + 90_000, -5 * HOUR)],
            &[(noon - 100, 14 * HOUR), (noon + 500, -14 * HOUR), (noon + 80_000, 14 * HOUR)],
            &[(noon + 42_900, 12 * HOUR), (noon + 43_300, 12 * HOUR + 1_234)],
            &[(i64::MIN, 3 * HOUR), (noon, 3 * HOUR - 7)],
        ];
        for table in tables {
            let clock = clock(table);
            for window in [Window::Day, Window::Week, Window::Month] {
                for step in -400..400 {
                    let at = noon + step * 1_777;
                    let index = window.index(clock.at(at));
                    let Span { start, end } = clock.window(window, at);
                    let (start, end) = (start.unwrap(), end.unwrap());
                    assert!(window.index(clock.at(start)) >= index, "{table:?} {window:?} {at}");
                    assert!(window.index(clock.at(start - 1)) < index, "{table:?} {window:?} {at}");
                    assert!(window.index(clock.at(end)) > index, "{table:?} {window:?} {at}");
                    assert!(window.index(clock.at(end - 1)) <= index, "{table:?} {window:?} {at}");
                }
            }
        }
    }
}
