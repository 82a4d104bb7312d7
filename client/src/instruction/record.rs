//! Recording what the oracle signed.

use super::{emitting, instruction, readonly, writable};
use crate::{
    address::{Addresses, ED25519, INSTRUCTIONS_SYSVAR},
    oracle::SignedMessage,
};
use solana_program::{instruction::Instruction, pubkey::Pubkey};

/// What one record needs beside the platform's own accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordAccounts {
    /// The user's account.
    pub user: Pubkey,
    /// Every order page of the record's day and shard, in order; none for a wallet link.
    pub pages: Vec<Pubkey>,
    /// The refunded order's account; only for a refund.
    pub refund: Option<Pubkey>,
    /// The counters that rules in force need; for a refund also where one was closed.
    pub counters: Vec<Pubkey>,
}

impl RecordAccounts {
    /// Those of a record that needs a user and one page.
    pub fn of(user: Pubkey, page: Pubkey) -> Self {
        Self { user, pages: vec![page], refund: None, counters: Vec::new() }
    }
}

/// Records the payments that `signed` carries: the Ed25519 instruction and the one that must follow it at once.
pub fn record_payments(addresses: &Addresses, accounts: &[RecordAccounts], signed: &SignedMessage) -> [Instruction; 2] {
    [ed25519(signed), record("record_payments", addresses, accounts)]
}

/// Records the refunds that `signed` carries; the orders must be proved.
pub fn record_refunds(addresses: &Addresses, accounts: &[RecordAccounts], signed: &SignedMessage) -> [Instruction; 2] {
    [ed25519(signed), record("record_refunds", addresses, accounts)]
}

/// Records the redemptions that `signed` carries.
pub fn record_redemptions(
    addresses: &Addresses,
    accounts: &[RecordAccounts],
    signed: &SignedMessage,
) -> [Instruction; 2] {
    [ed25519(signed), record("record_redemptions", addresses, accounts)]
}

/// Links the wallets that `signed` carries.
pub fn link_wallets(addresses: &Addresses, accounts: &[RecordAccounts], signed: &SignedMessage) -> [Instruction; 2] {
    [ed25519(signed), record("link_wallets", addresses, accounts)]
}

/// The instruction that records the message verified by the one just before.
fn record(name: &str, addresses: &Addresses, records: &[RecordAccounts]) -> Instruction {
    let mut accounts = emitting(
        vec![
            writable(addresses.platform),
            writable(addresses.rule_book),
            writable(addresses.journal),
            readonly(INSTRUCTIONS_SYSVAR),
        ],
        addresses,
    );
    for record in records {
        accounts.push(writable(record.user));
        accounts.extend(record.pages.iter().copied().map(writable));
        accounts.extend(record.refund.map(writable));
        accounts.extend(record.counters.iter().copied().map(writable));
    }
    instruction(name, accounts, &())
}

/// The Ed25519 program's instruction in the one layout the rebate program accepts: count 1, key at 16, signature at 48,
/// message at 112, all of it in this instruction's own data.
pub fn ed25519(signed: &SignedMessage) -> Instruction {
    const HERE: u16 = u16::MAX;
    // A longer message does not fit into a transaction; the precompile would refuse the size.
    let size = u16::try_from(signed.message.len()).unwrap_or(u16::MAX);
    let mut data = vec![1, 0];
    for field in [48, HERE, 16, HERE, 112, size, HERE] {
        data.extend_from_slice(&field.to_le_bytes());
    }
    data.extend_from_slice(&signed.key);
    data.extend_from_slice(&signed.signature);
    data.extend_from_slice(&signed.message);
    Instruction { program_id: ED25519, accounts: Vec::new(), data }
}
