//! A platform recomputed from a node, or from a file and a node: evidence is read, checked and followed, event by event.

use super::{
    VerifyError,
    accounts::{self, AT_ONCE, AccountsOver, Comparison, Difference, Scoped},
    cache::{Save, Saved},
    evidence::Evidence,
    follower::{Followed, Follower},
    read::{self, Read},
    reader::{JournalReader, OnProgress, Progress},
};
use crate::{Pubkey, address::Addresses, chain::ReadEvidence};
use rebate_core::units::{AssetId, MAX_ASSETS, Timestamp, UserKey};
use std::{
    collections::{HashSet, VecDeque},
    path::PathBuf,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How many transactions of a file are followed at once.
const BATCH: usize = 4_096;

/// How many differences are kept; the rest is counted.
const KEPT: usize = 1_000;

/// How long a node that is behind is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The pause before a node is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// Files of evidence.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// Read first, so that the node is asked only for what follows.
    pub from: Option<PathBuf>,
    /// Written, with all that was read.
    pub save: Option<PathBuf>,
}

/// How far the comparison with the chain's accounts is: so many of so many.
pub type OnAccounts<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// A platform that is recomputed.
pub struct Recomputation<C> {
    chain: C,
    reader: JournalReader<C>,
    follower: Follower,
    from: Option<Saved>,
    /// What was read of that file and not followed yet.
    left: VecDeque<Evidence>,
    save: Option<Save>,
    transactions: u64,
    on_file: Box<dyn Fn(u64) + Send + Sync>,
}

/// What comparing accounts came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// How many accounts.
    pub accounts: u64,
    /// Of how many users.
    pub users: u64,
    /// Of how many of users' counters towards a streamer or in a session.
    pub counters: u64,
    /// The slot of the last answer.
    pub slot: u64,
    /// The first differences.
    pub differences: Vec<Difference>,
    /// How many there are.
    pub count: u64,
}

impl Compared {
    fn add(&mut self, differences: Vec<Difference>) {
        self.count = self.count.saturating_add(differences.len() as u64);
        let room = KEPT.saturating_sub(self.differences.len());
        self.differences.extend(differences.into_iter().take(room));
    }
}

