//! A node, by JSON-RPC.

mod transaction;

use super::{
    AccountAt, AccountsAt, ChainError, Commitment, Dispatch, Ended, Landed, Lifetime, Mention, ReadAccounts,
    ReadEvidence, ReadHistory, Seen, Simulated, Submit, SubmitError, failure, failure_of,
};
use crate::block::{Transaction, WholeTransaction};
use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use solana_account_decoder_client_types::{UiAccount, UiAccountEncoding};
use solana_client::{
    client_error::{ClientError, ClientErrorKind},
    nonblocking::rpc_client::RpcClient,
    rpc_client::GetConfirmedSignaturesForAddress2Config,
    rpc_config::{
        RpcAccountInfoConfig, RpcBlockConfig, RpcSendTransactionConfig, RpcSimulateTransactionConfig,
        RpcTransactionConfig,
    },
    rpc_request::{RpcError, RpcResponseErrorData},
    rpc_response::RpcConfirmedTransactionStatusWithSignature,
};
use solana_commitment_config::{CommitmentConfig, CommitmentLevel};
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage};
use solana_program::{clock::Clock, hash::Hash, instruction::Instruction, pubkey::Pubkey, sysvar};
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use solana_transaction_error::TransactionError;
use solana_transaction_status_client_types::{
    EncodedConfirmedTransactionWithStatusMeta, TransactionDetails, UiTransactionEncoding,
};
use std::{str::FromStr, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// How often a sent transaction is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// How often a transaction that was not seen yet is sent again: a leader may drop it.
const RESEND: Duration = Duration::from_secs(2);

/// A blockhash is taken for 150 slots of 400 ms; after that the transaction cannot land any more.
const EXPIRY: Duration = Duration::from_secs(90);

/// The first pause before a node is asked again; each is twice the one before.
const SHORTEST: Duration = Duration::from_millis(100);

impl Commitment {
    /// The same for the RPC client.
    pub fn config(self) -> CommitmentConfig {
        match self {
            Self::Confirmed => CommitmentConfig::confirmed(),
            Self::Finalized => CommitmentConfig::finalized(),
        }
    }
}

/// A node's address without user name, password, path and query: providers put keys there.
pub fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}")
}

/// A node; clones share its connections.
#[derive(Clone)]
pub struct RpcChain {
    client: Arc<RpcClient>,
    node: String,
}

impl RpcChain {
    /// The node at `url`, read at `commitment`. Submitting always waits for confirmed.
    pub fn new(url: &str, commitment: Commitment) -> Self {
        let client = RpcClient::new_with_commitment(url.to_owned(), commitment.config());
        Self { client: Arc::new(client), node: without_secrets(url) }
    }

    /// The client underneath.
    pub fn client(&self) -> &RpcClient {
        &self.client
    }

    fn unreachable(&self, error: &ClientError) -> ChainError {
        ChainError::Unreachable { node: self.node.clone(), why: describe(error) }
    }

