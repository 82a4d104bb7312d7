//! Consecutive blocks, decoded: what one transaction writes.

use crate::source::BlockRef;
use rebate_client::{
    block::Block,
    event::{DecodeError, Event},
};
use rebate_core::journal;
use solana_signature::Signature;
use thiserror::Error;
use time::OffsetDateTime;

/// Why a block cannot be added to a stretch. The stretch is as it was.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StretchError {
    /// The block does not build on the one before it.
    #[error(
        "the block at slot {slot} builds on {parent} and not on {last}, the last one taken; \
         the source skipped a block or stands on a fork, so nothing of it was written"
    )]
    DoesNotFollow {
        /// The slot of the block.
        slot: u64,
        /// What it builds on.
        parent: BlockRef,
        /// What it should build on.
        last: BlockRef,
    },
    /// An event that this code does not know, or that is not what it should look like.
    #[error("transaction {signature} in slot {slot}: {error}; nothing of its block was written")]
    Undecodable {
        /// The slot of the block.
        slot: u64,
        /// The transaction.
        signature: Signature,
        /// What is wrong.
        error: DecodeError,
    },
    /// A slot or a time that no database column holds.
    #[error("the block at slot {slot} says {what}, which is no such thing; the node altered it: read from another one")]
    OutOfRange {
        /// The slot of the block.
        slot: u64,
        /// What it says.
        what: String,
    },
}

/// A transaction that emitted something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emitter {
    /// Its first signature.
    pub signature: Signature,
    /// The slot of its block.
    pub slot: i64,
    /// Its position in its block, from 0.
    pub position: i32,
    /// When the producer of its block says it was produced.
    pub block_time: Option<OffsetDateTime>,
}

/// An event in a stretch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Decoded.
    pub event: Event,
    /// Discriminator and Borsh: exactly what was hashed on chain.
    pub bytes: Vec<u8>,
    /// Its leaf in the journal.
    pub leaf: journal::Hash,
    /// Its position in its platform's journal.
    pub journal_index: i64,
    /// The chain's clock.
    pub at: OffsetDateTime,
    /// Which of the stretch's transactions emitted it.
    pub emitter: usize,
}

/// Consecutive blocks, decoded. One block at the tip; more while catching up, so that blocks without events cost next
/// to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    after: Option<BlockRef>,
    last: Option<BlockRef>,
    last_time: Option<OffsetDateTime>,
    blocks: usize,
    emitters: Vec<Emitter>,
    events: Vec<Found>,
    slots_with_events: Vec<i64>,
}

impl Stretch {
    /// An empty stretch that goes on after `after`; `None` where it is the very first.
    pub fn after(after: Option<BlockRef>) -> Self {
        Self { after, ..Self::default() }
    }

    /// A stretch of `blocks` after `after`.
    ///
    /// # Errors
    /// [`StretchError`] for the first block that cannot be added.
    pub fn of<'a>(after: Option<BlockRef>, blocks: impl IntoIterator<Item = &'a Block>) -> Result<Self, StretchError> {
        let mut stretch = Self::after(after);
        for block in blocks {
            stretch.push(block)?;
        }
        Ok(stretch)
    }

    /// Adds the next block.
    ///
    /// # Errors
    /// [`StretchError`]; the stretch is then as it was.
    pub fn push(&mut self, block: &Block) -> Result<(), StretchError> {
        let out_of_range = |what: String| StretchError::OutOfRange { slot: block.slot, what };
        if let Some(last) = self.end().filter(|last| !last.precedes(block)) {
            let parent = BlockRef { slot: block.parent_slot, hash: block.parent_hash };
            return Err(StretchError::DoesNotFollow { slot: block.slot, parent, last });
        }
        let slot = i64::try_from(block.slot).map_err(|_| out_of_range("its slot".to_owned()))?;
        let time = |what: &str, seconds: i64| {
            OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| out_of_range(format!("{what} {seconds}")))
        };
        let block_time = block.time.map(|seconds| time("its time is", seconds)).transpose()?;

        let (mut emitters, mut events) = (Vec::new(), Vec::new());
        for (place, transaction) in block.transactions.iter().enumerate() {
            // Nearly every transaction of a busy chain stops here.
            if transaction.failed || transaction.inner.is_empty() {
                continue;
            }
            let emitted = transaction.events().map_err(|error| StretchError::Undecodable {
                slot: block.slot,
                signature: transaction.signature,
                error,
            })?;
            if emitted.is_empty() {
                continue;
            }
            let position = transaction.position.or_else(|| u32::try_from(place).ok());
            let emitter = self.emitters.len().saturating_add(emitters.len());
            emitters.push(Emitter {
                signature: transaction.signature,
                slot,
                position: position
                    .and_then(|position| i32::try_from(position).ok())
                    .ok_or_else(|| out_of_range("its number of transactions".to_owned()))?,
                block_time,
            });
            for found in emitted {
                let index = found.event.journal_index();
                events.push(Found {
                    leaf: journal::leaf(&found.bytes),
                    journal_index: i64::try_from(index).map_err(|_| out_of_range(format!("journal index {index}")))?,
                    at: time("the chain's clock at", found.event.at())?,
                    event: found.event,
                    bytes: found.bytes,
                    emitter,
                });
            }
        }
        if !events.is_empty() {
            self.slots_with_events.push(slot);
        }
        self.emitters.append(&mut emitters);
        self.events.append(&mut events);
        self.last = Some(BlockRef::of(block));
        self.last_time = block_time;
        self.blocks = self.blocks.saturating_add(1);
        Ok(())
    }

    /// The block it goes on after; `None` where it is the very first.
    pub fn start(&self) -> Option<BlockRef> {
        self.after
    }

    /// The last block in it, or the one before it while it is empty.
    pub fn end(&self) -> Option<BlockRef> {
        self.last.or(self.after)
    }

    /// When its last block was produced.
    pub fn time(&self) -> Option<OffsetDateTime> {
        self.last_time
    }

    /// How many blocks it has.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// The transactions that emitted its events, in order.
    pub fn emitters(&self) -> &[Emitter] {
        &self.emitters
    }

    /// Its events, in order.
    pub fn events(&self) -> &[Found] {
        &self.events
    }

    /// The slots of its blocks that have events.
    pub fn slots_with_events(&self) -> &[i64] {
        &self.slots_with_events
    }
}
