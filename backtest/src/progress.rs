//! How far a back-test is, for whoever watches it.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many events were followed, of how many.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    pub(crate) fn begin(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    pub(crate) fn at(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }

    /// Events followed so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Events to follow at most; 0 before that is known.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// From 0 to 100, rounded down.
    pub fn percent(&self) -> u8 {
        let (done, total) = (u128::from(self.done()), u128::from(self.total()));
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(0);
        u8::try_from(percent.min(100)).unwrap_or(100)
    }
}
