//! The cursor: which block was written last. Moving it is a compare-and-set, which fences a stale writer.

use super::{WriteError, month::Month, start_text};
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
    /// The latest month of its events by the chain's clock; none where it has none.
    pub month: Option<Month>,
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

/// Moves the cursor, or is fenced. Returns the month that it was in.
pub(super) async fn advance(connection: &mut PgConnection, step: &Step) -> Result<Month, WriteError> {
    let commitment = match step.commitment {
        Commitment::Confirmed => "confirmed",
        Commitment::Finalized => "finalized",
    };
    let (genesis, hash) = (step.genesis_hash.to_bytes(), step.to.hash.to_bytes());
    let month = step.month.unwrap_or(Month::BEFORE).first_day();
    let before =
        match step.from {
            Some(from) => sqlx::query_scalar!(
                r#"UPDATE cursor SET slot = $1, blockhash = $2, block_time = $3, commitment = $4, written_at = now(),
                                     month = greatest(cursor.month, $8)
                   FROM (SELECT month FROM cursor) AS before
                   WHERE slot = $5 AND blockhash = $6 AND genesis_hash = $7
                   RETURNING before.month"#,
                signed(step.to.slot),
                hash.as_slice(),
                step.time,
                commitment,
                signed(from.slot),
                from.hash.as_ref(),
                genesis.as_slice(),
                month,
            )
            .fetch_optional(connection)
            .await?,
            None => {
                sqlx::query_scalar!(
                    r#"INSERT INTO cursor (genesis_hash, commitment, slot, blockhash, block_time, month)
                   VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
                   RETURNING $7::date AS "before!""#,
                    genesis.as_slice(),
                    commitment,
                    signed(step.to.slot),
                    hash.as_slice(),
                    step.time,
                    month,
                    Month::BEFORE.first_day(),
                )
                .fetch_optional(connection)
                .await?
            }
        };
    before.map(Month::starting).ok_or_else(|| WriteError::Fenced { expected: start_text(step.from) })
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
fn signed(slot: u64) -> i64 {
    i64::try_from(slot).unwrap_or(i64::MAX)
}
