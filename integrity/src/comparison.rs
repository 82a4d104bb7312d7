//! One comparison: what the node shows, the stored events hashed, and what differs.

use crate::{
    accounts::{self, Shown},
    error::IntegrityError,
    pass::{CHUNK, End, Pass, Passes, index},
    report::{ChainSide, Compared, Difference, DifferenceKind, Report, Status, TableSide},
};
use rebate_client::{
    Pubkey,
    account::Journal,
    address::{Addresses, PROGRAM},
    chain::{AccountAt, ChainError, ReadAccounts},
    event::Event,
};
use rebate_core::{
    journal::{self, MAX_PEAKS},
    units::UserKey,
};
use solana_program::hash::Hash as ChainHash;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep, timeout},
};

/// How long to wait for the indexer to catch up with the account.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often to look whether it did.
const POLL: Duration = Duration::from_millis(50);

/// How long the node may take.
const NODE_TIMEOUT: Duration = Duration::from_secs(3);

/// What is to be compared.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Which platform.
    pub platform: Pubkey,
    /// A user whose account is to be among those compared.
    pub user: Option<UserKey>,
    /// Until when stored events may be hashed; then the report says that it is still checking.
    pub deadline: Instant,
}

/// Compares, and remembers what it hashed already. One for all platforms of a database.
#[derive(Default)]
pub struct Comparer {
    platforms: Mutex<HashMap<Pubkey, Arc<OfPlatform>>>,
    /// The node's chain, which does not change while this process runs.
    genesis_hash: OnceCell<ChainHash>,
}

#[derive(Default)]
struct OfPlatform {
    passes: tokio::sync::Mutex<Passes>,
    /// The last user whose turn it was to be compared.
    turn: Mutex<Vec<u8>>,
}

/// Asks the node, who must not take forever.
async fn ask<T>(asked: impl Future<Output = Result<T, ChainError>>) -> Result<T, IntegrityError> {
    match timeout(NODE_TIMEOUT, asked).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(IntegrityError::NodeSilent(NODE_TIMEOUT.as_secs())),
    }
}

impl Comparer {
    /// Compares a platform's tables with its accounts.
    ///
    /// # Errors
    /// [`IntegrityError`] where nothing can be said; a difference is no error.
    pub async fn compare(
        &self,
        pool: &PgPool,
        chain: &dyn ReadAccounts,
        asked: &Asked,
    ) -> Result<Report, IntegrityError> {
        let addresses = Addresses::at(asked.platform);
        let genesis_hash = *self.genesis_hash.get_or_try_init(|| ask(chain.genesis_hash())).await?;
        let of_platform = Arc::clone(
            self.platforms.lock().unwrap_or_else(PoisonError::into_inner).entry(asked.platform).or_default(),
        );
        let turn = of_platform.turn.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut connection = pool.acquire().await?;
        let (users, turn) = accounts::choose(&mut connection, &asked.platform, asked.user, &turn).await?;
        drop(connection);
        let mut shown =
            Shown::of(&users, asked.user, ask(chain.accounts(&Shown::addresses(&addresses, &users))).await?);
        let mut comparison = Comparison { platform: asked.platform, addresses, chain: None, differences: Vec::new() };
        comparison.read_journal(shown.slot, shown.journal.take());
        let caught_up = comparison.wait_for_the_indexer(pool).await?;
        // Before the snapshot: those who wait here hold no connection.
        let mut passes = of_platform.passes.lock().await;
        let report = comparison.finish(pool, genesis_hash, caught_up, shown, &mut passes, asked.deadline).await?;
        if report.accounts.compared {
            *of_platform.turn.lock().unwrap_or_else(PoisonError::into_inner) = turn;
        }
        Ok(report)
    }
}

/// The cursor of a snapshot.
struct Position {
    genesis_hash: Vec<u8>,
    slot: i64,
    final_slot: Option<i64>,
}

/// One state of the database. Dropping it ends its transaction.
async fn snapshot(pool: &PgPool) -> Result<(Transaction<'static, Postgres>, Position), IntegrityError> {
    let mut transaction = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let position = sqlx::query_as!(Position, "SELECT genesis_hash, slot, final_slot FROM cursor")
        .fetch_optional(&mut *transaction)
        .await?
        .ok_or(IntegrityError::NothingIndexed)?;
    Ok((transaction, position))
}

/// How many events of the platform the database holds, if there is no gap.
async fn stored_count(connection: &mut PgConnection, platform: &Pubkey) -> Result<u64, IntegrityError> {
    let last = sqlx::query_scalar!("SELECT max(journal_index) FROM events WHERE platform = $1", platform.as_ref())
        .fetch_one(connection)
        .await?;
    Ok(last.map_or(0, |last| u64::try_from(last).unwrap_or(0).saturating_add(1)))
}

/// A comparison under way.
struct Comparison {
    platform: Pubkey,
    addresses: Addresses,
    /// The journal's account and its slot, where there is one.
    chain: Option<(u64, Journal)>,
    differences: Vec<Difference>,
}

