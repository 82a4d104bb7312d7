//! What `getBlock` answers, as far as it is needed. The RPC client's own types would refuse a whole block for one kind
//! of transaction error that a newer node knows and they do not.

use rebate_client::{
    address::PROGRAM,
    block::{Block, InnerInstruction, Transaction},
};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use solana_program::{hash::Hash, pubkey::Pubkey};
use solana_transaction_status_client_types::EncodedTransaction;
use std::str::FromStr;
use thiserror::Error;

/// Why a block's answer cannot be used.
#[derive(Debug, Error)]
pub enum Unreadable {
    #[error("the answer has not the form of a block ({0}); update this software, or read from another node")]
    Shape(String),
    #[error("{0}; update this software")]
    Version(String),
    #[error("{0}; read from a node with the whole history of transactions")]
    Missing(String),
    #[error("{0} cannot be read; update this software, or read from another node")]
    Malformed(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    previous_blockhash: String,
    blockhash: String,
    parent_slot: u64,
    block_time: Option<i64>,
    transactions: Option<Vec<Entry>>,
}

/// What `getBlock` answers where no transactions are asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    pub previous_blockhash: String,
    pub blockhash: String,
    pub parent_slot: u64,
}

/// What `getSignatureStatuses` answers.
#[derive(Deserialize)]
pub struct Statuses {
    pub value: Vec<Option<Status>>,
}

/// What became of a transaction, as far as the node knows.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub slot: u64,
    /// Must be there, as in a block.
    #[serde(rename = "err", deserialize_with = "is_there")]
    pub failed: bool,
    pub confirmation_status: Option<String>,
}

/// A transaction, in a block or by itself.
#[derive(Deserialize)]
pub struct Entry {
    transaction: EncodedTransaction,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    /// Must be there: a transaction whose failure is not told would count as a success.
    #[serde(rename = "err", deserialize_with = "is_there")]
    failed: bool,
    inner_instructions: Option<Vec<Inner>>,
    loaded_addresses: Option<Loaded>,
}

#[derive(Deserialize)]
struct Inner {
    instructions: Vec<Invoked>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invoked {
    program_id_index: u8,
    accounts: Vec<u8>,
    /// Base 58.
    data: String,
}

#[derive(Default, Deserialize)]
struct Loaded {
    writable: Vec<String>,
    readonly: Vec<String>,
}

/// Whether a field that must be there is not null.
pub fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::<IgnoredAny>::deserialize(deserializer).map(|value| value.is_some())
}

impl Answer {
    pub fn into_block(self, slot: u64) -> Result<Block, Unreadable> {
        let entries = self.transactions.ok_or_else(|| Unreadable::Missing("it shows no transactions".to_owned()))?;
        Ok(Block {
            slot,
            hash: hash(&self.blockhash)?,
            parent_slot: self.parent_slot,
            parent_hash: hash(&self.previous_blockhash)?,
            time: self.block_time,
            transactions: entries.into_iter().enumerate().map(Entry::in_block).collect::<Result<_, _>>()?,
        })
    }
}

impl Entry {
    fn in_block((position, entry): (usize, Self)) -> Result<Transaction, Unreadable> {
        entry.into_transaction(&format!("transaction {position} of the block"))
    }

    /// The transaction, called `name` where it cannot be read.
    pub fn into_transaction(self, name: &str) -> Result<Transaction, Unreadable> {
        let decoded = self.transaction.decode().ok_or_else(|| Unreadable::Malformed(name.to_owned()))?;
        let signature = decoded
            .signatures
            .first()
            .copied()
            .ok_or_else(|| Unreadable::Malformed(format!("{name}, which is not signed,")))?;
        let missing = |what: &str| Unreadable::Missing(format!("transaction {signature} has no {what}"));

        let meta = self.meta.ok_or_else(|| missing("meta"))?;
        let inner = meta.inner_instructions.ok_or_else(|| missing("innerInstructions"))?;
        let loaded = meta.loaded_addresses.unwrap_or_default();
        let lookups = decoded.message.address_table_lookups().unwrap_or_default();
        let expected = (
            lookups.iter().map(|lookup| lookup.writable_indexes.len()).sum::<usize>(),
            lookups.iter().map(|lookup| lookup.readonly_indexes.len()).sum::<usize>(),
        );
        // One address too few would shift all that follow, and our program would not be recognised.
        if (loaded.writable.len(), loaded.readonly.len()) != expected && !meta.failed {
            return Err(missing("loadedAddresses"));
        }
        let mut accounts = decoded.message.static_account_keys().to_vec();
        for address in loaded.writable.iter().chain(&loaded.readonly) {
            accounts.push(
                Pubkey::from_str(address)
                    .map_err(|_| Unreadable::Malformed(format!("an address loaded by transaction {signature}")))?,
            );
        }
        let inner = inner
            .into_iter()
            .flat_map(|inner| inner.instructions)
            // Base 58 is slow to decode, and other programs' data is not needed.
            .filter(|invoked| accounts.get(usize::from(invoked.program_id_index)) == Some(&PROGRAM))
            .map(|invoked| {
                let data = bs58::decode(&invoked.data)
                    .into_vec()
                    .map_err(|_| Unreadable::Malformed(format!("an inner instruction of transaction {signature}")))?;
                Ok(InnerInstruction { program: invoked.program_id_index, accounts: invoked.accounts, data })
            })
            .collect::<Result<_, _>>()?;
        Ok(Transaction { signature, position: None, failed: meta.failed, accounts, inner })
    }
}

pub fn hash(text: &str) -> Result<Hash, Unreadable> {
    Hash::from_str(text).map_err(|_| Unreadable::Malformed(format!("the block's hash {text:?}")))
}
