//! Months: by which what grows with every payment is partitioned.
//!
//! Every row of a block has the same month: that of the chain's clock, and never an earlier one than the block before has. So
//! a month is a stretch of the chain, and of each journal a range of indices.

use crate::stretch::{Found, Stretch};
use sqlx::PgPool;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
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

/// What has its partitions, as far as this process knows: whoever knows it need not ask for each block.
#[derive(Clone, Debug, Default)]
pub(super) struct Made(Arc<Mutex<BTreeSet<Date>>>);

/// Keeps two that make the same partitions from being in each other's way.
const MAKING: i64 = i64::from_be_bytes(*b"months/1");

impl Made {
    /// Makes the partitions that a stretch needs, and those ahead of it.
    ///
    /// In a transaction of its own, which is over before the one that fills them begins: a reader that sees the rows of a
    /// commit may not have heard yet which partitions that same commit added, and would miss all that is in them.
    pub async fn make(&self, pool: &PgPool, stretch: &Stretch) -> Result<(), sqlx::Error> {
        self.make_all(pool, Months::of(stretch, Month::BEFORE).wanted()).await
    }

    /// Makes the partitions for now and those ahead, where the chain stands at `now`.
    pub async fn make_ahead(&self, pool: &PgPool, now: OffsetDateTime) -> Result<(), sqlx::Error> {
        let month = Month::of(now);
        self.make_all(pool, std::iter::once(month).chain(ahead_of(month)).map(Month::first_day).collect()).await
    }

    /// Looks again next time: they may be gone.
    pub fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<Date>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn make_all(&self, pool: &PgPool, wanted: Vec<Date>) -> Result<(), sqlx::Error> {
        let missing: Vec<Date> = {
            let known = self.known();
            // What was written before there were months has its partition.
            let is_missing = |first: &Date| *first != Month::BEFORE.first_day() && !known.contains(first);
            wanted.into_iter().filter(is_missing).collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        let mut transaction = pool.begin().await?;
        sqlx::query!("SELECT pg_advisory_xact_lock($1)", MAKING).fetch_one(&mut *transaction).await?;
        let made =
            sqlx::query_scalar!(r#"SELECT make_months($1) AS "made!""#, &missing).fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        if made > 0 {
            let last = missing.last().copied().unwrap_or(Date::MIN);
            tracing::info!("made {made} partitions for the months up to that of {last}");
        }
        self.known().extend(missing);
        Ok(())
    }
}
