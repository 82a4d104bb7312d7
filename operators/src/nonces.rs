//! Which nonces of those who sign in were used, by whichever server.

use crate::OperatorsError;
use ring::digest::{SHA256, digest};
use sqlx::PgPool;
use time::OffsetDateTime;

/// Uses `nonce` up, which would end at `ends`; `false` if it was used before. Forgets those that have ended.
///
/// # Errors
/// [`OperatorsError::Database`].
pub async fn use_up(pool: &PgPool, nonce: &[u8], ends: OffsetDateTime) -> Result<bool, OperatorsError> {
    // A while after they ended: clocks of servers differ.
    sqlx::query!("DELETE FROM used_nonces WHERE ends_at < now() - interval '10 minutes'").execute(pool).await?;
    let hash = digest(&SHA256, nonce);
    let used = sqlx::query!(
        "INSERT INTO used_nonces (sha256, ends_at) VALUES ($1, $2) ON CONFLICT (sha256) DO NOTHING",
        hash.as_ref(),
        ends,
    )
    .execute(pool)
    .await?;
    Ok(used.rows_affected() == 1)
}
