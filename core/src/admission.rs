//! Whether a record is let in at all: what every kind of record is checked for before anything else.

use crate::{
    refusal::Refusal,
    time::DAY,
    units::{Amount, Day, Seconds, Timestamp},
};

/// How far ahead of the chain's clock a record may say it was made, in seconds: clocks differ a little.
pub const MAX_AHEAD: i64 = 60;

/// What a platform lets in at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The chain's clock.
    pub now: Timestamp,
    /// How far back a record may lie.
    pub max_lateness: Seconds,
    /// The first instant whose orders are still remembered.
    pub open_from: Timestamp,
}

impl Admission {
    /// What is let in at `now` where no day was closed yet.
    pub fn new(now: Timestamp, max_lateness: Seconds) -> Self {
        Self { now, max_lateness, open_from: Timestamp(0) }
    }

    /// With every day before `day` closed: whatever `max_lateness` says later, nobody remembers their orders.
    pub fn closed_before(self, day: Day) -> Self {
        Self { open_from: Timestamp(i64::from(day.0).saturating_mul(DAY)), ..self }
    }

    /// Checks when a record was made.
    ///
    /// # Errors
    /// [`Refusal::TooLate`] or [`Refusal::FromTheFuture`].
    #[inline]
    pub fn check_time(&self, at: Timestamp) -> Result<(), Refusal> {
        if at.0 < self.now.0.saturating_sub(i64::from(self.max_lateness.0)) || at < self.open_from {
            return Err(Refusal::TooLate);
        }
        if at.0 > self.now.0.saturating_add(MAX_AHEAD) {
            return Err(Refusal::FromTheFuture);
        }
        Ok(())
    }

    /// Checks a record of `amount` made at `at`, in the order the specification gives; whether its order was taken before
    /// comes after that.
    ///
    /// # Errors
    /// [`Refusal::ZeroAmount`], [`Refusal::TooLate`] or [`Refusal::FromTheFuture`].
    #[inline]
    pub fn check(&self, amount: Amount, at: Timestamp) -> Result<(), Refusal> {
        if amount.0 == 0 {
            return Err(Refusal::ZeroAmount);
        }
        self.check_time(at)
    }
}
