//! The source by address: a list of transactions that is not to be trusted, and journals that say whether it is whole.

use crate::{
    chain::{Chain, key},
    database::Database,
    node::{Node, error},
    source::{Script, index, index_from},
    writing::eventful_chain,
};
use rebate_client::{Pubkey, address::PROGRAM, block::Transaction, chain::Commitment};
use rebate_indexer::{
    IndexError, Options,
    source::{BlockRef, BlockSource, Next, SourceError, address::AddressSource},
    stretch::{Stretch, StretchError},
    write::{WriteError, Writer},
};
use serde_json::json;
use solana_signature::Signature;
use std::{sync::Arc, time::Duration};

const POLL: Duration = Duration::from_millis(5);

fn source(node: &Node, database: &Database) -> AddressSource {
    AddressSource::new(node.url(), POLL, database.pool().clone()).unwrap()
}

/// Indexes by address until the last block that the node shows is written.
async fn index_by_address(database: &Database, node: &Node) -> Result<(), IndexError> {
    index_from_slot(database, node, None).await
}

async fn index_from_slot(database: &Database, node: &Node, from_slot: Option<u64>) -> Result<(), IndexError> {
    let end = i64::try_from(node.ledger().tip()).unwrap();
    let options = Options { from_slot, ..Options::default() };
    index_from(database.pool().clone(), Arc::new(source(node, database)), end, options).await
}

/// The same without the indexer's pauses: what is temporary is asked again at once.
async fn drive(database: &Database, node: &Node) {
    let source = source(node, database);
    let writer = Writer::new(database.pool().clone(), node.ledger().genesis_hash, Commitment::Finalized);
    let end = node.ledger().tip();
    let mut after = writer.cursor().await.unwrap().map(|cursor| cursor.at);
    for _ in 0..10_000 {
        let next = match &after {
            Some(cursor) => source.next_after(cursor).await,
            None => source.first(None).await,
        };
        match next {
            Ok(Next::Block(block)) => {
                writer.write(&Stretch::of(after, [&*block]).unwrap()).await.unwrap();
                after = Some(BlockRef::of(&block));
                if block.slot >= end {
                    return;
                }
            }
            Ok(Next::NothingYet) => tokio::time::sleep(POLL).await,
            Err(error) => assert!(error.is_temporary(), "{error}"),
        }
    }
    panic!("it does not come to an end");
}

/// What a source that yields every block makes of the chain.
pub async fn content_by_block(chain: &Chain) -> String {
    let database = Database::new().await;
    index(&database, Script::of(chain)).await.unwrap();
    database.content().await
}

async fn cursor(database: &Database, chain: &Chain) -> Option<BlockRef> {
    let writer = Writer::new(database.pool().clone(), chain.genesis_hash(), Commitment::Finalized);
    writer.cursor().await.unwrap().map(|cursor| cursor.at)
}

/// The chain as it is among others: with transactions that are none of the program's, and some that name it to no effect.
fn among_others(mut chain: Chain) -> Chain {
    let mut number = 1_000_000;
    let mut other = |accounts: Vec<Pubkey>, failed| {
        number += 1;
        let mut signature = [7; 64];
        signature[..32].copy_from_slice(&key(number));
        let signature = Signature::from(signature);
        Transaction { signature, position: None, failed, accounts, inner: Vec::new() }
    };
    let somebody = Pubkey::new_from_array(key(70));
    for block in &mut chain.blocks {
        block.transactions.insert(0, other(vec![somebody], false));
        let middle = block.transactions.len() / 2;
        block.transactions.insert(middle, other(vec![somebody, PROGRAM], false));
        block.transactions.insert(middle, other(vec![somebody, PROGRAM], true));
        block.transactions.push(other(vec![somebody], false));
    }
    chain
}

pub fn busy_chain() -> Chain {
    among_others(eventful_chain())
}

/// The transactions with events, in order.
fn emitters(chain: &Chain) -> Vec<Signature> {
    let transactions = chain.blocks.iter().flat_map(|block| &block.transactions);
    transactions
        .filter(|found| found.events().is_ok_and(|events| !events.is_empty()))
        .map(|found| found.signature)
        .collect()
}

