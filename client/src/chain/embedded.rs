//! A chain inside the process: LiteSVM with the real program, one block a transaction.
//!
//! For tests and for a demonstration that needs no validator. There are no forks here: what is produced is final.

use super::{
    AccountAt, AccountsAt, ChainError, Dispatch, Ended, Landed, Lifetime, Mention, ReadAccounts, ReadEvidence,
    ReadHistory, Seen, Simulated, Submit, SubmitError, failure, failure_of,
};
use crate::{
    address::PROGRAM,
    block::{Block, InnerInstruction, OuterInstruction, Transaction, WholeTransaction},
    lookup::TABLES,
};
use async_trait::async_trait;
use litesvm::{LiteSVM, types::FailedTransactionMetadata};
use solana_address_lookup_table_interface::state::AddressLookupTable;
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage};
use solana_program::{clock::Clock, hash::Hash, instruction::Instruction, pubkey::Pubkey, slot_hashes::SlotHashes};
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};
use thiserror::Error;
use tokio::sync::watch;

/// The program could not be loaded.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("cannot load the program {path}: {why}; `make program` builds it")]
pub struct LoadError {
    /// Where it was looked for.
    pub path: String,
    /// What happened.
    pub why: String,
}

/// A handle to the chain; clones share it.
#[derive(Clone)]
pub struct EmbeddedChain {
    state: Arc<Mutex<State>>,
    tip: Arc<watch::Sender<u64>>,
}

#[derive(Clone)]
struct State {
    svm: LiteSVM,
    /// By slot: block `n` has slot `n`.
    blocks: Vec<Block>,
    /// Transactions as they were sent, and how many others each of their instructions invoked.
    sent: HashMap<Signature, (VersionedTransaction, Vec<usize>)>,
    /// How transactions ended, and the slots of their blocks.
    ended: HashMap<Signature, (u64, Option<SubmitError>, Vec<String>)>,
    /// In how many blocks after the one with its hash a transaction can be.
    lifetime: u64,
    /// What the chain's clock shows instead of the machine's, Unix seconds.
    clock: Option<i64>,
}

impl EmbeddedChain {
    /// A new chain with the program at `program` (a built `.so`) deployed.
    ///
    /// # Errors
    /// [`LoadError`] if the file is not there or is no program.
    pub fn start(program: &Path) -> Result<Self, LoadError> {
        let failed = |why: String| LoadError { path: program.display().to_string(), why };
        // Blockhashes are checked here: LiteSVM takes only the very last. So are signatures, since a simulation needs none.
        let svm = LiteSVM::new().with_transaction_history(0).with_blockhash_check(false);
        let mut svm = svm.with_sigverify(false);
        svm.add_program_from_file(PROGRAM, program).map_err(|error| failed(error.to_string()))?;
        // A key drawn at random makes every embedded chain another one, so that a database of an earlier one is
        // recognised.
        let hash = Hash::new_from_array(Keypair::new().pubkey().to_bytes());
        svm.warp_to_slot(0);
        let genesis = Block {
            slot: 0,
            hash,
            parent_slot: 0,
            parent_hash: Hash::default(),
            time: Some(machine_time()),
            transactions: Vec::new(),
        };
        let state = State {
            svm,
            blocks: vec![genesis],
            sent: HashMap::new(),
            ended: HashMap::new(),
            lifetime: LIFETIME,
            clock: None,
        };
        Ok(Self { state: Arc::new(Mutex::new(state)), tip: Arc::new(watch::Sender::new(0)) })
    }

    /// Another chain with the same past. What is done on one of them from here on, the other does not see.
    pub fn fork(&self) -> Self {
        let state = self.lock().clone();
        let tip = state.tip();
        Self { state: Arc::new(Mutex::new(state)), tip: Arc::new(watch::Sender::new(tip)) }
    }

    /// Stops the chain's clock at `now`, Unix seconds; `None` lets it follow the machine's again.
    pub fn set_clock(&self, now: Option<i64>) {
        self.lock().clock = now;
    }

    /// Lets transactions be in so many blocks after the one with their hash; 150 otherwise, as on a real chain.
    pub fn set_lifetime(&self, blocks: u64) {
        self.lock().lifetime = blocks;
    }

    /// Produces an empty block.
    pub fn pass(&self) {
        let mut state = self.lock();
        state.svm.expire_blockhash();
        let slot = state.tip().saturating_add(1);
        state.push(slot, Vec::new());
        drop(state);
        self.tip.send_replace(slot);
    }

    /// Which chain this is.
    pub fn first_hash(&self) -> Hash {
        self.lock().blocks.first().map(|block| block.hash).unwrap_or_default()
    }

