//! A node with a chain, which answers by block and by address what a real one does, or what the test wants instead.

use crate::chain::{Chain, key};
use axum::{Json, Router, extract::State, routing::post};
use base64::{Engine, prelude::BASE64_STANDARD};
use rebate_client::{
    Pubkey,
    account::{Journal, VERSION, discriminator},
    address::{Addresses, PROGRAM},
    block::{Block, Transaction},
};
use rebate_core::journal::MAX_PEAKS;
use serde_json::{Value, json};
use solana_message::{Message, MessageHeader, VersionedMessage};
use solana_program::hash::Hash;
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

/// A node. Clones are the same one.
#[derive(Clone)]
pub struct Node {
    state: Arc<Mutex<Ledger>>,
    url: String,
}

/// What the node has, and how it misbehaves.
pub struct Ledger {
    pub genesis_hash: Hash,
    pub blocks: Vec<Block>,
    /// How many of the blocks are final.
    pub shown: usize,
    /// Behind the same address is another node on which only so many are.
    pub other: Option<usize>,
    /// The first slot it has; what is older is neither shown nor listed.
    pub first_available: u64,
    /// How many transactions a page of its list has at most.
    pub page: usize,
    /// Whether it says at which position of its block a transaction is.
    pub tells_positions: bool,
    /// Transactions that are left out of so many lists.
    pub unlisted: HashMap<Signature, u32>,
    /// Transactions that are not shown so many times.
    pub unshown: HashMap<Signature, u32>,
    /// What is answered instead, once each, to a method, with its first parameter or without.
    pub instead: Vec<(String, Value)>,
    /// Methods and parameters, as asked.
    pub asked: Vec<(String, Value)>,
}

pub fn error(code: i64) -> Value {
    json!({"error": {"code": code, "message": format!("the node says {code}")}})
}

/// Counts down, and says whether it was not at zero.
fn takes_one(counts: &mut HashMap<Signature, u32>, signature: &Signature) -> bool {
    counts.get_mut(signature).is_some_and(|count| {
        let left = *count > 0;
        *count = count.saturating_sub(1);
        left
    })
}

fn encoded(transaction: &Transaction) -> Value {
    let message = VersionedMessage::Legacy(Message {
        header: MessageHeader { num_required_signatures: 1, ..MessageHeader::default() },
        account_keys: transaction.accounts.clone(),
        recent_blockhash: Hash::default(),
        instructions: Vec::new(),
    });
    let signed = VersionedTransaction { signatures: vec![transaction.signature], message };
    json!([BASE64_STANDARD.encode(wincode::serialize(&signed).unwrap()), "base64"])
}

fn failure(transaction: &Transaction) -> Value {
    if transaction.failed { json!({"InstructionError": [0, {"Custom": 1}]}) } else { Value::Null }
}

fn meta(transaction: &Transaction) -> Value {
    let inner: Vec<Value> = transaction
        .inner
        .iter()
        .map(|inner| {
            json!({
                "programIdIndex": inner.program,
                "accounts": inner.accounts,
                "data": bs58::encode(&inner.data).into_string(),
                "stackHeight": 2,
            })
        })
        .collect();
    json!({
        "err": failure(transaction),
        "status": {"Ok": null},
        "fee": 5000,
        "preBalances": [], "postBalances": [],
        "innerInstructions": [{"index": 0, "instructions": inner}],
        "loadedAddresses": {"writable": [], "readonly": []},
    })
}

impl Ledger {
    fn shown(&self) -> &[Block] {
        &self.blocks[..self.shown]
    }

    fn available(&self) -> impl DoubleEndedIterator<Item = &Block> {
        self.shown().iter().filter(|block| block.slot >= self.first_available)
    }

    pub fn tip(&self) -> u64 {
        self.shown().last().map_or(0, |block| block.slot)
    }

