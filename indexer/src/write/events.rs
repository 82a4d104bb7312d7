//! Events and the transactions that emitted them.

use super::{Plan, WriteError, copy::copy};
use crate::stretch::{Emitter, Found, Stretch};
use sqlx::PgConnection;

/// What an event is known by: its platform and its place in that platform's journal.
pub(super) type Key = ([u8; 32], i64);

pub(super) fn key(found: &Found) -> Key {
    (found.event.platform(), found.journal_index)
}

/// Adds events that are not there yet, and their transactions.
pub(super) async fn add(
    connection: &mut PgConnection,
    stretch: &Stretch,
    fresh: &[&Found],
    plan: &Plan,
) -> Result<(), WriteError> {
    let mut emitters: Vec<usize> = fresh.iter().map(|found| found.emitter).collect();
    // In the order of their events already.
    emitters.dedup();
    let emitters: Vec<(usize, &Emitter)> =
        emitters.into_iter().filter_map(|emitter| Some((emitter, stretch.emitters().get(emitter)?))).collect();
    let events: Vec<(&Found, &[u8])> = fresh
        .iter()
        .filter_map(|found| Some((*found, stretch.emitters().get(found.emitter)?.signature.as_array().as_slice())))
        .collect();
    if plan.copies {
        return copy_rows(connection, &emitters, &events, plan).await;
    }
    if fresh.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO transactions (month, signature, slot, position, block_time)
         SELECT * FROM UNNEST($1::date[], $2::bytea[], $3::bigint[], $4::integer[], $5::timestamptz[])",
        &emitters.iter().map(|(place, _)| plan.months.of_emitter(*place).first_day()).collect::<Vec<_>>(),
        &emitters.iter().map(|(_, emitter)| emitter.signature.as_array().as_slice()).collect::<Vec<_>>()
            as &[&[u8]],
        &emitters.iter().map(|(_, emitter)| emitter.slot).collect::<Vec<_>>(),
        &emitters.iter().map(|(_, emitter)| emitter.position).collect::<Vec<_>>(),
        &emitters.iter().map(|(_, emitter)| emitter.block_time).collect::<Vec<_>>() as _,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO events (month, platform, journal_index, kind, at, signature, bytes)
         SELECT * FROM UNNEST($1::date[], $2::bytea[], $3::bigint[], $4::text[], $5::timestamptz[], $6::bytea[],
                              $7::bytea[])",
        &events.iter().map(|(found, _)| plan.months.of_event(found).first_day()).collect::<Vec<_>>(),
        &events.iter().map(|(found, _)| found.event.platform()).collect::<Vec<_>>() as &[[u8; 32]],
        &events.iter().map(|(found, _)| found.journal_index).collect::<Vec<_>>(),
        &events.iter().map(|(found, _)| found.event.name()).collect::<Vec<_>>() as &[&str],
        &events.iter().map(|(found, _)| found.at).collect::<Vec<_>>(),
        &events.iter().map(|(_, signature)| *signature).collect::<Vec<_>>() as &[&[u8]],
        &events.iter().map(|(found, _)| found.bytes.as_slice()).collect::<Vec<_>>() as &[&[u8]],
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn copy_rows(
    connection: &mut PgConnection,
    emitters: &[(usize, &Emitter)],
    events: &[(&Found, &[u8])],
    plan: &Plan,
) -> Result<(), WriteError> {
    copy(
        connection,
        "COPY transactions (slot, block_time, position, month, signature) FROM STDIN (FORMAT binary)",
        emitters,
        |rows, (place, emitter)| {
            rows.row(5).bigint(emitter.slot);
            match emitter.block_time {
                Some(time) => rows.moment(time),
                None => rows.null(),
            };
            rows.integer(emitter.position).month(plan.months.of_emitter(*place)).bytes(emitter.signature.as_array());
        },
    )
    .await?;
    copy(
        connection,
        "COPY events (journal_index, at, month, platform, signature, kind, bytes) FROM STDIN (FORMAT binary)",
        events,
        |rows, (found, signature)| {
            rows.row(7)
                .bigint(found.journal_index)
                .moment(found.at)
                .month(plan.months.of_event(found))
                .bytes(&found.event.platform())
                .bytes(signature)
                .bytes(found.event.name().as_bytes())
                .bytes(&found.bytes);
        },
    )
    .await
}

/// What is stored under these keys: the canonical bytes, by key.
pub(super) async fn stored(
    connection: &mut PgConnection,
    events: &[&Found],
) -> Result<Vec<(Vec<u8>, i64, Vec<u8>)>, WriteError> {
    let rows = sqlx::query!(
        r#"SELECT said.platform AS "platform!", said.journal_index AS "journal_index!", bytes
           FROM UNNEST($1::bytea[], $2::bigint[]) AS said (platform, journal_index)
           JOIN events ON events.platform = said.platform AND events.journal_index = said.journal_index
               AND events.month = month_of(said.platform, said.journal_index)"#,
        &events.iter().map(|found| found.event.platform()).collect::<Vec<_>>() as &[[u8; 32]],
        &events.iter().map(|found| found.journal_index).collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.platform, row.journal_index, row.bytes)).collect())
}
