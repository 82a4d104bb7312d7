//! What the indexer found last, by platform: the table `integrity`.
//!
//! A verdict that differs stands until a later comparison agrees or somebody withdraws it: while it stands, the indexer
//! writes nothing, and the API says that it is not ready.

use crate::report::{Difference, Report, Status};
use rebate_client::Pubkey;
use sqlx::{PgExecutor, PgPool, types::Json};
use std::fmt;
use time::OffsetDateTime;

/// How many differences a verdict keeps.
const KEPT: usize = 32;

/// A verdict that the tables are not what the chain has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The platform.
    pub platform: Pubkey,
    /// When it was found.
    pub found_at: OffsetDateTime,
    /// The last slot the tables had read then.
    pub slot: i64,
    /// What differs; the first of it.
    pub differences: Vec<Difference>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "platform {} as of slot {}: ", self.platform, self.slot)?;
        for (position, difference) in self.differences.iter().enumerate() {
            write!(f, "{}{}", if position > 0 { "; " } else { "" }, difference.detail)?;
        }
        Ok(())
    }
}

/// Keeps what a comparison came to, where it came to something. Returns the mismatch, if it is one.
///
/// # Errors
/// Where the database does not answer.
pub async fn keep(pool: &PgPool, report: &Report) -> Result<Option<Mismatch>, sqlx::Error> {
    let agrees = match report.status {
        Status::Agrees => true,
        Status::Differs => false,
        Status::Behind | Status::Checking => return Ok(None),
    };
    let differences: Vec<Difference> = report.differences.iter().take(KEPT).cloned().collect();
    let checked_at = sqlx::query_scalar!(
        "INSERT INTO integrity (platform, checked_at, slot, leaf_count, agrees, differences)
         VALUES ($1, now(), $2, $3, $4, $5)
         ON CONFLICT (platform) DO UPDATE SET checked_at = EXCLUDED.checked_at, slot = EXCLUDED.slot,
             leaf_count = EXCLUDED.leaf_count, agrees = EXCLUDED.agrees, differences = EXCLUDED.differences
         RETURNING checked_at",
        report.platform.as_ref(),
        report.stored.slot,
        i64::try_from(report.stored.hashed).unwrap_or(i64::MAX),
        agrees,
        Json(&differences) as _,
    )
    .fetch_one(pool)
    .await?;
    let Report { platform, .. } = *report;
    Ok((!agrees).then_some(Mismatch { platform, found_at: checked_at, slot: report.stored.slot, differences }))
}

/// The mismatches that stand.
///
/// # Errors
/// Where the database does not answer.
pub async fn standing(executor: impl PgExecutor<'_>) -> Result<Vec<Mismatch>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT platform, checked_at, slot, differences AS "differences: Json<Vec<Difference>>"
           FROM integrity WHERE NOT agrees ORDER BY platform LIMIT 8"#
    )
    .fetch_all(executor)
    .await?;
    let mismatch = |platform: [u8; 32], found_at, slot, Json(differences)| Mismatch {
        platform: Pubkey::new_from_array(platform),
        found_at,
        slot,
        differences,
    };
    Ok(rows
        .into_iter()
        // The table takes no other length.
        .filter_map(|row| Some(mismatch(row.platform.try_into().ok()?, row.checked_at, row.slot, row.differences)))
        .collect())
}

/// Withdraws the mismatches that stand, once what differed is mended. Returns how many there were.
///
/// # Errors
/// Where the database does not answer.
pub async fn withdraw(pool: &PgPool) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query!("DELETE FROM integrity WHERE NOT agrees").execute(pool).await?.rows_affected())
}

/// Platforms to compare next: those whose mismatch stands, those that got events since they were compared, then those that
/// were compared longest ago; at most `limit`.
///
/// # Errors
/// Where the database does not answer.
pub async fn due(pool: &PgPool, limit: u16) -> Result<Vec<Pubkey>, sqlx::Error> {
    let platforms = sqlx::query_scalar!(
        "SELECT platform FROM journals LEFT JOIN integrity USING (platform)
         ORDER BY agrees IS FALSE DESC, journals.leaf_count = integrity.leaf_count NULLS FIRST, checked_at NULLS FIRST
         LIMIT $1",
        i64::from(limit)
    )
    .fetch_all(pool)
    .await?;
    Ok(platforms.into_iter().filter_map(|platform| platform.try_into().ok().map(Pubkey::new_from_array)).collect())
}
