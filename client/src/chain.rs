//! A chain to read from and to submit to: a node by RPC, or one inside the process.

#[cfg(feature = "embedded")]
pub mod embedded;
pub mod rpc;

use crate::{
    address::{ED25519, PROGRAM},
    block::{Transaction, WholeTransaction},
    error::ProgramError,
};
use async_trait::async_trait;
use solana_keypair::Keypair;
use solana_program::{
    hash::Hash,
    instruction::{Instruction, InstructionError},
    pubkey::Pubkey,
};
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use solana_transaction_error::TransactionError;
use thiserror::Error;

/// How sure a node must be before it shows something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Commitment {
    /// Voted for by two thirds of the stake; a fork can still take it back.
    Confirmed,
    /// Rooted: it stays.
    #[default]
    Finalized,
}

/// An account, as it was at a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountAt {
    /// The slot the node answered for.
    pub slot: u64,
    /// The program that owns it.
    pub owner: Pubkey,
    /// What it holds, in lamports.
    pub lamports: u64,
    /// Its data, discriminator included.
    pub data: Vec<u8>,
}

/// Accounts, all as they were at one slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountsAt {
    /// The slot the node answered for.
    pub slot: u64,
    /// In the order they were asked for; `None` where there is none.
    pub accounts: Vec<Option<AccountAt>>,
}

/// How many accounts may be asked for at once: a node shows no more in one answer.
pub const ACCOUNTS_AT_ONCE: usize = 100;

/// A transaction that landed and succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landed {
    /// Its signature.
    pub signature: Signature,
    /// The slot of its block, where the node says it.
    pub slot: Option<u64>,
    /// What it logged, where the node still has it.
    pub logs: Vec<String>,
}

/// Why the chain did not answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ChainError {
    /// The node is not there, or answered with an error of its own.
    #[error("the node {node} does not answer: {why}; check that it runs and that the address is right")]
    Unreachable {
        /// The node's address, without credentials.
        node: String,
        /// What happened.
        why: String,
    },
    /// The node answered with something that cannot be.
    #[error("the node {node} answered {what}")]
    Unusable {
        /// The node's address, without credentials.
        node: String,
        /// With what.
        what: String,
    },
}

/// Why a transaction did not succeed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SubmitError {
    /// The program refused it; nothing changed.
    #[error("refused by the program: {error}")]
    Refused {
        /// The program's error.
        error: ProgramError,
        /// What the transaction logged.
        logs: Vec<String>,
    },
    /// It failed otherwise; nothing changed.
    #[error("the transaction failed: {why}")]
    Failed {
        /// The runtime's reason.
        why: String,
        /// What the transaction logged.
        logs: Vec<String>,
    },
    /// The chain does not take the lookup table that it names, or no table at all; nothing changed. Without one it may go.
    #[error("the lookup table cannot be used: {why}")]
    NoTable {
        /// The runtime's reason.
        why: String,
    },
    /// It was sent, and it is not known whether it landed. Submitting it again is safe: an order is taken once.
    #[error("sent as {signature}, but not seen to land: {why}; submit it again, an order is taken once")]
    Unknown {
        /// The signature to look for.
        signature: Signature,
        /// What happened.
        why: String,
    },
    /// The transaction could not be built or signed.
    #[error("the transaction cannot be built: {0}")]
    Unbuildable(String),
    /// The node did not answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// Reads accounts.
#[async_trait]
pub trait ReadAccounts: Send + Sync {
    /// The accounts at `addresses`, at most [`ACCOUNTS_AT_ONCE`], all as of one slot.
    ///
    /// # Errors
    /// [`ChainError`].
    async fn accounts(&self, addresses: &[Pubkey]) -> Result<AccountsAt, ChainError>;

    /// The account at `address`, `None` if there is none.
    ///
    /// # Errors
    /// [`ChainError`].
    async fn account(&self, address: &Pubkey) -> Result<Option<AccountAt>, ChainError> {
        Ok(self.accounts(std::slice::from_ref(address)).await?.accounts.pop().flatten())
    }

