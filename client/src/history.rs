//! A platform's journal, read back from the chain's own transactions: where an order is in it, and its path to a peak.
//!
//! It needs no indexer and believes no node: what it hands out leads to a peak of the journal's account, or is not handed
//! out. It reads no further back than it needs, of which it keeps a hash an event. For a platform with millions of events
//! this takes hours; an operator has them in the indexer's database.

use crate::{
    account::{DecodeError, Journal},
    address::Addresses,
    block::Emitted,
    chain::{ChainError, Mention, ReadHistory},
    event::{self, Event},
    proof::{leads_to_peak, peak_height},
};
use rebate_core::{
    journal::{self, Hash},
    payment::Payment,
    units::{JournalIndex, OrderHash},
};
use solana_program::pubkey::Pubkey;
use solana_signature::Signature;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Range,
    time::Duration,
};
use thiserror::Error;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

/// How many transactions are asked for at once.
const AT_ONCE: usize = 16;

/// A node lists a transaction some moments after the accounts show what it did. For how long it is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause before a node is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// Why an order cannot be looked up.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum HistoryError {
    /// There is no platform at the address.
    #[error("there is no platform at {0} on this chain; create it first, with `rebate platform create`")]
    NoPlatform(Pubkey),
    /// The journal's account cannot be read.
    #[error("the account {0}: {1}")]
    Account(Pubkey, DecodeError),
    /// The node does not show all transactions.
    #[error(
        "the journal has {count} events, and the node does not show the transaction of event {missing}; \
         read from a node with the whole history of transactions"
    )]
    Missing {
        /// How many events there are.
        count: u64,
        /// The last one that is not shown.
        missing: u64,
    },
    /// An event that this code does not know.
    #[error("transaction {0}: {1}")]
    Event(Signature, event::DecodeError),
    /// What the node shows is not what the program hashed.
    #[error("the node's transactions do not lead to the journal at {0}; it altered them, read from another node")]
    Contradiction(Pubkey),
    /// The chain did not answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// A recorded payment and its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedOrder {
    /// Where its event is in the journal.
    pub index: JournalIndex,
    /// What was paid.
    pub payment: Payment,
    /// The event's canonical bytes.
    pub event: Vec<u8>,
}

/// Told how many events were read, of how many there are.
pub type OnProgress = Box<dyn Fn(u64, u64) + Send + Sync>;

/// A platform's journal as far as it was read, from the newest event back.
pub struct JournalHistory<C> {
    chain: C,
    addresses: Addresses,
    wanted: HashSet<OrderHash>,
    orders: HashMap<OrderHash, RecordedOrder>,
    leaves: BTreeMap<u64, Hash>,
    /// From where to where no leaf is missing.
    whole: Range<u64>,
    /// The transaction of the earliest event.
    earliest: Option<(u64, Signature)>,
    read: HashSet<Signature>,
    on_progress: OnProgress,
    patience: Duration,
}

