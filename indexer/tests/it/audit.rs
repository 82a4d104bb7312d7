//! What a node's answers say about blocks that were read before they were final.

use crate::{
    chain::key,
    rpc::{Node, chain, error},
};
use rebate_indexer::source::{BlockRef, BlockSource, Mined, SourceError, Verdict, rpc::RpcSource};
use serde_json::{Value, json};
use solana_program::hash::Hash;
use solana_signature::Signature;

fn mined(count: u64, slot: u64) -> Vec<Mined> {
    let signature = |number: u64| Signature::from(<[u8; 64]>::try_from([key(number), key(!number)].concat()).unwrap());
    (0..count).map(|number| Mined { signature: signature(number), slot }).collect()
}

fn finalized(slot: u64) -> Value {
    json!({"slot": slot, "confirmations": null, "err": null, "status": {"Ok": null}, "confirmationStatus": "finalized"})
}

/// A node on which these are final.
async fn node_with(transactions: &[Mined]) -> (Node, RpcSource) {
    let (node, source) = Node::of(&chain()).await;
    let statuses = transactions.iter().map(|mined| (mined.signature.to_string(), finalized(mined.slot)));
    *node.statuses.lock().unwrap() = statuses.collect();
    (node, source)
}

fn other(slot: u64) -> BlockRef {
    BlockRef { slot, hash: Hash::new_from_array(key(5)) }
}

async fn vanished(source: &RpcSource, block: &BlockRef) -> String {
    match source.audit(block, &[]).await.unwrap() {
        Verdict::Vanished { why } => why,
        Verdict::Final => panic!("{block} is final"),
    }
}

#[tokio::test]
async fn a_final_block_with_final_transactions_is_final_and_256_are_asked_for_at_a_time() {
    let transactions = mined(600, 5);
    let (node, source) = node_with(&transactions).await;
    let block = BlockRef::of(&chain().blocks[3]);
    assert_eq!(source.final_slot().await.unwrap(), 7);
    assert_eq!(source.audit(&block, &transactions).await.unwrap(), Verdict::Final);

    let asked = node.asked.lock().unwrap().clone();
    let questions: Vec<&Value> =
        asked.iter().filter(|(method, _)| method == "getSignatureStatuses").map(|(_, question)| question).collect();
    let sizes: Vec<usize> = questions.iter().map(|question| question[0].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [256, 256, 88]);
    assert_eq!(questions[0][1], json!({"searchTransactionHistory": true}));
    let (_, header) = asked.iter().find(|(method, _)| method == "getBlock").unwrap();
    assert_eq!((&header[1]["commitment"], &header[1]["transactionDetails"]), (&json!("finalized"), &json!("none")));
    let (_, slot) = asked.iter().find(|(method, _)| method == "getSlot").unwrap();
    assert_eq!(slot[0]["commitment"], "finalized");
}

#[tokio::test]
async fn another_block_in_its_slot_proves_that_a_block_vanished() {
    let (_node, source) = node_with(&[]).await;
    let why = vanished(&source, &other(5)).await;
    assert!(why.starts_with("the final block of slot 5 is"), "{why}");
}

#[tokio::test]
async fn that_a_slot_is_empty_is_proved_by_the_block_behind_it_and_not_by_an_error() {
    let (node, source) = node_with(&[]).await;
    // Slots 3 and 4 have no block; 5 builds on 2.
    let why = vanished(&source, &other(3)).await;
    assert!(why.starts_with("the final block of slot 5 builds on 2 ("), "{why}");
    // A hole in the list of slots does not hide it.
    let block = node.forget(5);
    node.forget(6);
    let silence = source.audit(&other(3), &[]).await.unwrap_err();
    assert!(silence.is_temporary(), "{silence}");
    drop(block);
    // Behind the tip there is nothing that could prove it.
    let silence = source.audit(&other(9), &[]).await.unwrap_err();
    assert!(silence.is_temporary(), "{silence}");
}

#[tokio::test]
async fn a_hole_in_the_list_does_not_make_a_block_vanish() {
    let chain = chain();
    let (node, source) = node_with(&[]).await;
    let block = BlockRef::of(&chain.blocks[2]);
    // The node fails once to give the block itself, and does not list the one behind it.
    node.instead("getBlock 2", error(-32009));
    node.instead("getBlocksWithLimit", json!({"result": [7]}));
    assert_eq!(source.audit(&block, &[]).await.unwrap(), Verdict::Final);
}

#[tokio::test]
async fn null_and_every_error_only_put_an_audit_off() {
    let transactions = mined(3, 5);
    let block = BlockRef::of(&chain().blocks[3]);
    for answer in [json!({"result": null}), error(-32004), error(-32007), error(-32009), error(-32014), error(-32603)] {
        let (node, source) = node_with(&transactions).await;
        node.instead("getBlock 5", answer.clone());
        node.instead("getBlocksWithLimit", error(-32005));
        let put_off = source.audit(&block, &transactions).await.unwrap_err();
        assert!(put_off.is_temporary(), "{answer}: {put_off}");
        assert_eq!(source.audit(&block, &transactions).await.unwrap(), Verdict::Final, "{answer}");
    }
    for method in ["getSignatureStatuses", "getSlot"] {
        let (node, source) = node_with(&transactions).await;
        node.instead(method, error(-32005));
        let put_off = match method {
            "getSlot" => source.final_slot().await.map(|_| ()),
            _ => source.audit(&block, &transactions).await.map(|_| ()),
        };
        assert!(put_off.unwrap_err().is_temporary());
        assert_eq!(source.audit(&block, &transactions).await.unwrap(), Verdict::Final);
    }
}

#[tokio::test]
async fn a_transaction_whose_status_does_not_agree_puts_the_audit_off_and_is_named() {
    let transactions = mined(300, 5);
    let block = BlockRef::of(&chain().blocks[3]);
    let status = |change: fn(&mut Value)| {
        let mut status = finalized(5);
        change(&mut status);
        status
    };
    let cases = [
        (Value::Null, "is not known"),
        (status(|status| status["slot"] = json!(6)), "is finalized in slot 6"),
        (status(|status| status["confirmationStatus"] = json!("confirmed")), "is confirmed only"),
        (status(|status| status["confirmationStatus"] = Value::Null), "is processed only"),
        (status(|status| status["err"] = json!({"OfNextYear": [1]})), "is finalized there and failed"),
    ];
    for (status, complaint) in cases {
        let (node, source) = node_with(&transactions).await;
        let signature = transactions[290].signature.to_string();
        node.statuses.lock().unwrap().insert(signature.clone(), status);
        let put_off = source.audit(&block, &transactions).await.unwrap_err();
        assert!(matches!(put_off, SourceError::Unavailable { .. }), "{put_off}");
        assert!(put_off.to_string().contains(complaint) && put_off.to_string().contains(&signature), "{put_off}");
        node.statuses.lock().unwrap().insert(signature, finalized(5));
        assert_eq!(source.audit(&block, &transactions).await.unwrap(), Verdict::Final);
    }
}

#[tokio::test]
async fn a_node_that_answers_fewer_questions_is_asked_again() {
    let transactions = mined(2, 5);
    let (node, source) = node_with(&transactions).await;
    node.instead("getSignatureStatuses", json!({"result": {"context": {"slot": 9}, "value": [finalized(5)]}}));
    let block = BlockRef::of(&chain().blocks[3]);
    let put_off = source.audit(&block, &transactions).await.unwrap_err();
    assert!(put_off.to_string().contains("1 of 2 questions"), "{put_off}");
}
