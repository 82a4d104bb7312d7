//! Assets, and what all users have of each.

use super::{WriteError, contradiction, ledger::Entry};
use crate::stretch::Found;
use rebate_client::{
    account::AssetKind,
    event::{AssetAdded, AssetEntry, Event},
};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use std::collections::BTreeMap;

pub(super) async fn add(connection: &mut PgConnection, found: &Found, event: &AssetAdded) -> Result<(), WriteError> {
    insert(connection, found, event.asset, &event.entry, event.active_from).await
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    found: &Found,
    number: u8,
    asset: &AssetEntry,
    active_from: i64,
) -> Result<(), WriteError> {
    let kind = AssetKind::from_number(asset.kind)
        .ok_or_else(|| contradiction(found, format!("asset {number} is of kind {}, which is none", asset.kind)))?;
    sqlx::query!(
        "INSERT INTO assets (platform, asset, name, kind, expiry_months, mint, active_from)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &found.event.platform(),
        i16::from(number),
        name_of(asset),
        kind.name(),
        i16::from(asset.expiry_months),
        (asset.mint != [0; 32]).then_some(asset.mint.as_slice()),
        active_from,
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

/// Platform and asset.
type Key = ([u8; 32], u8);

/// Adds to what all users have. What a withdrawal of surplus says they have must be what is stored.
pub(super) async fn owe(
    connection: &mut PgConnection,
    fresh: &[&Found],
    entries: &[Entry<'_>],
) -> Result<(), WriteError> {
    let mut changes: BTreeMap<Key, Decimal> = BTreeMap::new();
    for entry in entries {
        let change = changes.entry((entry.step.platform(), entry.step.asset)).or_default();
        // At most 2^64 each: fewer than 2^31 of them do not pass what a decimal holds.
        *change = change.saturating_add(entry.change());
    }
    let said: Vec<(&Found, Key, u64)> = fresh
        .iter()
        .filter_map(|found| match &found.event {
            Event::SurplusWithdrawn(event) => Some((*found, (event.platform, event.asset), event.liability)),
            _ => None,
        })
        .collect();
    for (_, key, _) in &said {
        changes.entry(*key).or_default();
    }
    if changes.is_empty() {
        return Ok(());
    }
    let stored = sqlx::query!(
        "UPDATE assets SET liability = liability + change.amount
         FROM UNNEST($1::bytea[], $2::smallint[], $3::numeric[]) AS change (platform, asset, amount)
         WHERE assets.platform = change.platform AND assets.asset = change.asset
         RETURNING assets.platform, assets.asset, liability",
        &changes.keys().map(|(platform, _)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
        &changes.keys().map(|(_, asset)| i16::from(*asset)).collect::<Vec<_>>(),
        &changes.values().copied().collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await?;
    if let Some(last) = entries.last().filter(|_| stored.len() != changes.len()) {
        return Err(contradiction(last.step.found, "an asset that its block moves is not stored"));
    }
    for (found, (platform, asset), liability) in said {
        let row = stored.iter().find(|row| row.platform == platform && row.asset == i16::from(asset));
        let since: Decimal = entries
            .iter()
            .filter(|entry| (entry.step.platform(), entry.step.asset) == (platform, asset))
            .filter(|entry| entry.step.found.journal_index > found.journal_index)
            .map(Entry::change)
            .sum();
        let held = row.map(|row| row.liability.saturating_sub(since));
        if held != Some(Decimal::from(liability)) {
            let held = held.map_or_else(|| "nothing".to_owned(), |held| held.to_string());
            let what = format!("it says that users have {liability} of asset {asset}, and they have {held}");
            return Err(contradiction(found, what));
        }
    }
    Ok(())
}