impl Comparison {
    fn read_journal(&mut self, slot: u64, account: Option<AccountAt>) {
        let address = self.addresses.journal;
        let found = match account {
            None => Err(format!("the node has no account at {address}; is it the node of another cluster?")),
            Some(account) if account.owner != PROGRAM => {
                Err(format!("the account at {address} belongs to {}, not to the rebate program", account.owner))
            }
            Some(account) => match Journal::decode(&account.data) {
                Ok(journal) if journal.platform == self.platform.to_bytes() => Ok(journal),
                Ok(_) => Err(format!("the account at {address} is the journal of another platform")),
                Err(error) => Err(format!("the account at {address}: {error}")),
            },
        };
        match found {
            Ok(journal) => self.chain = Some((slot, journal)),
            Err(detail) => self.differences.push(Difference::whole(DifferenceKind::NoJournal, detail)),
        }
    }

    /// Waits a little where the chain is ahead, which it is for a moment after every payment. Says whether the indexer
    /// has read up to the slot of the account.
    async fn wait_for_the_indexer(&self, pool: &PgPool) -> Result<bool, IntegrityError> {
        let Some((_, journal)) = &self.chain else {
            return Ok(true);
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (mut transaction, position) = snapshot(pool).await?;
            let caught_up = self.is_read_up_to(&position);
            let stored = stored_count(&mut transaction, &self.platform).await?;
            if caught_up || stored >= journal.count || Instant::now() >= deadline {
                return Ok(caught_up);
            }
            drop(transaction);
            sleep(POLL).await;
        }
    }

    fn is_read_up_to(&self, position: &Position) -> bool {
        self.chain.as_ref().is_some_and(|(slot, _)| i64::try_from(*slot).is_ok_and(|slot| slot <= position.slot))
    }

    async fn finish(
        mut self,
        pool: &PgPool,
        genesis_hash: ChainHash,
        caught_up: bool,
        shown: Shown,
        passes: &mut Passes,
        deadline: Instant,
    ) -> Result<Report, IntegrityError> {
        let (mut transaction, position) = snapshot(pool).await?;
        if position.genesis_hash != genesis_hash.to_bytes() {
            self.differences.push(Difference::whole(
                DifferenceKind::AnotherChain,
                format!(
                    "the database was filled from the chain with genesis hash {}, the node is of {genesis_hash}",
                    <[u8; 32]>::try_from(position.genesis_hash.as_slice())
                        .map(ChainHash::new_from_array)
                        .unwrap_or_default(),
                ),
            ));
        }
        let caught_up = caught_up || self.is_read_up_to(&position);
        let stored_count = stored_count(&mut transaction, &self.platform).await?;
        let chain_count = self.chain.as_ref().map_or(stored_count, |(_, journal)| journal.count);
        let to = stored_count.min(chain_count);

        let platform = self.platform.to_bytes();
        let end = passes.advance(&mut transaction, &platform, to, deadline, |whole| self.differs(whole)).await?;
        let mut status = match end {
            End::Reached if stored_count < chain_count && !caught_up => Status::Behind,
            End::OutOfTime => Status::Checking,
            End::Reached | End::Gap => Status::Agrees,
        };
        let whole = &passes.whole;
        self.find_missing(end, whole.count, stored_count, chain_count, caught_up, &mut transaction).await?;
        self.find_invented(stored_count, &position);
        if end == End::Reached {
            self.find_altered(whole, &mut transaction).await?;
        }
        let mut compared = Compared::default();
        if self.differences.is_empty() && end == End::Reached && stored_count >= chain_count && self.chain.is_some() {
            (compared, self.differences) =
                accounts::compare(&mut transaction, &self.platform, chain_count, shown).await?;
        }
        if !self.differences.is_empty() {
            status = Status::Differs;
        }
        Ok(Report {
            status,
            platform: self.platform,
            chain: self.chain.as_ref().map(|(slot, journal)| ChainSide {
                slot: *slot,
                count: journal.count,
                head: journal.root(),
            }),
            stored: TableSide {
                slot: position.slot,
                final_slot: position.final_slot,
                count: stored_count,
                hashed: whole.count,
                head: whole.root(),
                read_since: whole.began,
            },
            accounts: compared,
            differences: self.differences,
        })
    }

    /// Whether the events hashed are as many as the account counts, and not the same.
    fn differs(&self, whole: &Pass) -> bool {
        self.chain.as_ref().is_some_and(|(_, journal)| journal.count == whole.count && journal.root() != whole.root())
    }