    /// The slot of the last block.
    pub fn tip(&self) -> u64 {
        *self.tip.borrow()
    }

    /// The block of `slot`, if there is one already.
    pub fn block(&self, slot: u64) -> Option<Block> {
        self.lock().blocks.get(usize::try_from(slot).ok()?).cloned()
    }

    /// The next block after `slot`, if there is one already.
    pub fn block_after(&self, slot: u64) -> Option<Block> {
        self.block(slot.checked_add(1)?)
    }

    /// A transaction as it was sent, if it is in a block.
    pub fn sent(&self, signature: &Signature) -> Option<VersionedTransaction> {
        self.lock().sent.get(signature).map(|(transaction, _)| transaction.clone())
    }

    /// Waits until there is a block after `slot`.
    pub async fn produced(&self, slot: u64) {
        let mut tip = self.tip.subscribe();
        // The sender lives in `self`, so that this cannot fail.
        let _ = tip.wait_for(|tip| *tip > slot).await;
    }

    /// Runs one transaction with a block of its own and says what it cost as well.
    ///
    /// # Errors
    /// [`SubmitError`], apart from the variants about a node that does not answer.
    pub fn execute(&self, instructions: &[Instruction], signers: &[&Keypair]) -> Result<Executed, SubmitError> {
        let payer = signers.first().map(|signer| signer.pubkey());
        let mut state = self.lock();
        let hash = state.svm.latest_blockhash();
        let message = VersionedMessage::Legacy(Message::new_with_blockhash(instructions, payer.as_ref(), &hash));
        let transaction = VersionedTransaction::try_new(message, signers)
            .map_err(|error| SubmitError::Unbuildable(error.to_string()))?;
        let executed = state.produce(transaction);
        let tip = state.tip();
        drop(state);
        self.tip.send_replace(tip);
        executed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves a chain whose blocks are still whole: they are pushed last.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For how many blocks a real chain takes a blockhash.
const LIFETIME: u64 = 150;

/// How many slots the chain's programs know of: a lookup table can be made for as long, and closed after as many.
const RECENT: usize = 32;

/// What a signature costs, in lamports.
const FEE: u64 = 5_000;

/// A transaction that succeeded, and its cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Where it landed.
    pub landed: Landed,
    /// Compute units, of all its instructions.
    pub compute_units: u64,
    /// Its size on the wire, in bytes.
    pub bytes: usize,
}

fn machine_time() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

impl State {
    fn tip(&self) -> u64 {
        self.blocks.last().map_or(0, |block| block.slot)
    }

    fn now(&self) -> i64 {
        self.clock.unwrap_or_else(machine_time)
    }

    /// Makes the chain's clock show the slot that comes next and the time.
    fn wind(&mut self) -> u64 {
        let (slot, now) = (self.tip().saturating_add(1), self.now());
        self.svm.warp_to_slot(slot);
        let mut clock: Clock = self.svm.get_sysvar();
        clock.unix_timestamp = now;
        self.svm.set_sysvar(&clock);
        let recent = self.blocks.iter().rev().take(RECENT);
        self.svm.set_sysvar(&SlotHashes::from_iter(recent.map(|block| (block.slot, block.hash))));
        slot
    }

    /// Whether a node would put a transaction into a block: signed by all who must, recent, not seen before, its fee and
    /// its lookup tables there.
    fn is_taken(&self, transaction: &VersionedTransaction) -> bool {
        let (message, keys) = (transaction.message.serialize(), transaction.message.static_account_keys());
        let required = usize::from(transaction.message.header().num_required_signatures);
        let mut signed = keys.iter().zip(&transaction.signatures);
        let is_signed = transaction.signatures.len() == required
            && signed.all(|(key, signature)| signature.verify(key.as_ref(), &message));
        let lifetime = usize::try_from(self.lifetime).unwrap_or(usize::MAX);
        let mut recent = self.blocks.iter().rev().take(lifetime);
        let is_recent = recent.any(|block| block.hash == *transaction.message.recent_blockhash());
        let is_new = transaction.signatures.first().is_some_and(|signature| !self.ended.contains_key(signature));
        let payer = keys.first().and_then(|payer| self.svm.get_balance(payer)).unwrap_or_default();
        let is_whole = self.accounts_of(&transaction.message).is_some();
        is_signed && is_recent && is_new && is_whole && payer >= FEE.saturating_mul(required as u64)
    }

