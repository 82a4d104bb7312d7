//! A block as far as the indexer needs it, whichever node it came from.

use crate::{
    address::PROGRAM,
    event::{self, DecodeError, Event},
};
use solana_program::{hash::Hash, pubkey::Pubkey};
use solana_signature::Signature;

/// One produced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its slot.
    pub slot: u64,
    /// Its hash.
    pub hash: Hash,
    /// The slot of the block it builds on.
    pub parent_slot: u64,
    /// The hash of that block.
    pub parent_hash: Hash,
    /// When its producer says it was produced, Unix seconds.
    pub time: Option<i64>,
    /// Every transaction, failed ones included, in order; from some sources only those that name the rebate program.
    pub transactions: Vec<Transaction>,
}

/// One transaction of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Its first signature.
    pub signature: Signature,
    /// Its position in its block, from 0, where that is not its place among the transactions shown.
    pub position: Option<u32>,
    /// Whether it failed: then it emitted nothing.
    pub failed: bool,
    /// Every account it names: its own keys, then those loaded from lookup tables, writable before read-only.
    pub accounts: Vec<Pubkey>,
    /// What was invoked by its instructions, in order of execution.
    pub inner: Vec<InnerInstruction>,
}

/// An instruction invoked by another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InnerInstruction {
    /// Index of the program among the transaction's accounts.
    pub program: u8,
    /// Indices of the accounts passed.
    pub accounts: Vec<u8>,
    /// Its data.
    pub data: Vec<u8>,
}

/// A transaction with the instructions it was submitted with: what whoever checks an oracle's signature needs besides the
/// events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeTransaction {
    /// The transaction, as far as its events need it.
    pub transaction: Transaction,
    /// The slot of its block.
    pub slot: u64,
    /// Its position in its block, from 0, where the node says it.
    pub position: Option<u32>,
    /// When the producer of its block says it was produced, Unix seconds.
    pub block_time: Option<i64>,
    /// Its own instructions, in order.
    pub instructions: Vec<OuterInstruction>,
}

/// An instruction that a transaction was submitted with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OuterInstruction {
    /// Index of the program among the transaction's accounts.
    pub program: u8,
    /// Its data.
    pub data: Vec<u8>,
    /// How many of the transaction's inner instructions, from where the one before ended, were invoked by it.
    pub invoked: usize,
}

/// An event and the bytes that are its leaf in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emitted {
    /// Decoded.
    pub event: Event,
    /// Discriminator and Borsh: exactly what was hashed.
    pub bytes: Vec<u8>,
}

impl Transaction {
    /// The events of the rebate program in this transaction, in order.
    ///
    /// An event is an inner instruction of our program whose data starts with the event tag and whose only account is
    /// the event authority, which only the program itself can sign for. A failed transaction has none.
    ///
    /// # Errors
    /// [`DecodeError`] for an event this code does not know: the program was upgraded, or this code is wrong. Never
    /// skip it.
    pub fn events(&self) -> Result<Vec<Emitted>, DecodeError> {
        self.events_among(&self.inner)
    }

    /// The same of some of its inner instructions.
    ///
    /// # Errors
    /// As of all.
    pub fn events_among(&self, inner: &[InnerInstruction]) -> Result<Vec<Emitted>, DecodeError> {
        if self.failed {
            return Ok(Vec::new());
        }
        let authority = crate::address::event_authority();
        inner
            .iter()
            .filter(|inner| self.accounts.get(usize::from(inner.program)) == Some(&PROGRAM))
            .filter(|inner| {
                inner.accounts.first().and_then(|index| self.accounts.get(usize::from(*index))) == Some(&authority)
            })
            .filter_map(|inner| inner.data.strip_prefix(&event::TAG))
            .map(|bytes| Ok(Emitted { event: Event::decode(bytes)?, bytes: bytes.to_vec() }))
            .collect()
    }
}
