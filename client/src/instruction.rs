//! The program's instructions.

use crate::{
    address::{Addresses, ED25519, INSTRUCTIONS_SYSVAR, PROGRAM, SYSTEM},
    event::{AssetEntry, OffsetEntry, RuleDefinition},
    oracle::SignedMessage,
};
use borsh::BorshSerialize;
use rebate_core::{
    payment::Payment,
    units::{Day, Timestamp, UserKey},
};
use solana_program::{
    hash::hash,
    instruction::{AccountMeta, Instruction},
    pubkey::Pubkey,
};

/// What a platform is created with.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize)]
pub struct PlatformSettings {
    /// Part of the platform's address.
    pub id: u64,
    /// May change rules, assets and oracle keys.
    pub admin: [u8; 32],
    /// May stop and resume recording, at once.
    pub pauser: [u8; 32],
    /// How far back a payment may lie, in seconds; more than 0.
    pub max_lateness: u32,
    /// How far ahead a rule version must be published, in seconds.
    pub timelock: u32,
    /// Into how many pages a day's orders are spread; more than 0.
    pub order_shards: u16,
    /// Ascending; empty for UTC. At most 16.
    pub offsets: Vec<OffsetEntry>,
    /// 1 to 8; the first is asset 1.
    pub assets: Vec<AssetEntry>,
}

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

/// Creates a platform with its rule book and its journal.
pub fn create_platform(payer: &Pubkey, settings: &PlatformSettings) -> Instruction {
    let addresses = Addresses::of(settings.id);
    let accounts = vec![
        AccountMeta::new(*payer, true),
        writable(addresses.platform),
        writable(addresses.rule_book),
        writable(addresses.journal),
        readonly(SYSTEM),
    ];
    instruction("create_platform", emitting(accounts, &addresses), settings)
}

/// Lets `key` sign from `valid_from` until before `valid_until`; 0 for open.
pub fn register_oracle_key(
    admin: &Pubkey,
    addresses: &Addresses,
    key: &Pubkey,
    valid_from: Timestamp,
    valid_until: Timestamp,
) -> Instruction {
    let accounts =
        vec![AccountMeta::new_readonly(*admin, true), writable(addresses.platform), writable(addresses.journal)];
    let arguments = (key.to_bytes(), valid_from.0, valid_until.0);
    instruction("register_oracle_key", emitting(accounts, addresses), &arguments)
}

/// Publishes a rule version for payments from `effective_at` on; 0 for ever, before the first payment.
pub fn publish_rule(
    admin: &Pubkey,
    addresses: &Addresses,
    rule: &RuleDefinition,
    effective_at: Timestamp,
) -> Instruction {
    let accounts = vec![
        AccountMeta::new(*admin, true),
        readonly(addresses.platform),
        writable(addresses.rule_book),
        writable(addresses.journal),
        readonly(SYSTEM),
    ];
    instruction("publish_rule", emitting(accounts, addresses), &(rule, effective_at.0))
}

/// Stops or resumes recording.
pub fn set_paused(pauser: &Pubkey, addresses: &Addresses, paused: bool) -> Instruction {
    let accounts =
        vec![AccountMeta::new_readonly(*pauser, true), writable(addresses.platform), writable(addresses.journal)];
    instruction("set_paused", emitting(accounts, addresses), &paused)
}

/// Opens a user's account.
pub fn open_user(payer: &Pubkey, addresses: &Addresses, key: &UserKey) -> Instruction {
    let accounts = vec![
        AccountMeta::new(*payer, true),
        readonly(addresses.platform),
        writable(addresses.user(key)),
        readonly(SYSTEM),
    ];
    instruction("open_user", accounts, &key.0)
}

/// Opens the page of a day's orders with room for seven eighths of `slots`, 8 to 1024.
pub fn open_order_page(payer: &Pubkey, addresses: &Addresses, day: Day, shard: u16, slots: u16) -> Instruction {
    let accounts = vec![
        AccountMeta::new(*payer, true),
        readonly(addresses.platform),
        writable(addresses.order_page(day, shard)),
        readonly(SYSTEM),
    ];
    instruction("open_order_page", accounts, &(day.0, shard, slots))
}

/// Records the payments that `signed` carries: the Ed25519 instruction and the one that must follow it at once.
/// `shards` is the platform's number of order shards.
pub fn record_payments(
    addresses: &Addresses,
    shards: u16,
    payments: &[Payment],
    signed: &SignedMessage,
) -> [Instruction; 2] {
    [ed25519(signed), record(addresses, shards, payments)]
}

/// The instruction that records the message verified by the one just before.
pub fn record(addresses: &Addresses, shards: u16, payments: &[Payment]) -> Instruction {
    let mut accounts = emitting(
        vec![
            readonly(addresses.platform),
            writable(addresses.rule_book),
            writable(addresses.journal),
            readonly(INSTRUCTIONS_SYSVAR),
        ],
        addresses,
    );
    for payment in payments {
        let (day, shard) = Addresses::page_of(payment, shards);
        accounts.push(writable(addresses.user(&payment.user)));
        accounts.push(writable(addresses.order_page(day, shard)));
    }
    instruction("record_payments", accounts, &())
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
