//! Stretches that are written before they are final: how they are settled, and how they are taken back.
//!
//! While one is written, triggers keep a copy of every row that it touches (migration 0010). Whatever happens here takes the
//! cursor's row first, as writing does, so that one comes after the other.

use super::{
    WriteError,
    cursor::{self, Step, block, signed},
    month::Month,
};
use crate::{
    source::{BlockRef, Mined},
    stretch::Stretch,
};
use solana_signature::Signature;
use sqlx::{PgConnection, PgPool};

/// A stretch that was written and is not known to be final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provisional {
    /// The block it goes on after; `None` where it is the very first.
    pub start: Option<BlockRef>,
    /// Its last block.
    pub end: BlockRef,
    /// Its transactions that emitted something.
    pub transactions: Vec<Mined>,
}

/// Moves the cursor from a month, and notes that what this transaction writes from here on is provisional.
pub(super) async fn begin(connection: &mut PgConnection, step: &Step, stretch: &Stretch) -> Result<Month, WriteError> {
    sqlx::query_scalar!(
        r#"SELECT set_config('rebate.provisional', $1, true) AS "set!""#,
        signed(step.to.slot).to_string()
    )
    .fetch_one(&mut *connection)
    .await?;
    let before = cursor::advance(connection, step).await?;
    let emitters = stretch.emitters();
    let signatures: Vec<&[u8]> = emitters.iter().map(|emitter| emitter.signature.as_array().as_slice()).collect();
    sqlx::query!(
        "INSERT INTO provisional_stretches (end_slot, end_hash, start_slot, start_hash, signatures, slots)
         VALUES ($1, $2, $3, $4, $5, $6)",
        signed(step.to.slot),
        step.to.hash.as_ref(),
        step.from.map(|from| signed(from.slot)),
        step.from.as_ref().map(|from| from.hash.as_ref()),
        &signatures as &[&[u8]],
        &emitters.iter().map(|emitter| emitter.slot).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(before)
}

/// Forgets how to take back what ends at `end_slot` or before.
pub(super) async fn forget(connection: &mut PgConnection, end_slot: i64) -> Result<u64, WriteError> {
    sqlx::query!("DELETE FROM undo WHERE end_slot <= $1", end_slot).execute(&mut *connection).await?;
    let settled =
        sqlx::query!("DELETE FROM provisional_stretches WHERE end_slot <= $1", end_slot).execute(connection).await?;
    Ok(settled.rows_affected())
}

pub(super) async fn count(pool: &PgPool) -> Result<u64, WriteError> {
    let count =
        sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM provisional_stretches"#).fetch_one(pool).await?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// The first stretches that end at `slot` or before, in order.
pub(super) async fn up_to(pool: &PgPool, slot: u64, limit: u32) -> Result<Vec<Provisional>, WriteError> {
    let rows = sqlx::query!(
        "SELECT start_slot, start_hash, end_slot, end_hash, signatures, slots FROM provisional_stretches
         WHERE end_slot <= $1 ORDER BY end_slot LIMIT $2",
        signed(slot),
        i64::from(limit),
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            let broken =
                || sqlx::Error::Decode("a row of provisional_stretches is not what this software writes".into());
            let transactions = row.signatures.iter().zip(&row.slots).map(|(signature, slot)| {
                let signature = <[u8; 64]>::try_from(signature.as_slice()).map_err(|_| broken())?;
                Ok(Mined { signature: Signature::from(signature), slot: u64::try_from(*slot).map_err(|_| broken())? })
            });
            Ok(Provisional {
                start: row.start_slot.zip(row.start_hash).map(|(slot, hash)| block(slot, &hash)).transpose()?,
                end: block(row.end_slot, &row.end_hash)?,
                transactions: transactions.collect::<Result<_, WriteError>>()?,
            })
        })
        .collect()
}

/// Notes that the provisional stretch that ends with `end` is final, and all before it. Says how many these were; none if
/// another was faster, or took it back.
pub(super) async fn settle(pool: &PgPool, end: &BlockRef) -> Result<u64, WriteError> {
    let mut transaction = pool.begin().await?;
    // Apart from the next statement, which then sees what was committed until the cursor was locked: in one, whoever waits for
    // another that settles a later block would find its own still there, and move what is final back.
    cursor::lock(&mut transaction).await?;
    let moved = sqlx::query!(
        "UPDATE cursor SET final_slot = $1, final_hash = $2
         WHERE EXISTS (SELECT FROM provisional_stretches WHERE end_slot = $1 AND end_hash = $2)",
        signed(end.slot),
        end.hash.as_ref(),
    )
    .execute(&mut *transaction)
    .await?;
    if moved.rows_affected() == 0 {
        return Ok(0);
    }
    let settled = forget(&mut transaction, signed(end.slot)).await?;
    transaction.commit().await?;
    Ok(settled)
}

/// What a revert took back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reverted {
    /// How many stretches.
    pub stretches: usize,
    /// Where the cursor was.
    pub from: BlockRef,
    /// Where it is now; `None` if the database holds no block any more.
    pub to: Option<BlockRef>,
}

/// Takes the provisional stretch that ends with `end` back, and all after it: every table is as it was before, and so is
/// the cursor. Nothing happens, and `None` comes back, if there is no such stretch.
pub(super) async fn revert(pool: &PgPool, end: &BlockRef) -> Result<Option<Reverted>, WriteError> {
    let mut transaction = pool.begin().await?;
    let Some(at) = sqlx::query!("SELECT slot, blockhash, final_slot, final_hash FROM cursor FOR UPDATE")
        .fetch_optional(&mut *transaction)
        .await?
    else {
        return Ok(None);
    };
    // In a statement of its own: it sees what was committed until the cursor was locked.
    let stretches = sqlx::query!(
        "SELECT start_slot, start_hash, end_slot, end_hash FROM provisional_stretches
         WHERE end_slot >= $1 ORDER BY end_slot",
        signed(end.slot),
    )
    .fetch_all(&mut *transaction)
    .await?;
    let is_it = |slot: i64, hash: &[u8]| (slot, hash) == (signed(end.slot), end.hash.as_ref());
    let Some(first) = stretches.first().filter(|first| is_it(first.end_slot, &first.end_hash)) else {
        return Ok(None);
    };
    let from = block(at.slot, &at.blockhash)?;
    let to = first.start_slot.zip(first.start_hash.as_deref()).map(|(slot, hash)| block(slot, hash)).transpose()?;

    sqlx::query_scalar!(r#"SELECT take_back($1) AS "rows!""#, first.end_slot).fetch_one(&mut *transaction).await?;
    sqlx::query!("DELETE FROM provisional_stretches WHERE end_slot >= $1", first.end_slot)
        .execute(&mut *transaction)
        .await?;
    // The cursor is back as well, and with it what was final then.
    let back = sqlx::query!(
        "UPDATE cursor SET final_slot = $1, final_hash = $2, written_at = now() RETURNING slot, blockhash",
        at.final_slot,
        at.final_hash,
    )
    .fetch_optional(&mut *transaction)
    .await?;
    if back.map(|back| block(back.slot, &back.blockhash)).transpose()? != to {
        return Err(WriteError::Fenced { expected: format!("block {from}") });
    }
    // Whoever listens reads again: from here on it may be something else.
    cursor::tell(&mut transaction, &[to.map_or(0, |to| signed(to.slot))]).await?;
    transaction.commit().await?;
    Ok(Some(Reverted { stretches: stretches.len(), from, to }))
}
