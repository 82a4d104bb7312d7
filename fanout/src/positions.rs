//! How far a stream got, and what it lacks.
//!
//! A position is kept by platform, as a place in its journal: what comes next is found by the events' own key, and no
//! index on slots is needed, which would cost every write of the indexer.

use crate::events::{EventId, StoredEvent, address};
use rebate_client::Pubkey;
use sqlx::PgPool;
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// Which stream: one that was deleted and made anew under the same name is another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamKey {
    /// Its name.
    pub name: String,
    /// When its server created it, in whole microseconds.
    pub created: OffsetDateTime,
}

/// Whole slots of events in the order in which they were committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// By slot, then by place in the block.
    pub events: Vec<StoredEvent>,
}

impl Batch {
    /// The last slot in it.
    pub fn last_slot(&self) -> Option<i64> {
        self.events.last().map(|event| event.slot)
    }

    /// Its slots, and how many events each has.
    pub fn slots(&self) -> BTreeMap<i64, u64> {
        let mut slots = BTreeMap::new();
        for event in &self.events {
            let events: &mut u64 = slots.entry(event.slot).or_default();
            *events = events.saturating_add(1);
        }
        slots
    }
}

/// What the stream lacks up to slot `through`: some `limit` events of each platform, and whole slots of them.
///
/// # Errors
/// If the database cannot be asked.
pub async fn lacking(pool: &PgPool, stream: &StreamKey, through: i64, limit: i64) -> Result<Batch, sqlx::Error> {
    let mut limit = limit.max(1);
    loop {
        let events = read(pool, stream, through, limit).await?;
        let has_some = !events.is_empty();
        let whole = whole_slots(events, limit);
        if !whole.is_empty() || !has_some {
            return Ok(Batch { events: whole });
        }
        // One slot has more events than that.
        limit = limit.saturating_mul(4);
    }
}

async fn read(pool: &PgPool, stream: &StreamKey, through: i64, limit: i64) -> Result<Vec<StoredEvent>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT journals.platform, next.journal_index, next.kind, next.at, next.signature, next.bytes, transactions.slot
           FROM journals
           LEFT JOIN fanout_positions AS reached
               ON reached.platform = journals.platform AND reached.stream = $1 AND reached.created = $2
           CROSS JOIN LATERAL (
               SELECT * FROM events
               WHERE events.platform = journals.platform AND events.journal_index >= coalesce(reached.next_index, 0)
               ORDER BY events.journal_index LIMIT $3
           ) AS next
           JOIN transactions ON transactions.signature = next.signature AND transactions.month = next.month
           WHERE transactions.slot <= $4
           ORDER BY transactions.slot, transactions.position, journals.platform, next.journal_index"#,
        stream.name,
        stream.created,
        limit,
        through,
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(StoredEvent {
                id: EventId { platform: address(row.platform)?, journal_index: row.journal_index },
                kind: row.kind,
                at: row.at,
                signature: row.signature,
                slot: row.slot,
                bytes: row.bytes,
            })
        })
        .collect()
}

/// What is surely whole of events that were cut off after `limit` of each platform.
fn whole_slots(mut events: Vec<StoredEvent>, limit: i64) -> Vec<StoredEvent> {
    let mut by_platform: BTreeMap<Pubkey, (i64, i64)> = BTreeMap::new();
    for event in &events {
        let (count, last) = by_platform.entry(event.id.platform).or_default();
        *count = count.saturating_add(1);
        *last = event.slot;
    }
    // The last slot of a platform that was cut off may go on.
    let cut_off = by_platform.values().filter(|(count, _)| *count >= limit).map(|(_, last)| *last).min();
    if let Some(cut_off) = cut_off {
        events.retain(|event| event.slot < cut_off);
    }
    events
}

/// Notes that the stream has acknowledged a batch.
///
/// # Errors
/// If the database cannot be written to; then nothing is noted.
pub async fn advance(pool: &PgPool, stream: &StreamKey, batch: &Batch) -> Result<(), sqlx::Error> {
    let mut reached: BTreeMap<Pubkey, (i64, i64)> = BTreeMap::new();
    for event in &batch.events {
        let (next, slot) = reached.entry(event.id.platform).or_default();
        *next = (*next).max(event.id.journal_index.saturating_add(1));
        *slot = (*slot).max(event.slot);
    }
    // Another publisher of the same stream may be further.
    sqlx::query!(
        "INSERT INTO fanout_positions (stream, created, platform, next_index, slot)
         SELECT $1, $2, * FROM UNNEST($3::bytea[], $4::bigint[], $5::bigint[])
         ON CONFLICT (stream, platform) DO UPDATE
         SET created = excluded.created, next_index = excluded.next_index, slot = excluded.slot, written_at = now()
         WHERE fanout_positions.created <> excluded.created OR fanout_positions.next_index < excluded.next_index",
        stream.name,
        stream.created,
        &reached.keys().map(|platform| platform.to_bytes()).collect::<Vec<_>>() as &[[u8; 32]],
        &reached.values().map(|(next, _)| *next).collect::<Vec<_>>(),
        &reached.values().map(|(_, slot)| *slot).collect::<Vec<_>>(),
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// How many events of a platform are looked at when a stream has lost some: more than a server writes between two syncs.
const REWOUND_AT_MOST: i64 = 1_000_000;

/// Goes back to where the stream has everything, slot `through`, where it is noted to have more: its server acknowledged what
/// it had not yet written to its disk, and lost it. Returns how many events that are.
///
/// # Errors
/// If the database cannot be written to; then nothing is noted.
pub async fn rewind(pool: &PgPool, stream: &StreamKey, through: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"WITH lost AS (
               SELECT reached.platform, reached.next_index, min(events.journal_index) AS first
               FROM fanout_positions AS reached
               JOIN events ON events.platform = reached.platform AND events.journal_index < reached.next_index
                   AND events.journal_index >= reached.next_index - $4
               JOIN transactions ON transactions.signature = events.signature AND transactions.month = events.month
               WHERE reached.stream = $1 AND reached.created = $2 AND reached.slot > $3 AND transactions.slot > $3
               GROUP BY reached.platform, reached.next_index
           ), rewound AS (
               UPDATE fanout_positions SET next_index = lost.first, slot = $3, written_at = now()
               FROM lost
               WHERE stream = $1 AND fanout_positions.platform = lost.platform
                   AND fanout_positions.next_index = lost.next_index
           )
           SELECT coalesce(sum(next_index - first), 0)::bigint AS "lost!" FROM lost"#,
        stream.name,
        stream.created,
        through,
        REWOUND_AT_MOST,
    )
    .fetch_one(pool)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(platform: u8, journal_index: i64, slot: i64) -> StoredEvent {
        StoredEvent {
            id: EventId { platform: Pubkey::new_from_array([platform; 32]), journal_index },
            kind: "PauseChanged".to_owned(),
            at: OffsetDateTime::UNIX_EPOCH,
            signature: vec![0; 64],
            slot,
            bytes: vec![0; 8],
        }
    }

    #[test]
    fn a_slot_that_may_go_on_is_left_for_the_next_batch_on_every_platform() {
        let events = vec![event(1, 0, 5), event(2, 0, 6), event(1, 1, 7), event(1, 2, 7), event(2, 1, 8)];
        assert_eq!(whole_slots(events.clone(), 4), events);
        assert_eq!(whole_slots(events.clone(), 3), events[..2]);
        assert_eq!(whole_slots(vec![event(1, 0, 5), event(1, 1, 5)], 2), []);
    }
}
