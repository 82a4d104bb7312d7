//! Events as the indexer stored them.

use rebate_client::Pubkey;
use solana_program::hash::Hash;
use sqlx::PgPool;
use std::{fmt, str::FromStr};
use thiserror::Error;
use time::OffsetDateTime;

/// What an event is known by, everywhere and for ever: `<platform in base58>/<place in its journal>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId {
    /// The platform.
    pub platform: Pubkey,
    /// The event's place in the platform's journal, from 0.
    pub journal_index: i64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.platform, self.journal_index)
    }
}

/// A text that is no event id.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "{0:?} is no event id; it looks like PLATFORM/INDEX, the platform's address and the event's place in its journal"
)]
pub struct InvalidEventId(String);

impl FromStr for EventId {
    type Err = InvalidEventId;

    fn from_str(text: &str) -> Result<Self, InvalidEventId> {
        let parse = || {
            let (platform, index) = text.split_once('/')?;
            let journal_index = index.parse().ok().filter(|index| *index >= 0)?;
            Some(Self { platform: platform.parse().ok()?, journal_index })
        };
        parse().ok_or_else(|| InvalidEventId(text.chars().take(100).collect()))
    }
}

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// What it is known by.
    pub id: EventId,
    /// What kind of event it is.
    pub kind: String,
    /// The chain's clock.
    pub at: OffsetDateTime,
    /// Its transaction's signature.
    pub signature: Vec<u8>,
    /// Its block.
    pub slot: i64,
    /// What was hashed.
    pub bytes: Vec<u8>,
}

/// How far events may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publishable {
    /// Which chain the database holds.
    pub genesis_hash: Hash,
    /// The last slot that may be told.
    pub slot: i64,
}

/// The last slot that may be told: all up to it was read, and none of it can be taken back. `None` while there is none.
///
/// # Errors
/// If the database cannot be asked.
pub async fn publishable_slot(pool: &PgPool) -> Result<Option<Publishable>, sqlx::Error> {
    let row = sqlx::query!(r#"SELECT genesis_hash, final_slot AS "slot!" FROM cursor WHERE final_slot IS NOT NULL"#)
        .fetch_optional(pool)
        .await?;
    row.map(|row| Ok(Publishable { genesis_hash: hash(row.genesis_hash)?, slot: row.slot })).transpose()
}

/// Which chain the database holds; `None` while it is empty.
///
/// # Errors
/// If the database cannot be asked.
pub async fn genesis_hash(pool: &PgPool) -> Result<Option<Hash>, sqlx::Error> {
    sqlx::query_scalar!("SELECT genesis_hash FROM cursor").fetch_optional(pool).await?.map(hash).transpose()
}

fn hash(bytes: Vec<u8>) -> Result<Hash, sqlx::Error> {
    bytes
        .try_into()
        .map(Hash::new_from_array)
        .map_err(|_| sqlx::Error::Decode("the cursor's genesis hash has not 32 bytes".into()))
}

/// A platform's address as it is stored.
pub(crate) fn address(bytes: Vec<u8>) -> Result<Pubkey, sqlx::Error> {
    bytes
        .try_into()
        .map(Pubkey::new_from_array)
        .map_err(|_| sqlx::Error::Decode("a platform's address has not 32 bytes".into()))
}

/// The event `id`, if it is stored and may be told.
///
/// # Errors
/// If the database cannot be asked.
pub async fn one(pool: &PgPool, id: EventId) -> Result<Option<StoredEvent>, sqlx::Error> {
    let Some(publishable) = publishable_slot(pool).await? else { return Ok(None) };
    let row = sqlx::query!(
        "SELECT events.kind, events.at, events.signature, events.bytes, transactions.slot
         FROM events JOIN transactions USING (signature, month)
         WHERE events.platform = $1 AND events.journal_index = $2 AND transactions.slot <= $3",
        id.platform.as_ref(),
        id.journal_index,
        publishable.slot,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| StoredEvent {
        id,
        kind: row.kind,
        at: row.at,
        signature: row.signature,
        slot: row.slot,
        bytes: row.bytes,
    }))
}
