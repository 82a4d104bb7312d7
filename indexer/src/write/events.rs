//! Events and the transactions that emitted them.

use super::WriteError;
use crate::stretch::{Found, Stretch};
use sqlx::PgConnection;
use std::collections::HashSet;

/// What an event is known by: its platform and its place in that platform's journal.
pub(super) type Key = ([u8; 32], i64);

pub(super) fn key(found: &Found) -> Key {
    (found.event.platform(), found.journal_index)
}

/// Adds the events that are not there yet and returns which those are.
pub(super) async fn add(connection: &mut PgConnection, stretch: &Stretch) -> Result<HashSet<Key>, WriteError> {
    let emitters = stretch.emitters();
    let signatures: Vec<&[u8]> = emitters.iter().map(|emitter| emitter.signature.as_array().as_slice()).collect();
    sqlx::query!(
        "INSERT INTO transactions (signature, slot, position, block_time)
         SELECT * FROM UNNEST($1::bytea[], $2::bigint[], $3::integer[], $4::timestamptz[])
         ON CONFLICT DO NOTHING",
        &signatures as &[&[u8]],
        &emitters.iter().map(|emitter| emitter.slot).collect::<Vec<_>>(),
        &emitters.iter().map(|emitter| emitter.position).collect::<Vec<_>>(),
        &emitters.iter().map(|emitter| emitter.block_time).collect::<Vec<_>>() as _,
    )
    .execute(&mut *connection)
    .await?;

    let events = stretch.events();
    let added = sqlx::query!(
        "INSERT INTO events (platform, journal_index, kind, at, signature, bytes)
         SELECT * FROM UNNEST($1::bytea[], $2::bigint[], $3::text[], $4::timestamptz[], $5::bytea[], $6::bytea[])
         ON CONFLICT DO NOTHING
         RETURNING platform, journal_index",
        &events.iter().map(|found| found.event.platform()).collect::<Vec<_>>() as &[[u8; 32]],
        &events.iter().map(|found| found.journal_index).collect::<Vec<_>>(),
        &events.iter().map(|found| found.event.name()).collect::<Vec<_>>() as &[&str],
        &events.iter().map(|found| found.at).collect::<Vec<_>>(),
        &events.iter().filter_map(|found| signatures.get(found.emitter).copied()).collect::<Vec<_>>() as &[&[u8]],
        &events.iter().map(|found| found.bytes.as_slice()).collect::<Vec<_>>() as &[&[u8]],
    )
    .fetch_all(connection)
    .await?;
    added
        .into_iter()
        .map(|row| {
            let platform = <[u8; 32]>::try_from(row.platform.as_slice())
                .map_err(|_| sqlx::Error::Decode("a platform's address has 32 bytes".into()))?;
            Ok((platform, row.journal_index))
        })
        .collect()
}

/// What is stored under these keys: the canonical bytes, by key.
pub(super) async fn stored(
    connection: &mut PgConnection,
    events: &[&Found],
) -> Result<Vec<(Vec<u8>, i64, Vec<u8>)>, WriteError> {
    let rows = sqlx::query!(
        "SELECT platform, journal_index, bytes FROM events
         WHERE (platform, journal_index) IN (SELECT * FROM UNNEST($1::bytea[], $2::bigint[]))",
        &events.iter().map(|found| found.event.platform()).collect::<Vec<_>>() as &[[u8; 32]],
        &events.iter().map(|found| found.journal_index).collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.platform, row.journal_index, row.bytes)).collect())
}