#[tokio::test]
async fn by_address_the_tables_end_as_by_block_whatever_the_size_of_a_page() {
    let chain = busy_chain();
    let expected = content_by_block(&chain).await;
    for page in [1_000, 13, 4, 2, 1] {
        for tells_positions in [true, false] {
            let (database, node) = (Database::new().await, Node::of(&chain).await);
            (node.ledger().page, node.ledger().tells_positions) = (page, tells_positions);
            index_by_address(&database, &node).await.unwrap();
            assert_eq!(database.content().await, expected, "pages of {page}, positions {tells_positions}");
        }
    }
}

#[tokio::test]
async fn only_transactions_that_did_not_fail_are_asked_for_and_each_once() {
    let chain = busy_chain();
    let (database, node) = (Database::new().await, Node::of(&chain).await);
    index_by_address(&database, &node).await.unwrap();
    let transactions = chain.blocks.iter().flat_map(|block| &block.transactions);
    let named = transactions.filter(|found| !found.failed && found.accounts.contains(&PROGRAM)).count();
    assert_eq!(node.times_asked("getTransaction"), named);
    for (_, parameters) in node.ledger().asked.iter().filter(|(method, _)| method == "getTransaction") {
        assert_eq!(
            parameters[1],
            json!({"encoding": "base64", "commitment": "finalized", "maxSupportedTransactionVersion": 1})
        );
    }
}

#[tokio::test]
async fn started_again_at_any_block_it_finds_its_anchor_and_goes_on() {
    let chain = busy_chain();
    let (database, node) = (Database::new().await, Node::of(&chain).await);
    node.ledger().page = 3;
    for shown in 1..=chain.blocks.len() {
        node.ledger().shown = shown;
        index_by_address(&database, &node).await.unwrap();
        assert_eq!(cursor(&database, &chain).await, Some(BlockRef::of(&chain.blocks[shown - 1])));
    }
    assert_eq!(database.content().await, content_by_block(&chain).await);
}

#[tokio::test]
async fn the_cursor_moves_while_nothing_of_the_program_happens() {
    let mut chain = Chain::new();
    let (database, node) = (Database::new().await, Node::of(&chain).await);
    for _ in 0..3 {
        index_by_address(&database, &node).await.unwrap();
        assert_eq!(cursor(&database, &chain).await, Some(chain.tip()));
        chain.skip(2);
        chain.seal();
        node.ledger().blocks = chain.blocks.clone();
        node.ledger().shown = chain.blocks.len();
    }
    // And what then happens comes.
    let platform = chain.create_platform(1);
    chain.pause(platform, true);
    chain.seal();
    node.ledger().blocks = chain.blocks.clone();
    node.ledger().shown = chain.blocks.len();
    index_by_address(&database, &node).await.unwrap();
    assert_eq!(database.count("events").await, 2);
    assert_eq!(cursor(&database, &chain).await, Some(chain.tip()));
}

#[tokio::test]
async fn a_transaction_left_out_of_some_lists_is_not_lost() {
    let chain = busy_chain();
    let expected = content_by_block(&chain).await;
    let starts = [0, chain.blocks.len() / 2, 3];
    for (left_out, already_there) in emitters(&chain).into_iter().step_by(2).zip(starts.into_iter().cycle()) {
        let (database, node) = (Database::new().await, Node::of(&chain).await);
        if already_there > 0 {
            node.ledger().shown = already_there;
            drive(&database, &node).await;
            node.ledger().shown = chain.blocks.len();
        }
        node.ledger().unlisted.insert(left_out, 2);
        drive(&database, &node).await;
        assert_eq!(database.content().await, expected, "without {left_out} after {already_there} blocks");
    }
}

#[tokio::test]
async fn a_transaction_left_out_for_good_stops_it_with_the_cursor_before_it() {
    let chain = busy_chain();
    let last = emitters(&chain).pop().unwrap();
    let (database, node) = (Database::new().await, Node::of(&chain).await);
    node.ledger().shown = chain.blocks.len() - 1;
    index_by_address(&database, &node).await.unwrap();
    let before = cursor(&database, &chain).await;
    node.ledger().shown = chain.blocks.len();
    // There is one more block, with nothing in it: nothing but the journal's account tells.
    node.ledger().unlisted.insert(last, u32::MAX);
    let error = index_by_address(&database, &node).await.unwrap_err();
    assert!(matches!(&error, IndexError::Source(SourceError::Unreadable { .. })), "{error}");
    assert!(error.to_string().contains("whose journal has") && error.to_string().contains("another node"), "{error}");
    assert_eq!(cursor(&database, &chain).await, before);
    assert_eq!(before, Some(BlockRef::of(&chain.blocks[chain.blocks.len() - 2])));

    node.ledger().unlisted.clear();
    index_by_address(&database, &node).await.unwrap();
    assert_eq!(database.content().await, content_by_block(&chain).await);
}