    /// Every account that a message names: its own keys, then those of lookup tables, writable before read-only. `None` where
    /// a table does not have them.
    fn accounts_of(&self, message: &VersionedMessage) -> Option<Vec<Pubkey>> {
        let lookups = message.address_table_lookups().unwrap_or_default();
        let (mut writable, mut readonly) = (Vec::new(), Vec::new());
        if !lookups.is_empty() {
            let (slot, hashes): (u64, SlotHashes) = (self.tip().saturating_add(1), self.svm.get_sysvar());
            for lookup in lookups {
                let account = self.svm.get_account(&lookup.account_key).filter(|account| account.owner == TABLES)?;
                let table = AddressLookupTable::deserialize(&account.data).ok()?;
                writable.extend(table.lookup(slot, &lookup.writable_indexes, &hashes).ok()?);
                readonly.extend(table.lookup(slot, &lookup.readonly_indexes, &hashes).ok()?);
            }
        }
        Some(message.static_account_keys().iter().copied().chain(writable).chain(readonly).collect())
    }

    fn push(&mut self, slot: u64, transactions: Vec<Transaction>) {
        let (parent_slot, parent_hash) = self.blocks.last().map(|block| (block.slot, block.hash)).unwrap_or_default();
        let (hash, time) = (self.svm.latest_blockhash(), Some(self.now()));
        self.blocks.push(Block { slot, hash, parent_slot, parent_hash, time, transactions });
    }

    fn produce(&mut self, transaction: VersionedTransaction) -> Result<Executed, SubmitError> {
        let slot = self.wind();

        let accounts = self.accounts_of(&transaction.message);
        let accounts = accounts.unwrap_or_else(|| transaction.message.static_account_keys().to_vec());
        // What the transaction weighs on the wire: its signatures behind a length of one byte, then the message.
        let bytes = transaction
            .signatures
            .len()
            .saturating_mul(64)
            .saturating_add(1)
            .saturating_add(transaction.message.serialize().len());
        let result = self.svm.send_transaction(transaction.clone());
        let (meta, failed) = match &result {
            Ok(meta) => (meta, false),
            Err(FailedTransactionMetadata { meta, .. }) => (meta, true),
        };
        let inner = meta
            .inner_instructions
            .iter()
            .flatten()
            .map(|inner| InnerInstruction {
                program: inner.instruction.program_id_index,
                accounts: inner.instruction.accounts.clone(),
                data: inner.instruction.data.clone(),
            })
            .collect();
        let invoked = meta.inner_instructions.iter().map(Vec::len).collect();
        let signature = meta.signature;
        self.sent.insert(signature, (transaction.clone(), invoked));
        self.svm.expire_blockhash();
        self.push(slot, vec![Transaction { signature, position: None, failed, accounts, inner }]);
        let (reason, logs) = match &result {
            Ok(meta) => (None, meta.logs.clone()),
            Err(failed) => {
                let logs = failed.meta.logs.clone();
                (Some(failure_of(&failed.err, &transaction, logs.clone())), logs)
            }
        };
        self.ended.insert(signature, (slot, reason, logs));
        match result {
            Ok(meta) => Ok(Executed {
                landed: Landed { signature, slot: Some(slot), logs: meta.logs },
                compute_units: meta.compute_units_consumed,
                bytes,
            }),
            Err(failed) => Err(failure_of(&failed.err, &transaction, failed.meta.logs)),
        }
    }
}

#[async_trait]
impl ReadAccounts for EmbeddedChain {
    async fn newest_blockhash(&self) -> Result<Lifetime, ChainError> {
        self.lifetime().await
    }

    async fn accounts(&self, addresses: &[Pubkey]) -> Result<AccountsAt, ChainError> {
        let state = self.lock();
        let slot = state.tip();
        let account = |address: &Pubkey| {
            let account = state.svm.get_account(address)?;
            Some(AccountAt { slot, owner: account.owner, lamports: account.lamports, data: account.data })
        };
        Ok(AccountsAt { slot, accounts: addresses.iter().map(account).collect() })
    }

    async fn genesis_hash(&self) -> Result<Hash, ChainError> {
        Ok(self.first_hash())
    }

    async fn now(&self) -> Result<i64, ChainError> {
        Ok(self.lock().now())
    }
}

/// The instructions that a transaction was submitted with.
fn instructions((transaction, invoked): &(VersionedTransaction, Vec<usize>)) -> Vec<OuterInstruction> {
    let own = transaction.message.instructions().iter();
    let invoked = invoked.iter().copied().chain(std::iter::repeat(0));
    own.zip(invoked)
        .map(|(own, invoked)| OuterInstruction { program: own.program_id_index, data: own.data.clone(), invoked })
        .collect()
}

/// How many transactions an answer shows at most.
const PAGE: usize = 1_000;

#[async_trait]
impl ReadHistory for EmbeddedChain {
    async fn mentions(&self, address: &Pubkey, before: Option<&Signature>) -> Result<Vec<Mention>, ChainError> {
        let state = self.lock();
        let newest_first = state.blocks.iter().rev().flat_map(|block| block.transactions.iter().rev());
        let older = newest_first
            .skip_while(|transaction| before.is_some_and(|before| transaction.signature != *before))
            .skip(usize::from(before.is_some()));
        let named = older.filter(|transaction| transaction.accounts.contains(address)).take(PAGE);
        Ok(named.map(|transaction| Mention { signature: transaction.signature, failed: transaction.failed }).collect())
    }