    async fn retrying<T, F>(&self, call: impl FnMut() -> F) -> Result<T, ChainError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        call.retry(ExponentialBuilder::default().with_min_delay(SHORTEST).with_max_times(4))
            .when(|error: &ClientError| is_transport(error))
            .await
            .map_err(|error| self.unreachable(&error))
    }

    fn unusable(&self, signature: &Signature, why: &str) -> ChainError {
        ChainError::Unusable { node: self.node.clone(), what: format!("with a transaction {signature} that {why}") }
    }

    /// A transaction as the node shows it; `None` if it does not.
    async fn encoded(
        &self,
        signature: &Signature,
    ) -> Result<Option<EncodedConfirmedTransactionWithStatusMeta>, ChainError> {
        self.encoded_at(signature, self.client.commitment()).await
    }

    async fn encoded_at(
        &self,
        signature: &Signature,
        commitment: CommitmentConfig,
    ) -> Result<Option<EncodedConfirmedTransactionWithStatusMeta>, ChainError> {
        let config = RpcTransactionConfig {
            encoding: Some(UiTransactionEncoding::Base64),
            commitment: Some(commitment),
            max_supported_transaction_version: Some(1),
        };
        let mut asked = 0u32;
        loop {
            match self.client.get_transaction_with_config(signature, config).await {
                Ok(found) => return Ok(Some(found)),
                // Null is no transaction.
                Err(error) if matches!(error.kind(), ClientErrorKind::SerdeJson(_)) => return Ok(None),
                Err(error) if is_transport(&error) && asked < 4 => {
                    sleep(SHORTEST.saturating_mul(1 << asked)).await;
                    asked = asked.saturating_add(1);
                }
                Err(error) => return Err(self.unreachable(&error)),
            }
        }
    }

    /// Waits until the transaction is confirmed, and says in which slot or why it failed. What is processed only, another
    /// fork can still decide otherwise.
    async fn wait(
        &self,
        transaction: &VersionedTransaction,
        signature: Signature,
    ) -> Result<Result<u64, TransactionError>, SubmitError> {
        let begun = Instant::now();
        let mut sent = Instant::now();
        let mut last = String::from("the node did not report it");
        while begun.elapsed() < EXPIRY {
            match self.client.get_signature_statuses(&[signature]).await {
                Ok(answer) => {
                    let status = answer.value.into_iter().flatten().next();
                    if let Some(status) =
                        status.filter(|status| status.satisfies_commitment(CommitmentConfig::confirmed()))
                    {
                        return Ok(status.err.map_or(Ok(status.slot), Err));
                    }
                }
                Err(error) => last = describe(&error),
            }
            if sent.elapsed() >= RESEND {
                sent = Instant::now();
                let config = RpcSendTransactionConfig { skip_preflight: true, ..RpcSendTransactionConfig::default() };
                if let Err(error) = self.client.send_transaction_with_config(transaction, config).await {
                    last = describe(&error);
                }
            }
            sleep(LOOK).await;
        }
        Err(SubmitError::Unknown { signature, why: last })
    }

    /// The logs of a landed transaction; empty if the node does not show them.
    async fn logs(&self, signature: &Signature) -> Vec<String> {
        let config = RpcTransactionConfig {
            commitment: Some(CommitmentConfig::confirmed()),
            max_supported_transaction_version: Some(1),
            ..RpcTransactionConfig::default()
        };
        match self.client.get_transaction_with_config(signature, config).await {
            Ok(found) => found.transaction.meta.and_then(|meta| meta.log_messages.into()).unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }
}

fn is_transport(error: &ClientError) -> bool {
    matches!(error.kind(), ClientErrorKind::Io(_) | ClientErrorKind::Reqwest(_))
}

/// The error without the request's address in it.
fn describe(error: &ClientError) -> String {
    match error.kind() {
        ClientErrorKind::Reqwest(error) if error.is_timeout() => "no answer in time".to_owned(),
        ClientErrorKind::Reqwest(error) if error.is_connect() => "connection refused".to_owned(),
        ClientErrorKind::Reqwest(error) => match error.status() {
            Some(status) => format!("HTTP status {status}"),
            None => "the connection broke".to_owned(),
        },
        ClientErrorKind::RpcError(RpcError::RpcResponseError { code, message, .. }) => {
            format!("error {code}: {message}")
        }
        other => other.to_string(),
    }
}

#[async_trait]
impl ReadAccounts for RpcChain {
    async fn newest_blockhash(&self) -> Result<Lifetime, ChainError> {
        self.lifetime().await
    }

    async fn accounts(&self, addresses: &[Pubkey]) -> Result<AccountsAt, ChainError> {
        // Not the call for one account: its error has the node's address in it, which may hold a key.
        let config =
            || RpcAccountInfoConfig { encoding: Some(UiAccountEncoding::Base64), ..RpcAccountInfoConfig::default() };
        let answer = self
            .retrying(|| async { self.client.get_multiple_ui_accounts_with_config(addresses, config()).await })
            .await?;
        let unusable = |what: String| ChainError::Unusable { node: self.node.clone(), what };
        if answer.value.len() != addresses.len() {
            let (found, asked) = (answer.value.len(), addresses.len());
            return Err(unusable(format!("with {found} accounts where {asked} were asked for")));
        }
        let slot = answer.context.slot;
        let decode = |(found, address): (Option<UiAccount>, &Pubkey)| {
            let Some(found) = found else { return Ok(None) };
            let account =
                found.to_account().ok_or_else(|| unusable(format!("with an account {address} that cannot be read")))?;
            Ok(Some(AccountAt { slot, owner: account.owner, lamports: account.lamports, data: account.data }))
        };
        let accounts = answer.value.into_iter().zip(addresses).map(decode).collect::<Result<_, _>>()?;
        Ok(AccountsAt { slot, accounts })
    }

    async fn genesis_hash(&self) -> Result<Hash, ChainError> {
        self.retrying(|| self.client.get_genesis_hash()).await
    }

    async fn now(&self) -> Result<i64, ChainError> {
        let unusable = |what: &str| ChainError::Unusable { node: self.node.clone(), what: what.to_owned() };
        let account = self.account(&sysvar::clock::ID).await?.ok_or_else(|| unusable("that it has no clock"))?;
        // Clock: slot, epoch_start_timestamp, epoch, leader_schedule_epoch, unix_timestamp; 8 bytes each.
        let bytes = account.data.get(size_of::<Clock>().saturating_sub(8)..).and_then(|rest| rest.first_chunk::<8>());
        bytes.map(|bytes| i64::from_le_bytes(*bytes)).ok_or_else(|| unusable("with a clock that is cut off"))
    }
}

