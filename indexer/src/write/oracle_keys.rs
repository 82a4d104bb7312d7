//! Keys that may sign records.

use super::{WriteError, contradiction};
use crate::stretch::Found;
use rebate_client::event::{OracleKeyRegistered, OracleKeyRetired};
use sqlx::PgConnection;

/// A key that was there before and is registered again has the new validity.
pub(super) async fn register(connection: &mut PgConnection, event: &OracleKeyRegistered) -> Result<(), WriteError> {
    sqlx::query!(
        "INSERT INTO oracle_keys (platform, key, valid_from, valid_until) VALUES ($1, $2, $3, $4)
         ON CONFLICT (platform, key) DO UPDATE SET
             valid_from = EXCLUDED.valid_from, valid_until = EXCLUDED.valid_until, retired_at = NULL",
        &event.platform,
        &event.key,
        event.valid_from,
        event.valid_until,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn retire(
    connection: &mut PgConnection,
    found: &Found,
    event: &OracleKeyRetired,
) -> Result<(), WriteError> {
    let retired = sqlx::query!(
        "UPDATE oracle_keys SET valid_until = $3, retired_at = $4 WHERE platform = $1 AND key = $2",
        &event.platform,
        &event.key,
        event.valid_until,
        found.at,
    )
    .execute(connection)
    .await?;
    match retired.rows_affected() {
        1 => Ok(()),
        _ => Err(contradiction(found, "it retires an oracle key that is not stored")),
    }
}
