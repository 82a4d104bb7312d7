//! Months: by which what grows with every payment is partitioned.
//!
//! Every row of a block has the same month: that of the chain's clock, and never an earlier one than the block before has. So
//! a month is a stretch of the chain, and of each journal a range of indices.

use crate::stretch::{Found, Stretch};
use sqlx::PgConnection;
use time::{Date, OffsetDateTime, macros::date};

/// How many months after the current one have their partitions.
const AHEAD: usize = 3;

/// A month in UTC, by its first day; not before 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Month(Date);

impl Month {
    /// That of whatever was written before there were months.
    pub const BEFORE: Self = Self(date!(0001 - 01 - 01));

    /// The month as the database has it.
    pub fn starting(first_day: Date) -> Self {
        Self(first_day)
    }

    /// The month of a moment.
    pub fn of(at: OffsetDateTime) -> Self {
        Self(first_of(at.to_utc().date()).max(date!(1970 - 01 - 01)))
    }

    /// Its first day.
    pub fn first_day(self) -> Date {
        self.0
    }

    /// The one after it. The last one that there is comes after itself.
    fn next(self) -> Self {
        self.0.checked_add(time::Duration::days(31)).map_or(self, |later| Self(first_of(later)))
    }
}

fn first_of(date: Date) -> Date {
    date.replace_day(1).unwrap_or(date)
}

/// The months of a stretch's transactions.
pub(super) struct Months {
    of_emitters: Vec<Month>,
    /// That of the block before.
    before: Month,
}

impl Months {
    /// Of a stretch that comes after a block of the month `before`.
    pub fn of(stretch: &Stretch, before: Month) -> Self {
        let mut of_emitters = vec![before; stretch.emitters().len()];
        let mut month = before;
        // Events are in the order of their transactions, and all of one block have the same clock.
        for found in stretch.events() {
            month = month.max(Month::of(found.at));
            if let Some(of_emitter) = of_emitters.get_mut(found.emitter) {
                *of_emitter = month;
            }
        }
        Self { of_emitters, before }
    }

    /// The month of an event.
    pub fn of_event(&self, found: &Found) -> Month {
        self.of_emitter(found.emitter)
    }

    /// The month of a transaction.
    pub fn of_emitter(&self, emitter: usize) -> Month {
        self.of_emitters.get(emitter).copied().unwrap_or(self.before)
    }

    /// That of the block before the stretch.
    pub fn before(&self) -> Month {
        self.before
    }

    /// The partitions that must be there: for every row of the stretch, and some ahead.
    fn wanted(&self) -> Vec<Date> {
        let mut months = self.of_emitters.clone();
        months.dedup();
        if let Some(last) = months.last() {
            months.extend(ahead_of(*last));
        }
        months.into_iter().map(Month::first_day).collect()
    }
}

fn ahead_of(month: Month) -> impl Iterator<Item = Month> {
    std::iter::successors(Some(month.next()), |month| Some(month.next())).take(AHEAD)
}

/// Makes the partitions that the stretch needs, and those ahead of it.
pub(super) async fn make(connection: &mut PgConnection, months: &Months) -> Result<(), sqlx::Error> {
    make_all(connection, &months.wanted()).await
}

/// Makes the partitions for now and those ahead, where the chain stands at `now`.
pub(super) async fn make_ahead(connection: &mut PgConnection, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    let month = Month::of(now);
    let wanted: Vec<Date> = std::iter::once(month).chain(ahead_of(month)).map(Month::first_day).collect();
    make_all(connection, &wanted).await
}

async fn make_all(connection: &mut PgConnection, wanted: &[Date]) -> Result<(), sqlx::Error> {
    // The month from before is there where anything is in it.
    let wanted: Vec<Date> = wanted.iter().copied().filter(|first| *first != Month::BEFORE.first_day()).collect();
    let made = sqlx::query_scalar!(r#"SELECT make_months($1) AS "made!""#, &wanted).fetch_one(connection).await?;
    if made > 0 {
        tracing::info!(
            "made {made} partitions for the months up to that of {}",
            wanted.last().copied().unwrap_or(Date::MIN)
        );
    }
    Ok(())
}
