//! What the database holds: from where the list of transactions is needed, and how many events there are already.

use super::super::{BlockRef, SourceError};
use crate::database::DatabaseError;
use rebate_client::Pubkey;
use solana_program::hash::Hash;
use solana_signature::Signature;
use sqlx::PgPool;
use std::collections::BTreeMap;

/// What the database holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The last block written.
    pub cursor: Option<BlockRef>,
    /// How many events each platform has.
    pub counts: BTreeMap<Pubkey, u64>,
    /// The newest transaction with an event.
    pub newest: Option<Signature>,
}

impl From<DatabaseError> for SourceError {
    fn from(error: DatabaseError) -> Self {
        Self::Stored { why: error.to_string(), is_temporary: error.is_temporary() }
    }
}

impl Stored {
    /// Reads it, all as of one moment.
    pub async fn read(pool: &PgPool) -> Result<Self, SourceError> {
        let (cursor, counts, newest) = rows(pool).await.map_err(DatabaseError::from)?;
        let broken = |what: &str| DatabaseError::Contradiction(format!("{what} is not what this software writes"));
        let cursor = cursor.map(|(slot, hash)| {
            Some(BlockRef { slot: u64::try_from(slot).ok()?, hash: Hash::new_from_array(hash.try_into().ok()?) })
        });
        let counts = counts.into_iter().map(|(platform, count)| {
            Some((Pubkey::new_from_array(platform.try_into().ok()?), u64::try_from(count).ok()?))
        });
        let newest = newest.map(|bytes| Some(Signature::from(<[u8; 64]>::try_from(bytes).ok()?)));
        Ok(Self {
            cursor: cursor.map(|cursor| cursor.ok_or_else(|| broken("the cursor"))).transpose()?,
            counts: counts.collect::<Option<_>>().ok_or_else(|| broken("a row of journals"))?,
            newest: newest.map(|newest| newest.ok_or_else(|| broken("a signature"))).transpose()?,
        })
    }
}

type Rows = (Option<(i64, Vec<u8>)>, Vec<(Vec<u8>, i64)>, Option<Vec<u8>>);

async fn rows(pool: &PgPool) -> Result<Rows, sqlx::Error> {
    let mut transaction = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let cursor = sqlx::query!("SELECT slot, blockhash FROM cursor").fetch_optional(&mut *transaction).await?;
    let counts = sqlx::query!("SELECT platform, leaf_count FROM journals").fetch_all(&mut *transaction).await?;
    let newest = sqlx::query_scalar!(
        "SELECT t.signature
         FROM journals AS j
         JOIN events AS e ON e.platform = j.platform AND e.journal_index = j.leaf_count - 1
         JOIN transactions AS t ON t.signature = e.signature
         ORDER BY t.slot DESC, t.position DESC
         LIMIT 1"
    )
    .fetch_optional(&mut *transaction)
    .await?;
    transaction.commit().await?;
    let counts = counts.into_iter().map(|row| (row.platform, row.leaf_count)).collect();
    Ok((cursor.map(|row| (row.slot, row.blockhash)), counts, newest))
}
