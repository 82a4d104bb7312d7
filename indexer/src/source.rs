//! Where blocks come from.

pub mod address;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod geyser;
pub mod rpc;

use async_trait::async_trait;
use rebate_client::{block::Block, chain::Commitment};
use solana_program::hash::Hash;
use solana_signature::Signature;
use std::fmt;
use thiserror::Error;

/// A block by its place and its hash: what the cursor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockRef {
    /// Its slot.
    pub slot: u64,
    /// Its hash.
    pub hash: Hash,
}

impl BlockRef {
    /// Which block `block` is.
    pub fn of(block: &Block) -> Self {
        Self { slot: block.slot, hash: block.hash }
    }

    /// Whether `block` builds on this one. That, and nothing else, proves that the slots between were empty.
    pub fn precedes(&self, block: &Block) -> bool {
        block.parent_slot == self.slot && block.parent_hash == self.hash && block.slot > self.slot
    }
}

impl fmt::Display for BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.slot, self.hash)
    }
}

/// What a source answers when asked for the next block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// This one follows.
    Block(Box<Block>),
    /// None follows yet. It says nothing about any slot: ask again.
    NothingYet,
}

/// A transaction and where it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mined {
    /// Its first signature.
    pub signature: Signature,
    /// The slot of its block.
    pub slot: u64,
}

/// What became of a block that was not final yet when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is final, and all blocks it builds on with it.
    Final,
    /// The final chain passes it by.
    Vanished {
        /// What is there instead.
        why: String,
    },
}

/// Why a source did not say what comes next.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SourceError {
    /// The node does not answer, or not yet with this block. Ask again; never take the slot for skipped.
    #[error(
        "the node {node} does not answer for {what}: {why}; check that it runs, that the address is right, and that it keeps up"
    )]
    Unavailable {
        /// The node's address, without credentials.
        node: String,
        /// What it was asked for.
        what: String,
        /// What happened.
        why: String,
    },
    /// The node threw away what comes next. Stop: asking again does not bring it back.
    #[error(
        "the node {node} no longer has the blocks from slot {needed} on: its first is {first_available}; \
         read from a node with a longer history"
    )]
    Pruned {
        /// The node's address, without credentials.
        node: String,
        /// The first slot that is needed.
        needed: u64,
        /// The first slot the node has.
        first_available: u64,
    },
    /// The node's chain does not hold the block we stand at. Stop: what was written is not on this chain.
    #[error(
        "the chain of the node {node} does not hold block {cursor}: its block at slot {slot} builds on {parent}; \
         either the node is on a fork, then read from another one, or the chain took that block back, then index \
         into an empty database"
    )]
    Forked {
        /// The node's address, without credentials.
        node: String,
        /// Where we stand.
        cursor: BlockRef,
        /// The slot of the block that passes it by.
        slot: u64,
        /// What that builds on.
        parent: BlockRef,
    },
    /// The node answers with a block that cannot be read whole. Stop: an event could be missing.
    #[error("the node {node} has the block at slot {slot} but not all of it: {why}")]
    Unreadable {
        /// The node's address, without credentials.
        node: String,
        /// The slot of the block.
        slot: u64,
        /// What is wrong and what to do.
        why: String,
    },
    /// The node will not answer such questions. Stop: somebody has to change a setting.
    #[error("the node {node} refuses {what}: {why}")]
    Refused {
        /// The node's address, without credentials.
        node: String,
        /// What it was asked for.
        what: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// A source that goes by what is indexed already cannot read it.
    #[error("what is indexed already cannot be read: {why}")]
    Stored {
        /// What the database says.
        why: String,
        /// Whether asking again can help.
        is_temporary: bool,
    },
}

impl SourceError {
    /// Whether asking again can help.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Stored { is_temporary: true, .. })
    }
}

/// Yields the blocks of one chain in order.
#[async_trait]
pub trait BlockSource: Send + Sync {
    /// How sure the source is of what it yields.
    fn commitment(&self) -> Commitment;

    /// The hash of the chain's first block: which chain this is.
    ///
    /// # Errors
    /// [`SourceError`].
    async fn genesis_hash(&self) -> Result<Hash, SourceError>;

    /// The slot of the last block the source could yield now.
    ///
    /// # Errors
    /// [`SourceError`].
    async fn tip(&self) -> Result<u64, SourceError>;

    /// The first block at or after `from_slot`, or the first the source has. Nothing before it will ever be yielded, so
    /// the source proves that no block lies between `from_slot` and it.
    ///
    /// # Errors
    /// [`SourceError`]; [`SourceError::Pruned`] if the source begins later than `from_slot`.
    async fn first(&self, from_slot: Option<u64>) -> Result<Next, SourceError>;

    /// Checks that the source can yield what follows `cursor`.
    ///
    /// # Errors
    /// [`SourceError`]; [`SourceError::Pruned`] if it begins later.
    async fn require(&self, _cursor: &BlockRef) -> Result<(), SourceError> {
        Ok(())
    }

    /// The block that builds on `cursor`.
    ///
    /// # Errors
    /// [`SourceError`].
    async fn next_after(&self, cursor: &BlockRef) -> Result<Next, SourceError>;

    /// Returns when there may be a block after `slot`, or after a while.
    async fn wait(&self, slot: Option<u64>);

    /// The slot of the last final block the source knows of. What it yields beyond that can still be taken back. A source
    /// that yields final blocks only need not say more than its tip.
    ///
    /// # Errors
    /// [`SourceError`].
    async fn final_slot(&self) -> Result<u64, SourceError> {
        self.tip().await
    }

    /// What became of `block`, and of `transactions`, which are in it or in blocks that it builds on: asked of what was
    /// yielded before it was final, once [`Self::final_slot`] has come to it. Either answer needs proof. That something is
    /// not found proves nothing, and is [`SourceError::Unavailable`]. Never asked of a source that yields final blocks only:
    /// what follows says it all.
    ///
    /// # Errors
    /// [`SourceError`].
    async fn audit(&self, block: &BlockRef, _transactions: &[Mined]) -> Result<Verdict, SourceError> {
        Err(SourceError::Unavailable {
            node: "of this source".to_owned(),
            what: format!("what became of block {block}"),
            why: "it knows final blocks only".to_owned(),
        })
    }
}
