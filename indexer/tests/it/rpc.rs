//! The RPC source against a node that answers what the test says.

use crate::chain::{Chain, key};
use axum::{Json, Router, extract::State, routing::post};
use base64::{Engine, prelude::BASE64_STANDARD};
use rebate_client::{
    Pubkey,
    address::{PROGRAM, event_authority},
    block::{Block, InnerInstruction},
    chain::Commitment,
};
use rebate_indexer::source::{BlockRef, BlockSource, Next, SourceError, rpc::RpcSource};
use serde_json::{Value, json};
use solana_message::{
    Message, MessageHeader, VersionedMessage,
    compiled_instruction::CompiledInstruction,
    v0::{self, MessageAddressTableLookup},
    v1,
};
use solana_program::hash::Hash;
use solana_transaction::versioned::VersionedTransaction;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

/// A node with a chain. What the test puts into `instead` it answers instead, once per entry.
#[derive(Clone, Default)]
pub struct Node {
    slots: Arc<Mutex<Vec<u64>>>,
    blocks: Arc<Mutex<HashMap<u64, Value>>>,
    /// By signature; null of others.
    pub statuses: Arc<Mutex<HashMap<String, Value>>>,
    instead: Arc<Mutex<Vec<(String, Value)>>>,
    first_available: Arc<Mutex<u64>>,
    pub asked: Arc<Mutex<Vec<(String, Value)>>>,
}

pub fn error(code: i64) -> Value {
    json!({"error": {"code": code, "message": format!("the node says {code}")}})
}

async fn answer(State(node): State<Node>, Json(question): Json<Value>) -> Json<Value> {
    let method = question["method"].as_str().unwrap().to_owned();
    let parameters = question["params"].clone();
    node.asked.lock().unwrap().push((method.clone(), parameters.clone()));
    let instead = {
        let mut instead = node.instead.lock().unwrap();
        let name = match parameters[0].as_u64() {
            Some(slot) => format!("{method} {slot}"),
            None => method.clone(),
        };
        let position = instead.iter().position(|(what, _)| *what == method || *what == name);
        position.map(|position| instead.remove(position).1)
    };
    let answer = instead.unwrap_or_else(|| match method.as_str() {
        "getGenesisHash" => json!({"result": Hash::new_from_array(key(0)).to_string()}),
        "getFirstAvailableBlock" => json!({"result": *node.first_available.lock().unwrap()}),
        "getSlot" => json!({"result": node.slots.lock().unwrap().last()}),
        "getBlocksWithLimit" => {
            let (start, limit) = (parameters[0].as_u64().unwrap(), parameters[1].as_u64().unwrap());
            let slots = node.slots.lock().unwrap();
            let listed: Vec<u64> =
                slots.iter().copied().filter(|slot| *slot >= start).take(usize::try_from(limit).unwrap()).collect();
            json!({"result": listed})
        }
        "getBlock" => match node.blocks.lock().unwrap().get(&parameters[0].as_u64().unwrap()) {
            Some(block) => json!({"result": block}),
            None => error(-32009),
        },
        "getSignatureStatuses" => {
            let statuses = node.statuses.lock().unwrap();
            let asked = parameters[0].as_array().unwrap();
            assert!(asked.len() <= 256, "a node takes 256 signatures at most");
            let found = |signature: &Value| statuses.get(signature.as_str().unwrap()).cloned().unwrap_or_default();
            json!({"result": {"context": {"slot": 9}, "value": asked.iter().map(found).collect::<Vec<_>>()}})
        }
        other => panic!("the node was asked {other}"),
    });
    let mut reply = json!({"jsonrpc": "2.0", "id": question["id"]});
    reply.as_object_mut().unwrap().extend(answer.as_object().unwrap().clone());
    Json(reply)
}

