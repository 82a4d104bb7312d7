//! The program's instructions, by subject.

pub mod account;
pub mod governance;
pub mod order_page;
pub mod record;
pub mod refund;
pub mod rule;
pub mod vault;

pub use account::*;
pub use governance::*;
pub use order_page::*;
pub use record::*;
pub use refund::*;
pub use rule::*;
pub use vault::*;

use crate::address::{Addresses, PROGRAM};
use borsh::BorshSerialize;
use solana_program::{
    hash::hash,
    instruction::{AccountMeta, Instruction},
    pubkey::Pubkey,
};

/// Anchor's discriminator of an instruction: the first 8 bytes of SHA-256 of `global:name`.
fn discriminator(name: &str) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = hash(format!("global:{name}").as_bytes()).to_bytes();
    [a, b, c, d, e, f, g, h]
}

fn instruction(name: &str, accounts: Vec<AccountMeta>, arguments: &impl BorshSerialize) -> Instruction {
    let mut data = discriminator(name).to_vec();
    // Writing into memory does not fail; an argument that did would be refused by the program as cut off.
    let _ = arguments.serialize(&mut data);
    Instruction { program_id: PROGRAM, accounts, data }
}

fn writable(address: Pubkey) -> AccountMeta {
    AccountMeta::new(address, false)
}

fn readonly(address: Pubkey) -> AccountMeta {
    AccountMeta::new_readonly(address, false)
}

/// What every instruction that emits events ends its declared accounts with.
fn emitting(mut accounts: Vec<AccountMeta>, addresses: &Addresses) -> Vec<AccountMeta> {
    accounts.push(readonly(addresses.event_authority));
    accounts.push(readonly(PROGRAM));
    accounts
}

fn signer(address: &Pubkey) -> AccountMeta {
    AccountMeta::new_readonly(*address, true)
}

fn payer(address: &Pubkey) -> AccountMeta {
    AccountMeta::new(*address, true)
}
