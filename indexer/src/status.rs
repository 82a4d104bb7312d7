//! Where the index stands: what `rebate index status` shows.

use crate::{database::DatabaseError, standby::LOCK};
use rebate_client::Pubkey;
use rebate_integrity::{Difference, verdict};
use solana_program::hash::Hash;
use sqlx::{PgPool, types::Json};
use time::OffsetDateTime;

/// Where the index stands.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether an indexer holds the turn to write.
    pub is_writing: bool,
    /// How far it read; `None` in an empty database.
    pub position: Option<Position>,
    /// What it has of each platform, by address.
    pub platforms: Vec<PlatformStatus>,
    /// What the database takes on its disk, in bytes.
    pub bytes: i64,
}

/// How far the index read.
#[derive(Clone, Debug)]
pub struct Position {
    /// Which chain.
    pub genesis_hash: Hash,
    /// The last slot.
    pub slot: u64,
    /// The last slot that is final; `None` where none is yet.
    pub final_slot: Option<u64>,
    /// When the block was produced, by its producer.
    pub block_time: Option<OffsetDateTime>,
    /// When it was written.
    pub written_at: OffsetDateTime,
}

/// What the index has of a platform.
#[derive(Clone, Debug)]
pub struct PlatformStatus {
    /// Its address.
    pub platform: Pubkey,
    /// How many events.
    pub events: u64,
    /// When its tables were compared with the chain last, and what differed then; `None` where they never were.
    pub compared: Option<(OffsetDateTime, Vec<Difference>)>,
}

impl Status {
    /// Reads it.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn read(pool: &PgPool) -> Result<Self, DatabaseError> {
        let position = sqlx::query!("SELECT genesis_hash, slot, final_slot, block_time, written_at FROM cursor")
            .fetch_optional(pool)
            .await?
            .map(|row| Position {
                // The table takes no other length.
                genesis_hash: row.genesis_hash.try_into().map(Hash::new_from_array).unwrap_or_default(),
                slot: row.slot.unsigned_abs(),
                final_slot: row.final_slot.map(i64::unsigned_abs),
                block_time: row.block_time,
                written_at: row.written_at,
            });
        let platforms = sqlx::query!(
            r#"SELECT platform, journals.leaf_count, checked_at AS "checked_at?",
                      differences AS "differences?: Json<Vec<Difference>>"
               FROM journals LEFT JOIN integrity USING (platform) ORDER BY platform"#
        )
        .fetch_all(pool)
        .await?
        .into_iter()
        .filter_map(|row| {
            Some(PlatformStatus {
                platform: Pubkey::new_from_array(row.platform.try_into().ok()?),
                events: row.leaf_count.unsigned_abs(),
                compared: row.checked_at.map(|at| (at, row.differences.map(|Json(found)| found).unwrap_or_default())),
            })
        })
        .collect();
        // How Postgres shows an advisory lock: documentation of pg_locks.
        let is_writing = sqlx::query_scalar!(
            r#"SELECT EXISTS (
                   SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
                   WHERE locktype = 'advisory' AND datname = current_database() AND granted AND objsubid = 1
                       AND classid::bigint << 32 | objid::bigint = $1
               ) AS "is_writing!""#,
            LOCK
        )
        .fetch_one(pool)
        .await?;
        let bytes =
            sqlx::query_scalar!(r#"SELECT pg_database_size(current_database()) AS "bytes!""#).fetch_one(pool).await?;
        Ok(Self { is_writing, position, platforms, bytes })
    }
}

/// Says that what differed is mended, so that an indexer writes again. Returns how many mismatches stood.
///
/// # Errors
/// [`DatabaseError`].
pub async fn resume(pool: &PgPool) -> Result<u64, DatabaseError> {
    Ok(verdict::withdraw(pool).await?)
}
