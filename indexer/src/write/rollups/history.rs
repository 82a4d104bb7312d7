//! What a user did, month by month of the platform's calendar, as far as it decides whether the user was counted before.

use super::{
    super::WriteError,
    calendar::{Buckets, Every},
    visit::{Dimension, Visit},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was paid in an hour with payments of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    hour: i32,
    /// Its place among the month's visits.
    visit: u32,
    paid: u128,
}

/// As it is stored.
#[derive(Serialize, Deserialize)]
struct Log {
    /// When the user's first payment was paid, Unix seconds.
    joined: i64,
    visits: Vec<Visit>,
    entries: Vec<Entry>,
}

/// A user in a month.
#[derive(Clone, Debug, Default)]
pub(super) struct Month {
    pub paid: u128,
    pub refunded: u128,
    /// Whether there is a row of it.
    pub is_stored: bool,
    /// Whether it is not as that row has it.
    pub is_changed: bool,
    visits: Vec<Visit>,
    entries: Vec<Entry>,
}

/// A user, as far as it was read.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// By month since January 1970.
    pub months: BTreeMap<i32, Month>,
}

/// What of a bucket has one value of a dimension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// Whether there was a payment.
    pub is_seen: bool,
    /// Whether one was granted something.
    pub is_granted: bool,
    /// What was paid.
    pub spent: u128,
}

/// What there was in a bucket before a payment, as far as it meets the payment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Before {
    /// In the order of [`Visit::single`].
    pub single: [Part; 4],
    /// The segments with a payment, and with one that was granted something; bit sets.
    pub segments: u32,
    pub granted_segments: u32,
    /// The rules, groups and effects that granted something, each once.
    pub granting: Vec<(Dimension, u64)>,
}

impl Month {
    /// The month as it is stored, and when its user's first payment was paid.
    pub fn decode(bytes: &[u8], paid: u128, refunded: u128) -> Result<(Self, i64), WriteError> {
        let Log { joined, visits, entries } =
            postcard::from_bytes(bytes).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        Ok((Self { paid, refunded, is_stored: true, is_changed: false, visits, entries }, joined))
    }

    /// What is stored of the month of a user whose first payment was paid at `joined`.
    pub fn encode(&self, joined: i64) -> Result<Vec<u8>, WriteError> {
        let log = Log { joined, visits: self.visits.clone(), entries: self.entries.clone() };
        postcard::to_allocvec(&log).map_err(|error| sqlx::Error::Encode(Box::new(error)).into())
    }
}

impl History {
    /// Notes a payment.
    pub fn pay(&mut self, at: Buckets, visit: &Visit, amount: u64) {
        let month = self.months.entry(at.month).or_default();
        month.is_changed = true;
        month.paid = month.paid.saturating_add(amount.into());
        let place = month.visits.iter().position(|known| known == visit).unwrap_or_else(|| {
            month.visits.push(visit.clone());
            month.visits.len() - 1
        });
        // Fewer than there are payments in a month.
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        match month.entries.iter_mut().find(|entry| (entry.hour, entry.visit) == (at.hour, place)) {
            Some(entry) => entry.paid = entry.paid.saturating_add(amount.into()),
            None => month.entries.push(Entry { hour: at.hour, visit: place, paid: amount.into() }),
        }
    }

    /// Notes a refund.
    pub fn refund(&mut self, at: Buckets, amount: u64) {
        let month = self.months.entry(at.month).or_default();
        month.is_changed = true;
        month.refunded = month.refunded.saturating_add(amount.into());
    }

    /// Whether a payment changes nothing about who is counted where, and is on the same side as all else the user paid: there is
    /// one like it in the same hour, and nothing else granted anything. So it is with most payments.
    pub fn is_more_of_the_same(&self, at: Buckets, visit: &Visit) -> bool {
        let is_like = |month: &Month, entry: &Entry| {
            entry.hour == at.hour && month.visits.get(entry.visit as usize) == Some(visit)
        };
        self.months.get(&at.month).is_some_and(|month| month.entries.iter().any(|entry| is_like(month, entry)))
            && self
                .months
                .values()
                .flat_map(|month| &month.visits)
                .all(|other| other.granted.iter().all(|granted| visit.granted.contains(granted)))
    }

    /// What there is in the bucket of `at`, as far as it meets `visit`.
    pub fn before(&self, every: Every, at: Buckets, visit: &Visit) -> Before {
        let mut before = Before::default();
        self.in_bucket(every, at, |entry, other| {
            for ((part, mine), its) in before.single.iter_mut().zip(visit.single()).zip(other.single()) {
                if mine == its {
                    part.is_seen = true;
                    part.is_granted |= other.is_granted();
                    part.spent = part.spent.saturating_add(entry.paid);
                }
            }
            before.segments |= other.segments;
            if other.is_granted() {
                before.granted_segments |= other.segments;
                for key in other.granted.iter().flat_map(|granted| granted.keys()) {
                    if !before.granting.contains(&key) {
                        before.granting.push(key);
                    }
                }
            }
        });
        before
    }

    /// What was paid in the bucket of `at` by payments of a segment.
    pub fn spent_in_segment(&self, every: Every, at: Buckets, segment: u32) -> u128 {
        let mut spent = 0_u128;
        self.in_bucket(every, at, |entry, other| {
            if other.segments >> segment & 1 == 1 {
                spent = spent.saturating_add(entry.paid);
            }
        });
        spent
    }

    fn in_bucket(&self, every: Every, at: Buckets, mut each: impl FnMut(&Entry, &Visit)) {
        let months = match every {
            // Those that a week can be in.
            Every::Week => at.month.saturating_sub(1)..=at.month.saturating_add(1),
            Every::Year => months_of_year(at),
            Every::Hour | Every::Day | Every::Month => at.month..=at.month,
        };
        let bucket = at.get(every);
        for (number, month) in self.months.range(months) {
            for entry in &month.entries {
                if (Buckets { hour: entry.hour, month: *number }).get(every) == bucket
                    && let Some(visit) = month.visits.get(entry.visit as usize)
                {
                    each(entry, visit);
                }
            }
        }
    }
}

fn months_of_year(at: Buckets) -> std::ops::RangeInclusive<i32> {
    let first = at.month.saturating_sub(at.month.rem_euclid(12));
    first..=first.saturating_add(11)
}

/// The months that decide what is new in the buckets of `at`.
pub(super) fn months_around(at: Buckets) -> (i32, i32) {
    let year = months_of_year(at);
    (*year.start().min(&at.month.saturating_sub(1)), *year.end().max(&at.month.saturating_add(1)))
}
