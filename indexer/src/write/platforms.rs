//! Platforms: roles, settings, local time, order shards, closed days.

use super::{WriteError, assets, contradiction, decimal};
use crate::stretch::Found;
use rebate_client::event::{
    DayClosed, OffsetAdded, OffsetEntry, OrderShardsChanged, PauseChanged, PlatformCreated, RoleChanged, SettingChanged,
};
use sqlx::PgConnection;

pub(super) async fn create(
    connection: &mut PgConnection,
    found: &Found,
    event: &PlatformCreated,
) -> Result<(), WriteError> {
    sqlx::query!(
        "INSERT INTO platforms (address, id, admin, pauser, max_lateness, timelock, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &event.platform,
        decimal(event.id),
        &event.admin,
        &event.pauser,
        i64::from(event.max_lateness),
        i64::from(event.timelock),
        found.at,
    )
    .execute(&mut *connection)
    .await?;
    spread_orders(connection, &event.platform, 0, event.order_shards, event.page_slots).await?;
    for offset in &event.offsets {
        set_clocks(connection, &event.platform, offset).await?;
    }
    for (number, asset) in (1..).zip(&event.assets) {
        assets::insert(connection, found, number, asset, 0).await?;
    }
    Ok(())
}

/// A role changes hands at once, or somebody may take it up later. The zero address takes that back.
pub(super) async fn change_role(
    connection: &mut PgConnection,
    found: &Found,
    event: &RoleChanged,
) -> Result<(), WriteError> {
    match (event.role, event.effective_at) {
        (1, 0) if event.holder != [0; 32] => {
            sqlx::query!(
                "UPDATE platforms SET admin = $2, next_admin = NULL, next_admin_from = 0 WHERE address = $1",
                &event.platform,
                &event.holder,
            )
            .execute(connection)
            .await?;
        }
        (1, from) => {
            let next = Some(event.holder).filter(|holder| *holder != [0; 32]);
            sqlx::query!(
                "UPDATE platforms SET next_admin = $2, next_admin_from = $3 WHERE address = $1",
                &event.platform,
                next.as_ref().map(<[u8; 32]>::as_slice),
                if next.is_some() { from } else { 0 },
            )
            .execute(connection)
            .await?;
        }
        (2, 0) => {
            sqlx::query!("UPDATE platforms SET pauser = $2 WHERE address = $1", &event.platform, &event.holder)
                .execute(connection)
                .await?;
        }
        (role, from) => {
            let what = format!("role {role} from {from} on is none this software knows; update it");
            return Err(contradiction(found, what));
        }
    }
    Ok(())
}

/// A setting changes at once or later; a change that was to come is replaced.
pub(super) async fn change_setting(
    connection: &mut PgConnection,
    found: &Found,
    event: &SettingChanged,
) -> Result<(), WriteError> {
    let value = i64::from(event.value);
    let from = if event.effective_at <= event.at { 0 } else { event.effective_at };
    // What held until now may itself be a change that was to come, and has.
    match event.setting {
        1 => {
            sqlx::query!(
                "UPDATE platforms SET
                     max_lateness = CASE
                         WHEN $3::bigint = 0 THEN $2
                         WHEN next_max_lateness_from <> 0 AND next_max_lateness_from <= $4 THEN next_max_lateness
                         ELSE max_lateness
                     END,
                     next_max_lateness = CASE WHEN $3 <> 0 THEN $2 END,
                     next_max_lateness_from = $3
                 WHERE address = $1",
                &event.platform,
                value,
                from,
                event.at,
            )
            .execute(connection)
            .await?;
        }
        2 => {
            sqlx::query!(
                "UPDATE platforms SET
                     timelock = CASE
                         WHEN $3::bigint = 0 THEN $2
                         WHEN next_timelock_from <> 0 AND next_timelock_from <= $4 THEN next_timelock
                         ELSE timelock
                     END,
                     next_timelock = CASE WHEN $3 <> 0 THEN $2 END,
                     next_timelock_from = $3
                 WHERE address = $1",
                &event.platform,
                value,
                from,
                event.at,
            )
            .execute(connection)
            .await?;
        }
        other => {
            return Err(contradiction(found, format!("setting {other} is none this software knows; update it")));
        }
    }
    Ok(())
}

pub(super) async fn set_paused(connection: &mut PgConnection, event: &PauseChanged) -> Result<(), WriteError> {
    sqlx::query!("UPDATE platforms SET paused = $2 WHERE address = $1", &event.platform, event.paused)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn add_offset(connection: &mut PgConnection, event: &OffsetAdded) -> Result<(), WriteError> {
    set_clocks(connection, &event.platform, &event.offset).await
}

async fn set_clocks(
    connection: &mut PgConnection,
    platform: &[u8; 32],
    offset: &OffsetEntry,
) -> Result<(), WriteError> {
    sqlx::query!(
        "INSERT INTO utc_offsets (platform, starts, seconds) VALUES ($1, $2, $3)
         ON CONFLICT (platform, starts) DO UPDATE SET seconds = EXCLUDED.seconds",
        platform,
        offset.from,
        offset.seconds,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The last announcement counts for all days from its first on.
pub(super) async fn change_order_shards(
    connection: &mut PgConnection,
    event: &OrderShardsChanged,
) -> Result<(), WriteError> {
    sqlx::query!(
        "DELETE FROM order_shards WHERE platform = $1 AND from_day >= $2",
        &event.platform,
        i64::from(event.from_day),
    )
    .execute(&mut *connection)
    .await?;
    spread_orders(connection, &event.platform, event.from_day, event.shards, event.page_slots).await
}

async fn spread_orders(
    connection: &mut PgConnection,
    platform: &[u8; 32],
    from_day: u32,
    shards: u16,
    page_slots: u16,
) -> Result<(), WriteError> {
    sqlx::query!(
        "INSERT INTO order_shards (platform, from_day, shards, page_slots) VALUES ($1, $2, $3, $4)",
        platform,
        i64::from(from_day),
        i32::from(shards),
        i32::from(page_slots),
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn close_day(connection: &mut PgConnection, event: &DayClosed) -> Result<(), WriteError> {
    sqlx::query!(
        "UPDATE platforms SET closed_through = GREATEST(closed_through, $2) WHERE address = $1",
        &event.platform,
        i64::from(event.day),
    )
    .execute(connection)
    .await?;
    Ok(())
}
