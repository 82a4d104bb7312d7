//! Stands between the outbox and the chain: calls that are not heard, answers that are lost, transactions that are dropped, and
//! deaths of the process just before and just after a call.

use async_trait::async_trait;
use rebate_client::{
    Pubkey,
    block::WholeTransaction,
    chain::{
        AccountsAt, ChainError, Dispatch, Ended, Lifetime, Mention, ReadAccounts, ReadEvidence, ReadHistory, Seen,
        Simulated, embedded::EmbeddedChain,
    },
};
use rebate_tests::draw::Draw;
use solana_program::hash::Hash;
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU32, Ordering},
};
use tokio::sync::Notify;

/// How often what happened.
#[derive(Debug, Default)]
pub struct Blows {
    pub unheard: AtomicU32,
    pub unanswered: AtomicU32,
    pub dropped: AtomicU32,
    pub killed: AtomicU32,
}

/// A chain that is reached through faults.
#[derive(Clone)]
pub struct FaultyChain {
    inner: EmbeddedChain,
    draw: Arc<Mutex<Draw>>,
    /// Of a hundred calls, how many go wrong.
    percent: u64,
    /// Of a hundred calls, how many are the last.
    deadly: u64,
    pub killed: Arc<Notify>,
    /// The node does not answer at all.
    pub away: Arc<AtomicBool>,
    /// Nothing goes wrong any more.
    pub calm: Arc<AtomicBool>,
    pub blows: Arc<Blows>,
    /// An account that is not there.
    pub hidden: Option<Pubkey>,
}

fn gone() -> ChainError {
    ChainError::Unreachable { node: "http://node".to_owned(), why: "the connection broke".to_owned() }
}

impl FaultyChain {
    pub fn new(inner: EmbeddedChain, seed: u64, percent: u64, deadly: u64) -> Self {
        Self {
            inner,
            draw: Arc::new(Mutex::new(Draw::of(seed ^ 0xc4a0))),
            percent,
            deadly,
            killed: Arc::default(),
            away: Arc::default(),
            calm: Arc::default(),
            blows: Arc::default(),
            hidden: None,
        }
    }

    fn happens(&self, percent: u64) -> bool {
        !self.calm.load(Ordering::SeqCst) && self.draw.lock().unwrap().below(100) < percent
    }

    async fn die(&self) {
        self.blows.killed.fetch_add(1, Ordering::Relaxed);
        self.killed.notify_one();
        std::future::pending().await
    }

    async fn through<T>(&self, call: impl Future<Output = Result<T, ChainError>>) -> Result<T, ChainError> {
        tokio::task::yield_now().await;
        if self.away.load(Ordering::SeqCst) {
            return Err(gone());
        }
        if self.happens(self.deadly) {
            self.die().await;
        }
        if self.happens(self.percent) {
            self.blows.unheard.fetch_add(1, Ordering::Relaxed);
            return Err(gone());
        }
        let answer = call.await;
        if self.happens(self.deadly) {
            self.die().await;
        }
        if self.happens(self.percent) {
            self.blows.unanswered.fetch_add(1, Ordering::Relaxed);
            return Err(gone());
        }
        answer
    }
}

#[async_trait]
impl ReadAccounts for FaultyChain {
    async fn accounts(&self, addresses: &[Pubkey]) -> Result<AccountsAt, ChainError> {
        let mut found = self.through(self.inner.accounts(addresses)).await?;
        for (address, account) in addresses.iter().zip(&mut found.accounts) {
            account.take_if(|_| Some(*address) == self.hidden);
        }
        Ok(found)
    }

    async fn genesis_hash(&self) -> Result<Hash, ChainError> {
        self.through(self.inner.genesis_hash()).await
    }

    async fn now(&self) -> Result<i64, ChainError> {
        self.through(self.inner.now()).await
    }
}

#[async_trait]
impl ReadHistory for FaultyChain {
    async fn mentions(&self, address: &Pubkey, before: Option<&Signature>) -> Result<Vec<Mention>, ChainError> {
        self.through(self.inner.mentions(address, before)).await
    }

    async fn transaction(
        &self,
        signature: &Signature,
    ) -> Result<Option<rebate_client::block::Transaction>, ChainError> {
        self.through(self.inner.transaction(signature)).await
    }
}

#[async_trait]
impl ReadEvidence for FaultyChain {
    async fn whole(&self, signature: &Signature) -> Result<Option<WholeTransaction>, ChainError> {
        self.through(self.inner.whole(signature)).await
    }

    async fn block_at(&self, slot: u64) -> Result<Option<(Hash, Option<i64>)>, ChainError> {
        self.through(self.inner.block_at(slot)).await
    }
}

#[async_trait]
impl Dispatch for FaultyChain {
    async fn lifetime(&self) -> Result<Lifetime, ChainError> {
        self.through(self.inner.lifetime()).await
    }

    async fn block_height(&self) -> Result<u64, ChainError> {
        self.through(self.inner.block_height()).await
    }

    async fn simulate(&self, transaction: &VersionedTransaction) -> Result<Simulated, ChainError> {
        self.through(self.inner.simulate(transaction)).await
    }

    async fn send(&self, transaction: &VersionedTransaction) -> Result<(), ChainError> {
        // A node takes it and passes it on to a leader who drops it.
        if self.happens(self.percent) {
            self.blows.dropped.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        self.through(self.inner.send(transaction)).await
    }

    async fn seen(&self, signatures: &[Signature], ever: bool) -> Result<Vec<Option<Seen>>, ChainError> {
        self.through(self.inner.seen(signatures, ever)).await
    }

    async fn ended(&self, signature: &Signature) -> Result<Option<Ended>, ChainError> {
        self.through(self.inner.ended(signature)).await
    }

    async fn recent_fees(&self, accounts: &[Pubkey]) -> Result<Vec<u64>, ChainError> {
        self.through(self.inner.recent_fees(accounts)).await
    }
}