#[tokio::test]
async fn a_gap_between_listed_transactions_stops_it_too() {
    let chain = busy_chain();
    let (database, node) = (Database::new().await, Node::of(&chain).await);
    // The second event of the first platform.
    node.ledger().unlisted.insert(emitters(&chain)[1], u32::MAX);
    let error = index_by_address(&database, &node).await.unwrap_err();
    assert!(matches!(&error, IndexError::Source(SourceError::Unreadable { slot: 2, .. })), "{error}");
    assert!(error.to_string().contains("where event 1 is next"), "{error}");
    assert_eq!(cursor(&database, &chain).await, None);
}

#[tokio::test]
async fn a_start_behind_the_creation_of_a_platform_is_refused_by_the_writer() {
    let chain = busy_chain();
    let (database, node) = (Database::new().await, Node::of(&chain).await);
    let error = index_from_slot(&database, &node, Some(2)).await.unwrap_err();
    assert!(matches!(&error, IndexError::Write(WriteError::Gap { expected: 0, .. })), "{error}");
    assert_eq!(cursor(&database, &chain).await, None);

    index_from_slot(&database, &node, Some(1)).await.unwrap();
    assert_eq!(database.count("events").await, 42);
}

#[tokio::test]
async fn a_short_or_empty_page_and_every_error_mean_ask_again() {
    let chain = busy_chain();
    let expected = content_by_block(&chain).await;
    let page = |entries: usize, node: &Node| {
        let transactions = node.ledger().blocks.clone().into_iter().rev().flat_map(|block| {
            let slot = block.slot;
            block.transactions.into_iter().rev().map(move |found| (slot, found))
        });
        let ours = transactions.filter(|(_, found)| found.accounts.contains(&PROGRAM)).take(entries);
        let listed = ours.map(|(slot, found)| {
            let err = if found.failed { json!("AccountNotFound") } else { json!(null) };
            json!({"signature": found.signature.to_string(), "slot": slot, "err": err})
        });
        json!({"result": listed.collect::<Vec<_>>()})
    };
    for method in ["getSignaturesForAddress", "getTransaction", "getMultipleAccounts", "getBlock"] {
        let (database, node) = (Database::new().await, Node::of(&chain).await);
        node.ledger().shown = 3;
        drive(&database, &node).await;
        node.ledger().shown = chain.blocks.len();
        for answer in [
            json!({"result": null}),
            error(-32004),
            error(-32005),
            error(-32007),
            error(-32014),
            error(-32016),
            error(-32019),
            error(-32603),
        ] {
            node.instead(method, answer);
        }
        if method == "getSignaturesForAddress" {
            for entries in [0, 1, 4] {
                let page = page(entries, &node);
                node.instead(method, page);
                node.instead(method, json!({"result": []}));
            }
        }
        drive(&database, &node).await;
        assert_eq!(database.content().await, expected, "{method}");
    }
}

#[tokio::test]
async fn a_transaction_that_is_listed_and_not_shown_is_asked_for_again() {
    let chain = busy_chain();
    let (database, node) = (Database::new().await, Node::of(&chain).await);
    for signature in emitters(&chain) {
        node.ledger().unshown.insert(signature, 1);
    }
    drive(&database, &node).await;
    assert_eq!(database.content().await, content_by_block(&chain).await);
}

#[tokio::test]
async fn two_nodes_behind_one_address_lose_nothing() {
    let chain = busy_chain();
    let expected = content_by_block(&chain).await;
    for behind in 1..chain.blocks.len().min(5) {
        let (database, node) = (Database::new().await, Node::of(&chain).await);
        (node.ledger().other, node.ledger().page) = (Some(behind), 5);
        drive(&database, &node).await;
        assert_eq!(database.content().await, expected, "one of them {behind} blocks far");
    }
}

