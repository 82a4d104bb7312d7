//! The questions put to a node, and which of its errors mean "ask again".

use super::{
    super::SourceError,
    answer::{Answer, Header, Status, Statuses, Unreadable},
};
use rebate_client::{
    block::Block,
    chain::{Commitment, rpc::without_secrets},
};
use serde_json::json;
use solana_client::{
    client_error::{ClientError, ClientErrorKind},
    nonblocking::rpc_client::RpcClient,
    rpc_config::RpcBlockConfig,
    rpc_custom_error::{
        JSON_RPC_SERVER_ERROR_TRANSACTION_HISTORY_NOT_AVAILABLE, JSON_RPC_SERVER_ERROR_UNSUPPORTED_TRANSACTION_VERSION,
    },
    rpc_request::{RpcError, RpcRequest},
};
use solana_program::hash::Hash;
use solana_signature::Signature;
use solana_transaction_status_client_types::{TransactionDetails, UiTransactionEncoding};
use std::time::Duration;

/// The newest version of transactions that this code reads. Without it, one such transaction makes the node refuse the
/// whole block.
pub(in crate::source) const NEWEST_TRANSACTION: u8 = 1;

/// JSON-RPC 2.0 §5.1.
const METHOD_NOT_FOUND: i64 = -32601;

/// A block of mainnet is some megabytes of JSON.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A node and how it is asked.
pub struct Node {
    pub(in crate::source) client: RpcClient,
    commitment: Commitment,
    name: String,
}

