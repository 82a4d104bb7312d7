//! A node, by JSON-RPC, block by block. For a local validator or an archival node.

pub(super) mod answer;
mod audit;
pub(super) mod node;

use super::{BlockRef, BlockSource, Mined, Next, SourceError, Verdict};
use async_trait::async_trait;
use node::Node;
use rebate_client::{block::Block, chain::Commitment};
use solana_program::hash::Hash;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::{sync::Mutex, task::JoinSet, time::sleep};

/// How many blocks are asked for at once while catching up.
const AT_ONCE: usize = 8;

/// Yields a node's blocks.
pub struct RpcSource {
    node: Arc<Node>,
    poll: Duration,
    /// Blocks that came with an earlier question, by slot. Whether one follows is decided when it is taken.
    ahead: Mutex<VecDeque<Block>>,
}

impl RpcSource {
    /// Reads the node at `url` at `commitment`, and looks for a new block every `poll`.
    ///
    /// # Errors
    /// [`SourceError::Refused`] unless `url` is an http or https address.
    pub fn new(url: &str, commitment: Commitment, poll: Duration) -> Result<Self, SourceError> {
        Ok(Self { node: Arc::new(Node::new(url, commitment)?), poll, ahead: Mutex::new(VecDeque::new()) })
    }

    /// The node's address, without credentials.
    pub fn name(&self) -> &str {
        self.node.name()
    }

    /// The block at `slot`. If the node fails to give it, finds out whether it ever will: it must have everything from
    /// slot `needed` on.
    async fn block(&self, slot: u64, needed: u64) -> Result<Block, SourceError> {
        let answer = self.node.block(slot).await;
        if matches!(&answer, Err(error) if error.is_temporary()) {
            self.node.require_from(needed).await?;
        }
        answer
    }

    /// The blocks at `slots`, up to the first that fails, which is an error only if it is the very first.
    async fn blocks(&self, slots: Vec<u64>, needed: u64) -> Result<VecDeque<Block>, SourceError> {
        if let &[slot] = slots.as_slice() {
            return Ok(VecDeque::from([self.block(slot, needed).await?]));
        }
        let mut asked = JoinSet::new();
        for (position, slot) in slots.into_iter().enumerate() {
            let node = Arc::clone(&self.node);
            asked.spawn(async move { (position, node.block(slot).await) });
        }
        let mut answers = Vec::new();
        while let Some(answer) = asked.join_next().await {
            answers.push(answer.map_err(|error| self.node.unavailable("getBlock", error.to_string()))?);
        }
        answers.sort_unstable_by_key(|(position, _)| *position);
        let mut blocks = VecDeque::new();
        for (_, answer) in answers {
            match answer {
                Ok(block) => blocks.push_back(block),
                Err(_) if !blocks.is_empty() => break,
                Err(error) => {
                    if error.is_temporary() {
                        self.node.require_from(needed).await?;
                    }
                    return Err(error);
                }
            }
        }
        Ok(blocks)
    }
}

#[async_trait]
impl BlockSource for RpcSource {
    fn commitment(&self) -> Commitment {
        self.node.commitment()
    }

    async fn genesis_hash(&self) -> Result<Hash, SourceError> {
        self.node.genesis_hash().await
    }

    async fn tip(&self) -> Result<u64, SourceError> {
        self.node.slot().await
    }

    async fn require(&self, cursor: &BlockRef) -> Result<(), SourceError> {
        self.node.require_from(cursor.slot).await
    }

    async fn first(&self, from_slot: Option<u64>) -> Result<Next, SourceError> {
        let start = match from_slot {
            Some(slot) => self.node.require_from(slot).await.map(|()| slot)?,
            None => self.node.first_available().await?,
        };
        let Some(slot) = self.node.slots(start, 1).await?.first().copied() else { return Ok(Next::NothingYet) };
        let mut block = self.block(slot, start).await?;
        // The list of slots is a hint. Only the parents say that nothing lies between `start` and the block; the
        // chain's first block is its own parent.
        while block.parent_slot >= start && block.parent_slot < block.slot {
            block = self.block(block.parent_slot, start).await?;
        }
        Ok(Next::Block(Box::new(block)))
    }

    async fn next_after(&self, cursor: &BlockRef) -> Result<Next, SourceError> {
        let mut ahead = self.ahead.lock().await;
        while ahead.front().is_some_and(|block| block.slot <= cursor.slot) {
            ahead.pop_front();
        }
        if let Some(block) = ahead.pop_front() {
            if cursor.precedes(&block) {
                return Ok(Next::Block(Box::new(block)));
            }
            // A fork may have passed meanwhile: what the node says now decides.
            ahead.clear();
        }
        let slots = self.node.slots(cursor.slot.saturating_add(1), AT_ONCE).await?;
        if slots.is_empty() {
            return Ok(Next::NothingYet);
        }
        *ahead = self.blocks(slots, cursor.slot).await?;
        let Some(mut block) = ahead.pop_front() else { return Ok(Next::NothingYet) };
        // A list with a hole: go back by the parents.
        while block.parent_slot > cursor.slot && block.parent_slot < block.slot {
            block = self.block(block.parent_slot, cursor.slot).await?;
        }
        if cursor.precedes(&block) {
            return Ok(Next::Block(Box::new(block)));
        }
        ahead.clear();
        Err(SourceError::Forked {
            node: self.node.name().to_owned(),
            cursor: *cursor,
            slot: block.slot,
            parent: BlockRef { slot: block.parent_slot, hash: block.parent_hash },
        })
    }

    async fn wait(&self, _slot: Option<u64>) {
        sleep(self.poll).await;
    }

    async fn final_slot(&self) -> Result<u64, SourceError> {
        self.node.final_slot().await
    }

    async fn audit(&self, block: &BlockRef, transactions: &[Mined]) -> Result<Verdict, SourceError> {
        audit::audit(&self.node, block, transactions).await
    }
}