    async fn find_missing(
        &mut self,
        end: End,
        hashed: u64,
        stored: u64,
        chain: u64,
        caught_up: bool,
        connection: &mut PgConnection,
    ) -> Result<(), IntegrityError> {
        if end == End::Gap {
            let next = sqlx::query_scalar!(
                "SELECT min(journal_index) FROM events WHERE platform = $1 AND journal_index >= $2",
                self.platform.as_ref(),
                index(hashed)
            )
            .fetch_one(connection)
            .await?;
            let next = next.and_then(|next| u64::try_from(next).ok()).unwrap_or(chain);
            self.differences.push(Difference::of_events(
                DifferenceKind::MissingEvents,
                hashed,
                next.saturating_sub(1).max(hashed),
                "are not on record, although later ones are",
            ));
        }
        if stored < chain && caught_up {
            self.differences.push(Difference::of_events(
                DifferenceKind::MissingEvents,
                stored,
                chain.saturating_sub(1),
                "are not on record, although the indexer has read past them",
            ));
        }
        Ok(())
    }

    /// What is on record up to a slot cannot be more than the account counts at that slot or a later one.
    fn find_invented(&mut self, stored: u64, position: &Position) {
        let Some((slot, journal)) = &self.chain else {
            return;
        };
        let account_is_newer = i64::try_from(*slot).is_ok_and(|slot| slot >= position.slot);
        if stored > journal.count && account_is_newer {
            self.differences.push(Difference::of_events(
                DifferenceKind::InventedEvents,
                journal.count,
                stored.saturating_sub(1),
                "are on record, and the chain never emitted them",
            ));
        }
    }

    /// Compares with the account's head; where that is over other events than were hashed, with what the indexer came to
    /// when it wrote them.
    async fn find_altered(&mut self, whole: &Pass, connection: &mut PgConnection) -> Result<(), IntegrityError> {
        match &self.chain {
            Some((_, journal)) if journal.count == whole.count => {
                let peaks = journal.peaks;
                self.find_other_peaks(whole, &peaks, "what the chain has", connection).await
            }
            _ => match written(connection, &self.platform).await? {
                Some((count, peaks)) if count == whole.count => {
                    self.find_other_peaks(whole, &peaks, "what the indexer wrote", connection).await
                }
                _ => Ok(()),
            },
        }
    }

    /// Compares peak by peak, from the first events on. Where one differs, looks for events that give themselves away.
    async fn find_other_peaks(
        &mut self,
        whole: &Pass,
        peaks: &[journal::Hash; MAX_PEAKS],
        than: &str,
        connection: &mut PgConnection,
    ) -> Result<(), IntegrityError> {
        let mut first = 0u64;
        for (height, (stored, expected)) in whole.peaks.iter().zip(peaks).enumerate().rev() {
            let size = 1u64 << height;
            if whole.count & size == 0 {
                continue;
            }
            let next = first.saturating_add(size);
            if stored != expected {
                let (verb, them) = if size == 1 { ("does", "it") } else { ("do", "them") };
                let mut what = format!("{verb} not hash to {than} for {them}");
                if let Some(suspect) = self.suspect(first, next, connection).await? {
                    what = format!("{what}; {suspect}");
                }
                let last = next.saturating_sub(1);
                self.differences.push(Difference::of_events(DifferenceKind::AlteredEvents, first, last, &what));
            }
            first = next;
        }
        Ok(())
    }

    /// The first event from `first` on, of those read at a time, whose bytes cannot be what the program emitted.
    async fn suspect(
        &self,
        first: u64,
        next: u64,
        connection: &mut PgConnection,
    ) -> Result<Option<String>, IntegrityError> {
        let rows = sqlx::query!(
            "SELECT journal_index, bytes FROM events
             WHERE platform = $1 AND journal_index >= $2 AND journal_index < $3 ORDER BY journal_index",
            self.platform.as_ref(),
            index(first),
            index(next.min(first.saturating_add(CHUNK)))
        )
        .fetch_all(connection)
        .await?;
        Ok(rows.into_iter().find_map(|row| {
            let at = row.journal_index;
            match Event::decode(&row.bytes) {
                Err(error) => Some(format!("event {at} is {error}")),
                Ok(event) if event.platform() != self.platform.to_bytes() => {
                    Some(format!("event {at} names another platform"))
                }
                Ok(event) if index(event.journal_index()) != at => {
                    Some(format!("event {at} names itself event {}", event.journal_index()))
                }
                Ok(_) => None,
            }
        }))
    }
}

/// How many events the indexer wrote, and the peaks over them by its own reckoning.
async fn written(
    connection: &mut PgConnection,
    platform: &Pubkey,
) -> Result<Option<(u64, [journal::Hash; MAX_PEAKS])>, IntegrityError> {
    let row = sqlx::query!("SELECT leaf_count, peaks FROM journals WHERE platform = $1", platform.as_ref())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| {
        let mut peaks = [[0; 32]; MAX_PEAKS];
        for (peak, stored) in peaks.iter_mut().zip(&row.peaks) {
            // A peak of another length is none, and differs.
            *peak = journal::Hash::try_from(stored.as_slice()).unwrap_or_default();
        }
        (u64::try_from(row.leaf_count).unwrap_or_default(), peaks)
    }))
}
