//! Recording what the oracle signed: opens what it needs, keeps within a transaction, submits.

use crate::{
    account::{DecodeError, Platform, Refund as RefundAccount},
    address::Addresses,
    chain::{ChainError, Landed, Submit, SubmitError},
    oracle::SignedMessage,
    plan::{Missing, Plan, ProofSteps},
};
use rebate_core::{
    journal::Hash,
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    units::{OrderHash, Timestamp, UserKey},
    wallet::WalletLink,
};
use solana_keypair::Keypair;
use solana_program::{instruction::Instruction, pubkey::Pubkey};
use solana_signer::Signer;
use std::slice;
use thiserror::Error;

/// The most bytes a legacy transaction can have on the wire.
pub const LEGACY_TRANSACTION: usize = 1_232;

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
    /// An account cannot be read.
    #[error("the account {0}: {1}")]
    Account(Pubkey, DecodeError),
    /// Somebody else proves the order now.
    #[error(
        "{prover} is proving the order already; wait until that is done, or begin anew once its time is over, \
         at {until} (Unix seconds)"
    )]
    Proving {
        /// Who.
        prover: Pubkey,
        /// From when on anybody may give that proof up, Unix seconds.
        until: i64,
    },
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
    plan: Plan,
}

impl<'a> Recorder<'a> {
    /// A recorder for the platform at `platform`; `payer` pays fees and rent.
    ///
    /// # Errors
    /// [`RecordError::NoPlatform`], or what the chain answered.
    pub async fn new(chain: &'a dyn Submit, platform: Pubkey, payer: &'a Keypair) -> Result<Self, RecordError> {
        let plan = Plan::new(chain, platform, payer.pubkey()).await?;
        Ok(Self { chain, payer, plan })
    }

