//! Transactions that somebody else signs: a wallet, or the members of a multisig.

use crate::{Pubkey, recorder::LEGACY_TRANSACTION};
use solana_message::Message;
use solana_program::{hash::Hash, instruction::Instruction};

/// The bytes of a transaction that `payer` pays for, as it is sent, with nothing in the places of its signatures. `None` where it
/// is longer than a transaction can be.
pub fn unsigned(instructions: &[Instruction], payer: &Pubkey, blockhash: &Hash) -> Option<Vec<u8>> {
    let message = Message::new_with_blockhash(instructions, Some(payer), blockhash);
    let signatures = message.header.num_required_signatures;
    let mut bytes = Vec::with_capacity(LEGACY_TRANSACTION);
    // Up to 127 it is one byte; a transaction of 1,232 has room for 19.
    bytes.push(signatures);
    bytes.resize(usize::from(signatures).saturating_mul(64).saturating_add(1), 0);
    bytes.extend(message.serialize());
    (signatures < 20 && bytes.len() <= LEGACY_TRANSACTION).then_some(bytes)
}
