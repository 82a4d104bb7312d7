//! The blocks of the stream that nobody has taken yet.

use super::super::BlockRef;
use rebate_client::block::Block;
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Holds so many blocks at most; a newer one takes the place of the oldest.
pub struct Queue {
    inner: Mutex<Inner>,
    arrived: Notify,
    limit: usize,
}

#[derive(Default)]
struct Inner {
    blocks: VecDeque<Block>,
    /// The slot behind which blocks are wanted.
    after: u64,
    /// Whether there is a stream to wait for.
    is_fed: bool,
}

impl Queue {
    pub fn new(limit: usize) -> Self {
        Self { inner: Mutex::default(), arrived: Notify::new(), limit }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here stops halfway.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what is not behind `slot`.
    pub fn go_on_after(&self, slot: u64) {
        let mut inner = self.inner();
        inner.after = slot;
        inner.blocks.retain(|block| block.slot > slot);
    }

    /// The slot behind which blocks are wanted.
    pub fn after(&self) -> u64 {
        self.inner().after
    }

    /// The block that builds on `cursor`, if it is there.
    pub fn take_after(&self, cursor: &BlockRef) -> Option<Block> {
        let mut inner = self.inner();
        let position = inner.blocks.iter().position(|block| cursor.precedes(block))?;
        inner.blocks.remove(position)
    }

    /// Whether what comes next is likely to come by the stream: it is there, and is not ahead.
    pub fn is_waited_for(&self) -> bool {
        let inner = self.inner();
        inner.is_fed && inner.blocks.is_empty()
    }

    pub fn set_fed(&self, is_fed: bool) {
        self.inner().is_fed = is_fed;
        if !is_fed {
            self.arrived.notify_one();
        }
    }

    pub fn push(&self, block: Block) {
        let mut inner = self.inner();
        if block.slot <= inner.after {
            return;
        }
        if inner.blocks.len() >= self.limit {
            inner.blocks.pop_front();
        }
        inner.blocks.push_back(block);
        drop(inner);
        self.arrived.notify_one();
    }

    /// Returns when something may have changed.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }
}
