//! Ways through the stored events, hashing them in order of the journal.
//!
//! A journal of up to [`RECHECK`] events is hashed anew for every comparison. Of a longer one, a comparison goes on from
//! where the last left off, and besides hashes [`RECHECK`] events of the older ones again, so that bytes altered later are
//! found too.

use crate::error::IntegrityError;
use rebate_core::journal::{self, Hash, MAX_PEAKS};
use sqlx::PgConnection;
use time::OffsetDateTime;
use tokio::time::Instant;

/// How many events of the past are hashed again for a comparison.
pub(crate) const RECHECK: u64 = 20_000;

/// How many are read at a time.
pub(crate) const CHUNK: u64 = 2_000;

/// Two ways through one journal.
#[derive(Default)]
pub(crate) struct Passes {
    /// Over everything read so far.
    pub whole: Pass,
    /// Over what was read before, once more.
    pub again: Pass,
}

/// A way through the stored events, from the first on.
pub(crate) struct Pass {
    pub count: u64,
    pub peaks: [Hash; MAX_PEAKS],
    pub began: OffsetDateTime,
    /// Whether it began because another came to something else than the chain.
    pub second: bool,
}

impl Default for Pass {
    fn default() -> Self {
        Self { count: 0, peaks: [[0; 32]; MAX_PEAKS], began: OffsetDateTime::now_utc(), second: false }
    }
}

/// Why a pass ended where it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It got to where it should.
    Reached,
    /// It ran out of time.
    OutOfTime,
    /// The next event is not on record.
    Gap,
}

impl Pass {
    pub fn root(&self) -> Hash {
        journal::root(self.count, &self.peaks)
    }

    /// Hashes on until `to` events are hashed.
    pub async fn advance(
        &mut self,
        connection: &mut PgConnection,
        platform: &[u8; 32],
        to: u64,
        deadline: Instant,
    ) -> Result<End, IntegrityError> {
        while self.count < to {
            if Instant::now() >= deadline {
                return Ok(End::OutOfTime);
            }
            let until = to.min(self.count.saturating_add(CHUNK));
            let rows = sqlx::query!(
                "SELECT journal_index, bytes FROM events
                 WHERE platform = $1 AND journal_index >= $2 AND journal_index < $3 ORDER BY journal_index",
                platform,
                index(self.count),
                index(until)
            )
            .fetch_all(&mut *connection)
            .await?;
            for row in rows {
                if row.journal_index != index(self.count) {
                    return Ok(End::Gap);
                }
                journal::append(&mut self.count, &mut self.peaks, journal::leaf(&row.bytes))
                    .map_err(|_| IntegrityError::TooLong)?;
            }
            if self.count < until {
                return Ok(End::Gap);
            }
        }
        Ok(End::Reached)
    }
}

impl Passes {
    /// Brings the way through everything to `to` events, and reads old ones again. `differs` tells whether a pass came to
    /// something else than the chain.
    pub async fn advance(
        &mut self,
        connection: &mut PgConnection,
        platform: &[u8; 32],
        to: u64,
        deadline: Instant,
        differs: impl Fn(&Pass) -> bool,
    ) -> Result<End, IntegrityError> {
        // A node behind the one asked before may show an older account, and a pass cannot go back.
        if to <= RECHECK || self.whole.count > to {
            self.whole = Pass::default();
        }
        let end = self.whole.advance(connection, platform, to, deadline).await?;
        if end != End::Reached || to <= RECHECK {
            return Ok(end);
        }
        if differs(&self.whole) && !self.whole.second {
            // What it read may have been taken back since, as a fork does. A second look tells.
            self.whole = Pass { second: true, ..Pass::default() };
            return self.whole.advance(connection, platform, to, deadline).await;
        }
        self.whole.second &= differs(&self.whole);
        if self.again.count >= to {
            self.again = Pass::default();
        }
        let until = to.min(self.again.count.saturating_add(RECHECK));
        let again = self.again.advance(connection, platform, until, deadline).await?;
        if again == End::Gap || self.again.count == to {
            self.whole = Pass { second: true, ..std::mem::take(&mut self.again) };
        }
        Ok(if again == End::Gap { again } else { End::Reached })
    }
}

/// Journal indices are below 2^40.
pub(crate) fn index(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