    async fn transaction(&self, signature: &Signature) -> Result<Option<Transaction>, ChainError> {
        let state = self.lock();
        let mut transactions = state.blocks.iter().rev().flat_map(|block| &block.transactions);
        Ok(transactions.find(|transaction| transaction.signature == *signature).cloned())
    }
}

#[async_trait]
impl ReadEvidence for EmbeddedChain {
    async fn whole(&self, signature: &Signature) -> Result<Option<WholeTransaction>, ChainError> {
        let state = self.lock();
        let found = state.blocks.iter().rev().find_map(|block| {
            let position = block.transactions.iter().position(|transaction| transaction.signature == *signature)?;
            let transaction = block.transactions.get(position)?.clone();
            Some((block, u32::try_from(position).ok(), transaction))
        });
        Ok(found.map(|(block, position, transaction)| WholeTransaction {
            slot: block.slot,
            position,
            block_time: block.time,
            instructions: state.sent.get(signature).map(instructions).unwrap_or_default(),
            transaction,
        }))
    }

    async fn block_at(&self, slot: u64) -> Result<Option<(Hash, Option<i64>)>, ChainError> {
        Ok(self.block(slot).map(|block| (block.hash, block.time)))
    }
}

#[async_trait]
impl Submit for EmbeddedChain {
    async fn submit(&self, instructions: &[Instruction], signers: &[&Keypair]) -> Result<Landed, SubmitError> {
        self.execute(instructions, signers).map(|executed| executed.landed)
    }

    async fn airdrop(&self, address: &Pubkey, lamports: u64) -> Result<(), SubmitError> {
        match self.lock().svm.airdrop(address, lamports) {
            Ok(_) => Ok(()),
            Err(failed) => Err(failure(&failed.err, &[], failed.meta.logs)),
        }
    }
}

/// There are no forks here, so that what is in a block is confirmed, and a block's height is its slot.
#[async_trait]
impl Dispatch for EmbeddedChain {
    async fn lifetime(&self) -> Result<Lifetime, ChainError> {
        let state = self.lock();
        let hash = state.blocks.last().map(|block| block.hash).unwrap_or_default();
        Ok(Lifetime { hash, last_block_height: state.tip().saturating_add(state.lifetime) })
    }

    async fn block_height(&self) -> Result<u64, ChainError> {
        Ok(self.lock().tip())
    }

    async fn simulate(&self, transaction: &VersionedTransaction) -> Result<Simulated, ChainError> {
        let mut state = self.lock();
        state.wind();
        let (ended, meta) = match state.svm.simulate_transaction(transaction.clone()) {
            Ok(info) => (Ok(()), info.meta),
            Err(failed) => {
                let logs = failed.meta.logs.clone();
                (Err(failure_of(&failed.err, transaction, logs)), failed.meta)
            }
        };
        Ok(Simulated { ended, logs: meta.logs, units: meta.compute_units_consumed })
    }

    async fn send(&self, transaction: &VersionedTransaction) -> Result<(), ChainError> {
        let mut state = self.lock();
        if !state.is_taken(transaction) {
            return Ok(());
        }
        // How it ended is asked for later.
        let _ = state.produce(transaction.clone());
        let tip = state.tip();
        drop(state);
        self.tip.send_replace(tip);
        Ok(())
    }

    async fn seen(&self, signatures: &[Signature], _ever: bool) -> Result<Vec<Option<Seen>>, ChainError> {
        let state = self.lock();
        let seen = |signature| state.ended.get(signature).map(|(slot, ..)| Seen { slot: *slot, is_confirmed: true });
        Ok(signatures.iter().map(seen).collect())
    }

    async fn ended(&self, signature: &Signature) -> Result<Option<Ended>, ChainError> {
        let Some((slot, failed, logs)) = self.lock().ended.get(signature).cloned() else { return Ok(None) };
        let transaction = self.transaction(signature).await?;
        Ok(transaction.map(|transaction| Ended { slot, failed, logs, transaction }))
    }

    async fn recent_fees(&self, _accounts: &[Pubkey]) -> Result<Vec<u64>, ChainError> {
        Ok(Vec::new())
    }
}