impl Node {
    /// A node with this chain, and the source that reads it.
    pub async fn of(chain: &Chain) -> (Self, RpcSource) {
        let node = Self::default();
        for block in &chain.blocks {
            node.add(block.slot, as_answer(block));
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://user:secret@{}/key", listener.local_addr().unwrap());
        let router = Router::new().route("/key", post(answer)).with_state(node.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (node, RpcSource::new(&url, Commitment::Finalized, Duration::from_millis(10)).unwrap())
    }

    fn add(&self, slot: u64, block: Value) {
        self.slots.lock().unwrap().push(slot);
        self.blocks.lock().unwrap().insert(slot, block);
    }

    pub fn instead(&self, what: &str, answer: Value) {
        self.instead.lock().unwrap().push((what.to_owned(), answer));
    }

    pub fn forget(&self, slot: u64) -> Value {
        self.slots.lock().unwrap().retain(|listed| *listed != slot);
        self.blocks.lock().unwrap().remove(&slot).unwrap()
    }
}

fn as_answer(block: &Block) -> Value {
    json!({
        "blockhash": block.hash.to_string(),
        "previousBlockhash": block.parent_hash.to_string(),
        "parentSlot": block.parent_slot,
        "blockTime": block.time,
        "blockHeight": block.slot,
        "transactions": [],
    })
}

/// A transaction as a node shows it, and the invocation of the event authority in it.
fn shown(message: VersionedMessage, err: Value, loaded: Value, inner: Value) -> Value {
    let version = match &message {
        VersionedMessage::Legacy(_) => json!("legacy"),
        VersionedMessage::V0(_) => json!(0),
        VersionedMessage::V1(_) => json!(1),
    };
    let transaction = VersionedTransaction { signatures: vec![[9; 64].into()], message };
    let bytes = wincode::serialize(&transaction).unwrap();
    json!({
        "transaction": [BASE64_STANDARD.encode(bytes), "base64"],
        "version": version,
        "meta": {
            "err": err,
            "status": {"Ok": null},
            "fee": 5000,
            "preBalances": [1], "postBalances": [1],
            "innerInstructions": inner,
            "logMessages": [],
            "loadedAddresses": loaded,
            "computeUnitsConsumed": 1,
        },
    })
}

const HEADER: MessageHeader =
    MessageHeader { num_required_signatures: 1, num_readonly_signed_accounts: 0, num_readonly_unsigned_accounts: 1 };

fn legacy(keys: &[Pubkey]) -> VersionedMessage {
    let invocation = CompiledInstruction { program_id_index: 1, accounts: vec![0], data: vec![1] };
    VersionedMessage::Legacy(Message {
        header: HEADER,
        account_keys: keys.to_vec(),
        recent_blockhash: Hash::default(),
        instructions: vec![invocation],
    })
}

fn inner(program: u8, authority: u8) -> Value {
    json!([{"index": 0, "instructions": [{
        "programIdIndex": program,
        "accounts": [authority],
        "data": bs58::encode(b"bytes").into_string(),
        "stackHeight": 2,
    }]}])
}

fn some_keys() -> [Pubkey; 3] {
    [Pubkey::new_from_array(key(1)), PROGRAM, event_authority()]
}

fn no_addresses() -> Value {
    json!({"writable": [], "readonly": []})
}

/// A chain of six blocks, at slots 0, 1, 2, 5, 6 and 7.
pub fn chain() -> Chain {
    let mut chain = Chain::new();
    chain.seal();
    chain.seal();
    chain.skip(2);
    chain.seal();
    chain.seal();
    chain.seal();
    chain
}

fn found(next: Result<Next, SourceError>) -> Block {
    match next.unwrap() {
        Next::Block(block) => *block,
        Next::NothingYet => panic!("nothing yet"),
    }
}

#[tokio::test]
async fn blocks_come_in_order_by_their_parents() {
    let chain = chain();
    let (node, source) = Node::of(&chain).await;
    assert_eq!(source.genesis_hash().await.unwrap(), Hash::new_from_array(key(0)));
    assert_eq!(source.tip().await.unwrap(), 7);
    let mut blocks = vec![found(source.first(None).await)];
    while let Next::Block(block) = source.next_after(&BlockRef::of(blocks.last().unwrap())).await.unwrap() {
        blocks.push(*block);
    }
    assert_eq!(blocks, chain.blocks);

    let asked = node.asked.lock().unwrap().clone();
    let (_, parameters) = asked.iter().find(|(method, _)| method == "getBlock").unwrap();
    assert_eq!(
        parameters[1],
        json!({
            "encoding": "base64", "transactionDetails": "full", "rewards": false, "commitment": "finalized",
            "maxSupportedTransactionVersion": 1,
        })
    );
    // Each block was asked for once.
    assert_eq!(asked.iter().filter(|(method, _)| method == "getBlock").count(), 6);
}

#[tokio::test]
async fn a_hole_in_the_list_of_slots_is_found_by_the_parents() {
    let chain = chain();
    let (node, source) = Node::of(&chain).await;
    node.slots.lock().unwrap().retain(|slot| ![2, 5].contains(slot));
    let cursor = BlockRef::of(&chain.blocks[1]);
    assert_eq!(found(source.next_after(&cursor).await), chain.blocks[2]);
    assert_eq!(found(source.first(Some(2)).await), chain.blocks[2]);
    assert_eq!(found(source.first(Some(3)).await), chain.blocks[3]);
}

#[tokio::test]
async fn null_and_every_error_of_a_node_mean_ask_again() {
    let chain = chain();
    let cursor = BlockRef::of(&chain.blocks[2]);
    let answers = [
        json!({"result": null}),
        error(-32001),
        error(-32004),
        error(-32005),
        error(-32007),
        error(-32009),
        error(-32014),
        error(-32016),
        error(-32019),
        error(-32603),
        json!("no JSON-RPC at all").as_object().cloned().map_or(json!({"error": {"unknown": "form"}}), Value::from),
    ];
    for answer in answers {
        let (node, source) = Node::of(&chain).await;
        node.instead("getBlock 5", answer.clone());
        let error = source.next_after(&cursor).await.unwrap_err();
        assert!(error.is_temporary(), "{answer}: {error}");
        assert!(!error.to_string().contains("secret") && !error.to_string().contains("/key"), "{error}");
        // The slot was not skipped.
        assert_eq!(found(source.next_after(&cursor).await), chain.blocks[3], "{answer}");
    }
    for method in ["getBlocksWithLimit", "getGenesisHash", "getFirstAvailableBlock"] {
        let (node, source) = Node::of(&chain).await;
        node.instead(method, error(-32005));
        let (first, second) = match method {
            "getBlocksWithLimit" => (source.next_after(&cursor).await.err(), source.next_after(&cursor).await.err()),
            "getGenesisHash" => (source.genesis_hash().await.err(), source.genesis_hash().await.err()),
            _ => (source.require(&cursor).await.err(), source.require(&cursor).await.err()),
        };
        assert!(first.unwrap().is_temporary());
        assert_eq!(second, None);
    }
}

#[tokio::test]
async fn a_later_block_does_not_come_while_the_one_before_it_fails() {
    let chain = chain();
    let (node, source) = Node::of(&chain).await;
    let cursor = BlockRef::of(&chain.blocks[2]);
    for _ in 0..5 {
        node.instead("getBlock 6", json!({"result": null}));
    }
    let first = found(source.next_after(&cursor).await);
    assert_eq!(first, chain.blocks[3]);
    for _ in 0..4 {
        assert!(source.next_after(&BlockRef::of(&first)).await.unwrap_err().is_temporary());
    }
    assert_eq!(found(source.next_after(&BlockRef::of(&first)).await), chain.blocks[4]);
}

#[tokio::test]
async fn at_the_tip_there_is_nothing_yet() {
    let mut chain = chain();
    let (node, source) = Node::of(&chain).await;
    let tip = chain.tip();
    assert_eq!(source.next_after(&tip).await.unwrap(), Next::NothingYet);
    assert_eq!(source.first(Some(100)).await.unwrap(), Next::NothingYet);
    let next = chain.seal().clone();
    node.add(next.slot, as_answer(&next));
    assert_eq!(found(source.next_after(&tip).await), next);
}

#[tokio::test]
async fn a_pruned_ledger_stops_it() {
    let chain = chain();
    let (node, source) = Node::of(&chain).await;
    node.forget(0);
    node.forget(1);
    node.forget(2);
    *node.first_available.lock().unwrap() = 5;
    let cursor = BlockRef::of(&chain.blocks[1]);
    let pruned = |needed| Err(SourceError::Pruned { node: source_name(&source), needed, first_available: 5 });
    assert_eq!(source.require(&cursor).await, pruned(1));
    assert_eq!(source.next_after(&cursor).await.map(|_| ()), pruned(1));
    assert_eq!(source.first(Some(2)).await.map(|_| ()), pruned(2));
    assert_eq!(found(source.first(None).await), chain.blocks[3]);
}

/// The address without what is secret in it, as errors have it.
fn source_name(source: &RpcSource) -> String {
    source.name().to_owned()
}

#[tokio::test]
async fn a_fork_stops_it() {
    let chain = chain();
    let (_node, source) = Node::of(&chain).await;
    let fork = BlockRef { slot: 5, hash: Hash::new_from_array(key(5)) };
    let error = source.next_after(&fork).await.unwrap_err();
    assert!(matches!(error, SourceError::Forked { slot: 6, .. }), "{error}");
    let skipped = BlockRef { slot: 3, hash: Hash::new_from_array(key(5)) };
    let error = source.next_after(&skipped).await.unwrap_err();
    assert!(matches!(error, SourceError::Forked { slot: 5, .. }), "{error}");
}

#[tokio::test]
async fn what_only_a_change_of_settings_mends_stops_it() {
    let chain = chain();
    let cursor = BlockRef::of(&chain.blocks[2]);
    for (code, wanted) in [(-32011, "--enable-rpc-transaction-history"), (-32601, "full RPC node")] {
        let (node, source) = Node::of(&chain).await;
        node.instead("getBlock 5", error(code));
        let error = source.next_after(&cursor).await.unwrap_err();
        assert!(matches!(error, SourceError::Refused { .. }), "{error}");
        assert!(error.to_string().contains(wanted), "{error}");
    }
    for (code, wanted) in [(-32015, "update this software")] {
        let (node, source) = Node::of(&chain).await;
        node.instead("getBlock 5", error(code));
        let error = source.next_after(&cursor).await.unwrap_err();
        assert!(matches!(error, SourceError::Unreadable { slot: 5, .. }), "{error}");
        assert!(error.to_string().contains(wanted), "{error}");
    }
    assert!(RpcSource::new("ftp://somewhere", Commitment::Finalized, Duration::ZERO).is_err());
}

#[tokio::test]
async fn a_node_that_is_not_there_is_asked_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/key", listener.local_addr().unwrap());
    drop(listener);
    let source = RpcSource::new(&url, Commitment::Finalized, Duration::ZERO).unwrap();
    let error = source.genesis_hash().await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    assert!(!error.to_string().contains("/key"), "{error}");
}

/// Asks for a block with this one transaction.
async fn block_with(transaction: Value) -> Result<Block, SourceError> {
    let chain = chain();
    let (node, source) = Node::of(&chain).await;
    let mut block = as_answer(&chain.blocks[5]);
    block["transactions"] = json!([transaction]);
    node.blocks.lock().unwrap().insert(7, block);
    match source.next_after(&BlockRef::of(&chain.blocks[4])).await? {
        Next::Block(block) => Ok(*block),
        Next::NothingYet => panic!("nothing yet"),
    }
}

#[tokio::test]
async fn a_transaction_without_its_results_stops_the_block() {
    let whole = shown(legacy(&some_keys()), Value::Null, no_addresses(), inner(1, 2));
    let block = block_with(whole.clone()).await.unwrap();
    assert_eq!(block.transactions[0].accounts, some_keys());
    assert_eq!(
        block.transactions[0].inner,
        [InnerInstruction { program: 1, accounts: vec![2], data: b"bytes".to_vec() }]
    );
    assert!(!block.transactions[0].failed);

    type Spoil = fn(&mut Value);
    let cases: [(Spoil, &str); 8] = [
        (|shown| shown["meta"] = Value::Null, "has no meta"),
        (|shown| shown["meta"]["innerInstructions"] = Value::Null, "has no innerInstructions"),
        (|shown| drop(shown["meta"].as_object_mut().unwrap().remove("innerInstructions")), "has no innerInstructions"),
        (|shown| drop(shown["meta"].as_object_mut().unwrap().remove("err")), "missing field `err`"),
        (|shown| shown["transaction"] = json!(["AAAA", "base64"]), "transaction 0 of the block cannot be read"),
        (|shown| shown["transaction"] = json!({"signatures": []}), "has not the form of a block"),
        (|shown| shown["meta"]["innerInstructions"][0]["instructions"][0]["data"] = json!("0OIl"), "cannot be read"),
        (
            |shown| shown["meta"]["loadedAddresses"]["readonly"] = json!(["11111111111111111111111111111111"]),
            "has no loadedAddresses",
        ),
    ];
    for (spoil, complaint) in cases {
        let mut shown = whole.clone();
        spoil(&mut shown);
        let error = block_with(shown).await.unwrap_err();
        assert!(matches!(error, SourceError::Unreadable { slot: 7, .. }), "{error}");
        assert!(error.to_string().contains(complaint), "{error}");
    }
}

#[tokio::test]
async fn a_block_without_transactions_listed_is_not_an_empty_block() {
    let chain = chain();
    let (node, source) = Node::of(&chain).await;
    let mut block = node.forget(5);
    block.as_object_mut().unwrap().remove("transactions");
    node.add(5, block);
    node.slots.lock().unwrap().sort_unstable();
    let error = source.next_after(&BlockRef::of(&chain.blocks[2])).await.unwrap_err();
    assert!(matches!(error, SourceError::Unreadable { slot: 5, .. }), "{error}");
}

#[tokio::test]
async fn a_failure_of_a_kind_unknown_here_is_a_failure() {
    let unknown = json!({"SomethingOfNextYear": {"account_index": 3}});
    let block = block_with(shown(legacy(&some_keys()), unknown, no_addresses(), json!([]))).await.unwrap();
    assert!(block.transactions[0].failed);
}

#[tokio::test]
async fn addresses_from_lookup_tables_come_behind_writable_ones_first() {
    let invocation = CompiledInstruction { program_id_index: 1, accounts: vec![0], data: vec![1] };
    let [payer, program, authority] = some_keys();
    let message = VersionedMessage::V0(v0::Message {
        header: HEADER,
        account_keys: vec![payer, Pubkey::new_from_array(key(8))],
        recent_blockhash: Hash::default(),
        instructions: vec![invocation],
        address_table_lookups: vec![MessageAddressTableLookup {
            account_key: Pubkey::new_from_array(key(4)),
            writable_indexes: vec![7],
            readonly_indexes: vec![5, 6],
        }],
    });
    let writable = Pubkey::new_from_array(key(6));
    let loaded = json!({
        "writable": [writable.to_string()],
        "readonly": [program.to_string(), authority.to_string()],
    });
    let whole = shown(message, Value::Null, loaded, inner(3, 4));
    let block = block_with(whole.clone()).await.unwrap();
    let transaction = &block.transactions[0];
    assert_eq!(transaction.accounts, [payer, Pubkey::new_from_array(key(8)), writable, program, authority]);
    assert_eq!(transaction.inner.len(), 1);

    let mut lacking = whole;
    lacking["meta"].as_object_mut().unwrap().remove("loadedAddresses");
    let error = block_with(lacking).await.unwrap_err();
    assert!(error.to_string().contains("has no loadedAddresses"), "{error}");
}

#[tokio::test]
async fn a_transaction_of_version_1_is_read() {
    let invocation = CompiledInstruction { program_id_index: 1, accounts: vec![0], data: vec![1] };
    let message = v1::Message::new(
        HEADER,
        v1::TransactionConfig::empty(),
        Hash::default(),
        some_keys().to_vec(),
        vec![invocation],
    );
    let block =
        block_with(shown(VersionedMessage::V1(message), Value::Null, no_addresses(), inner(1, 2))).await.unwrap();
    assert_eq!(block.transactions[0].accounts, some_keys());
    assert_eq!(block.transactions[0].inner.len(), 1);
}