#[tokio::test]
async fn a_node_that_forgot_what_comes_next_is_said_to_have() {
    let chain = busy_chain();
    let (database, node) = (Database::new().await, Node::of(&chain).await);
    node.ledger().shown = 3;
    index_by_address(&database, &node).await.unwrap();
    let before = cursor(&database, &chain).await;
    (node.ledger().shown, node.ledger().first_available) = (chain.blocks.len(), chain.blocks[5].slot);
    let error = index_by_address(&database, &node).await.unwrap_err();
    let needed = chain.blocks[2].slot;
    assert!(
        matches!(&error, IndexError::Source(SourceError::Pruned { needed: found, .. }) if *found == needed),
        "{error}"
    );
    assert!(!error.to_string().contains("secret") && !error.to_string().contains("/key"), "{error}");
    assert_eq!(cursor(&database, &chain).await, before);

    // In an empty database, where what is left does not begin with a platform's first event.
    let database = Database::new().await;
    let error = index_by_address(&database, &node).await.unwrap_err();
    assert!(matches!(&error, IndexError::Source(SourceError::Pruned { needed: 0, .. })), "{error}");
    assert_eq!(cursor(&database, &chain).await, None);
}

#[tokio::test]
async fn a_cursor_on_a_fork_and_another_chain_stop_it() {
    let chain = busy_chain();
    let (database, node) = (Database::new().await, Node::of(&chain).await);
    let fork = BlockRef { slot: chain.blocks[2].slot, hash: chain.blocks[1].hash };
    let found = source(&node, &database).require(&fork).await.unwrap_err();
    assert!(matches!(found, SourceError::Forked { .. }), "{found}");
    source(&node, &database).require(&BlockRef::of(&chain.blocks[2])).await.unwrap();

    index_by_address(&database, &node).await.unwrap();
    let before = database.content().await;
    node.ledger().genesis_hash = Chain::named("another").genesis_hash();
    let error = index_by_address(&database, &node).await.unwrap_err();
    assert!(matches!(error, IndexError::OtherChain { .. }), "{error}");
    assert_eq!(database.content().await, before);
}

#[tokio::test]
async fn what_cannot_be_read_stops_it_with_the_cursor_before_it() {
    let mut chain = Chain::with_platform().0;
    let platform = chain.create_platform(2);
    chain.seal();
    let sound = chain.blocks.len();
    chain.emit_bytes(false, &[b"an event of next year".to_vec()]);
    chain.seal();
    chain.pause(platform, true);
    chain.seal();
    let (database, node) = (Database::new().await, Node::of(&chain).await);
    node.ledger().shown = sound;
    index_by_address(&database, &node).await.unwrap();
    let before = cursor(&database, &chain).await;
    node.ledger().shown = chain.blocks.len();

    node.instead("getTransaction", error(-32015));
    let found = index_by_address(&database, &node).await.unwrap_err();
    assert!(matches!(found, IndexError::Source(SourceError::Unreadable { .. })), "{found}");
    assert!(found.to_string().contains("update this software"), "{found}");
    assert_eq!(cursor(&database, &chain).await, before);

    node.ledger().instead.clear();
    let found = index_by_address(&database, &node).await.unwrap_err();
    assert!(matches!(found, IndexError::Stretch(StretchError::Undecodable { .. })), "{found}");
    assert_eq!(cursor(&database, &chain).await, before);
}

#[tokio::test]
async fn it_waits_between_looks_once_it_is_up_to_date() {
    let chain = busy_chain();
    let (database, node) = (Database::new().await, Node::of(&chain).await);
    index_by_address(&database, &node).await.unwrap();
    let patient = AddressSource::new(node.url(), Duration::from_secs(3_600), database.pool().clone()).unwrap();
    assert_eq!(patient.next_after(&chain.tip()).await.unwrap(), Next::NothingYet);

    // More came, and the source that has looked once does not look again so soon.
    let mut longer = busy_chain();
    longer.seal();
    node.ledger().blocks = longer.blocks.clone();
    node.ledger().shown = longer.blocks.len();
    let Next::Block(block) = patient.next_after(&chain.tip()).await.unwrap() else { panic!("nothing yet") };
    assert!(chain.tip().precedes(&block));
    node.ledger().asked.clear();
    assert_eq!(patient.next_after(&BlockRef::of(&block)).await.unwrap(), Next::NothingYet);
    assert!(node.ledger().asked.is_empty());
}

#[test]
fn an_address_that_is_none_is_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    let pool = rebate_indexer::database::pool("postgres://nobody@127.0.0.1:1/none").unwrap();
    assert!(matches!(AddressSource::new("ftp://somewhere", POLL, pool), Err(SourceError::Refused { .. })));
}