impl<C: ReadEvidence + Clone + 'static> Recomputation<C> {
    /// The platform at `addresses`, before its first event.
    ///
    /// # Errors
    /// [`VerifyError`] of the node, or of a file.
    pub async fn begin(
        chain: C,
        addresses: Addresses,
        files: &Files,
        on_progress: impl Fn(Progress) + Clone + Send + Sync + 'static,
    ) -> Result<Self, VerifyError> {
        let genesis = chain.genesis_hash().await?;
        let open = |path: &PathBuf| Saved::open(path, &genesis, &addresses.platform);
        let begin = |path: &PathBuf| Save::begin(path, &genesis, &addresses.platform);
        let from = files.from.as_ref().map(open).transpose()?;
        let save = files.save.as_ref().map(begin).transpose()?;
        let told = on_progress.clone();
        let reading: OnProgress = Box::new(on_progress);
        Ok(Self {
            reader: JournalReader::new(chain.clone(), addresses, reading),
            chain,
            follower: Follower::new(addresses),
            from,
            left: VecDeque::new(),
            save,
            transactions: 0,
            on_file: Box::new(move |read| told(Progress::Read(read, read))),
        })
    }

    /// The same, that waits for so long for a transaction that the node does not show; ten seconds otherwise.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { reader: self.reader.with_patience(patience), ..self }
    }

    /// What it came to so far.
    pub fn follower(&self) -> &Follower {
        &self.follower
    }

    /// How many transactions were followed.
    pub fn transactions(&self) -> u64 {
        self.transactions
    }

    /// The chain.
    pub fn chain(&self) -> &C {
        &self.chain
    }

    /// Goes on until `count` events were followed. `see` is handed every event, `keep` every transaction.
    ///
    /// # Errors
    /// [`VerifyError`], or what `keep` answers.
    pub async fn to<E: From<VerifyError>>(
        &mut self,
        count: u64,
        mut see: impl FnMut(&Followed<'_>),
        mut keep: impl AsyncFnMut(&[Read]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { reader, follower, from, left, save, transactions, on_file, .. } = self;
        let platform = follower.addresses().platform;
        let mut take = async |evidence: Vec<Evidence>| -> Result<(), E> {
            for evidence in &evidence {
                if let Some(save) = save.as_mut() {
                    save.add(evidence)?;
                }
            }
            let read = read::read(evidence, &platform)?;
            *transactions = transactions.saturating_add(read.len() as u64);
            for read in &read {
                follower.follow(read, &mut see);
            }
            keep(&read).await
        };
        while reader.next() < count
            && let Some(saved) = from.as_mut()
        {
            if left.is_empty() {
                left.extend(saved.next(BATCH)?);
            }
            let mut some = Vec::new();
            while reader.next() < count
                && let Some(evidence) = left.pop_front()
            {
                reader.skip(&evidence);
                some.push(evidence);
            }
            if some.is_empty() {
                *from = None;
                break;
            }
            take(some).await?;
            on_file(reader.next());
        }
        reader.read_to(count, take).await
    }

    /// Ends the file that is saved.
    ///
    /// # Errors
    /// [`VerifyError::File`].
    pub fn save(&mut self) -> Result<(), VerifyError> {
        self.save.take().map_or(Ok(()), Save::end)
    }

    /// Accounts together with the journal's, and the follower brought to exactly the events they are over.
    async fn accounts(&mut self, wanted: &[Pubkey]) -> Result<AccountsOver, VerifyError> {
        let addresses = *self.follower.addresses();
        let begun = Instant::now();
        loop {
            let answer = accounts::read(&self.chain, &addresses, wanted).await?;
            let count = answer.journal.count;
            if count >= self.follower.count() {
                self.to(count, |_| {}, async |_: &[Read]| Ok::<(), VerifyError>(())).await?;
                return Ok(answer);
            }
            // Another node answers that is behind the one before.
            if begun.elapsed() >= PATIENCE {
                return Ok(answer);
            }
            sleep(PAUSE).await;
        }
    }

    /// Compares every account of the platform.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub async fn compare(&mut self, on_accounts: OnAccounts<'_>) -> Result<Compared, VerifyError> {
        let mut compared = Compared::default();
        self.compare_platform(&mut compared).await?;
        self.compare_users(&mut compared, on_accounts).await?;
        self.compare_scoped(&mut compared, on_accounts).await?;
        Ok(compared)
    }

    async fn compare_platform(&mut self, compared: &mut Compared) -> Result<(), VerifyError> {
        let addresses = *self.follower.addresses();
        let vaults = (1..=MAX_ASSETS as u8).map(AssetId);
        let mut wanted = vec![addresses.platform, addresses.rule_book];
        wanted.extend(vaults.clone().map(|asset| addresses.vault(asset)));
        let answer = self.accounts(&wanted).await?;
        let mut comparison = Comparison::new(&self.follower, Timestamp(self.chain.now().await?));
        let mut accounts = answer.accounts.iter().map(Option::as_ref);
        comparison.journal(&answer.journal);
        let platform = accounts.next().flatten();
        comparison.platform(platform);
        comparison.rule_book(accounts.next().flatten());
        for (asset, account) in vaults.zip(accounts) {
            comparison.vault(asset, account, platform);
        }
        compared.add(comparison.end());
        let there = answer.accounts.iter().flatten().count() as u64;
        compared.accounts = compared.accounts.saturating_add(there).saturating_add(1);
        compared.slot = answer.slot;
        Ok(())
    }

    async fn compare_users(&mut self, compared: &mut Compared, on: OnAccounts<'_>) -> Result<(), VerifyError> {
        let (mut at, mut seen) = (0usize, HashSet::new());
        loop {
            // Users with a wallet and nothing else come last.
            let more = self.follower.users().get(at..).unwrap_or_default();
            let mut keys: Vec<UserKey> = more.iter().take(AT_ONCE).copied().collect();
            at = at.saturating_add(keys.len());
            if keys.is_empty() {
                let linked = self.follower.wallets().keys();
                keys.extend(
                    linked.filter(|key| self.follower.user(key).is_none() && !seen.contains(*key)).take(AT_ONCE),
                );
                seen.extend(keys.iter().copied());
            }
            if keys.is_empty() {
                return Ok(());
            }
            let addresses: Vec<_> = keys.iter().map(|key| self.follower.addresses().user(key)).collect();
            let answer = self.accounts(&addresses).await?;
            let mut comparison = Comparison::new(&self.follower, Timestamp(self.chain.now().await?));
            comparison.journal(&answer.journal);
            for ((key, address), account) in keys.iter().zip(&addresses).zip(&answer.accounts) {
                comparison.user(key, address, account.as_ref());
            }
            compared.add(comparison.end());
            compared.users = compared.users.saturating_add(keys.len() as u64);
            compared.accounts = compared.accounts.saturating_add(keys.len() as u64);
            compared.slot = answer.slot;
            on(compared.users, self.follower.users().len() as u64);
        }
    }

    async fn compare_scoped(&mut self, compared: &mut Compared, on: OnAccounts<'_>) -> Result<(), VerifyError> {
        let scoped = accounts::scoped(&self.follower);
        for some in scoped.chunks(AT_ONCE) {
            let addresses: Vec<_> = some.iter().map(|scoped: &Scoped| scoped.address).collect();
            let answer = self.accounts(&addresses).await?;
            let mut comparison = Comparison::new(&self.follower, Timestamp(self.chain.now().await?));
            comparison.journal(&answer.journal);
            for (scoped, account) in some.iter().zip(&answer.accounts) {
                comparison.scoped(scoped, account.as_ref());
            }
            compared.add(comparison.end());
            compared.counters = compared.counters.saturating_add(some.len() as u64);
            compared.accounts = compared.accounts.saturating_add(some.len() as u64);
            on(compared.counters, scoped.len() as u64);
        }
        Ok(())
    }
}
