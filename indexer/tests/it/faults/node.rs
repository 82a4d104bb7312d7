//! A node that mostly does what it should not.

use super::world::{View, World};
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
const PATIENCE: u32 = 4;

/// How many questions are asked before the node shows something else.
const VIEWED: usize = 2;

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
    main: Vec<Shown>,
    forks: Vec<Vec<Shown>>,
    views: Vec<View>,
    asked: Mutex<Asked>,
}

/// A block as the node shows it.
struct Shown {
    slot: u64,
    whole: Value,
    /// Its transactions, and whether each failed.
    transactions: Vec<(String, bool)>,
}

impl Shown {
    fn of(block: &Block) -> Self {
        let transactions = block.transactions.iter();
        let transactions = transactions.map(|transaction| (transaction.signature.to_string(), transaction.failed));
        Self { slot: block.slot, whole: shown(block), transactions: transactions.collect() }
    }

    /// Without its transactions, if the question wants it so.
    fn answer(&self, config: &Value) -> Value {
        let mut answer = self.whole.clone();
        if config["transactionDetails"] == "none" {
            answer.as_object_mut().unwrap().remove("transactions");
        }
        answer
    }
}

#[derive(Default)]
struct Asked {
    /// How often each question was asked.
    times: HashMap<(String, u64), u32>,
    all: usize,
}

/// A node whose chain grows, forks and becomes final while it is asked.
pub struct Node {
    pub url: String,
    serving: JoinHandle<()>,
}

impl Node {
    pub async fn serve(world: &World, habits: Habits) -> Self {
        let all = |blocks: &[Block]| blocks.iter().map(Shown::of).collect::<Vec<_>>();
        let inner = Arc::new(Inner {
            habits,
            genesis: world.main[0].hash,
            main: all(&world.main),
            forks: world.forks.iter().map(|fork| all(&fork.blocks)).collect(),
            views: world.views(&mut Draw::of(habits.seed)),
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
    let (time, view) = {
        let mut asked = node.asked.lock().unwrap();
        asked.all += 1;
        let view = node.views[(asked.all / VIEWED).min(node.views.len() - 1)];
        let time = asked.times.entry((method.to_owned(), about)).or_default();
        *time += 1;
        (*time, view)
    };
    let honest = node.honest(method, parameters, view);
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
    /// The blocks that the node shows at the commitment that a question's settings name.
    fn shown(&self, view: View, config: &Value) -> Vec<&Shown> {
        if config["commitment"] == "confirmed" {
            let fork = view.fork.iter().flat_map(|(fork, blocks)| &self.forks[*fork][..*blocks]);
            self.main[..view.main].iter().chain(fork).collect()
        } else {
            self.main[..view.finals].iter().collect()
        }
    }

    fn honest(&self, method: &str, parameters: &Value, view: View) -> Value {
        match method {
            "getGenesisHash" => json!({"result": self.genesis.to_string()}),
            "getFirstAvailableBlock" => json!({"result": self.main[0].slot}),
            "getSlot" => json!({"result": self.shown(view, &parameters[0]).last().unwrap().slot}),
            "getBlocksWithLimit" => {
                let (start, limit) = (parameters[0].as_u64().unwrap(), parameters[1].as_u64().unwrap());
                let shown = self.shown(view, &parameters[2]);
                let listed = shown.iter().map(|block| block.slot).filter(|slot| *slot >= start);
                json!({"result": listed.take(usize::try_from(limit).unwrap()).collect::<Vec<_>>()})
            }
            "getBlock" => {
                let slot = parameters[0].as_u64().unwrap();
                let shown = self.shown(view, &parameters[1]);
                match shown.iter().find(|block| block.slot == slot) {
                    Some(block) => json!({"result": block.answer(&parameters[1])}),
                    None => error(-32009),
                }
            }
            "getSignatureStatuses" => {
                let status = |asked: &Value| {
                    let shown = self.shown(view, &json!({"commitment": "confirmed"}));
                    let of =
                        |block: &&&Shown, wanted: &str| block.transactions.iter().any(|(found, _)| found == wanted);
                    let block = shown.iter().find(|block| of(block, asked.as_str().unwrap()))?;
                    let failed = block.transactions.iter().find(|(found, _)| found == asked.as_str().unwrap())?.1;
                    let is_final = block.slot <= self.main[view.finals - 1].slot;
                    Some(json!({
                        "slot": block.slot,
                        "confirmations": if is_final { Value::Null } else { json!(3) },
                        "err": if failed { json!({"InstructionError": [0, {"Custom": 1}]}) } else { Value::Null },
                        "confirmationStatus": if is_final { "finalized" } else { "confirmed" },
                    }))
                };
                let statuses: Vec<_> = parameters[0].as_array().unwrap().iter().map(status).collect();
                json!({"result": {"context": {"slot": 1}, "value": statuses}})
            }
            other => panic!("the node was asked {other}"),
        }
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
                        let other = usize::try_from(draw.below(self.main.len() as u64)).unwrap();
                        block = self.main[other].answer(&parameters[1]);
                    }
                    3 if block["transactions"].is_array() => block["transactions"] = Value::Null,
                    _ => {
                        let fork = Hash::new_from_array([7; 32]).to_string();
                        block["previousBlockhash"] = json!(fork);
                    }
                }
                json!({"result": block})
            }
            "getSignatureStatuses" => {
                let mut answer = honest;
                for status in answer["result"]["value"].as_array_mut().unwrap() {
                    if draw.once_in(2) {
                        *status = Value::Null;
                    }
                }
                answer
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
