//! The questions put to a node that is read by address.

use super::super::{
    SourceError,
    rpc::{
        answer::{Entry, Unreadable, hash, is_there},
        node::{NEWEST_TRANSACTION, Node},
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use rebate_client::{
    Pubkey,
    account::Journal,
    address::{Addresses, PROGRAM},
    block::Transaction,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use solana_client::{client_error::ClientErrorKind, rpc_request::RpcRequest};
use solana_program::hash::Hash;
use solana_signature::Signature;
use std::str::FromStr;

/// How many transactions a page of the list has at most; nodes give no more.
pub const PAGE: usize = 1_000;

/// How many accounts a node shows at once.
const ACCOUNTS: usize = 100;

/// How often the accounts are asked for again, if there are so many that they take several answers, until all are of one
/// slot.
const UNTIL_OF_ONE_SLOT: usize = 10;

/// A transaction that names the program, as the node's list has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    pub signature: Signature,
    pub slot: u64,
    pub failed: bool,
    /// Its position in its block; older nodes do not say.
    pub position: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MentionAnswer {
    signature: String,
    slot: u64,
    /// Must be there: a transaction whose failure is not told would count as a success.
    #[serde(rename = "err", deserialize_with = "is_there")]
    failed: bool,
    #[serde(default)]
    transaction_index: Option<u32>,
}

/// A block without what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub hash: Hash,
    pub parent_slot: u64,
    pub parent_hash: Hash,
    pub time: Option<i64>,
    /// Of its transactions in order, where they were asked for.
    pub signatures: Vec<Signature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeaderAnswer {
    previous_blockhash: String,
    blockhash: String,
    parent_slot: u64,
    block_time: Option<i64>,
    #[serde(default)]
    signatures: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct TransactionAnswer {
    slot: u64,
    #[serde(flatten)]
    entry: Entry,
}

#[derive(Deserialize)]
struct AccountsAnswer {
    context: Context,
    value: Vec<Option<AccountAnswer>>,
}

#[derive(Deserialize)]
struct Context {
    slot: u64,
}

#[derive(Deserialize)]
struct AccountAnswer {
    owner: String,
    data: (String, String),
}

impl Node {
    /// Puts a question whose answer shows nothing of a block.
    async fn ask<T: DeserializeOwned>(&self, request: RpcRequest, parameters: Value) -> Result<T, SourceError> {
        let what = request.to_string();
        self.client.send(request, parameters).await.map_err(|error| match error.kind() {
            ClientErrorKind::SerdeJson(why) => self.unavailable(&what, format!("it answers in another form: {why}")),
            _ => self.judge(&what, &error),
        })
    }

    /// The slot of the last final block, from a node that has the one at `since`.
    pub async fn final_slot_since(&self, since: u64) -> Result<u64, SourceError> {
        self.ask(RpcRequest::GetSlot, json!([{"commitment": "finalized", "minContextSlot": since}])).await
    }

    /// How many events the journals of `platforms` have at one slot, from a node that has the block at `since`.
    pub async fn journals(&self, platforms: &[Pubkey], since: u64) -> Result<(u64, Vec<u64>), SourceError> {
        if platforms.is_empty() {
            return Ok((self.final_slot_since(since).await?, Vec::new()));
        }
        'again: for _ in 0..UNTIL_OF_ONE_SLOT {
            let (mut at, mut counts) = (None, Vec::with_capacity(platforms.len()));
            for platforms in platforms.chunks(ACCOUNTS) {
                let (slot, found) = self.journals_at_once(platforms, since).await?;
                if *at.get_or_insert(slot) != slot {
                    continue 'again;
                }
                counts.extend(found);
            }
            return Ok((at.unwrap_or_default(), counts));
        }
        Err(self.unavailable("getMultipleAccounts", "it shows no two answers as of one slot".to_owned()))
    }

    async fn journals_at_once(&self, platforms: &[Pubkey], since: u64) -> Result<(u64, Vec<u64>), SourceError> {
        let addresses: Vec<String> = platforms.iter().map(|at| Addresses::at(*at).journal.to_string()).collect();
        let how = json!({"encoding": "base64", "commitment": "finalized", "minContextSlot": since});
        let answer: AccountsAnswer = self.ask(RpcRequest::GetMultipleAccounts, json!([addresses, how])).await?;
        if answer.value.len() != platforms.len() {
            return Err(self.unavailable("getMultipleAccounts", "it shows another number of accounts".to_owned()));
        }
        let counts = platforms.iter().zip(answer.value).map(|(platform, account)| match account {
            None => Ok(0),
            Some(account) => account.count(platform).ok_or_else(|| {
                self.unavailable("getMultipleAccounts", format!("it shows no journal of platform {platform}"))
            }),
        });
        Ok((answer.context.slot, counts.collect::<Result<_, _>>()?))
    }

    /// A page of the transactions that name the program, the newest first: the newest of all, or those older than
    /// `before`. From a node that has the final block at `since`.
    pub async fn mentions(&self, before: Option<&Signature>, since: u64) -> Result<Vec<Mention>, SourceError> {
        let mut how = json!({"limit": PAGE, "commitment": "finalized", "minContextSlot": since});
        if let Some(before) = before {
            how["before"] = json!(before.to_string());
        }
        let answers: Vec<MentionAnswer> =
            self.ask(RpcRequest::GetSignaturesForAddress, json!([PROGRAM.to_string(), how])).await?;
        let mention = |answer: MentionAnswer| {
            let unreadable = || format!("{:?} is no signature", answer.signature);
            Ok(Mention {
                signature: Signature::from_str(&answer.signature)
                    .map_err(|_| self.unavailable("getSignaturesForAddress", unreadable()))?,
                slot: answer.slot,
                failed: answer.failed,
                position: answer.transaction_index,
            })
        };
        answers.into_iter().map(mention).collect()
    }

    /// The final block at `slot` without what is in it, or with its transactions' signatures.
    pub async fn header(&self, slot: u64, with_signatures: bool) -> Result<Header, SourceError> {
        let what = format!("getBlock {slot}");
        let how = json!({
            "commitment": "finalized",
            "rewards": false,
            "transactionDetails": if with_signatures { "signatures" } else { "none" },
            "maxSupportedTransactionVersion": NEWEST_TRANSACTION,
        });
        let answer: Option<HeaderAnswer> = self
            .client
            .send(RpcRequest::GetBlock, json!([slot, how]))
            .await
            .map_err(|error| self.judge_content(&what, slot, &error))?;
        let answer = answer.ok_or_else(|| self.unavailable(&what, "it knows no such block yet".to_owned()))?;
        let header = || {
            let signatures = match (with_signatures, answer.signatures) {
                (false, _) => Vec::new(),
                (true, Some(signatures)) => signatures,
                (true, None) => return Err(Unreadable::Missing("it shows no signatures".to_owned())),
            };
            Ok(Header {
                hash: hash(&answer.blockhash)?,
                parent_slot: answer.parent_slot,
                parent_hash: hash(&answer.previous_blockhash)?,
                time: answer.block_time,
                signatures: signatures
                    .iter()
                    .map(|text| Signature::from_str(text))
                    .collect::<Result<_, _>>()
                    .map_err(|_| Unreadable::Malformed("a signature in the block".to_owned()))?,
            })
        };
        header().map_err(|why| self.unreadable(slot, &why))
    }

    /// A transaction of the list.
    pub async fn transaction(&self, mention: &Mention) -> Result<Transaction, SourceError> {
        let (signature, slot) = (mention.signature, mention.slot);
        let what = format!("getTransaction {signature}");
        let how = json!({
            "encoding": "base64",
            "commitment": "finalized",
            "maxSupportedTransactionVersion": NEWEST_TRANSACTION,
        });
        let answer: Option<TransactionAnswer> = self
            .client
            .send(RpcRequest::GetTransaction, json!([signature.to_string(), how]))
            .await
            .map_err(|error| self.judge_content(&what, slot, &error))?;
        // Null: the node does not have it, or not yet.
        let answer = answer.ok_or_else(|| self.unavailable(&what, "it lists it and does not show it".to_owned()))?;
        if answer.slot != slot {
            return Err(self.unavailable(&what, format!("it lists it in slot {slot} and has it in {}", answer.slot)));
        }
        let shown = answer
            .entry
            .into_transaction(&format!("transaction {signature}"))
            .map_err(|why| self.unreadable(slot, &why))?;
        if shown.signature != signature {
            return Err(self.unavailable(&what, format!("it shows {} instead", shown.signature)));
        }
        Ok(Transaction { position: mention.position, ..shown })
    }
}

impl AccountAnswer {
    /// How many events the journal has, if it is the platform's.
    fn count(&self, platform: &Pubkey) -> Option<u64> {
        if self.owner != PROGRAM.to_string() || self.data.1 != "base64" {
            return None;
        }
        let journal = Journal::decode(&BASE64_STANDARD.decode(&self.data.0).ok()?).ok()?;
        (journal.platform == platform.to_bytes()).then_some(journal.count)
    }
}
