//! Proving that an order is in the journal, before it can be refunded.

use super::{instruction, payer, readonly, signer, writable};
use crate::address::{Addresses, SYSTEM};
use rebate_core::{journal::Hash, units::OrderHash};
use solana_program::{instruction::Instruction, pubkey::Pubkey};

/// Opens the account that proves `order` by its event of `event_length` bytes.
pub fn open_refund(who: &Pubkey, addresses: &Addresses, order: &OrderHash, event_length: u32) -> Instruction {
    let accounts = vec![payer(who), readonly(addresses.platform), writable(addresses.refund(order)), readonly(SYSTEM)];
    instruction("open_refund", accounts, &(order.0, event_length))
}

/// Writes the bytes of the event that follow those written before. Only who opened the account may.
pub fn write_refund(who: &Pubkey, addresses: &Addresses, order: &OrderHash, bytes: &[u8]) -> Instruction {
    let accounts = vec![signer(who), writable(addresses.refund(order))];
    instruction("write_refund", accounts, &bytes.to_vec())
}

/// Goes on from the node reached with the nodes of the event's inclusion path that come next, and ends the proof where a
/// peak of the journal is reached.
pub fn prove_refund(who: &Pubkey, addresses: &Addresses, order: &OrderHash, path: &[Hash]) -> Instruction {
    let accounts =
        vec![signer(who), readonly(addresses.platform), readonly(addresses.journal), writable(addresses.refund(order))];
    instruction("prove_refund", accounts, &path.to_vec())
}

/// Gives up a proof that did not end, the rent back to `opened_by`. Who opened it may at once, anybody else an hour later.
pub fn close_refund(who: &Pubkey, addresses: &Addresses, order: &OrderHash, opened_by: &Pubkey) -> Instruction {
    let accounts = vec![signer(who), writable(addresses.refund(order)), writable(*opened_by)];
    instruction("close_refund", accounts, &())
}