    /// Reads settings, rules and pages anew: somebody else may have changed them.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn refresh(&mut self) -> Result<(), RecordError> {
        self.plan.refresh(self.chain).await
    }

    /// The platform's settings.
    pub fn platform(&self) -> &Platform {
        self.plan.platform()
    }

    /// The platform's addresses.
    pub fn addresses(&self) -> &Addresses {
        self.plan.addresses()
    }

    /// The instructions that record `payments`.
    pub fn instructions(&self, payments: &[Payment], signed: &SignedMessage) -> [Instruction; 2] {
        self.plan.payments(payments, signed)
    }

    /// Every page that may know an order of the time `at`.
    pub fn pages_of(&self, order: &OrderHash, at: Timestamp) -> Vec<Pubkey> {
        self.plan.pages_of(order, at)
    }

    /// The counters that refunding `paid` needs, also where they were closed: of every scope that a rule in the book uses.
    pub fn counters_of_refund(&self, paid: &Payment) -> Vec<Pubkey> {
        self.plan.counters_of_refund(paid)
    }

    /// Finds out how many pages the days and shards of `payments` have, and opens nothing.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn look(&mut self, payments: &[Payment]) -> Result<(), RecordError> {
        self.plan.look(self.chain, payments).await
    }

    /// Whether a transaction with these instructions fits on the wire.
    pub fn fits(&self, instructions: &[Instruction]) -> bool {
        self.plan.fits(instructions)
    }

    /// Opens the accounts of users, their counters and the order pages that `payments` need and that are not open yet, and
    /// makes room where there is not enough.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn open_for(&mut self, payments: &[Payment]) -> Result<(), RecordError> {
        let missing = self.plan.for_payments(self.chain, payments).await?;
        self.open(missing).await
    }

    /// Opens the account of a user and the page of an order of the time `at`.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn open_user_and_page(
        &mut self,
        user: &UserKey,
        order: &OrderHash,
        at: Timestamp,
    ) -> Result<(), RecordError> {
        let missing = self.plan.for_user_and_page(self.chain, user, order, at).await?;
        self.open(missing).await
    }

    async fn open(&mut self, missing: Vec<Missing>) -> Result<(), RecordError> {
        for chunk in missing.chunks(OPENED_AT_ONCE) {
            let instructions: Vec<_> = chunk.iter().map(|missing| missing.instruction.clone()).collect();
            match self.chain.submit(&instructions, &[self.payer]).await {
                Ok(_) => {}
                Err(SubmitError::Chain(error)) => return Err(error.into()),
                // Somebody else may have opened one of them meanwhile, and then none was: each by itself.
                Err(_) => {
                    for missing in chunk {
                        self.open_one(missing).await?;
                    }
                }
            }
        }
        self.plan.opened();
        Ok(())
    }

    /// Opens or grows an account, unless somebody else did meanwhile.
    async fn open_one(&self, missing: &Missing) -> Result<(), RecordError> {
        let Err(error) = self.chain.submit(slice::from_ref(&missing.instruction), &[self.payer]).await else {
            return Ok(());
        };
        if self.plan.is_done(self.chain, missing, &error).await? { Ok(()) } else { Err(error.into()) }
    }

    /// Opens what is missing and records `payments` with a message that is already signed. Where somebody changed the rules
    /// or filled a page meanwhile, it looks again once.
    ///
    /// # Errors
    /// [`RecordError`]; a program's refusal means that every record was refused, and is the first one's.
    pub async fn record(&mut self, payments: &[Payment], signed: &SignedMessage) -> Result<Landed, RecordError> {
        self.open_for(payments).await?;
        match self.chain.submit(&self.instructions(payments, signed), &[self.payer]).await {
            Err(SubmitError::Refused { error, .. }) if error.is_outdated() => {
                self.refresh().await?;
                self.open_for(payments).await?;
                Ok(self.chain.submit(&self.instructions(payments, signed), &[self.payer]).await?)
            }
            landed => Ok(landed?),
        }
    }

    /// Opens what is missing and records a redemption with a message that is already signed. Where somebody filled a page
    /// meanwhile, it looks again once.
    ///
    /// # Errors
    /// [`RecordError`].
    pub async fn redeem(&mut self, redemption: &Redemption, signed: &SignedMessage) -> Result<Landed, RecordError> {
        match self.redeem_once(redemption, signed).await {
            Err(RecordError::Submit(SubmitError::Refused { error, .. })) if error.is_outdated() => {
                self.refresh().await?;
                self.redeem_once(redemption, signed).await
            }
            landed => landed,
        }
    }

    async fn redeem_once(&mut self, redemption: &Redemption, signed: &SignedMessage) -> Result<Landed, RecordError> {
        let missing = self.plan.for_redemption(self.chain, redemption).await?;
        self.open(missing).await?;
        Ok(self.chain.submit(&self.plan.redemption(redemption, signed), &[self.payer]).await?)
    }

    /// Opens what is missing and records a refund of the recorded payment `paid`, which is proved, with a message that is
    /// already signed. Where somebody changed the rules or filled a page meanwhile, it looks again once.
    ///
    /// # Errors
    /// [`RecordError`].
    pub async fn refund(
        &mut self,
        refund: &Refund,
        paid: &Payment,
        signed: &SignedMessage,
    ) -> Result<Landed, RecordError> {
        match self.refund_once(refund, paid, signed).await {
            Err(RecordError::Submit(SubmitError::Refused { error, .. })) if error.is_outdated() => {
                self.refresh().await?;
                self.refund_once(refund, paid, signed).await
            }
            landed => landed,
        }
    }

    async fn refund_once(
        &mut self,
        refund: &Refund,
        paid: &Payment,
        signed: &SignedMessage,
    ) -> Result<Landed, RecordError> {
        let missing = self.plan.for_refund(self.chain, refund, paid).await?;
        self.open(missing).await?;
        Ok(self.chain.submit(&self.plan.refund(refund, paid, signed), &[self.payer]).await?)
    }

    /// Whether `order` was proved before.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn is_proved(&self, order: &OrderHash) -> Result<bool, RecordError> {
        Ok(self.proved(order).await?.is_some())
    }

    /// What is known of `order`, if it was proved before.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn proved(&self, order: &OrderHash) -> Result<Option<RefundAccount>, RecordError> {
        self.plan.proved(self.chain, order).await
    }

    /// Proves `order` by its event and the event's path to a peak of the journal, in as few transactions as hold it. A
    /// proof that was begun before goes on where it stopped; one that leads nowhere is given up first.
    ///
    /// Where the journal grows meanwhile, the peak may have become part of a larger one: unless the order
    /// [is proved](Self::is_proved) afterwards, prove it again with the longer path.
    ///
    /// # Errors
    /// [`RecordError::Proving`] where somebody else is at it, or what the chain answered.
    pub async fn prove(&self, order: &OrderHash, event: &[u8], path: &[Hash]) -> Result<(), RecordError> {
        let ProofSteps { close, transactions } = self.plan.proof(self.chain, order, event, path).await?;
        for instructions in close.map(|close| vec![close]).into_iter().chain(transactions) {
            self.chain.submit(&instructions, &[self.payer]).await?;
        }
        Ok(())
    }

    /// Links a wallet with a message that is already signed; opens the user's account where it is missing.
    ///
    /// # Errors
    /// [`RecordError`].
    pub async fn link(&mut self, link: &WalletLink, signed: &SignedMessage) -> Result<Landed, RecordError> {
        let missing = self.plan.for_user(self.chain, &link.user).await?;
        self.open(missing).await?;
        Ok(self.chain.submit(&self.plan.link(link, signed), &[self.payer]).await?)
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
