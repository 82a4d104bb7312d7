//! A node that mostly does what it should not.

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Response, StatusCode},
    routing::post,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use rebate_client::block::{Block, Transaction};
use rebate_tests::draw::Draw;
use serde_json::{Value, json};
use solana_message::{Message, MessageHeader, VersionedMessage, compiled_instruction::CompiledInstruction};
use solana_program::hash::Hash;
use solana_transaction::versioned::VersionedTransaction;
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher},
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// After so many wrong answers to one question comes the right one, so that a round ends.
const PATIENCE: u32 = 5;

/// Errors that mean "ask again": of Solana's list and of JSON-RPC's.
const ERRORS: [i64; 11] = [-32001, -32004, -32005, -32007, -32009, -32014, -32016, -32019, -32603, -32000, -1];

/// Which faults a node has.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    pub seed: u64,
    /// How many of a hundred answers are wrong.
    pub percent: u64,
    /// Whether some are wrong in a way that stops an indexer.
    pub stopping: bool,
}

struct Inner {
    habits: Habits,
    genesis: Hash,
    /// By slot.
    blocks: Vec<(u64, Value)>,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    /// How often each question was asked.
    times: HashMap<(String, u64), u32>,
    all: usize,
}

/// A node with a chain that grows while it is asked.
pub struct Node {
    pub url: String,
    serving: JoinHandle<()>,
}

impl Node {
    pub async fn serve(blocks: &[Block], habits: Habits) -> Self {
        let inner = Arc::new(Inner {
            habits,
            genesis: blocks[0].hash,
            blocks: blocks.iter().map(|block| (block.slot, shown(block))).collect(),
            asked: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/", post(answer)).with_state(inner);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, serving }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn error(code: i64) -> Value {
    json!({"error": {"code": code, "message": format!("the node says {code}")}})
}

async fn answer(State(node): State<Arc<Inner>>, body: String) -> Response<Body> {
    let question: Value = serde_json::from_str(&body).unwrap();
    let (method, parameters) = (question["method"].as_str().unwrap(), &question["params"]);
    let about = parameters[0].as_u64().unwrap_or_default();
    let (time, tip) = {
        let mut asked = node.asked.lock().unwrap();
        asked.all += 1;
        let tip = node.blocks.len().min(3 + asked.all / 2) - 1;
        let time = asked.times.entry((method.to_owned(), about)).or_default();
        *time += 1;
        (*time, tip)
    };
    let honest = node.honest(method, parameters, tip);
    // What comes of a question depends on it alone, and not on what else is asked at the same time.
    let mut hasher = DefaultHasher::new();
    (node.habits.seed, method, about, time).hash(&mut hasher);
    let mut draw = Draw::of(hasher.finish());
    if time > PATIENCE || draw.below(100) >= node.habits.percent {
        return reply(&question, honest);
    }
    match draw.below(8) {
        // The client waits half a second by itself before it asks again.
        0 if draw.once_in(4) => status(StatusCode::TOO_MANY_REQUESTS, ""),
        0 | 1 => status(StatusCode::BAD_GATEWAY, "<html>"),
        2 => {
            let whole = whole(&question, honest);
            status(StatusCode::OK, &whole[..whole.len() / 2])
        }
        3 | 4 => reply(&question, error(draw.one(&ERRORS))),
        _ => reply(&question, node.twisted(method, parameters, honest, &mut draw)),
    }
}

fn whole(question: &Value, answer: Value) -> String {
    let mut reply = json!({"jsonrpc": "2.0", "id": question["id"]});
    reply.as_object_mut().unwrap().extend(answer.as_object().unwrap().clone());
    reply.to_string()
}

fn reply(question: &Value, answer: Value) -> Response<Body> {
    status(StatusCode::OK, &whole(question, answer))
}

fn status(status: StatusCode, body: &str) -> Response<Body> {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Body::from(body.to_owned())).unwrap()
}

impl Inner {
    fn honest(&self, method: &str, parameters: &Value, tip: usize) -> Value {
        let shown = &self.blocks[..=tip];
        match method {
            "getGenesisHash" => json!({"result": self.genesis.to_string()}),
            "getFirstAvailableBlock" => json!({"result": shown[0].0}),
            "getSlot" => json!({"result": shown[tip].0}),
            "getBlocksWithLimit" => {
                let (start, limit) = (parameters[0].as_u64().unwrap(), parameters[1].as_u64().unwrap());
                let listed = shown.iter().map(|(slot, _)| *slot).filter(|slot| *slot >= start);
                json!({"result": listed.take(usize::try_from(limit).unwrap()).collect::<Vec<_>>()})
            }
            "getBlock" => match self.block(parameters[0].as_u64().unwrap(), shown) {
                Some(block) => json!({"result": block}),
                None => error(-32009),
            },
            other => panic!("the node was asked {other}"),
        }
    }

    fn block<'a>(&self, slot: u64, shown: &'a [(u64, Value)]) -> Option<&'a Value> {
        shown.iter().find(|(other, _)| *other == slot).map(|(_, block)| block)
    }

