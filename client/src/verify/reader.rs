//! Reading a whole journal from a node, from its first event on, each once and none left out.

use super::{VerifyError, evidence::Evidence};
use crate::{
    address::Addresses,
    chain::{Mention, ReadEvidence},
};
use solana_signature::Signature;
use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

/// How many transactions are asked for at once.
const AT_ONCE: usize = 16;

/// How many transactions are handed out at once at most.
const BATCH: usize = 4_096;

/// A node lists a transaction some moments after the accounts show what it did. For how long it is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause before a node is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// How far the reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many transactions were listed, from the newest back.
    Listed(u64),
    /// So many events were read, of so many.
    Read(u64, u64),
}

/// Told how far the reading is.
pub type OnProgress = Box<dyn Fn(Progress) + Send + Sync>;

/// A journal that is read from the first event on.
///
/// The signatures of all its transactions are kept in memory while it is read, the transactions are not.
pub struct JournalReader<C> {
    chain: C,
    addresses: Addresses,
    /// The index of the next event to hand out.
    next: u64,
    /// What was read and is not handed out yet, by the index of the first event.
    ready: BTreeMap<u64, Evidence>,
    /// The transactions that were read.
    seen: HashSet<Signature>,
    on_progress: OnProgress,
    patience: Duration,
}

impl<C: ReadEvidence + Clone + 'static> JournalReader<C> {
    /// The journal of the platform at `addresses`.
    pub fn new(chain: C, addresses: Addresses, on_progress: OnProgress) -> Self {
        Self {
            chain,
            addresses,
            next: 0,
            ready: BTreeMap::new(),
            seen: HashSet::new(),
            on_progress,
            patience: PATIENCE,
        }
    }

    /// The same, that waits for so long for a transaction that the node does not show; ten seconds otherwise.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The index of the next event to hand out.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Takes note of evidence that is there already, from a file: it is not read again.
    pub fn skip(&mut self, evidence: &Evidence) {
        self.seen.insert(evidence.signature());
        self.next = self.next.saturating_add(evidence.count());
    }

    /// Reads up to event `count - 1` and hands out every transaction in the journal's order, some at a time. The last one can
    /// go on behind that.
    ///
    /// # Errors
    /// [`VerifyError`], of the node or of `take`.
    pub async fn read_to<E: From<VerifyError>>(
        &mut self,
        count: u64,
        mut take: impl AsyncFnMut(Vec<Evidence>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut advanced = Instant::now();
        // A transaction that was read before is where the list ends, unless something behind it turns out to be missing.
        let mut all = self.seen.is_empty();
        loop {
            let begun_at = self.next;
            self.hand_out(count, &mut take).await?;
            if self.next >= count {
                return Ok(());
            }
            let listed = self.list(all).await?;
            self.read_listed(listed, count, &mut take).await?;
            if self.next >= count {
                return Ok(());
            }
            if self.next > begun_at {
                advanced = Instant::now();
            }
            if advanced.elapsed() >= self.patience {
                return Err(VerifyError::Missing { count, missing: self.next }.into());
            }
            all = true;
            sleep(PAUSE).await;
        }
    }

    /// The transactions that were not read yet, the oldest first.
    async fn list(&self, all: bool) -> Result<VecDeque<Signature>, VerifyError> {
        let mut listed: VecDeque<Signature> = VecDeque::new();
        let mut before = None;
        loop {
            let page = self.chain.mentions(&self.addresses.journal, before.as_ref()).await?;
            let Some(last) = page.last() else { break };
            before = Some(last.signature);
            let meets_known = page.iter().any(|mention| self.seen.contains(&mention.signature));
            for Mention { signature, .. } in page.iter().filter(|mention| !mention.failed) {
                if !self.seen.contains(signature) {
                    listed.push_front(*signature);
                }
            }
            (self.on_progress)(Progress::Listed(listed.len() as u64));
            if meets_known && !all {
                break;
            }
        }
        Ok(listed)
    }

    async fn read_listed<E: From<VerifyError>>(
        &mut self,
        mut listed: VecDeque<Signature>,
        count: u64,
        take: &mut impl AsyncFnMut(Vec<Evidence>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut asked = JoinSet::new();
        loop {
            while asked.len() < AT_ONCE
                && let Some(signature) = listed.pop_front()
            {
                let chain = self.chain.clone();
                asked.spawn(async move { (signature, chain.whole(&signature).await) });
            }
            let Some(answer) = asked.join_next().await else { break };
            // Nobody aborts these tasks.
            let Ok((signature, whole)) = answer else { continue };
            // One that the node does not show, it may show later.
            let Some(whole) = whole.map_err(VerifyError::from)? else { continue };
            let evidence = Evidence::of(&whole, &self.addresses.platform);
            self.seen.insert(signature);
            if let Some((first, evidence)) = evidence.map_err(|error| VerifyError::Event(signature, error))?
                && first >= self.next
            {
                self.ready.insert(first, evidence);
            }
            if self.ready.len() >= BATCH {
                self.hand_out(count, take).await?;
                // One is missing before all of these: they wait for it, and no more are fetched until it is there.
                if self.ready.len() >= BATCH {
                    return Ok(());
                }
            }
        }
        self.hand_out(count, take).await
    }

    /// Hands out what follows the last that was handed out.
    async fn hand_out<E: From<VerifyError>>(
        &mut self,
        count: u64,
        take: &mut impl AsyncFnMut(Vec<Evidence>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut batch = Vec::new();
        while self.next < count
            && let Some(evidence) = self.ready.remove(&self.next)
        {
            self.next = self.next.saturating_add(evidence.count());
            batch.push(evidence);
            if batch.len() == BATCH {
                take(std::mem::take(&mut batch)).await?;
            }
        }
        if !batch.is_empty() {
            take(batch).await?;
        }
        (self.on_progress)(Progress::Read(self.next, count));
        Ok(())
    }
}
