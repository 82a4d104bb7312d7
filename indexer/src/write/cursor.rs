//! The cursor: which block was written last. Moving it is a compare-and-set, which fences a stale writer.

use super::{WriteError, start_text};
use crate::{database::DatabaseError, source::BlockRef};
use rebate_client::chain::Commitment;
use solana_program::hash::Hash;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

/// Where the database stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Which chain it holds.
    pub genesis_hash: Hash,
    /// The last block written.
    pub at: BlockRef,
    /// When that was produced, Unix seconds.
    pub time: Option<i64>,
}

/// One move of the cursor.
pub(super) struct Step {
    pub genesis_hash: Hash,
    pub commitment: Commitment,
    pub from: Option<BlockRef>,
    pub to: BlockRef,
    pub time: Option<OffsetDateTime>,
}

pub(super) async fn read(pool: &PgPool) -> Result<Option<Cursor>, DatabaseError> {
    let row = sqlx::query!("SELECT genesis_hash, slot, blockhash, block_time FROM cursor").fetch_optional(pool).await?;
    row.map(|row| {
        Ok(Cursor {
            genesis_hash: hash(&row.genesis_hash)?,
            at: BlockRef { slot: u64::try_from(row.slot).unwrap_or_default(), hash: hash(&row.blockhash)? },
            time: row.block_time.map(OffsetDateTime::unix_timestamp),
        })
    })
    .transpose()
}

fn hash(bytes: &[u8]) -> Result<Hash, DatabaseError> {
    let bytes = <[u8; 32]>::try_from(bytes)
        .map_err(|_| DatabaseError::Contradiction(format!("the cursor holds a hash of {} bytes", bytes.len())))?;
    Ok(Hash::new_from_array(bytes))
}

/// Moves the cursor, or is fenced.
pub(super) async fn advance(connection: &mut PgConnection, step: &Step) -> Result<(), WriteError> {
    let commitment = match step.commitment {
        Commitment::Confirmed => "confirmed",
        Commitment::Finalized => "finalized",
    };
    let (genesis, hash) = (step.genesis_hash.to_bytes(), step.to.hash.to_bytes());
    let moved = match step.from {
        Some(from) => {
            sqlx::query!(
                "UPDATE cursor SET slot = $1, blockhash = $2, block_time = $3, commitment = $4, written_at = now()
                 WHERE slot = $5 AND blockhash = $6 AND genesis_hash = $7",
                signed(step.to.slot),
                hash.as_slice(),
                step.time,
                commitment,
                signed(from.slot),
                from.hash.as_ref(),
                genesis.as_slice(),
            )
            .execute(connection)
            .await?
        }
        None => {
            sqlx::query!(
                "INSERT INTO cursor (genesis_hash, commitment, slot, blockhash, block_time)
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                genesis.as_slice(),
                commitment,
                signed(step.to.slot),
                hash.as_slice(),
                step.time,
            )
            .execute(connection)
            .await?
        }
    };
    match moved.rows_affected() {
        1 => Ok(()),
        _ => Err(WriteError::Fenced { expected: start_text(step.from) }),
    }
}

/// Tells whoever listens on `rebate_block` the slots that are there once this transaction commits.
pub(super) async fn tell(connection: &mut PgConnection, slots: &[i64]) -> Result<(), WriteError> {
    sqlx::query!(
        r#"SELECT count(pg_notify('rebate_block', slot::text)) AS "told!" FROM UNNEST($1::bigint[]) AS slot"#,
        slots
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

/// A stretch holds no slot beyond a bigint.
fn signed(slot: u64) -> i64 {
    i64::try_from(slot).unwrap_or(i64::MAX)
}
