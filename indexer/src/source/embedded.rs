//! The chain inside the process.

use super::{BlockRef, BlockSource, Next, SourceError};
use async_trait::async_trait;
use rebate_client::{
    block::Block,
    chain::{Commitment, embedded::EmbeddedChain},
};
use solana_program::hash::Hash;

/// Yields the blocks of a chain inside the process. They are final at once.
#[derive(Clone)]
pub struct EmbeddedSource {
    chain: EmbeddedChain,
}

impl EmbeddedSource {
    /// Reads `chain`.
    pub fn new(chain: EmbeddedChain) -> Self {
        Self { chain }
    }
}

fn next(block: Option<Block>) -> Next {
    block.map_or(Next::NothingYet, |block| Next::Block(Box::new(block)))
}

#[async_trait]
impl BlockSource for EmbeddedSource {
    fn commitment(&self) -> Commitment {
        Commitment::Finalized
    }

    async fn genesis_hash(&self) -> Result<Hash, SourceError> {
        Ok(self.chain.first_hash())
    }

    async fn tip(&self) -> Result<u64, SourceError> {
        Ok(self.chain.tip())
    }

    async fn first(&self, from_slot: Option<u64>) -> Result<Next, SourceError> {
        // Every slot of this chain has its block.
        Ok(next(self.chain.block(from_slot.unwrap_or(0))))
    }

    async fn next_after(&self, cursor: &BlockRef) -> Result<Next, SourceError> {
        let Some(block) = self.chain.block_after(cursor.slot) else { return Ok(Next::NothingYet) };
        if cursor.precedes(&block) {
            return Ok(next(Some(block)));
        }
        Err(SourceError::Forked {
            node: "embedded".to_owned(),
            cursor: *cursor,
            slot: block.slot,
            parent: BlockRef { slot: block.parent_slot, hash: block.parent_hash },
        })
    }

    async fn wait(&self, slot: Option<u64>) {
        self.chain.produced(slot.unwrap_or(0)).await;
    }
}