#[async_trait]
impl ReadHistory for RpcChain {
    async fn mentions(&self, address: &Pubkey, before: Option<&Signature>) -> Result<Vec<Mention>, ChainError> {
        let config = || GetConfirmedSignaturesForAddress2Config {
            before: before.copied(),
            commitment: Some(self.client.commitment()),
            ..GetConfirmedSignaturesForAddress2Config::default()
        };
        let ask = || self.client.get_signatures_for_address_with_config(address, config());
        let unusable = || ChainError::Unusable {
            node: self.node.clone(),
            what: format!("with a signature of {address} that is none"),
        };
        let found = self.retrying(ask).await?;
        let mention = |found: RpcConfirmedTransactionStatusWithSignature| {
            let signature = Signature::from_str(&found.signature).map_err(|_| unusable())?;
            Ok(Mention { signature, failed: found.err.is_some() })
        };
        found.into_iter().map(mention).collect()
    }

    async fn transaction(&self, signature: &Signature) -> Result<Option<Transaction>, ChainError> {
        let Some(found) = self.encoded(signature).await? else { return Ok(None) };
        transaction::of(found.transaction).map(Some).map_err(|why| self.unusable(signature, &why))
    }
}

#[async_trait]
impl ReadEvidence for RpcChain {
    async fn whole(&self, signature: &Signature) -> Result<Option<WholeTransaction>, ChainError> {
        let Some(found) = self.encoded(signature).await? else { return Ok(None) };
        transaction::whole(found).map(Some).map_err(|why| self.unusable(signature, &why))
    }

