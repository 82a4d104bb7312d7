//! The journals, rebuilt from the events: no index is left out, none comes twice, and the tree head is the chain's.

use super::{
    WriteError, contradiction, events,
    month::{Month, Months},
    tree,
};
use crate::stretch::{Found, Stretch};
use rebate_client::{Pubkey, event::Event, merkle};
use rebate_core::journal::{self, Hash, MAX_PEAKS};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A journal as far as the database has it.
struct Journal {
    /// How many events were there before this stretch.
    before: u64,
    count: u64,
    peaks: [Hash; MAX_PEAKS],
    /// That of its last event.
    month: Month,
    /// Whether there is an event that it does not count.
    has_stray: bool,
}

impl Journal {
    fn empty() -> Self {
        Self { before: 0, count: 0, peaks: [[0; 32]; MAX_PEAKS], month: Month::BEFORE, has_stray: false }
    }

    /// As many peaks as the count has bits; one after the other, since Postgres has no ragged arrays.
    fn packed(&self) -> Vec<u8> {
        let heights = u64::BITS.saturating_sub(self.count.leading_zeros());
        self.peaks.iter().take(heights as usize).flatten().copied().collect()
    }
}

/// A platform's month and the index of the first event in it.
type Begun = ([u8; 32], Month, i64);

/// Appends the stretch's events to their journals, and returns those that were not there yet. Those that were must be the
/// same.
pub(super) async fn advance<'a>(
    connection: &mut PgConnection,
    stretch: &'a Stretch,
    months: &Months,
) -> Result<Vec<&'a Found>, WriteError> {
    let mut journals = read(connection, stretch, months.before()).await?;
    let (mut fresh, mut seen_before, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
    let mut begun: Vec<Begun> = Vec::new();
    for found in stretch.events() {
        let index = found.event.journal_index();
        let platform = found.event.platform();
        let journal = journals.entry(platform).or_insert_with(Journal::empty);
        if index < journal.before {
            seen_before.push(found);
            continue;
        }
        if index > journal.count {
            return Err(WriteError::Gap {
                platform: Pubkey::new_from_array(platform),
                expected: journal.count,
                found: index,
            });
        }
        if index < journal.count {
            return Err(contradiction(found, "it came twice"));
        }
        if journal.has_stray {
            return Err(contradiction(found, "it was stored, but the journal does not count it"));
        }
        if index == 0 && !matches!(found.event, Event::PlatformCreated(_)) {
            return Err(contradiction(found, "a journal begins with PlatformCreated"));
        }
        let month = months.of_event(found);
        if month > journal.month {
            journal.month = month;
            begun.push((platform, month, found.journal_index));
        }
        let completed = merkle::completed(journal.count, &journal.peaks, found.leaf);
        nodes.extend(completed.into_iter().map(|(subtree, hash)| (platform, subtree, hash)));
        journal::append(&mut journal.count, &mut journal.peaks, found.leaf)
            .map_err(|_| contradiction(found, "the journal is full"))?;
        fresh.push(found);
    }
    require_same(connection, &seen_before).await?;
    tree::add(connection, &nodes).await?;
    write(connection, &journals).await?;
    begin_months(connection, &begun).await?;
    Ok(fresh)
}

/// The journals of the stretch's platforms. Stray events are looked for from the month `since` on: earlier ones are not
/// written to any more.
async fn read(
    connection: &mut PgConnection,
    stretch: &Stretch,
    since: Month,
) -> Result<BTreeMap<[u8; 32], Journal>, WriteError> {
    let platforms: BTreeSet<[u8; 32]> = stretch.events().iter().map(|found| found.event.platform()).collect();
    let rows = sqlx::query!(
        r#"SELECT asked.platform AS "platform!", leaf_count AS "leaf_count?", peaks AS "peaks?", month AS "month?", (
               SELECT max(journal_index) FROM events WHERE events.platform = asked.platform AND events.month >= $2
           ) AS last
           FROM UNNEST($1::bytea[]) AS asked (platform) LEFT JOIN journals USING (platform)"#,
        &platforms.into_iter().collect::<Vec<_>>() as &[[u8; 32]],
        since.first_day(),
    )
    .fetch_all(connection)
    .await?;
    let broken = || sqlx::Error::Decode("a row of journals is not what this software writes".into());
    let mut journals = BTreeMap::new();
    for row in rows {
        let mut journal = Journal::empty();
        if let (Some(leaf_count), Some(peaks), Some(month)) = (row.leaf_count, row.peaks, row.month) {
            journal.count = u64::try_from(leaf_count).map_err(|_| broken())?;
            journal.before = journal.count;
            journal.month = Month::starting(month);
            for (peak, stored) in journal.peaks.iter_mut().zip(&peaks) {
                *peak = Hash::try_from(stored.as_slice()).map_err(|_| broken())?;
            }
        }
        journal.has_stray = row.last.is_some_and(|last| last >= row.leaf_count.unwrap_or(0));
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
        "INSERT INTO journals (platform, leaf_count, month, peaks)
         SELECT platform, leaf_count, month, (
             SELECT array_agg(substring(packed FROM height * 32 + 1 FOR 32) ORDER BY height)
             FROM generate_series(0, length(packed) / 32 - 1) AS height
         )
         FROM UNNEST($1::bytea[], $2::bigint[], $3::bytea[], $4::date[]) AS journal (platform, leaf_count, packed, month)
         ON CONFLICT (platform) DO UPDATE
             SET leaf_count = EXCLUDED.leaf_count, peaks = EXCLUDED.peaks, month = EXCLUDED.month",
        &changed.iter().map(|(platform, _)| **platform).collect::<Vec<_>>() as &[[u8; 32]],
        // At most 2^40.
        &changed.iter().map(|(_, journal)| journal.count as i64).collect::<Vec<_>>(),
        &changed.iter().map(|(_, journal)| journal.packed()).collect::<Vec<_>>(),
        &changed.iter().map(|(_, journal)| journal.month.first_day()).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes with which events months began.
async fn begin_months(connection: &mut PgConnection, begun: &[Begun]) -> Result<(), WriteError> {
    if begun.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO journal_months (platform, month, first_index)
         SELECT * FROM UNNEST($1::bytea[], $2::date[], $3::bigint[])",
        &begun.iter().map(|(platform, ..)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
        &begun.iter().map(|(_, month, _)| month.first_day()).collect::<Vec<_>>(),
        &begun.iter().map(|(.., first)| *first).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
