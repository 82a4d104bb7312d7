//! Buckets: the hours, days, weeks, months and years of a platform's local time.

use super::super::WriteError;
use rebate_core::{
    time::{LocalTime, UtcOffset},
    units::Timestamp,
};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// How long a bucket is. The numbers stand in the tables: never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(super) enum Every {
    Hour = 1,
    Day = 2,
    Week = 3,
    Month = 4,
    Year = 5,
}

impl Every {
    pub const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];
}

/// The buckets of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Buckets {
    /// Hours since 1970-01-01 00:00 on the platform's calendar.
    pub hour: i32,
    /// Months since January 1970.
    pub month: i32,
}

impl Buckets {
    fn of(local: LocalTime) -> Self {
        Self { hour: local.day().0.saturating_mul(24).saturating_add(i32::from(local.hour())), month: local.month() }
    }

    pub fn year(self) -> i32 {
        1970 + self.month.div_euclid(12)
    }

    /// The number of the bucket, as migration 0015 counts them.
    pub fn get(self, every: Every) -> i32 {
        let day = self.hour.div_euclid(24);
        match every {
            Every::Hour => self.hour,
            Every::Day => day,
            // 1970-01-01 was a Thursday.
            Every::Week => (day + 3).div_euclid(7),
            Every::Month => self.month,
            Every::Year => self.year(),
        }
    }
}

/// The platforms' tables of UTC offsets.
pub(super) struct Clocks(BTreeMap<[u8; 32], Vec<UtcOffset>>);

impl Clocks {
    /// Those of these platforms, as far as they are decided. The chain takes a new row only from later on than any record that
    /// it has taken, so that a record's local time never changes.
    pub async fn read(connection: &mut PgConnection, platforms: &[[u8; 32]]) -> Result<Self, WriteError> {
        let rows = sqlx::query!(
            "SELECT platform, starts, seconds FROM utc_offsets WHERE platform = ANY($1) ORDER BY platform, starts",
            platforms as &[[u8; 32]],
        )
        .fetch_all(connection)
        .await?;
        let mut clocks: BTreeMap<[u8; 32], Vec<UtcOffset>> = BTreeMap::new();
        for row in rows {
            let platform = <[u8; 32]>::try_from(row.platform.as_slice())
                .map_err(|_| sqlx::Error::Decode("a row of utc_offsets is not what this software writes".into()))?;
            clocks.entry(platform).or_default().push(UtcOffset::new(Timestamp(row.starts), row.seconds));
        }
        Ok(Self(clocks))
    }

    /// The buckets of Unix time `at` on the platform's calendar.
    pub fn buckets(&self, platform: &[u8; 32], at: i64) -> Buckets {
        Buckets::of(LocalTime::at(Timestamp(at), self.0.get(platform).map_or(&[], Vec::as_slice)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_those_of_the_rules_windows() {
        let table = [UtcOffset::new(Timestamp(0), 28_800), UtcOffset::new(Timestamp(1_000_000_000), -12_345)];
        let mut at = -3_000_000_000;
        while at < 5_000_000_000 {
            let local = LocalTime::at(Timestamp(at), &table);
            let buckets = Buckets::of(local);
            assert_eq!(buckets.get(Every::Day), local.day().0, "{at}");
            assert_eq!(buckets.get(Every::Week), local.week(), "{at}");
            assert_eq!(buckets.get(Every::Month), local.month(), "{at}");
            assert_eq!(buckets.get(Every::Year), local.date().year, "{at}");
            assert_eq!(buckets.get(Every::Hour).rem_euclid(24), i32::from(local.hour()), "{at}");
            at += 1_234_567;
        }
    }
}