    /// An answer that looks like one.
    fn twisted(&self, method: &str, parameters: &Value, honest: Value, draw: &mut Draw) -> Value {
        let stopping = self.habits.stopping;
        match method {
            "getSlot" => json!({"result": 0}),
            "getFirstAvailableBlock" if stopping => json!({"result": 1u64 << 40}),
            "getBlocksWithLimit" => {
                let mut slots = honest["result"].as_array().unwrap().clone();
                match draw.below(3) {
                    // The node is behind the cursor.
                    0 => slots.clear(),
                    1 => slots.truncate(1),
                    _ => slots.retain(|_| !draw.once_in(3)),
                }
                json!({"result": slots})
            }
            "getBlock" if honest["error"].is_null() => {
                let slot = parameters[0].as_u64().unwrap();
                let mut block = honest["result"].clone();
                match draw.below(if stopping && slot > 0 { 5 } else { 2 }) {
                    0 => return json!({"result": null}),
                    1 => return error(-32007),
                    // That of another slot: a duplicate, or one that comes too early.
                    2 => {
                        let other = usize::try_from(draw.below(self.blocks.len() as u64)).unwrap();
                        block = self.blocks[other].1.clone();
                    }
                    3 => block["transactions"] = Value::Null,
                    _ => {
                        let fork = Hash::new_from_array([7; 32]).to_string();
                        block["previousBlockhash"] = json!(fork);
                    }
                }
                json!({"result": block})
            }
            _ => error(-32005),
        }
    }
}

fn shown(block: &Block) -> Value {
    json!({
        "blockhash": block.hash.to_string(),
        "previousBlockhash": block.parent_hash.to_string(),
        "parentSlot": block.parent_slot,
        "blockTime": block.time,
        "blockHeight": block.slot,
        "transactions": block.transactions.iter().map(transaction).collect::<Vec<_>>(),
    })
}

/// A transaction as a node shows it.
fn transaction(transaction: &Transaction) -> Value {
    let message = VersionedMessage::Legacy(Message {
        header: MessageHeader {
            num_required_signatures: 1,
            num_readonly_signed_accounts: 0,
            num_readonly_unsigned_accounts: 1,
        },
        account_keys: transaction.accounts.clone(),
        recent_blockhash: Hash::default(),
        instructions: vec![CompiledInstruction { program_id_index: 1, accounts: vec![0], data: vec![1] }],
    });
    let bytes = wincode::serialize(&VersionedTransaction { signatures: vec![transaction.signature], message }).unwrap();
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
        "transaction": [BASE64_STANDARD.encode(bytes), "base64"],
        "version": "legacy",
        "meta": {
            "err": if transaction.failed { json!({"InstructionError": [0, {"Custom": 1}]}) } else { Value::Null },
            "fee": 5000,
            "preBalances": [1], "postBalances": [1],
            "innerInstructions": [{"index": 0, "instructions": inner}],
            "logMessages": [],
            "loadedAddresses": {"writable": [], "readonly": []},
            "computeUnitsConsumed": 1,
        },
    })
}
