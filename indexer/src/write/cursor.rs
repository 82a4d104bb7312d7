//! The cursor: which block was written last. Moving it is a compare-and-set, which fences a stale writer.

use super::{WriteError, month::Month, provisional, start_text};
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
    /// The last block known to be final; `None` where none is yet.
    pub last_final: Option<BlockRef>,
}

/// One move of the cursor.
pub(super) struct Step {
    pub genesis_hash: Hash,
    pub commitment: Commitment,
    pub from: Option<BlockRef>,
    pub to: BlockRef,
    pub time: Option<OffsetDateTime>,
    /// Whether that block is final, and everything before it.
    pub is_final: bool,
    /// The latest month of its events by the chain's clock; none where it has none.
    pub month: Option<Month>,
}

pub(super) async fn read(pool: &PgPool) -> Result<Option<Cursor>, DatabaseError> {
    let row = sqlx::query!("SELECT genesis_hash, slot, blockhash, block_time, final_slot, final_hash FROM cursor")
        .fetch_optional(pool)
        .await?;
    row.map(|row| {
        Ok(Cursor {
            genesis_hash: hash(&row.genesis_hash)?,
            at: block(row.slot, &row.blockhash)?,
            time: row.block_time.map(OffsetDateTime::unix_timestamp),
            last_final: row.final_slot.zip(row.final_hash).map(|(slot, hash)| block(slot, &hash)).transpose()?,
        })
    })
    .transpose()
}

/// A block as the database has it.
pub(super) fn block(slot: i64, blockhash: &[u8]) -> Result<BlockRef, DatabaseError> {
    Ok(BlockRef { slot: u64::try_from(slot).unwrap_or_default(), hash: hash(blockhash)? })
}

fn hash(bytes: &[u8]) -> Result<Hash, DatabaseError> {
    let bytes = <[u8; 32]>::try_from(bytes)
        .map_err(|_| DatabaseError::Contradiction(format!("the cursor holds a hash of {} bytes", bytes.len())))?;
    Ok(Hash::new_from_array(bytes))
}

/// Moves the cursor, or is fenced. Returns the month that it was in.
pub(super) async fn advance(connection: &mut PgConnection, step: &Step) -> Result<Month, WriteError> {
    let commitment = match step.commitment {
        Commitment::Confirmed => "confirmed",
        Commitment::Finalized => "finalized",
    };
    let (genesis, hash) = (step.genesis_hash.to_bytes(), step.to.hash.to_bytes());
    let (final_slot, final_hash) =
        (step.is_final.then(|| signed(step.to.slot)), step.is_final.then_some(hash.as_slice()));
    let month = step.month.unwrap_or(Month::BEFORE).first_day();
    let moved = match step.from {
        Some(from) => sqlx::query!(
            r#"UPDATE cursor SET slot = $1, blockhash = $2, block_time = $3, commitment = $4, written_at = now(),
                   final_slot = coalesce($8, final_slot), final_hash = coalesce($9, final_hash),
                   month = greatest(cursor.month, $10)
               FROM (SELECT month FROM cursor) AS before
               WHERE slot = $5 AND blockhash = $6 AND genesis_hash = $7
               RETURNING before.month, EXISTS (SELECT FROM provisional_stretches) AS "has_provisional!""#,
            signed(step.to.slot),
            hash.as_slice(),
            step.time,
            commitment,
            signed(from.slot),
            from.hash.as_ref(),
            genesis.as_slice(),
            final_slot,
            final_hash,
            month,
        )
        .fetch_optional(&mut *connection)
        .await?
        .map(|row| (row.month, row.has_provisional)),
        None => sqlx::query!(
            r#"INSERT INTO cursor (genesis_hash, commitment, slot, blockhash, block_time, final_slot, final_hash, month)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING
               RETURNING $9::date AS "month!""#,
            genesis.as_slice(),
            commitment,
            signed(step.to.slot),
            hash.as_slice(),
            step.time,
            final_slot,
            final_hash,
            month,
            Month::BEFORE.first_day(),
        )
        .fetch_optional(&mut *connection)
        .await?
        .map(|row| (row.month, false)),
    };
    let (before, has_provisional) = moved.ok_or_else(|| WriteError::Fenced { expected: start_text(step.from) })?;
    if has_provisional && step.is_final {
        // Of a final block, all that it builds on is final.
        provisional::forget(connection, signed(step.to.slot)).await?;
    }
    Ok(Month::starting(before))
}

/// Keeps other writers waiting until the transaction ends.
pub(super) async fn lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT slot FROM cursor FOR UPDATE").fetch_optional(connection).await?;
    Ok(())
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
pub(super) fn signed(slot: u64) -> i64 {
    i64::try_from(slot).unwrap_or(i64::MAX)
}
