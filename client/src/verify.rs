//! Recomputing a platform from a node alone, and saying what differs.
//!
//! [`reader::JournalReader`] reads every transaction that the journal's account is named in, and hands out what of each is
//! [`evidence::Evidence`]. [`read::read`] decodes it, hashes every event and checks every oracle's signature, on all cores.
//! [`follower::Follower`] goes from event to event with `rebate-core`, and [`accounts`] holds what it comes to against the
//! chain's accounts. Nothing here believes anybody but the chain's accounts: events are those that were hashed into the
//! journal, or they do not lead to its tree head.

pub mod accounts;
pub mod cache;
pub mod evidence;
pub mod follower;
pub mod order;
pub mod read;
pub mod reader;
pub mod recomputation;
pub mod signature;

use crate::{
    Pubkey,
    account::{self, Journal},
    address::Addresses,
    chain::{ChainError, ReadAccounts},
    event,
};
use solana_signature::Signature;
use std::path::PathBuf;
use thiserror::Error;

/// Why something cannot be verified. This says nothing about whether it is right.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// There is no platform at the address.
    #[error("there is no platform at {0} on this chain; check the address and the node's")]
    NoPlatform(Pubkey),
    /// An account cannot be read.
    #[error("the account {0}: {1}")]
    Account(Pubkey, account::DecodeError),
    /// The node does not show all transactions.
    #[error(
        "the journal has {count} events, and the node does not show the transaction of event {missing}: it hides it, or its \
         history is not whole; read from another node, one with the whole history of transactions"
    )]
    Missing {
        /// How many events there are.
        count: u64,
        /// The first one that is not shown.
        missing: u64,
    },
    /// An event that this code does not know.
    #[error("transaction {0}: {1}")]
    Event(Signature, event::DecodeError),
    /// A file of evidence cannot be used.
    #[error("{file}: {why}")]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
    /// The chain did not answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// The platform's journal as it is now.
///
/// # Errors
/// [`VerifyError`].
pub async fn journal(chain: &dyn ReadAccounts, addresses: &Addresses) -> Result<Journal, VerifyError> {
    let account = chain.account(&addresses.journal).await?;
    let account = account.ok_or(VerifyError::NoPlatform(addresses.platform))?;
    Journal::decode(&account.data).map_err(|error| VerifyError::Account(addresses.journal, error))
}
