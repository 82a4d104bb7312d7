//! Recording payments: opens what they need, keeps batches within a transaction, submits.

use crate::{
    account::{DecodeError, Platform},
    address::Addresses,
    chain::{ChainError, Landed, Submit, SubmitError},
    instruction,
    oracle::SignedMessage,
};
use rebate_core::{
    payment::Payment,
    units::{Seconds, Timestamp},
};
use solana_keypair::Keypair;
use solana_message::Message;
use solana_program::{instruction::Instruction, pubkey::Pubkey};
use solana_signer::Signer;
use std::collections::HashSet;
use thiserror::Error;

/// The most bytes a legacy transaction can have on the wire.
pub const LEGACY_TRANSACTION: usize = 1_232;

/// How many slots an order page gets when it is opened on the way: 8 kB.
const PAGE_SLOTS: u16 = 1_024;

/// How many accounts one transaction opens: what a legacy transaction has room for.
const OPENED_AT_ONCE: usize = 6;

/// Why payments were not recorded.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    /// There is no platform at the address.
    #[error("there is no platform at {0} on this chain; create it first, with `rebate platform create`")]
    NoPlatform(Pubkey),
    /// The platform's account cannot be read.
    #[error("the platform at {0}: {1}")]
    Platform(Pubkey, DecodeError),
    /// The chain did not take it.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

impl From<ChainError> for RecordError {
    fn from(error: ChainError) -> Self {
        Self::Submit(error.into())
    }
}

/// Submits payments of one platform.
pub struct Recorder<'a> {
    chain: &'a dyn Submit,
    payer: &'a Keypair,
    addresses: Addresses,
    platform: Platform,
    /// Accounts that are open.
    open: HashSet<Pubkey>,
}

impl<'a> Recorder<'a> {
    /// A recorder for the platform at `platform`; `payer` pays fees and rent.
    ///
    /// # Errors
    /// [`RecordError::NoPlatform`], or what the chain answered.
    pub async fn new(chain: &'a dyn Submit, platform: Pubkey, payer: &'a Keypair) -> Result<Self, RecordError> {
        let account = chain.account(&platform).await?.ok_or(RecordError::NoPlatform(platform))?;
        let account = Platform::decode(&account.data).map_err(|error| RecordError::Platform(platform, error))?;
        Ok(Self { chain, payer, addresses: Addresses::at(platform), platform: account, open: HashSet::new() })
    }

    /// The platform's settings.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// The platform's addresses.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The instructions that record `payments`.
    pub fn instructions(&self, payments: &[Payment], signed: &SignedMessage) -> [Instruction; 2] {
        instruction::record_payments(&self.addresses, self.platform.order_shards, payments, signed)
    }

    /// Whether a transaction with these instructions fits on the wire.
    pub fn fits(&self, instructions: &[Instruction]) -> bool {
        let message = Message::new(instructions, Some(&self.payer.pubkey()));
        // One signature behind a length of one byte.
        message.serialize().len().saturating_add(65) <= LEGACY_TRANSACTION
    }

    /// Opens the accounts of users and order pages that `payments` need and that are not open yet.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn open_for(&mut self, payments: &[Payment]) -> Result<(), RecordError> {
        let mut missing: Vec<(Pubkey, Instruction)> = Vec::new();
        for payment in payments {
            let payer = self.payer.pubkey();
            let user = self.addresses.user(&payment.user);
            if self.is_missing(&user, &missing).await? {
                missing.push((user, instruction::open_user(&payer, &self.addresses, &payment.user)));
            }
            let (day, shard) = Addresses::page_of(payment, self.platform.order_shards);
            let page = self.addresses.order_page(day, shard);
            // A payment that is refused as it is has no page: the program opens none for its day, nor asks for it.
            if self.is_missing(&page, &missing).await? && self.is_admitted(payment).await? {
                let open = instruction::open_order_page(&payer, &self.addresses, day, shard, PAGE_SLOTS);
                missing.push((page, open));
            }
        }
        for chunk in missing.chunks(OPENED_AT_ONCE) {
            let instructions: Vec<_> = chunk.iter().map(|(_, open)| open.clone()).collect();
            if let Err(error) = self.chain.submit(&instructions, &[self.payer]).await {
                // Somebody else may have opened one of them meanwhile; then all is well.
                for (address, _) in chunk {
                    if self.chain.account(address).await?.is_none() {
                        return Err(error.into());
                    }
                }
            }
            self.open.extend(chunk.iter().map(|(address, _)| *address));
        }
        Ok(())
    }

    /// Whether the account at `address` is neither open nor about to be.
    async fn is_missing(&mut self, address: &Pubkey, about_to: &[(Pubkey, Instruction)]) -> Result<bool, ChainError> {
        if self.open.contains(address) || about_to.iter().any(|(other, _)| other == address) {
            return Ok(false);
        }
        let there = self.chain.account(address).await?.is_some();
        if there {
            self.open.insert(*address);
        }
        Ok(!there)
    }

    async fn is_admitted(&self, payment: &Payment) -> Result<bool, ChainError> {
        let now = Timestamp(self.chain.now().await?);
        Ok(payment.admit(now, Seconds(self.platform.max_lateness)).is_ok())
    }

    /// Opens what is missing and records `payments` with a message that is already signed.
    ///
    /// # Errors
    /// [`RecordError`]; a program's refusal means that every record was refused, and is the first one's.
    pub async fn record(&mut self, payments: &[Payment], signed: &SignedMessage) -> Result<Landed, RecordError> {
        self.open_for(payments).await?;
        Ok(self.chain.submit(&self.instructions(payments, signed), &[self.payer]).await?)
    }
}

/// The refusals among a transaction's log lines: the order's first 8 bytes in hexadecimal, and the reason.
pub fn refusals(logs: &[String]) -> Vec<(String, String)> {
    logs.iter()
        .filter_map(|line| {
            let (order, reason) = line.strip_prefix("Program log: order ")?.split_once(": refused, ")?;
            Some((order.to_owned(), reason.to_owned()))
        })
        .collect()
}
