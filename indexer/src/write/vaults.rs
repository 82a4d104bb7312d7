//! Vaults: the tokens behind token assets.
//!
//! A vault can hold more than the events say, since anybody can send tokens there; never less.

use super::{WriteError, contradiction, decimal};
use crate::stretch::Found;
use rebate_client::event::{Claimed, Deposited, SurplusWithdrawn, VaultOpened};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use sqlx::PgConnection;

pub(super) async fn open(connection: &mut PgConnection, found: &Found, event: &VaultOpened) -> Result<(), WriteError> {
    let opened = sqlx::query!(
        "INSERT INTO vaults (platform, asset, address, opened_at, journal_index)
         SELECT platform, asset, $4, $5, $6 FROM assets WHERE platform = $1 AND asset = $2 AND mint = $3",
        &event.platform,
        i16::from(event.asset),
        &event.mint,
        &event.vault,
        found.at,
        found.journal_index,
    )
    .execute(connection)
    .await?;
    match opened.rows_affected() {
        1 => Ok(()),
        _ => Err(contradiction(found, format!("asset {} is no token of this mint", event.asset))),
    }
}

pub(super) async fn deposit(connection: &mut PgConnection, found: &Found, event: &Deposited) -> Result<(), WriteError> {
    let held = held(connection, found, event.asset).await?;
    match held.checked_add(event.amount) {
        Some(least) if least <= event.funds => hold(connection, found, event.asset, event.funds).await,
        _ => Err(short(found, held, event.funds)),
    }
}

pub(super) async fn withdraw(
    connection: &mut PgConnection,
    found: &Found,
    event: &SurplusWithdrawn,
) -> Result<(), WriteError> {
    let held = held(connection, found, event.asset).await?;
    if held.saturating_sub(event.amount) > event.funds {
        return Err(short(found, held, event.funds));
    }
    hold(connection, found, event.asset, event.funds).await
}

/// What a user claims leaves the vault.
pub(super) async fn pay_out(connection: &mut PgConnection, found: &Found, event: &Claimed) -> Result<(), WriteError> {
    let held = held(connection, found, event.asset).await?;
    // Where the vault held more than the events say, it was paid out of that.
    hold(connection, found, event.asset, held.saturating_sub(event.amount)).await
}

fn short(found: &Found, held: u64, says: u64) -> WriteError {
    contradiction(found, format!("the vault held {held} before, and it says that {says} are left"))
}

async fn held(connection: &mut PgConnection, found: &Found, asset: u8) -> Result<u64, WriteError> {
    let funds: Option<Decimal> = sqlx::query_scalar!(
        "SELECT funds FROM vaults WHERE platform = $1 AND asset = $2",
        &found.event.platform(),
        i16::from(asset),
    )
    .fetch_optional(connection)
    .await?;
    funds
        .and_then(|funds| funds.to_u64())
        .ok_or_else(|| contradiction(found, format!("asset {asset} has no vault that is stored")))
}

async fn hold(connection: &mut PgConnection, found: &Found, asset: u8, funds: u64) -> Result<(), WriteError> {
    sqlx::query!(
        "UPDATE vaults SET funds = $3, journal_index = $4 WHERE platform = $1 AND asset = $2",
        &found.event.platform(),
        i16::from(asset),
        decimal(funds),
        found.journal_index,
    )
    .execute(connection)
    .await?;
    Ok(())
}
