//! Platforms and their settings.

use super::{WriteError, contradiction, decimal};
use crate::stretch::Found;
use rebate_client::event::{AssetEntry, Event, OracleKeyRegistered, PlatformCreated};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// Adds new platforms and oracle keys, and notes which platforms are paused.
pub(super) async fn add(connection: &mut PgConnection, fresh: &[&Found]) -> Result<(), WriteError> {
    let (mut created, mut keys, mut paused) = (Vec::new(), Vec::new(), BTreeMap::new());
    for found in fresh {
        match &found.event {
            Event::PlatformCreated(event) => created.push((*found, event)),
            Event::OracleKeyRegistered(event) => keys.push(event),
            // In order: the last one counts.
            Event::PauseChanged(event) => {
                paused.insert(event.platform, event.paused);
            }
            Event::RulePublished(_) | Event::PaymentRecorded(_) => {}
            _ => return Err(contradiction(found, "this software does not write such events yet")),
        }
    }
    if !created.is_empty() {
        add_platforms(connection, &created).await?;
        add_offsets(connection, &created).await?;
        add_assets(connection, &created).await?;
    }
    if !keys.is_empty() {
        add_oracle_keys(connection, &keys).await?;
    }
    if !paused.is_empty() {
        set_paused(connection, &paused).await?;
    }
    Ok(())
}

type Created<'a> = (&'a Found, &'a PlatformCreated);

async fn add_platforms(connection: &mut PgConnection, created: &[Created<'_>]) -> Result<(), WriteError> {
    sqlx::query!(
        "INSERT INTO platforms (address, id, admin, pauser, max_lateness, timelock, order_shards, created_at)
         SELECT * FROM UNNEST($1::bytea[], $2::numeric[], $3::bytea[], $4::bytea[], $5::bigint[], $6::bigint[],
                              $7::integer[], $8::timestamptz[])",
        &created.iter().map(|(_, event)| event.platform).collect::<Vec<_>>() as &[[u8; 32]],
        &created.iter().map(|(_, event)| decimal(event.id)).collect::<Vec<_>>(),
        &created.iter().map(|(_, event)| event.admin).collect::<Vec<_>>() as &[[u8; 32]],
        &created.iter().map(|(_, event)| event.pauser).collect::<Vec<_>>() as &[[u8; 32]],
        &created.iter().map(|(_, event)| i64::from(event.max_lateness)).collect::<Vec<_>>(),
        &created.iter().map(|(_, event)| i64::from(event.timelock)).collect::<Vec<_>>(),
        &created.iter().map(|(_, event)| i32::from(event.order_shards)).collect::<Vec<_>>(),
        &created.iter().map(|(found, _)| found.at).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn add_offsets(connection: &mut PgConnection, created: &[Created<'_>]) -> Result<(), WriteError> {
    let rows: Vec<_> =
        created.iter().flat_map(|(_, event)| event.offsets.iter().map(|offset| (event.platform, *offset))).collect();
    sqlx::query!(
        "INSERT INTO utc_offsets (platform, starts, seconds)
         SELECT * FROM UNNEST($1::bytea[], $2::bigint[], $3::integer[])",
        &rows.iter().map(|(platform, _)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
        &rows.iter().map(|(_, offset)| offset.from).collect::<Vec<_>>(),
        &rows.iter().map(|(_, offset)| offset.seconds).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn add_assets(connection: &mut PgConnection, created: &[Created<'_>]) -> Result<(), WriteError> {
    let (mut platforms, mut numbers, mut names, mut kinds) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (found, event) in created {
        for (number, asset) in (1_i16..).zip(&event.assets) {
            platforms.push(event.platform);
            numbers.push(number);
            names.push(name_of(asset));
            kinds.push(match asset.kind {
                1 => "points",
                other => return Err(contradiction(found, format!("asset {number} is of kind {other}, which is none"))),
            });
        }
    }
    sqlx::query!(
        "INSERT INTO assets (platform, asset, name, kind)
         SELECT * FROM UNNEST($1::bytea[], $2::smallint[], $3::text[], $4::text[])",
        &platforms as &[[u8; 32]],
        &numbers,
        &names,
        &kinds as &[&str],
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The program reads a name up to the first zero. Behind it anybody may put what he likes, and Postgres takes no zeros.
fn name_of(asset: &AssetEntry) -> String {
    let name = asset.name.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

async fn add_oracle_keys(connection: &mut PgConnection, keys: &[&OracleKeyRegistered]) -> Result<(), WriteError> {
    sqlx::query!(
        "INSERT INTO oracle_keys (platform, key, valid_from, valid_until)
         SELECT * FROM UNNEST($1::bytea[], $2::bytea[], $3::bigint[], $4::bigint[])",
        &keys.iter().map(|event| event.platform).collect::<Vec<_>>() as &[[u8; 32]],
        &keys.iter().map(|event| event.key).collect::<Vec<_>>() as &[[u8; 32]],
        &keys.iter().map(|event| event.valid_from).collect::<Vec<_>>(),
        &keys.iter().map(|event| event.valid_until).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn set_paused(connection: &mut PgConnection, paused: &BTreeMap<[u8; 32], bool>) -> Result<(), WriteError> {
    sqlx::query!(
        "UPDATE platforms SET paused = change.paused
         FROM UNNEST($1::bytea[], $2::boolean[]) AS change (platform, paused)
         WHERE platforms.address = change.platform",
        &paused.keys().copied().collect::<Vec<_>>() as &[[u8; 32]],
        &paused.values().copied().collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