    /// The hash of the chain's first block: which chain this is.
    ///
    /// # Errors
    /// [`ChainError`].
    async fn genesis_hash(&self) -> Result<Hash, ChainError>;

    /// The chain's clock, Unix seconds.
    ///
    /// # Errors
    /// [`ChainError`].
    async fn now(&self) -> Result<i64, ChainError>;

    /// The newest confirmed blockhash, to build a transaction on that somebody else signs and sends.
    ///
    /// # Errors
    /// [`ChainError`], also where only accounts can be read here.
    async fn newest_blockhash(&self) -> Result<Lifetime, ChainError> {
        Err(ChainError::Unusable { node: "that only shows accounts".to_owned(), what: "no blockhash".to_owned() })
    }
}

/// Submits transactions.
#[async_trait]
pub trait Submit: ReadAccounts {
    /// Signs the instructions, sends them as one transaction, and waits until it has landed at confirmed or failed. The
    /// first signer pays.
    ///
    /// # Errors
    /// [`SubmitError`].
    async fn submit(&self, instructions: &[Instruction], signers: &[&Keypair]) -> Result<Landed, SubmitError>;

    /// Gives `lamports` to `address`, where the chain has a faucet.
    ///
    /// # Errors
    /// [`SubmitError`].
    async fn airdrop(&self, address: &Pubkey, lamports: u64) -> Result<(), SubmitError>;
}

/// A recent blockhash to build a transaction on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The hash.
    pub hash: Hash,
    /// The height of the last block that a transaction built on it can be in.
    pub last_block_height: u64,
}

/// What a transaction would come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulated {
    /// Whether it would succeed.
    pub ended: Result<(), SubmitError>,
    /// What it logged.
    pub logs: Vec<String>,
    /// Compute units that it took.
    pub units: u64,
}

/// What a node knows of a sent transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The slot of its block.
    pub slot: u64,
    /// Whether the block is confirmed; before that another fork can still decide otherwise.
    pub is_confirmed: bool,
}

/// A transaction that is in a confirmed block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The slot of its block.
    pub slot: u64,
    /// Why it failed, if it did: then it changed nothing.
    pub failed: Option<SubmitError>,
    /// What it logged, where the node still has it.
    pub logs: Vec<String>,
    /// The transaction, for its events.
    pub transaction: Transaction,
}

/// Sends transactions step by step, for who writes down each step before the next: any of them may be the last one that the
/// process lives to do.
#[async_trait]
pub trait Dispatch: ReadEvidence {
    /// The newest confirmed blockhash.
    ///
    /// # Errors
    /// [`ChainError`].
    async fn lifetime(&self) -> Result<Lifetime, ChainError>;

    /// The height of the newest confirmed block.
    ///
    /// # Errors
    /// [`ChainError`].
    async fn block_height(&self) -> Result<u64, ChainError>;

    /// Runs a transaction on the confirmed state and changes nothing; its signatures and its blockhash do not matter.
    ///
    /// # Errors
    /// [`ChainError`].
    async fn simulate(&self, transaction: &VersionedTransaction) -> Result<Simulated, ChainError>;

    /// Hands a transaction to the node, which passes it on and says nothing about what becomes of it. The same one may be
    /// handed over again: it lands once.
    ///
    /// # Errors
    /// [`ChainError`], which leaves open whether the node passed it on.
    async fn send(&self, transaction: &VersionedTransaction) -> Result<(), ChainError>;

    /// What became of transactions, at most 256, in the order asked for; `None` where the node knows of none. With `ever`,
    /// the node looks further back than the last minutes.
    ///
    /// # Errors
    /// [`ChainError`].
    async fn seen(&self, signatures: &[Signature], ever: bool) -> Result<Vec<Option<Seen>>, ChainError>;