impl<C: ReadHistory + Clone + 'static> JournalHistory<C> {
    /// The journal of the platform at `addresses`, in which `wanted` will be looked up.
    pub fn new(
        chain: C,
        addresses: Addresses,
        wanted: impl IntoIterator<Item = OrderHash>,
        on_progress: OnProgress,
    ) -> Self {
        Self {
            chain,
            addresses,
            wanted: wanted.into_iter().collect(),
            orders: HashMap::new(),
            leaves: BTreeMap::new(),
            whole: 0..0,
            earliest: None,
            read: HashSet::new(),
            on_progress,
            patience: PATIENCE,
        }
    }

    /// The same, that waits for so long for a transaction that the node does not show; ten seconds otherwise.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The payment of one of the orders wanted; `None` if no event of the journal is its payment.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn order(&mut self, order: &OrderHash) -> Result<Option<RecordedOrder>, HistoryError> {
        if !self.orders.contains_key(order) {
            let journal = self.journal().await?;
            self.read_back(journal.count, 0, Some(order)).await?;
        }
        Ok(self.orders.get(order).cloned())
    }

    /// The path from an event to the peak that it stands under now.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn path(&mut self, order: &RecordedOrder) -> Result<Vec<Hash>, HistoryError> {
        let journal = self.journal().await?;
        let JournalIndex(index) = order.index;
        let height = peak_height(journal.count, order.index);
        // The leaves under the peak are so many, and begin at a multiple of as many.
        let begin = index >> height << height;
        self.read_back(journal.count, begin, None).await?;
        let under = 1u64 << height;
        let mut level: Vec<Hash> =
            self.leaves.range(begin..begin.saturating_add(under)).map(|(_, leaf)| *leaf).collect();
        let mut at = index.saturating_sub(begin) as usize;
        let mut path = Vec::new();
        while level.len() > 1 {
            path.extend(level.get(at ^ 1));
            level = level.chunks_exact(2).filter_map(|pair| Some(journal::node(pair.first()?, pair.last()?))).collect();
            at /= 2;
        }
        if leads_to_peak(order.index, &order.event, &path, journal.count, &journal.peaks) {
            Ok(path)
        } else {
            Err(HistoryError::Contradiction(self.addresses.journal))
        }
    }

    async fn journal(&self) -> Result<Journal, HistoryError> {
        let Addresses { platform, journal, .. } = self.addresses;
        let account = self.chain.account(&journal).await?.ok_or(HistoryError::NoPlatform(platform))?;
        Journal::decode(&account.data).map_err(|error| HistoryError::Account(journal, error))
    }

    /// Reads transactions, the newest first, until every event from `begin` to the last of `count` is there, or the order
    /// that is looked for.
    async fn read_back(&mut self, count: u64, begin: u64, order: Option<&OrderHash>) -> Result<(), HistoryError> {
        let begun = Instant::now();
        loop {
            self.note_whole(count);
            // Where nothing is missing behind it, the earliest event that was read is where to go on.
            let earliest = self.earliest.filter(|(index, _)| self.whole == (*index..count));
            let mut before = earliest.map(|(_, signature)| signature);
            loop {
                if self.is_enough(count, begin, order) {
                    return Ok(());
                }
                let page = self.chain.mentions(&self.addresses.journal, before.as_ref()).await?;
                let Some(last) = page.last() else { break };
                before = Some(last.signature);
                for mentions in page.chunks(AT_ONCE) {
                    self.read(mentions).await?;
                    self.note_whole(count);
                    (self.on_progress)(self.whole.end.saturating_sub(self.whole.start), count);
                    if self.is_enough(count, begin, order) {
                        return Ok(());
                    }
                }
            }
            if begun.elapsed() >= self.patience {
                let last_missing = (0..count).rev().find(|index| !self.leaves.contains_key(index));
                return Err(HistoryError::Missing { count, missing: last_missing.unwrap_or_default() });
            }
            sleep(PAUSE).await;
        }
    }

    fn is_enough(&self, count: u64, begin: u64, order: Option<&OrderHash>) -> bool {
        order.is_some_and(|order| self.orders.contains_key(order))
            || (self.whole.end == count && self.whole.start <= begin)
    }

    /// Finds out from where on every event of `count` is there.
    fn note_whole(&mut self, count: u64) {
        let mut start = count;
        while let Some(before) = start.checked_sub(1).filter(|before| self.leaves.contains_key(before)) {
            start = before;
            // What was whole before still is.
            if start == self.whole.end {
                start = self.whole.start;
            }
        }
        if start < count || self.whole.is_empty() {
            self.whole = start..count;
        }
    }

    /// Reads transactions that were not read yet. One that the node does not show, it may show later.
    async fn read(&mut self, mentions: &[Mention]) -> Result<(), HistoryError> {
        let mut asked = JoinSet::new();
        for Mention { signature, .. } in mentions.iter().filter(|mention| !mention.failed) {
            if !self.read.contains(signature) {
                let (chain, signature) = (self.chain.clone(), *signature);
                asked.spawn(async move { (signature, chain.transaction(&signature).await) });
            }
        }
        while let Some(answer) = asked.join_next().await {
            // Nobody aborts these tasks.
            let Ok((signature, transaction)) = answer else { continue };
            let Some(transaction) = transaction? else { continue };
            let emitted = transaction.events().map_err(|error| HistoryError::Event(signature, error))?;
            emitted.into_iter().for_each(|emitted| self.take(signature, emitted));
            self.read.insert(signature);
        }
        Ok(())
    }

    fn take(&mut self, signature: Signature, emitted: Emitted) {
        let Emitted { event, bytes } = emitted;
        if event.platform() != self.addresses.platform.to_bytes() {
            return;
        }
        let index = event.journal_index();
        self.leaves.insert(index, journal::leaf(&bytes));
        if self.earliest.is_none_or(|(earliest, _)| index < earliest) {
            self.earliest = Some((index, signature));
        }
        if let Event::PaymentRecorded(event) = event
            && self.wanted.contains(&OrderHash(event.order))
        {
            let order = OrderHash(event.order);
            // An oracle that signs one order for two days contradicts itself; the later one counts here.
            if self.orders.get(&order).is_none_or(|other| other.index.0 < index) {
                let recorded =
                    RecordedOrder { index: JournalIndex(index), payment: Payment::from(&event), event: bytes };
                self.orders.insert(order, recorded);
            }
        }
    }
}
