//! Whether the database holds every event of a platform, unaltered: the tree head over the stored bytes against the one
//! that the program keeps in the platform's Journal account. It owes nothing to the indexer's own bookkeeping, nor to
//! the node having shown every transaction; only the account itself is taken from the node.
//!
//! The stored bytes are hashed here, event by event in order of the journal. A journal of up to [`RECHECK`] events is
//! hashed anew for every answer. Of a longer one, the answer goes on from where the last left off, and besides hashes
//! [`RECHECK`] events of the older ones again, so that bytes altered later are found too.
//!
//! That the tables say what the events say is checked against the platform's other accounts, see [`accounts`].

mod accounts;

use crate::{
    problem::{Kind, Problem},
    snapshot::{AsOf, Snapshot},
    state::ApiState,
    value::{Address, Hash, Instant},
};
use accounts::{Compared, Moment};
use rebate_client::{
    Pubkey,
    account::Journal,
    address::{Addresses, PROGRAM},
    chain::{AccountAt, ChainError},
    event::Event,
};
use rebate_core::journal::{self, MAX_PEAKS};
use serde::Serialize;
use sqlx::PgConnection;
use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use time::OffsetDateTime;
use tokio::{sync::OnceCell, time::Instant as Clock};
use utoipa::ToSchema;

/// How many events of the past are hashed again for an answer.
const RECHECK: u64 = 20_000;

/// How many are read at a time.
const CHUNK: u64 = 2_000;

/// How long to wait for the indexer to catch up with the account.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often to look whether it did.
const POLL: Duration = Duration::from_millis(50);

/// How long the node may take.
const NODE_TIMEOUT: Duration = Duration::from_secs(3);

/// What the comparison came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = IntegrityStatus)]
pub enum Status {
    /// Every event up to the smaller of the two counts is on record, unaltered, and so is what `accounts` says was
    /// compared.
    Agrees,
    /// The chain is ahead, and the indexer has not read up to the account's slot yet. Ask again.
    Behind,
    /// This server has not hashed all stored events yet. Ask again; it goes on where it stopped.
    Checking,
    /// The database does not hold what the chain holds; `differences` says what differs.
    Differs,
}

/// The kinds of difference there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// The node is of another chain than the one that was indexed.
    AnotherChain,
    /// The node has no Journal account for the platform.
    NoJournal,
    /// Events of the chain are not on record.
    MissingEvents,
    /// Events are on record that the chain never emitted.
    InventedEvents,
    /// The stored bytes of an event are not those that were emitted.
    AlteredEvents,
    /// An account that the tables say there is cannot be read.
    NoAccount,
    /// Rules or their totals are others on chain.
    RuleTotals,
    /// What a user has, owes or did is another on chain.
    UserBalances,
    /// What users have of a token, or what its vault holds, is another on chain.
    Liability,
}

/// Something that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Difference {
    /// What kind of difference it is.
    pub kind: DifferenceKind,
    /// The first journal index it concerns, where it concerns events.
    #[schema(minimum = 0)]
    #[schema(required)]
    pub first_index: Option<u64>,
    /// The last.
    #[schema(minimum = 0)]
    #[schema(required)]
    pub last_index: Option<u64>,
    /// The same in words.
    #[schema(example = "events 32 to 47 do not hash to what the chain has for them")]
    pub detail: String,
}

impl Difference {
    fn whole(kind: DifferenceKind, detail: String) -> Self {
        Self { kind, first_index: None, last_index: None, detail }
    }

    fn of_events(kind: DifferenceKind, first: u64, last: u64, what: &str) -> Self {
        let events = if first == last { format!("event {first}") } else { format!("events {first} to {last}") };
        Self { kind, first_index: Some(first), last_index: Some(last), detail: format!("{events} {what}") }
    }
}