    /// The transactions that name the program, with their slot and position, in order.
    fn ours(&self) -> impl DoubleEndedIterator<Item = (&Block, usize, &Transaction)> {
        self.available()
            .flat_map(|block| block.transactions.iter().enumerate().map(move |(place, found)| (block, place, found)))
            .filter(|(_, _, found)| found.accounts.contains(&PROGRAM))
    }

    fn journal(&self, address: &str) -> Value {
        let mut counts = BTreeMap::<[u8; 32], u64>::new();
        // The accounts are there although the transactions may not be any more.
        for transaction in self.shown().iter().flat_map(|block| &block.transactions) {
            for found in transaction.events().unwrap_or_default() {
                *counts.entry(found.event.platform()).or_default() += 1;
            }
        }
        let found = counts
            .into_iter()
            .find(|(platform, _)| Addresses::at(Pubkey::new_from_array(*platform)).journal.to_string() == address);
        let Some((platform, count)) = found else { return Value::Null };
        let journal =
            Journal { platform, count, peaks: [[0; 32]; MAX_PEAKS], version: VERSION, bump: 255, reserved: [0; 62] };
        let data = [&discriminator("Journal")[..], bytemuck::bytes_of(&journal)].concat();
        json!({
            "owner": PROGRAM.to_string(),
            "data": [BASE64_STANDARD.encode(data), "base64"],
            "lamports": 1, "executable": false, "rentEpoch": 0,
        })
    }

    fn list(&mut self, how: &Value) -> Value {
        let mut listed: Vec<(u64, usize, Signature, Value)> = self
            .ours()
            .rev()
            .map(|(block, place, found)| (block.slot, place, found.signature, failure(found)))
            .collect();
        listed.retain(|(_, _, signature, _)| !takes_one(&mut self.unlisted, signature));
        let begin = match how["before"].as_str() {
            None => 0,
            Some(before) => listed
                .iter()
                .position(|(_, _, signature, _)| signature.to_string() == before)
                .map_or(listed.len(), |position| position + 1),
        };
        let limit = usize::try_from(how["limit"].as_u64().unwrap()).unwrap().min(self.page);
        let page = listed[begin..].iter().take(limit).map(|(slot, place, signature, failure)| {
            let mut entry = json!({
                "signature": signature.to_string(), "slot": slot, "err": failure, "memo": null, "blockTime": null,
                "confirmationStatus": "finalized",
            });
            if self.tells_positions {
                entry["transactionIndex"] = json!(place);
            }
            entry
        });
        json!({"result": page.collect::<Vec<_>>()})
    }

    fn block(&self, slot: u64, how: &Value) -> Value {
        let Some(block) = self.available().find(|block| block.slot == slot) else { return error(-32004) };
        let mut shown = json!({
            "blockhash": block.hash.to_string(),
            "previousBlockhash": block.parent_hash.to_string(),
            "parentSlot": block.parent_slot,
            "blockTime": block.time,
            "blockHeight": block.slot,
        });
        match how["transactionDetails"].as_str().unwrap() {
            "none" => {}
            "signatures" => {
                let signatures = block.transactions.iter().map(|found| found.signature.to_string());
                shown["signatures"] = json!(signatures.collect::<Vec<_>>());
            }
            "full" => {
                let transactions = block
                    .transactions
                    .iter()
                    .map(|found| json!({"transaction": encoded(found), "meta": meta(found), "version": "legacy"}));
                shown["transactions"] = json!(transactions.collect::<Vec<_>>());
            }
            other => panic!("a block with {other}"),
        }
        json!({"result": shown})
    }

    fn transaction(&mut self, signature: &str) -> Value {
        let found = self.available().find_map(|block| {
            let found = block.transactions.iter().find(|found| found.signature.to_string() == signature)?;
            Some((block.slot, block.time, found.clone()))
        });
        match found {
            Some((slot, time, found)) if !takes_one(&mut self.unshown, &found.signature) => json!({"result": {
                "slot": slot, "blockTime": time, "version": "legacy",
                "transaction": encoded(&found), "meta": meta(&found),
            }}),
            _ => json!({"result": null}),
        }
    }

