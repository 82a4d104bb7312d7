//! The journals, rebuilt from the events: no index is left out, none comes twice, and the tree head is the chain's.

use super::{
    WriteError, contradiction,
    events::{self, Key},
    tree,
};
use crate::stretch::{Found, Stretch};
use rebate_client::{Pubkey, event::Event, merkle};
use rebate_core::journal::{self, Hash, MAX_PEAKS};
use sqlx::PgConnection;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A journal as far as the database has it.
struct Journal {
    /// How many events were there before this stretch.
    before: u64,
    count: u64,
    peaks: [Hash; MAX_PEAKS],
}

impl Journal {
    fn empty() -> Self {
        Self { before: 0, count: 0, peaks: [[0; 32]; MAX_PEAKS] }
    }

    /// As many peaks as the count has bits; one after the other, since Postgres has no ragged arrays.
    fn packed(&self) -> Vec<u8> {
        let heights = u64::BITS.saturating_sub(self.count.leading_zeros());
        self.peaks.iter().take(heights as usize).flatten().copied().collect()
    }
}

/// Appends the stretch's events to their journals. Those that were there already must be the same.
pub(super) async fn advance(
    connection: &mut PgConnection,
    stretch: &Stretch,
    added: &HashSet<Key>,
) -> Result<(), WriteError> {
    let mut journals = read(connection, stretch).await?;
    let (mut seen_before, mut nodes) = (Vec::new(), Vec::new());
    for found in stretch.events() {
        let index = found.event.journal_index();
        let journal = journals.entry(found.event.platform()).or_insert_with(Journal::empty);
        let is_new = added.contains(&events::key(found));
        if index < journal.before {
            if is_new {
                return Err(contradiction(found, "the journal counts it, but it was not stored"));
            }
            seen_before.push(found);
            continue;
        }
        if index > journal.count {
            return Err(WriteError::Gap {
                platform: Pubkey::new_from_array(found.event.platform()),
                expected: journal.count,
                found: index,
            });
        }
        if index < journal.count {
            return Err(contradiction(found, "it came twice"));
        }
        if !is_new {
            return Err(contradiction(found, "it was stored, but the journal does not count it"));
        }
        if index == 0 && !matches!(found.event, Event::PlatformCreated(_)) {
            return Err(contradiction(found, "a journal begins with PlatformCreated"));
        }
        let completed = merkle::completed(journal.count, &journal.peaks, found.leaf);
        nodes.extend(completed.into_iter().map(|(subtree, hash)| (found.event.platform(), subtree, hash)));
        journal::append(&mut journal.count, &mut journal.peaks, found.leaf)
            .map_err(|_| contradiction(found, "the journal is full"))?;
    }
    require_same(connection, &seen_before).await?;
    tree::add(connection, &nodes).await?;
    write(connection, &journals).await
}

async fn read(connection: &mut PgConnection, stretch: &Stretch) -> Result<BTreeMap<[u8; 32], Journal>, WriteError> {
    let platforms: HashSet<[u8; 32]> = stretch.events().iter().map(|found| found.event.platform()).collect();
    let rows = sqlx::query!(
        "SELECT platform, leaf_count, peaks FROM journals WHERE platform = ANY($1)",
        &platforms.into_iter().collect::<Vec<_>>() as &[[u8; 32]],
    )
    .fetch_all(connection)
    .await?;
    let broken = || sqlx::Error::Decode("a row of journals is not what this software writes".into());
    let mut journals = BTreeMap::new();
    for row in rows {
        let mut journal = Journal::empty();
        journal.count = u64::try_from(row.leaf_count).map_err(|_| broken())?;
        journal.before = journal.count;
        for (peak, stored) in journal.peaks.iter_mut().zip(&row.peaks) {
            *peak = Hash::try_from(stored.as_slice()).map_err(|_| broken())?;
        }
        journals.insert(<[u8; 32]>::try_from(row.platform.as_slice()).map_err(|_| broken())?, journal);
    }
    Ok(journals)
}

/// An event that was written before has the same bytes now, or one of the two is not the chain's.
async fn require_same(connection: &mut PgConnection, events: &[&Found]) -> Result<(), WriteError> {
    if events.is_empty() {
        return Ok(());
    }
    let stored: HashMap<(Vec<u8>, i64), Vec<u8>> = events::stored(connection, events)
        .await?
        .into_iter()
        .map(|(platform, journal_index, bytes)| ((platform, journal_index), bytes))
        .collect();
    for found in events {
        let (platform, journal_index) = events::key(found);
        match stored.get(&(platform.to_vec(), journal_index)) {
            Some(bytes) if *bytes == found.bytes => {}
            Some(_) => return Err(contradiction(found, "it was stored with other bytes")),
            None => return Err(contradiction(found, "the journal counts it, but it is not stored")),
        }
    }
    Ok(())
}

async fn write(connection: &mut PgConnection, journals: &BTreeMap<[u8; 32], Journal>) -> Result<(), WriteError> {
    let changed: Vec<_> = journals.iter().filter(|(_, journal)| journal.count > journal.before).collect();
    if changed.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO journals (platform, leaf_count, peaks)
         SELECT platform, leaf_count, (
             SELECT array_agg(substring(packed FROM height * 32 + 1 FOR 32) ORDER BY height)
             FROM generate_series(0, length(packed) / 32 - 1) AS height
         )
         FROM UNNEST($1::bytea[], $2::bigint[], $3::bytea[]) AS journal (platform, leaf_count, packed)
         ON CONFLICT (platform) DO UPDATE SET leaf_count = EXCLUDED.leaf_count, peaks = EXCLUDED.peaks",
        &changed.iter().map(|(platform, _)| **platform).collect::<Vec<_>>() as &[[u8; 32]],
        // At most 2^40.
        &changed.iter().map(|(_, journal)| journal.count as i64).collect::<Vec<_>>(),
        &changed.iter().map(|(_, journal)| journal.packed()).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