impl Node {
    pub fn new(url: &str, commitment: Commitment) -> Result<Self, SourceError> {
        let name = without_secrets(url);
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(SourceError::Refused {
                node: name,
                what: "any question".to_owned(),
                why: "its address must begin with http:// or https://".to_owned(),
            });
        }
        let client = RpcClient::new_with_timeout_and_commitment(url.to_owned(), TIMEOUT, commitment.config());
        Ok(Self { client, commitment, name })
    }

    /// Its address, without credentials.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn commitment(&self) -> Commitment {
        self.commitment
    }

    pub async fn genesis_hash(&self) -> Result<Hash, SourceError> {
        self.client.get_genesis_hash().await.map_err(|error| self.judge("getGenesisHash", &error))
    }

    pub async fn slot(&self) -> Result<u64, SourceError> {
        self.client
            .get_slot_with_commitment(self.commitment.config())
            .await
            .map_err(|error| self.judge("getSlot", &error))
    }

    pub async fn first_available(&self) -> Result<u64, SourceError> {
        self.client.get_first_available_block().await.map_err(|error| self.judge("getFirstAvailableBlock", &error))
    }

    /// Up to `limit` slots from `start` on that the node thinks have blocks. A hint and no more.
    pub async fn slots(&self, start: u64, limit: usize) -> Result<Vec<u64>, SourceError> {
        self.client
            .get_blocks_with_limit_and_commitment(start, limit, self.commitment.config())
            .await
            .map_err(|error| self.judge("getBlocksWithLimit", &error))
    }

    /// The block at `slot`.
    pub async fn block(&self, slot: u64) -> Result<Block, SourceError> {
        let what = format!("getBlock {slot}");
        let config = RpcBlockConfig {
            encoding: Some(UiTransactionEncoding::Base64),
            transaction_details: Some(TransactionDetails::Full),
            rewards: Some(false),
            commitment: Some(self.commitment.config()),
            max_supported_transaction_version: Some(NEWEST_TRANSACTION),
        };
        let answer: Option<Answer> = self
            .client
            .send(RpcRequest::GetBlock, json!([slot, config]))
            .await
            .map_err(|error| self.judge_content(&what, slot, &error))?;
        // Null: the node does not know the block, or not yet. Never a skipped slot.
        let answer = answer.ok_or_else(|| self.unavailable(&what, "it knows no such block yet".to_owned()))?;
        answer.into_block(slot).map_err(|why| self.unreadable(slot, &why))
    }

    /// The slot of the last final block.
    pub async fn final_slot(&self) -> Result<u64, SourceError> {
        self.client
            .get_slot_with_commitment(Commitment::Finalized.config())
            .await
            .map_err(|error| self.judge("getSlot", &error))
    }

    /// The first slot from `start` on that the node thinks has a final block. A hint and no more.
    pub async fn first_final(&self, start: u64) -> Result<Option<u64>, SourceError> {
        self.client
            .get_blocks_with_limit_and_commitment(start, 1, Commitment::Finalized.config())
            .await
            .map(|slots| slots.first().copied())
            .map_err(|error| self.judge("getBlocksWithLimit", &error))
    }

    /// What the final block at `slot` is and builds on.
    pub async fn final_header(&self, slot: u64) -> Result<Header, SourceError> {
        let what = format!("getBlock {slot}");
        let config = RpcBlockConfig {
            encoding: Some(UiTransactionEncoding::Base64),
            transaction_details: Some(TransactionDetails::None),
            rewards: Some(false),
            commitment: Some(Commitment::Finalized.config()),
            max_supported_transaction_version: Some(NEWEST_TRANSACTION),
        };
        let answer: Option<Header> = self
            .client
            .send(RpcRequest::GetBlock, json!([slot, config]))
            .await
            .map_err(|error| self.judge(&what, &error))?;
        // As with whole blocks, null is no skipped slot.
        answer.ok_or_else(|| self.unavailable(&what, "it knows no such final block".to_owned()))
    }

    /// What the node knows of each of `signatures`, of which it takes 256 at a time.
    pub async fn statuses(&self, signatures: &[Signature]) -> Result<Vec<Option<Status>>, SourceError> {
        let what = "getSignatureStatuses";
        let texts: Vec<String> = signatures.iter().map(Signature::to_string).collect();
        let answer: Statuses = self
            .client
            .send(RpcRequest::GetSignatureStatuses, json!([texts, {"searchTransactionHistory": true}]))
            .await
            .map_err(|error| self.judge(what, &error))?;
        if answer.value.len() != signatures.len() {
            let why = format!("it answered {} of {} questions", answer.value.len(), signatures.len());
            return Err(self.unavailable(what, why));
        }
        Ok(answer.value)
    }

    /// Refuses with [`SourceError::Pruned`] unless the node has everything from `slot` on.
    pub async fn require_from(&self, slot: u64) -> Result<(), SourceError> {
        let first_available = self.first_available().await?;
        if first_available > slot {
            return Err(SourceError::Pruned { node: self.name.clone(), needed: slot, first_available });
        }
        Ok(())
    }

    pub fn unavailable(&self, what: &str, why: String) -> SourceError {
        SourceError::Unavailable { node: self.name.clone(), what: what.to_owned(), why }
    }

    pub fn unreadable(&self, slot: u64, why: &impl ToString) -> SourceError {
        SourceError::Unreadable { node: self.name.clone(), slot, why: why.to_string() }
    }

    /// The same for an answer that shows transactions of the block at `slot`: one that has another form, or a transaction
    /// that the node cannot show, stops the block.
    pub(in crate::source) fn judge_content(&self, what: &str, slot: u64, error: &ClientError) -> SourceError {
        match error.kind() {
            ClientErrorKind::SerdeJson(why) => self.unreadable(slot, &Unreadable::Shape(why.to_string())),
            ClientErrorKind::RpcError(RpcError::RpcResponseError {
                code: JSON_RPC_SERVER_ERROR_UNSUPPORTED_TRANSACTION_VERSION,
                message,
                ..
            }) => self.unreadable(slot, &Unreadable::Version(message.clone())),
            _ => self.judge(what, error),
        }
    }

    /// Everything is worth asking again, except what only a change of settings can mend.
    pub(in crate::source) fn judge(&self, what: &str, error: &ClientError) -> SourceError {
        let refused =
            |why: &str| SourceError::Refused { node: self.name.clone(), what: what.to_owned(), why: why.to_owned() };
        match error.kind() {
            ClientErrorKind::RpcError(RpcError::RpcResponseError { code, .. }) => match *code {
                JSON_RPC_SERVER_ERROR_TRANSACTION_HISTORY_NOT_AVAILABLE => {
                    refused("it keeps no transactions; start it with --enable-rpc-transaction-history, or use another")
                }
                METHOD_NOT_FOUND => refused("it does not know the method; read from a full RPC node"),
                _ => self.unavailable(what, describe(error)),
            },
            ClientErrorKind::Reqwest(error)
                if error.status().is_some_and(|status| matches!(status.as_u16(), 401 | 403)) =>
            {
                refused("it wants other credentials; check the key in its address")
            }
            _ => self.unavailable(what, describe(error)),
        }
    }
}

/// The error without the node's address, which may hold a key.
fn describe(error: &ClientError) -> String {
    match error.kind() {
        ClientErrorKind::Reqwest(error) if error.is_timeout() => "no answer in time".to_owned(),
        ClientErrorKind::Reqwest(error) if error.is_connect() => "no connection".to_owned(),
        ClientErrorKind::Reqwest(error) if error.is_builder() => "the address is none".to_owned(),
        ClientErrorKind::Reqwest(error) => match error.status() {
            Some(status) => format!("HTTP status {status}"),
            None => "the connection broke or the answer is no JSON".to_owned(),
        },
        ClientErrorKind::Middleware(_) => "the request failed".to_owned(),
        ClientErrorKind::RpcError(RpcError::RpcResponseError { code, message, .. }) => {
            format!("error {code}: {message}")
        }
        other => other.to_string(),
    }
}