/// The tree head on chain against the one over the stored events.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Integrity)]
pub struct Report {
    /// What it comes to.
    pub status: Status,
    /// The platform.
    pub platform: Address,
    /// Its Journal account.
    pub journal: Address,
    /// The account in an explorer; null where none reaches the chain.
    #[schema(format = "uri")]
    #[schema(required)]
    pub journal_explorer: Option<String>,
    /// The slot at which the node showed the account.
    #[schema(minimum = 0)]
    #[schema(required)]
    pub chain_slot: Option<u64>,
    /// How many events the account counts.
    #[schema(minimum = 0)]
    #[schema(required)]
    pub chain_count: Option<u64>,
    /// The account's tree head over them.
    #[schema(required)]
    pub chain_head: Option<Hash>,
    /// How many events the database holds.
    #[schema(minimum = 0)]
    pub stored_count: u64,
    /// How many of them, from the first, `stored_head` is over.
    #[schema(minimum = 0)]
    pub hashed_count: u64,
    /// The tree head (RFC 6962) over the first `hashed_count` stored events.
    pub stored_head: Hash,
    /// No stored event was read for this before this moment.
    pub read_since: Instant,
    /// What of the platform's other accounts was compared with the tables.
    pub accounts: Compared,
    /// What differs.
    pub differences: Vec<Difference>,
    #[serde(flatten)]
    #[schema(inline = false)]
    pub as_of: AsOf,
}

/// What was hashed so far, by platform.
#[derive(Default)]
pub struct Integrity {
    passes: Mutex<HashMap<[u8; 32], Arc<tokio::sync::Mutex<Passes>>>>,
    /// The node's chain, which does not change while this process runs.
    genesis_hash: OnceCell<Hash>,
}

/// Two ways through one journal.
#[derive(Default)]
struct Passes {
    /// Over everything read so far.
    whole: Pass,
    /// Over what was read before, once more.
    again: Pass,
    /// The last user whose turn it was to be compared.
    turn: Vec<u8>,
}

/// A way through the stored events, from the first on.
struct Pass {
    count: u64,
    peaks: [journal::Hash; MAX_PEAKS],
    began: OffsetDateTime,
    /// Whether it began because another came to something else than the chain.
    second: bool,
}

impl Default for Pass {
    fn default() -> Self {
        Self { count: 0, peaks: [[0; 32]; MAX_PEAKS], began: OffsetDateTime::now_utc(), second: false }
    }
}

/// Why a pass ended where it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It got to where it should.
    Reached,
    /// It ran out of time.
    OutOfTime,
    /// The next event is not on record.
    Gap,
}

impl Pass {
    fn root(&self) -> journal::Hash {
        journal::root(self.count, &self.peaks)
    }

    /// Hashes on until `to` events are hashed.
    async fn advance(
        &mut self,
        connection: &mut PgConnection,
        platform: Address,
        to: u64,
        deadline: Clock,
    ) -> Result<End, Problem> {
        while self.count < to {
            if Clock::now() >= deadline {
                return Ok(End::OutOfTime);
            }
            let until = to.min(self.count.saturating_add(CHUNK));
            let rows = sqlx::query!(
                "SELECT journal_index, bytes FROM events
                 WHERE platform = $1 AND journal_index >= $2 AND journal_index < $3 ORDER BY journal_index",
                &platform.0,
                index(self.count),
                index(until)
            )
            .fetch_all(&mut *connection)
            .await?;
            for row in rows {
                if row.journal_index != index(self.count) {
                    return Ok(End::Gap);
                }
                journal::append(&mut self.count, &mut self.peaks, journal::leaf(&row.bytes))
                    .map_err(|_| Problem::internal(&"a journal of more than 2^40 events"))?;
            }
            if self.count < until {
                return Ok(End::Gap);
            }
        }
        Ok(End::Reached)
    }
}

