//! Events that were written by a version without roll-ups: they are added in steps, before anything else is written.

use super::{
    super::{WriteError, cursor, rules},
    add,
    visit::versions,
};
use crate::stretch::Found;
use rebate_client::event::Event;
use rebate_core::journal;
use sqlx::{PgConnection, PgPool};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use time::OffsetDateTime;

/// So many events are added in one transaction.
const STEP: i64 = 5_000;

/// Whether all that is stored is in the roll-ups, as far as this process knows.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Filled(Arc<AtomicBool>);

impl Filled {
    /// Adds what is missing. Where it fails, what was added stays, and the next call goes on from there.
    pub async fn ensure(&self, pool: &PgPool) -> Result<(), WriteError> {
        if self.0.load(Ordering::Relaxed) {
            return Ok(());
        }
        loop {
            let mut transaction = pool.begin().await?;
            // Whoever else writes or fills waits.
            cursor::lock(&mut transaction).await?;
            let left = step(&mut transaction).await?;
            transaction.commit().await?;
            match left {
                Some(left) => tracing::info!("{left} events are not yet in the roll-ups of their platform"),
                None => break,
            }
        }
        self.0.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Looks again next time: it may be another database.
    pub fn forget(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// A stored event, and which provisional stretch it is of.
struct Stored {
    found: Found,
    stretch: Option<i64>,
}

/// Adds the next events of a platform. Says how many are left of it, `None` once nothing is due.
async fn step(connection: &mut PgConnection) -> Result<Option<i64>, WriteError> {
    let due = sqlx::query!(
        r#"SELECT platform, next_index, coalesce(leaf_count, 0) AS "leaf_count!"
           FROM rollups_due LEFT JOIN journals USING (platform) ORDER BY platform LIMIT 1"#
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(due) = due else { return Ok(None) };
    let events = read(connection, &due.platform, due.next_index, due.leaf_count).await?;
    // What can be taken back is added stretch by stretch, so that it can be taken back here, too.
    let stretch = events.first().and_then(|event| event.stretch);
    let events: Vec<Found> =
        events.into_iter().take_while(|event| event.stretch == stretch).map(|event| event.found).collect();
    let provisional = stretch.map_or_else(String::new, |end_slot| end_slot.to_string());
    sqlx::query_scalar!(r#"SELECT set_config('rebate.provisional', $1, true) AS "set!""#, provisional)
        .fetch_one(&mut *connection)
        .await?;
    let fresh: Vec<&Found> = events.iter().collect();
    let versions = fresh.iter().flat_map(|found| versions(&found.event)).collect();
    let facts = rules::facts(connection, versions).await?;
    add(connection, &fresh, &facts).await?;
    let next = events.last().map_or(due.leaf_count, |found| found.journal_index.saturating_add(1));
    if next < due.leaf_count {
        sqlx::query!("UPDATE rollups_due SET next_index = $2 WHERE platform = $1", &due.platform, next)
            .execute(connection)
            .await?;
    } else {
        sqlx::query!("DELETE FROM rollups_due WHERE platform = $1", &due.platform).execute(connection).await?;
    }
    Ok(Some(due.leaf_count.saturating_sub(next).max(0)))
}

async fn read(connection: &mut PgConnection, platform: &[u8], from: i64, to: i64) -> Result<Vec<Stored>, WriteError> {
    let rows = sqlx::query!(
        r#"SELECT journal_index, at, bytes, (
               SELECT min(end_slot) FROM provisional_stretches
               WHERE end_slot >= slot AND (start_slot IS NULL OR start_slot < slot)
           ) AS stretch
           FROM events JOIN transactions USING (signature, month)
           WHERE platform = $1 AND journal_index >= $2 AND journal_index < least($3, $2 + $4::bigint)
           ORDER BY journal_index"#,
        platform,
        from,
        to,
        STEP,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let event = Event::decode(&row.bytes).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
            let (journal_index, at): (i64, OffsetDateTime) = (row.journal_index, row.at);
            let leaf = journal::leaf(&row.bytes);
            let found = Found { event, bytes: row.bytes, leaf, journal_index, at, emitter: 0 };
            Ok(Stored { found, stretch: row.stretch })
        })
        .collect()
}
