//! Buckets on a platform's calendar, and the moments at which they begin and end.

use super::Every;
use crate::{
    problem::{Kind, Problem},
    value::Address,
};
use rebate_core::{
    time::{DAY, LocalTime, UtcOffset},
    units::Timestamp,
};
use sqlx::PgConnection;
use time::{Date, Month, OffsetDateTime, format_description::well_known::Rfc3339};

/// A platform's table of UTC offsets.
pub(crate) struct Calendar(Vec<UtcOffset>);

/// From a moment to another, in Unix seconds, the second exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub from: i64,
    pub to: i64,
}

impl Calendar {
    pub async fn read(connection: &mut PgConnection, platform: &Address) -> Result<Self, Problem> {
        let rows =
            sqlx::query!("SELECT starts, seconds FROM utc_offsets WHERE platform = $1 ORDER BY starts", &platform.0)
                .fetch_all(connection)
                .await?;
        Ok(Self(rows.into_iter().map(|row| UtcOffset::new(Timestamp(row.starts), row.seconds)).collect()))
    }

    /// The number of the bucket that Unix time `at` lies in, as migration 0015 counts them.
    pub fn bucket(&self, every: Every, at: i64) -> i32 {
        let local = LocalTime::at(Timestamp(at), &self.0);
        match every {
            Every::Hour => local.day().0.saturating_mul(24).saturating_add(i32::from(local.hour())),
            Every::Day => local.day().0,
            Every::Week => local.week(),
            Every::Month => local.month(),
            Every::Year => local.date().year,
        }
    }

    /// When a bucket begins and ends. Where clocks are put back, what is in it is not all that lies between, and where it was
    /// there twice, this is from the first beginning to the last end.
    pub fn span(&self, every: Every, bucket: i32) -> Option<Span> {
        let (first, last) = (begin(every, bucket)?, begin(every, bucket.checked_add(1)?)?);
        let mut span: Option<Span> = None;
        let before = UtcOffset::new(Timestamp(i64::MIN), 0);
        let rows: Vec<&UtcOffset> = std::iter::once(&before).chain(&self.0).collect();
        for (place, row) in rows.iter().enumerate() {
            let ends = rows.get(place + 1).map_or(i64::MAX, |next| next.from.0);
            let from = first.saturating_sub(row.seconds.into()).max(row.from.0);
            let to = last.saturating_sub(row.seconds.into()).min(ends);
            if from < to {
                let so_far = span.unwrap_or(Span { from, to });
                span = Some(Span { from: so_far.from.min(from), to: so_far.to.max(to) });
            }
        }
        span
    }

    /// Unix time `at` as the platform's clocks show it, with their offset; in UTC where RFC 3339 cannot name that.
    pub fn text(&self, at: i64) -> Result<String, Problem> {
        let seconds = self.0.iter().rev().find(|row| row.from.0 <= at).map_or(0, |row| row.seconds);
        let utc = OffsetDateTime::from_unix_timestamp(at).map_err(|error| Problem::internal(&error))?;
        let offset = time::UtcOffset::from_whole_seconds(seconds).map_err(|error| Problem::internal(&error))?;
        utc.checked_to_offset(offset)
            .and_then(|local| local.format(&Rfc3339).ok())
            .map_or_else(|| utc.format(&Rfc3339).map_err(|error| Problem::internal(&error)), Ok)
    }

    /// The buckets from that of `from` to that of the moment before `to`.
    ///
    /// # Errors
    /// Where nothing lies between the two.
    pub fn range(&self, every: Every, from: Option<i64>, to: i64) -> Result<(i32, i32), Problem> {
        let last = self.bucket(every, to.saturating_sub(1));
        let Some(from) = from else {
            let usual = i32::try_from(every.usual()).unwrap_or(1);
            return Ok((last.saturating_sub(usual - 1), last));
        };
        if from >= to {
            return Err(Problem::new(
                Kind::InvalidParameter,
                "from in the query: it is not before `to`, or not before the last block where that is left out",
            ));
        }
        Ok((self.bucket(every, from), last))
    }
}

/// When a bucket begins by the clocks on the wall, in seconds since 1970-01-01 00:00 there.
fn begin(every: Every, bucket: i32) -> Option<i64> {
    let bucket64 = i64::from(bucket);
    let day = |year: i32, month: u8| {
        let first = Date::from_calendar_date(year, Month::try_from(month).ok()?, 1).ok()?;
        let epoch = OffsetDateTime::UNIX_EPOCH.date();
        Some((first - epoch).whole_days())
    };
    match every {
        Every::Hour => bucket64.checked_mul(3_600),
        Every::Day => bucket64.checked_mul(DAY),
        // 1970-01-01 was a Thursday.
        Every::Week => bucket64.checked_mul(7)?.checked_sub(3)?.checked_mul(DAY),
        Every::Month => {
            let month = u8::try_from(bucket.rem_euclid(12)).ok()?.checked_add(1)?;
            day(1970_i32.checked_add(bucket.div_euclid(12))?, month)?.checked_mul(DAY)
        }
        Every::Year => day(bucket, 1)?.checked_mul(DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: [Every; 5] = [Every::Hour, Every::Day, Every::Week, Every::Month, Every::Year];

    fn calendar(rows: &[(i64, i32)]) -> Calendar {
        Calendar(rows.iter().map(|(from, seconds)| UtcOffset::new(Timestamp(*from), *seconds)).collect())
    }

    #[test]
    fn every_moment_lies_between_the_ends_of_its_bucket() {
        // Clocks are put forward and back, by odd numbers too, and around midnight.
        let calendar =
            calendar(&[(0, 28_800), (1_000_000_000, 32_400), (1_100_000_000, 28_800), (1_200_000_123, -12_345)]);
        for every in EVERY {
            let mut at = -100_000_000;
            while at < 2_000_000_000 {
                let span = calendar.span(every, calendar.bucket(every, at)).unwrap();
                assert!(span.from <= at && at < span.to, "{every:?} {at} {span:?}");
                assert_eq!(calendar.bucket(every, span.from), calendar.bucket(every, at), "{every:?} {at}");
                assert_eq!(calendar.bucket(every, span.to - 1), calendar.bucket(every, at), "{every:?} {at}");
                at += 654_321;
            }
        }
    }

    #[test]
    fn a_day_whose_clocks_are_put_back_has_25_hours_and_its_twofold_hour_two() {
        // 2025-10-26 03:00 +02:00 becomes 02:00 +01:00.
        let change = 1_761_440_400;
        let calendar = calendar(&[(0, 7_200), (change, 3_600)]);
        let day = calendar.span(Every::Day, calendar.bucket(Every::Day, change)).unwrap();
        assert_eq!(day.to - day.from, 25 * 3_600);
        let hour = calendar.span(Every::Hour, calendar.bucket(Every::Hour, change)).unwrap();
        assert_eq!(hour, Span { from: change - 3_600, to: change + 3_600 });
        assert_eq!(calendar.text(day.from).unwrap(), "2025-10-26T00:00:00+02:00");
        assert_eq!(calendar.text(day.to).unwrap(), "2025-10-27T00:00:00+01:00");
    }
}