    async fn block_at(&self, slot: u64) -> Result<Option<(Hash, Option<i64>)>, ChainError> {
        let config = RpcBlockConfig {
            encoding: None,
            transaction_details: Some(TransactionDetails::None),
            rewards: Some(false),
            commitment: Some(self.client.commitment()),
            max_supported_transaction_version: Some(1),
        };
        match self.retrying(|| self.client.get_block_with_config(slot, config)).await {
            Ok(block) => {
                let hash = Hash::from_str(&block.blockhash).map_err(|_| ChainError::Unusable {
                    node: self.node.clone(),
                    what: format!("with a hash of the block of slot {slot} that is none"),
                })?;
                Ok(Some((hash, block.block_time)))
            }
            // Not there, thrown away, or not yet: an answer all the same.
            Err(ChainError::Unreachable { why, .. }) if why.starts_with("error ") => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Submit for RpcChain {
    async fn submit(&self, instructions: &[Instruction], signers: &[&Keypair]) -> Result<Landed, SubmitError> {
        let payer = signers.first().map(|signer| signer.pubkey());
        let confirmed = CommitmentConfig::confirmed();
        let (hash, _) = self.retrying(|| self.client.get_latest_blockhash_with_commitment(confirmed)).await?;
        let message = VersionedMessage::Legacy(Message::new_with_blockhash(instructions, payer.as_ref(), &hash));
        let transaction = VersionedTransaction::try_new(message, signers)
            .map_err(|error| SubmitError::Unbuildable(error.to_string()))?;
        let signature = transaction.signatures.first().copied().unwrap_or_default();
        let config = RpcSendTransactionConfig {
            preflight_commitment: Some(CommitmentLevel::Confirmed),
            ..RpcSendTransactionConfig::default()
        };
        if let Err(error) = self.client.send_transaction_with_config(&transaction, config).await {
            if let Some(reason) = error.kind().get_transaction_error() {
                return Err(failure(&reason, instructions, preflight_logs(&error)));
            }
            // A connection that broke says nothing about whether the node took the transaction: go on and look.
            if !is_transport(&error) {
                return Err(SubmitError::Failed { why: describe(&error), logs: Vec::new() });
            }
            if matches!(error.kind(), ClientErrorKind::Reqwest(error) if error.is_connect()) {
                return Err(self.unreachable(&error).into());
            }
        }
        let ended = self.wait(&transaction, signature).await?;
        let logs = self.logs(&signature).await;
        match ended {
            Ok(slot) => Ok(Landed { signature, slot: Some(slot), logs }),
            Err(reason) => Err(failure(&reason, instructions, logs)),
        }
    }

    async fn airdrop(&self, address: &Pubkey, lamports: u64) -> Result<(), SubmitError> {
        let signature = self.retrying(|| self.client.request_airdrop(address, lamports)).await?;
        let begun = Instant::now();
        while begun.elapsed() < EXPIRY {
            let confirmed = self
                .retrying(|| self.client.confirm_transaction_with_commitment(&signature, CommitmentConfig::confirmed()))
                .await?;
            if confirmed.value {
                return Ok(());
            }
            sleep(LOOK).await;
        }
        Err(SubmitError::Unknown { signature, why: "the airdrop was not confirmed".to_owned() })
    }
}

#[async_trait]
impl Dispatch for RpcChain {
    async fn lifetime(&self) -> Result<Lifetime, ChainError> {
        let confirmed = CommitmentConfig::confirmed();
        let (hash, last_block_height) =
            self.retrying(|| self.client.get_latest_blockhash_with_commitment(confirmed)).await?;
        Ok(Lifetime { hash, last_block_height })
    }

    async fn block_height(&self) -> Result<u64, ChainError> {
        let confirmed = CommitmentConfig::confirmed();
        self.retrying(|| self.client.get_block_height_with_commitment(confirmed)).await
    }

    async fn simulate(&self, transaction: &VersionedTransaction) -> Result<Simulated, ChainError> {
        let config = || RpcSimulateTransactionConfig {
            replace_recent_blockhash: true,
            commitment: Some(CommitmentConfig::confirmed()),
            ..RpcSimulateTransactionConfig::default()
        };
        let answer = self
            .retrying(|| async { self.client.simulate_transaction_with_config(transaction, config()).await })
            .await?
            .value;
        let logs = answer.logs.unwrap_or_default();
        let failed = answer.err.map(|error| failure_of(&TransactionError::from(error), transaction, logs.clone()));
        Ok(Simulated { ended: failed.map_or(Ok(()), Err), logs, units: answer.units_consumed.unwrap_or_default() })
    }

    async fn send(&self, transaction: &VersionedTransaction) -> Result<(), ChainError> {
        let config = RpcSendTransactionConfig { skip_preflight: true, ..RpcSendTransactionConfig::default() };
        let sent = self.client.send_transaction_with_config(transaction, config).await;
        sent.map(|_| ()).map_err(|error| self.unreachable(&error))
    }

    async fn seen(&self, signatures: &[Signature], ever: bool) -> Result<Vec<Option<Seen>>, ChainError> {
        let ask = || async {
            match ever {
                true => self.client.get_signature_statuses_with_history(signatures).await,
                false => self.client.get_signature_statuses(signatures).await,
            }
        };
        let statuses = self.retrying(ask).await?.value;
        if statuses.len() != signatures.len() {
            let (found, asked) = (statuses.len(), signatures.len());
            let what = format!("with {found} transactions where {asked} were asked for");
            return Err(ChainError::Unusable { node: self.node.clone(), what });
        }
        let confirmed = CommitmentConfig::confirmed();
        let seen = statuses.into_iter().map(|status| {
            let status = status?;
            Some(Seen { slot: status.slot, is_confirmed: status.satisfies_commitment(confirmed) })
        });
        Ok(seen.collect())
    }

    async fn ended(&self, signature: &Signature) -> Result<Option<Ended>, ChainError> {
        let Some(found) = self.encoded_at(signature, CommitmentConfig::confirmed()).await? else { return Ok(None) };
        let unusable = |why: &str| self.unusable(signature, why);
        let sent = found.transaction.transaction.decode().ok_or_else(|| unusable("cannot be read"))?;
        let meta = found.transaction.meta.as_ref().ok_or_else(|| unusable("has no meta"))?;
        let logs: Vec<String> = Option::from(meta.log_messages.clone()).unwrap_or_default();
        let error = meta.err.clone().map(TransactionError::from);
        let failed = error.map(|error| failure_of(&error, &sent, logs.clone()));
        let slot = found.slot;
        let transaction = transaction::of(found.transaction).map_err(|why| unusable(&why))?;
        Ok(Some(Ended { slot, failed, logs, transaction }))
    }

    async fn recent_fees(&self, accounts: &[Pubkey]) -> Result<Vec<u64>, ChainError> {
        let fees = self.retrying(|| self.client.get_recent_prioritization_fees(accounts)).await?;
        Ok(fees.into_iter().map(|fee| fee.prioritization_fee).collect())
    }
}

fn preflight_logs(error: &ClientError) -> Vec<String> {
    match error.kind() {
        ClientErrorKind::RpcError(RpcError::RpcResponseError {
            data: RpcResponseErrorData::SendTransactionPreflightFailure(result),
            ..
        }) => result.logs.clone().unwrap_or_default(),
        _ => Vec::new(),
    }
}