/// Journal indices are below 2^40.
fn index(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Asks the node, and says what to do where it does not answer.
async fn ask<T>(asked: impl Future<Output = Result<T, ChainError>>) -> Result<T, Problem> {
    let why = match tokio::time::timeout(NODE_TIMEOUT, asked).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", NODE_TIMEOUT.as_secs()),
    };
    // The node's address may be nobody else's business.
    tracing::error!(why, "the node does not answer");
    Err(Problem::new(
        Kind::NodeUnavailable,
        "the Solana node that the database is compared with does not answer, so nothing can be said about integrity now; \
         this server's log says why; try again in a moment",
    ))
}

/// How many events of the platform the database holds, if there is no gap.
async fn stored_count(connection: &mut PgConnection, platform: Address) -> Result<u64, sqlx::Error> {
    let last = sqlx::query_scalar!("SELECT max(journal_index) FROM events WHERE platform = $1", &platform.0)
        .fetch_one(connection)
        .await?;
    Ok(last.map_or(0, |last| u64::try_from(last).unwrap_or(0).saturating_add(1)))
}

/// Compares the platform's stored events with its Journal account, and the tables with its others, that of `user` among
/// them.
pub(crate) async fn compare(state: &ApiState, platform: Address, user: Option<Hash>) -> Result<Report, Problem> {
    // What is left of the request's time after this goes into finding what differs.
    let deadline = Clock::now() + state.settings().request_timeout / 4 * 3;
    let addresses = Addresses::at(Pubkey::new_from_array(platform.0));
    let genesis_hash = state
        .integrity()
        .genesis_hash
        .get_or_try_init(|| async { ask(state.chain().genesis_hash()).await.map(|hash| Hash(hash.to_bytes())) })
        .await?;
    let account = ask(state.chain().account(&addresses.journal)).await?;
    let mut comparison = Comparison { state, platform, addresses, chain: None, differences: Vec::new() };
    comparison.read_account(account);
    let caught_up = comparison.wait_for_the_indexer().await?;
    comparison.finish(*genesis_hash, caught_up, user, deadline).await
}

/// A comparison under way.
struct Comparison<'a> {
    state: &'a ApiState,
    platform: Address,
    addresses: Addresses,
    /// The account and its slot, where there is one.
    chain: Option<(u64, Journal)>,
    differences: Vec<Difference>,
}

