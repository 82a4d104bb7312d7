//! Makes transactions: their compute budget by simulation, their priority fee by what others pay, the payer's signature.

use crate::{
    fees::{FeePolicy, MOST_UNITS, limit},
    signer::{Sign, SignError},
};
use rebate_client::{
    Pubkey,
    chain::{ChainError, Dispatch, Ended, Lifetime, SubmitError},
    lookup::{self, LookupTable},
    recorder::LEGACY_TRANSACTION,
};
use solana_compute_budget_interface::ComputeBudgetInstruction;
use solana_message::VersionedMessage;
use solana_program::{
    hash::Hash,
    instruction::{AccountMeta, Instruction},
};
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use std::{sync::Arc, time::Duration};
use thiserror::Error;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

/// For how long recent fees are not asked for again.
const FEES_HOLD: Duration = Duration::from_secs(10);

/// Why a transaction was not made or did not succeed.
#[derive(Debug, Error)]
pub enum SendError {
    /// It would fail, or did.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The payer's key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// It has more bytes than a transaction can have.
    #[error("the transaction is too large")]
    TooLarge,
    /// It was sent again and again until its blockhash had expired.
    #[error("the transaction did not land before its blockhash expired; it is built anew")]
    Expired,
}

impl From<ChainError> for SendError {
    fn from(error: ChainError) -> Self {
        Self::Submit(error.into())
    }
}

/// A signed transaction.
#[derive(Clone, Debug)]
pub struct Made {
    /// By which the chain knows it.
    pub signature: Signature,
    /// The transaction.
    pub transaction: VersionedTransaction,
    /// The height of the last block that it can be in.
    pub last_block_height: u64,
}

/// Makes transactions and sends them.
#[derive(Clone)]
pub struct Sender<C> {
    chain: C,
    payer: Arc<dyn Sign>,
    policy: FeePolicy,
    /// Accounts that every transaction writes to: what others pay for them is what counts.
    contended: Vec<Pubkey>,
    look: Duration,
    resend: Duration,
    price: Arc<Mutex<Option<(Instant, u64)>>>,
}

impl<C: Dispatch> Sender<C> {
    /// Transactions that `payer` pays for; sent ones are looked for every `look` and sent again every `resend`.
    pub fn new(
        chain: C,
        payer: Arc<dyn Sign>,
        policy: FeePolicy,
        contended: Vec<Pubkey>,
        look: Duration,
        resend: Duration,
    ) -> Self {
        Self { chain, payer, policy, contended, look, resend, price: Arc::default() }
    }

    /// Who pays.
    pub fn payer(&self) -> Pubkey {
        self.payer.key()
    }

    /// Whether a transaction with these instructions fits on the wire, with the compute budget it will have.
    ///
    /// Transactions of version 1 would have room for three times as many payments; with validator 4.2.2 none of more than 1,232
    /// bytes landed.
    pub fn fits(&self, instructions: &[Instruction], table: Option<&LookupTable>) -> bool {
        let message = self.message(instructions, MOST_UNITS, 1, Hash::default(), table);
        // One signature behind a length of one byte.
        message.is_some_and(|message| message.serialize().len().saturating_add(65) <= LEGACY_TRANSACTION)
    }

    async fn price(&self) -> Result<u64, ChainError> {
        let mut price = self.price.lock().await;
        if let Some((_, known)) = price.filter(|(asked, _)| asked.elapsed() < FEES_HOLD) {
            return Ok(known);
        }
        let now = self.policy.price(&self.chain.recent_fees(&self.contended).await?);
        *price = Some((Instant::now(), now));
        Ok(now)
    }

    /// The message with a budget of `units`, each paid for with `price` millionths of a lamport.
    fn message(
        &self,
        instructions: &[Instruction],
        units: u32,
        price: u64,
        hash: Hash,
        table: Option<&LookupTable>,
    ) -> Option<VersionedMessage> {
        let mut all = vec![ComputeBudgetInstruction::set_compute_unit_limit(units)];
        if price > 0 {
            all.push(ComputeBudgetInstruction::set_compute_unit_price(price));
        }
        all.extend_from_slice(instructions);
        lookup::message(&self.payer.key(), &all, hash, table)
    }

    /// Tries a transaction of version 0 that names everything in `table` and does nothing. Nothing is sent.
    ///
    /// # Errors
    /// Why no transaction may name it now.
    pub async fn try_table(&self, table: &LookupTable) -> Result<(), SubmitError> {
        let mut nothing = ComputeBudgetInstruction::set_compute_unit_limit(MOST_UNITS);
        nothing.accounts = table.addresses().iter().map(|address| AccountMeta::new_readonly(*address, false)).collect();
        let hash = self.chain.lifetime().await?.hash;
        let Some(message) = lookup::message(&self.payer.key(), &[nothing], hash, Some(table)) else {
            return Err(SubmitError::Unbuildable("the table holds too many accounts".to_owned()));
        };
        let unsigned = VersionedTransaction { signatures: vec![Signature::default()], message };
        self.chain.simulate(&unsigned).await?.ended
    }

    /// A signed transaction that succeeds as things are now, and what it would log. With a table, it is one of version 0.
    ///
    /// # Errors
    /// [`SendError`]; it was not sent.
    pub async fn make(
        &self,
        instructions: &[Instruction],
        lifetime: &Lifetime,
        table: Option<&LookupTable>,
    ) -> Result<(Made, Vec<String>), SendError> {
        let price = self.price().await?;
        let with = |units| {
            let message = self.message(instructions, units, price, lifetime.hash, table);
            message.ok_or(SendError::TooLarge)
        };
        let unsigned = VersionedTransaction { signatures: vec![Signature::default()], message: with(MOST_UNITS)? };
        let simulated = self.chain.simulate(&unsigned).await?;
        simulated.ended?;
        let message = with(limit(simulated.units))?;
        let signature = self.payer.sign(&message.serialize()).await?;
        let transaction = VersionedTransaction { signatures: vec![signature], message };
        Ok((Made { signature, transaction, last_block_height: lifetime.last_block_height }, simulated.logs))
    }

    /// Makes and sends what need not be written down before, since doing it twice does no harm, and waits until it is in a
    /// confirmed block.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn deliver(&self, instructions: &[Instruction]) -> Result<Ended, SendError> {
        let lifetime = self.chain.lifetime().await?;
        let (made, _) = self.make(instructions, &lifetime, None).await?;
        self.chain.send(&made.transaction).await?;
        let mut sent = Instant::now();
        loop {
            let height = self.chain.block_height().await?;
            let is_over = height > made.last_block_height;
            let seen = self.chain.seen(&[made.signature], is_over).await?.pop().flatten();
            match seen {
                Some(seen) if seen.is_confirmed => {
                    if let Some(ended) = self.chain.ended(&made.signature).await? {
                        return match ended.failed {
                            Some(failed) => Err(failed.into()),
                            None => Ok(ended),
                        };
                    }
                }
                None if is_over => return Err(SendError::Expired),
                _ => {}
            }
            if sent.elapsed() >= self.resend {
                sent = Instant::now();
                self.chain.send(&made.transaction).await?;
            }
            sleep(self.look).await;
        }
    }
}