    /// Some answers are those of a node that is not as far.
    fn answer_as_one_of_two(&mut self, method: &str, parameters: &Value) -> Value {
        let shown = self.shown;
        if let Some(other) = self.other.filter(|_| key(self.asked.len() as u64)[0].is_multiple_of(2)) {
            self.shown = shown.min(other);
        }
        let answer = self.answer(method, parameters);
        self.shown = shown;
        answer
    }

    fn answer(&mut self, method: &str, parameters: &Value) -> Value {
        let named = match parameters[0].as_u64() {
            Some(slot) => format!("{method} {slot}"),
            None => method.to_owned(),
        };
        if let Some(position) = self.instead.iter().position(|(what, _)| *what == method || *what == named) {
            return self.instead.remove(position).1;
        }
        let how = parameters.as_array().unwrap().last().cloned().unwrap_or_default();
        if how["minContextSlot"].as_u64().is_some_and(|least| least > self.tip()) {
            return error(-32016);
        }
        match method {
            "getGenesisHash" => json!({"result": self.genesis_hash.to_string()}),
            "getFirstAvailableBlock" => json!({"result": self.first_available}),
            "getSlot" => json!({"result": self.tip()}),
            "getBlocksWithLimit" => {
                let (start, limit) = (parameters[0].as_u64().unwrap(), parameters[1].as_u64().unwrap());
                let slots = self.available().map(|block| block.slot).filter(|slot| *slot >= start);
                json!({"result": slots.take(usize::try_from(limit).unwrap()).collect::<Vec<_>>()})
            }
            "getBlock" => self.block(parameters[0].as_u64().unwrap(), &how),
            "getTransaction" => self.transaction(parameters[0].as_str().unwrap()),
            "getSignaturesForAddress" => {
                assert_eq!(parameters[0], PROGRAM.to_string());
                self.list(&how)
            }
            "getMultipleAccounts" => {
                let addresses = parameters[0].as_array().unwrap();
                let accounts = addresses.iter().map(|address| self.journal(address.as_str().unwrap()));
                json!({"result": {"context": {"slot": self.tip()}, "value": accounts.collect::<Vec<_>>()}})
            }
            other => panic!("the node was asked {other}"),
        }
    }
}

async fn answer(State(node): State<Node>, Json(question): Json<Value>) -> Json<Value> {
    let method = question["method"].as_str().unwrap();
    let parameters = if question["params"].is_null() { json!([]) } else { question["params"].clone() };
    let answer = {
        let mut ledger = node.ledger();
        ledger.asked.push((method.to_owned(), parameters.clone()));
        ledger.answer_as_one_of_two(method, &parameters)
    };
    let mut reply = json!({"jsonrpc": "2.0", "id": question["id"]});
    reply.as_object_mut().unwrap().extend(answer.as_object().unwrap().clone());
    Json(reply)
}

impl Node {
    /// A node that has all of the chain.
    pub async fn of(chain: &Chain) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://user:secret@{}/key", listener.local_addr().unwrap());
        let ledger = Ledger {
            genesis_hash: chain.genesis_hash(),
            blocks: chain.blocks.clone(),
            shown: chain.blocks.len(),
            other: None,
            first_available: 0,
            page: 1_000,
            tells_positions: true,
            unlisted: HashMap::new(),
            unshown: HashMap::new(),
            instead: Vec::new(),
            asked: Vec::new(),
        };
        let node = Self { state: Arc::new(Mutex::new(ledger)), url };
        let router = Router::new().route("/key", post(answer)).with_state(node.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        node
    }

    /// Its address, with secrets in it.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.state.lock().unwrap()
    }

    pub fn instead(&self, what: &str, answer: Value) {
        self.ledger().instead.push((what.to_owned(), answer));
    }

    /// How often it was asked `method`.
    pub fn times_asked(&self, method: &str) -> usize {
        self.ledger().asked.iter().filter(|(asked, _)| asked == method).count()
    }
}