impl Comparison<'_> {
    fn read_account(&mut self, account: Option<AccountAt>) {
        let address = self.addresses.journal;
        let no_journal = |detail| Difference::whole(DifferenceKind::NoJournal, detail);
        let Some(account) = account else {
            self.differences
                .push(no_journal(format!("the node has no account at {address}; is it the node of another cluster?")));
            return;
        };
        if account.owner != PROGRAM {
            self.differences.push(no_journal(format!(
                "the account at {address} belongs to {}, not to the rebate program",
                account.owner
            )));
            return;
        }
        match Journal::decode(&account.data) {
            Ok(journal) if journal.platform == self.platform.0 => {
                self.chain = Some((account.slot, journal));
            }
            Ok(_) => self
                .differences
                .push(no_journal(format!("the account at {address} is the journal of another platform"))),
            Err(error) => self.differences.push(no_journal(format!("the account at {address}: {error}"))),
        }
    }

    /// Waits a little where the chain is ahead, which it is for a moment after every payment. Says whether the indexer
    /// has read up to the slot of the account.
    async fn wait_for_the_indexer(&self) -> Result<bool, Problem> {
        let Some((_, journal)) = &self.chain else {
            return Ok(true);
        };
        let deadline = Clock::now() + PATIENCE;
        loop {
            let mut snapshot = Snapshot::take(self.state.pool(), None).await?;
            let caught_up = self.is_read_up_to(&snapshot.as_of());
            let stored = stored_count(snapshot.connection(), self.platform).await?;
            if caught_up || stored >= journal.count || Clock::now() >= deadline {
                return Ok(caught_up);
            }
            drop(snapshot);
            tokio::time::sleep(POLL).await;
        }
    }

    fn is_read_up_to(&self, as_of: &AsOf) -> bool {
        self.chain.as_ref().is_some_and(|(slot, _)| i64::try_from(*slot).is_ok_and(|slot| slot <= as_of.as_of_slot))
    }

    async fn finish(
        mut self,
        genesis_hash: Hash,
        caught_up: bool,
        user: Option<Hash>,
        deadline: Clock,
    ) -> Result<Report, Problem> {
        let passes = Arc::clone(
            self.state
                .integrity()
                .passes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(self.platform.0)
                .or_default(),
        );
        // Before the snapshot: those who wait here hold no connection.
        let mut passes = passes.lock().await;
        let mut snapshot = Snapshot::take(self.state.pool(), None).await?;
        let position = *snapshot.position();
        if position.genesis_hash != genesis_hash {
            self.differences.push(Difference::whole(
                DifferenceKind::AnotherChain,
                format!(
                    "the database was filled from the chain with genesis hash {}, the node is of {}",
                    Address(position.genesis_hash.0),
                    Address(genesis_hash.0)
                ),
            ));
        }
        let caught_up = caught_up || self.is_read_up_to(&position.as_of);
        let stored_count = stored_count(snapshot.connection(), self.platform).await?;
        let chain_count = self.chain.as_ref().map_or(stored_count, |(_, journal)| journal.count);
        let to = stored_count.min(chain_count);

        let end = self.hash(&mut passes, &mut snapshot, to, deadline).await?;
        let mut status = match end {
            End::Reached if stored_count < chain_count && !caught_up => Status::Behind,
            End::OutOfTime => Status::Checking,
            End::Reached | End::Gap => Status::Agrees,
        };
        let whole = &passes.whole;
        self.find_missing(end, whole.count, stored_count, chain_count, caught_up, &mut snapshot).await?;
        self.find_invented(stored_count, &position.as_of);
        if end == End::Reached {
            self.find_altered(whole, &mut snapshot).await?;
        }
        let mut compared = Compared::default();
        if self.differences.is_empty()
            && end == End::Reached
            && let Some((slot, journal)) = self.chain.filter(|(_, journal)| journal.count == stored_count)
        {
            let moment = Moment { addresses: &self.addresses, slot, count: journal.count };
            (compared, self.differences) =
                accounts::compare(self.state, &moment, user, &mut passes.turn, &mut snapshot).await?;
        }
        if !self.differences.is_empty() {
            status = Status::Differs;
        }
        let whole = &passes.whole;
        Ok(Report {
            status,
            platform: self.platform,
            journal: Address(self.addresses.journal.to_bytes()),
            journal_explorer: self.state.settings().cluster.account(&self.addresses.journal),
            chain_slot: self.chain.as_ref().map(|(slot, _)| *slot),
            chain_count: self.chain.as_ref().map(|(_, journal)| journal.count),
            chain_head: self.chain.as_ref().map(|(_, journal)| Hash(journal.root())),
            stored_count,
            hashed_count: whole.count,
            stored_head: Hash(whole.root()),
            read_since: Instant(whole.began),
            accounts: compared,
            differences: self.differences,
            as_of: position.as_of,
        })
    }

    /// Brings `passes.whole` to `to` events, and reads old ones again.
    async fn hash(
        &self,
        passes: &mut Passes,
        snapshot: &mut Snapshot,
        to: u64,
        deadline: Clock,
    ) -> Result<End, Problem> {
        // A node behind the one asked before may show an older account, and a pass cannot go back.
        if to <= RECHECK || passes.whole.count > to {
            passes.whole = Pass::default();
        }
        let end = passes.whole.advance(snapshot.connection(), self.platform, to, deadline).await?;
        if end != End::Reached || to <= RECHECK {
            return Ok(end);
        }
        if self.differs(&passes.whole) && !passes.whole.second {
            // What it read may have been taken back since, as a fork does. A second look tells.
            passes.whole = Pass { second: true, ..Pass::default() };
            return passes.whole.advance(snapshot.connection(), self.platform, to, deadline).await;
        }
        passes.whole.second &= self.differs(&passes.whole);
        if passes.again.count >= to {
            passes.again = Pass::default();
        }
        let until = to.min(passes.again.count.saturating_add(RECHECK));
        let again = passes.again.advance(snapshot.connection(), self.platform, until, deadline).await?;
        if again == End::Gap || passes.again.count == to {
            passes.whole = Pass { second: true, ..std::mem::take(&mut passes.again) };
        }
        Ok(if again == End::Gap { again } else { End::Reached })
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
        snapshot: &mut Snapshot,
    ) -> Result<(), Problem> {
        if end == End::Gap {
            let next = sqlx::query_scalar!(
                "SELECT min(journal_index) FROM events WHERE platform = $1 AND journal_index >= $2",
                &self.platform.0,
                index(hashed)
            )
            .fetch_one(snapshot.connection())
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
    fn find_invented(&mut self, stored: u64, as_of: &AsOf) {
        let Some((slot, journal)) = &self.chain else {
            return;
        };
        let account_is_newer = i64::try_from(*slot).is_ok_and(|slot| slot >= as_of.as_of_slot);
        if stored > journal.count && account_is_newer {
            self.differences.push(Difference::of_events(
                DifferenceKind::InventedEvents,
                journal.count,
                stored.saturating_sub(1),
                "are on record, and the chain never emitted them",
            ));
        }
    }

    /// Compares peak by peak, from the first events on. Where one differs, looks for events that give themselves away.
    async fn find_altered(&mut self, whole: &Pass, snapshot: &mut Snapshot) -> Result<(), Problem> {
        let Some((_, journal)) = &self.chain else {
            return Ok(());
        };
        if !self.differs(whole) {
            return Ok(());
        }
        let mut first = 0u64;
        let mut altered = Vec::new();
        for (height, (stored, chain)) in whole.peaks.iter().zip(&journal.peaks).enumerate().rev() {
            let size = 1u64 << height;
            if whole.count & size == 0 {
                continue;
            }
            let next = first.saturating_add(size);
            if stored != chain {
                altered.push((first, next));
            }
            first = next;
        }
        for (first, next) in altered {
            let mut what = "do not hash to what the chain has for them".to_owned();
            if next.saturating_sub(first) == 1 {
                what = "does not hash to what the chain has for it".to_owned();
            }
            if let Some(suspect) = self.suspect(first, next, snapshot).await? {
                what = format!("{what}; {suspect}");
            }
            self.differences.push(Difference::of_events(
                DifferenceKind::AlteredEvents,
                first,
                next.saturating_sub(1),
                &what,
            ));
        }
        Ok(())
    }

    /// The first event from `first` on, of those read at a time, whose bytes cannot be what the program emitted.
    async fn suspect(&self, first: u64, next: u64, snapshot: &mut Snapshot) -> Result<Option<String>, Problem> {
        let rows = sqlx::query!(
            "SELECT journal_index, bytes FROM events
             WHERE platform = $1 AND journal_index >= $2 AND journal_index < $3 ORDER BY journal_index",
            &self.platform.0,
            index(first),
            index(next.min(first.saturating_add(CHUNK)))
        )
        .fetch_all(snapshot.connection())
        .await?;
        Ok(rows.into_iter().find_map(|row| {
            let at = row.journal_index;
            match Event::decode(&row.bytes) {
                Err(error) => Some(format!("event {at} is {error}")),
                Ok(event) if event.platform() != self.platform.0 => Some(format!("event {at} names another platform")),
                Ok(event) if index(event.journal_index()) != at => {
                    Some(format!("event {at} names itself event {}", event.journal_index()))
                }
                Ok(_) => None,
            }
        }))
    }
}