    /// How a transaction ended; `None` unless it is in a confirmed block that the node shows.
    ///
    /// # Errors
    /// [`ChainError`].
    async fn ended(&self, signature: &Signature) -> Result<Option<Ended>, ChainError>;

    /// What transactions of recent blocks that write to these accounts paid beyond the base fee, in millionths of a lamport
    /// a compute unit.
    ///
    /// # Errors
    /// [`ChainError`].
    async fn recent_fees(&self, accounts: &[Pubkey]) -> Result<Vec<u64>, ChainError>;
}

/// How many signatures may be asked for at once.
pub const SIGNATURES_AT_ONCE: usize = 256;

/// A transaction that names an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mention {
    /// Its first signature.
    pub signature: Signature,
    /// Whether it failed: then it changed nothing and emitted nothing.
    pub failed: bool,
}

/// Reads transactions that landed, by an account they name.
#[async_trait]
pub trait ReadHistory: ReadAccounts {
    /// Some of the transactions that name `address`, newest first: from the newest on, or those older than `before`. A node
    /// may know fewer than there are, so that an empty answer proves nothing.
    ///
    /// # Errors
    /// [`ChainError`].
    async fn mentions(&self, address: &Pubkey, before: Option<&Signature>) -> Result<Vec<Mention>, ChainError>;

    /// A transaction; `None` if the node does not show it, or not yet.
    ///
    /// # Errors
    /// [`ChainError`].
    async fn transaction(&self, signature: &Signature) -> Result<Option<Transaction>, ChainError>;
}

/// Reads what it takes to recompute everything.
#[async_trait]
pub trait ReadEvidence: ReadHistory {
    /// A transaction with its own instructions; `None` if the node does not show it, or not yet.
    ///
    /// # Errors
    /// [`ChainError`].
    async fn whole(&self, signature: &Signature) -> Result<Option<WholeTransaction>, ChainError>;

    /// The hash of the block of `slot`, and when its producer says it was produced; `None` where the node shows none.
    ///
    /// # Errors
    /// [`ChainError`].
    async fn block_at(&self, slot: u64) -> Result<Option<(Hash, Option<i64>)>, ChainError>;
}

/// What a failed transaction comes to: the program's own error where it is one.
fn failure(error: &TransactionError, instructions: &[Instruction], logs: Vec<String>) -> SubmitError {
    failure_at(error, |index| instructions.get(index).map(|instruction| instruction.program_id), logs)
}

/// The same of a transaction as it is sent.
fn failure_of(error: &TransactionError, transaction: &VersionedTransaction, logs: Vec<String>) -> SubmitError {
    let message = &transaction.message;
    let program = |index: usize| {
        let instruction = message.instructions().get(index)?;
        message.static_account_keys().get(usize::from(instruction.program_id_index)).copied()
    };
    failure_at(error, program, logs)
}

fn failure_at(
    error: &TransactionError,
    program: impl FnOnce(usize) -> Option<Pubkey>,
    logs: Vec<String>,
) -> SubmitError {
    let (index, reason) = match error {
        TransactionError::InstructionError(index, reason) => (index, reason),
        TransactionError::AddressLookupTableNotFound
        | TransactionError::InvalidAddressLookupTableOwner
        | TransactionError::InvalidAddressLookupTableData
        | TransactionError::InvalidAddressLookupTableIndex
        | TransactionError::UnsupportedVersion => return SubmitError::NoTable { why: error.to_string() },
        _ => return SubmitError::Failed { why: error.to_string(), logs },
    };
    let program = program(usize::from(*index));
    match reason {
        InstructionError::Custom(code) if program == Some(PROGRAM) => {
            SubmitError::Refused { error: ProgramError { code: *code }, logs }
        }
        InstructionError::Custom(_) if program == Some(ED25519) => {
            SubmitError::Failed { why: "the signature does not verify".to_owned(), logs }
        }
        reason => SubmitError::Failed { why: format!("instruction {index}: {reason}"), logs },
    }
}
