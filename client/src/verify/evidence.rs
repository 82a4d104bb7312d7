//! What is kept of a transaction: the events it emitted for one platform, and what an oracle signed for them.

use crate::{address::ED25519, block::WholeTransaction, event::DecodeError};
use borsh::{BorshDeserialize, BorshSerialize};
use solana_program::pubkey::Pubkey;
use solana_signature::Signature;

/// One transaction, as far as it bears on a platform's journal.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Evidence {
    /// Its first signature.
    pub signature: [u8; 64],
    /// The slot of its block.
    pub slot: u64,
    /// Its position in its block, from 0, where the node says it.
    pub position: Option<u32>,
    /// When the producer of its block says it was produced, Unix seconds.
    pub block_time: Option<i64>,
    /// The instructions that emitted something, in order.
    pub parts: Vec<Part>,
}

/// One instruction of a transaction that emitted events.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Part {
    /// The data of the instruction just before, where that is one of the Ed25519 program.
    pub signed: Option<Vec<u8>>,
    /// The events' canonical bytes, in order; at least one.
    pub events: Vec<Vec<u8>>,
}

impl Evidence {
    /// What a transaction shows of `platform`, and the journal index of its first event; `None` if that is nothing.
    ///
    /// # Errors
    /// [`DecodeError`] for an event this code does not know.
    pub fn of(whole: &WholeTransaction, platform: &Pubkey) -> Result<Option<(u64, Self)>, DecodeError> {
        let transaction = &whole.transaction;
        let (mut parts, mut first, mut from) = (Vec::new(), None, 0usize);
        let mut before: Option<&[u8]> = None;
        for own in &whole.instructions {
            let to = from.saturating_add(own.invoked);
            let emitted = transaction.events_among(transaction.inner.get(from..to).unwrap_or_default())?;
            from = to;
            let ours = emitted.into_iter().filter(|emitted| emitted.event.platform() == platform.to_bytes());
            let ours: Vec<_> = ours
                .map(|emitted| {
                    first.get_or_insert(emitted.event.journal_index());
                    emitted.bytes
                })
                .collect();
            if !ours.is_empty() {
                parts.push(Part { signed: before.map(<[u8]>::to_vec), events: ours });
            }
            let is_ed25519 = transaction.accounts.get(usize::from(own.program)) == Some(&ED25519);
            before = is_ed25519.then_some(own.data.as_slice());
        }
        let evidence = |parts| Self {
            signature: *transaction.signature.as_array(),
            slot: whole.slot,
            position: whole.position,
            block_time: whole.block_time,
            parts,
        };
        Ok(first.map(|first| (first, evidence(parts))))
    }

    /// Its first signature.
    pub fn signature(&self) -> Signature {
        Signature::from(self.signature)
    }

    /// How many events there are.
    pub fn count(&self) -> u64 {
        self.parts.iter().map(|part| part.events.len() as u64).sum()
    }
}
