//! Proofs, checked with a library that is not ours.

use crate::{
    ledger::{Did, Ledger, PLATFORM, order},
    served::Served,
};
use rebate_client::{Pubkey, address::Addresses, event::Event};
use rebate_tests::transparency::{Head, bytes, hexadecimal};
use serde_json::Value;

fn head(tree: &Value) -> Head {
    Head { size: tree["leaf_count"].as_u64().unwrap(), hash: tree["head"].as_str().unwrap().to_owned() }
}

/// The nodes of a proof.
fn nodes(path: &Value) -> Vec<String> {
    path.as_array().unwrap().iter().map(|node| node.as_str().unwrap().to_owned()).collect()
}

/// Event, index and path of an answer about an order.
fn parts(body: &Value) -> (Vec<u8>, u64, Vec<String>) {
    let event = bytes(body["event"].as_str().unwrap());
    (event, body["journal_index"].as_u64().unwrap(), nodes(&body["path"]))
}

/// What the journal's account holds.
fn on_chain(ledger: &Ledger) -> Head {
    Head::new(ledger.journal.count, &ledger.journal.root())
}

/// The proof of an order, which holds in the tree that the chain has.
async fn proved(served: &Served, ledger: &Ledger, number: &str) -> Value {
    let body = served.json(&format!("/v1/orders/{number}/proof?by=number")).await;
    assert_eq!(head(&body["tree"]), on_chain(ledger), "{number}");
    let (event, index, path) = parts(&body);
    assert!(on_chain(ledger).includes(&event, index, &path), "{body:#}");
    body
}

/// The answer about two sizes, which holds.
async fn consistent(served: &Served, from: u64, to: u64) -> (Head, Head) {
    let body = served.json(&format!("/v1/consistency?from={from}&to={to}")).await;
    let (old, new) = (head(&body["from"]), head(&body["to"]));
    assert_eq!((old.size, new.size), (from, to));
    assert!(new.goes_on_from(&old, &nodes(&body["proof"])), "{body:#}");
    (old, new)
}

async fn filled(served: &Served) -> Ledger {
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    for number in 1..=4 {
        ledger.pay(&format!("A{number}"), "ann", 5_000, &[Did::granted(1, 1_000)]).await;
    }
    ledger
}

#[tokio::test]
async fn the_proof_of_an_order_convinces_another_library_of_its_event_alone() {
    let served = Served::new().await;
    let ledger = filled(&served).await;

    let body = proved(&served, &ledger, "A2").await;

    let (event, index, path) = parts(&body);
    let Event::PaymentRecorded(payment) = Event::decode(&event).unwrap() else { panic!("{body:#}") };
    assert_eq!((hexadecimal(&payment.order), payment.journal_index, payment.amount), (order("A2"), index, 5_000));
    assert_eq!((&body["order"], &body["kind"]), (&order("A2").into(), &"PaymentRecorded".into()));
    let (chain, other) = (on_chain(&ledger), (index + 1) % ledger.journal.count);
    for byte in 0..event.len() {
        let mut altered = event.clone();
        altered[byte] ^= 1;
        assert!(!chain.includes(&altered, index, &path), "byte {byte}");
    }
    assert!(!chain.includes(&event, other, &path));
    assert!(path.len() > 1);
    assert!(!chain.includes(&event, index, &path[1..]));
    assert!(!chain.includes(&event, index, &path[..path.len() - 1]));
    let mut turned = path.clone();
    turned.swap(0, 1);
    assert!(!chain.includes(&event, index, &turned));
}

#[tokio::test]
async fn a_proof_shows_the_journal_account_as_it_was_at_the_slot_it_names() {
    let served = Served::new().await;
    let mut ledger = filled(&served).await;
    let before = proved(&served, &ledger, "A1").await;
    let addresses = Addresses::at(Pubkey::new_from_array(PLATFORM));
    assert_eq!(before["journal"], addresses.journal.to_string());
    assert!(before["journal_explorer"].as_str().unwrap().contains(&addresses.journal.to_string()));
    // 7 events: peaks over 1, 2 and 4.
    let peaks: Vec<_> = (0..3)
        .map(|height| serde_json::json!({"height": height, "hash": hexadecimal(&ledger.journal.peaks[height])}))
        .collect();
    assert_eq!(before["peaks"], Value::from(peaks));

    ledger.slot = 105;
    ledger.filler().await;
    let after = proved(&served, &ledger, "A1").await;
    assert_eq!((&before["as_of_slot"], &after["as_of_slot"]), (&100.into(), &105.into()));
    let (old, new) = consistent(&served, 7, 8).await;
    assert_eq!((old, new), (head(&before["tree"]), head(&after["tree"])));
    assert_eq!(after["peaks"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_refund_and_a_redemption_are_proved_by_their_own_numbers_and_the_order_by_its_own() {
    let served = Served::new().await;
    let mut ledger = filled(&served).await;
    let refund = ledger.refund("R1", "A2", 1_000).await;
    let redemption = ledger.redeem("V1", "ann", 1, 20).await;
    for (number, kind, index) in
        [("R1", "RefundRecorded", refund), ("V1", "Redeemed", redemption), ("A2", "PaymentRecorded", 4)]
    {
        let body = proved(&served, &ledger, number).await;
        assert_eq!((&body["kind"], &body["journal_index"]), (&kind.into(), &index.into()), "{number}");
    }
}

#[tokio::test]
async fn an_order_recorded_again_is_proved_by_the_first_payment() {
    let served = Served::new().await;
    let mut ledger = filled(&served).await;
    ledger.refund("A9", "A1", 10).await;
    let first = ledger.pay("A9", "bob", 70, &[]).await;
    ledger.pay("A9", "bob", 70, &[]).await;
    let body = proved(&served, &ledger, "A9").await;
    assert_eq!(body["journal_index"], first);
}

/// More than two full tiles of 256 events, with an order in each and one after them.
async fn long(served: &Served) -> Ledger {
    let mut ledger = filled(served).await;
    for number in ["B1", "B2"] {
        ledger.fillers(250).await;
        ledger.pay(number, "bob", 100, &[]).await;
    }
    ledger.fillers(91).await;
    assert_eq!(ledger.journal.count, 600);
    ledger
}

#[tokio::test]
async fn orders_of_a_long_journal_are_proved_and_any_two_sizes_of_it_are_consistent() {
    let served = Served::new().await;
    let mut ledger = long(&served).await;
    ledger.pay("C1", "ann", 100, &[]).await;
    for number in ["A1", "A4", "B1", "B2", "C1"] {
        proved(&served, &ledger, number).await;
    }
    let sizes = [1, 2, 7, 255, 256, 257, 300, 511, 512, 513, 600, 601];
    let mut known: Vec<Head> = Vec::new();
    for (place, to) in sizes.into_iter().enumerate() {
        for from in &sizes[..=place] {
            let (old, new) = consistent(&served, *from, to).await;
            known.extend([old, new]);
        }
    }
    known.sort_by_key(|head| head.size);
    known.dedup();
    assert_eq!(known.iter().map(|head| head.size).collect::<Vec<_>>(), sizes, "one head of each size");
    assert_eq!(known.last(), Some(&on_chain(&ledger)));
}

#[tokio::test]
async fn a_proof_reads_no_events_of_full_tiles_that_its_own_is_not_in() {
    let served = Served::new().await;
    let mut ledger = long(&served).await;
    ledger.pay("C1", "ann", 100, &[]).await;
    served.sql("UPDATE events SET bytes = bytes || '\\x00' WHERE journal_index IN (1, 255)").await;
    for number in ["B1", "B2", "C1"] {
        proved(&served, &ledger, number).await;
    }
    for path in ["/v1/consistency?from=256&to=601", "/v1/consistency?from=300&to=512"] {
        assert_eq!(served.get(path).await.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn what_was_altered_in_the_database_gets_no_proof() {
    let served = Served::new().await;
    let _ledger = long(&served).await;
    let proof = "/v1/orders/A1/proof";
    assert_eq!(served.get(proof).await.status(), 200);
    let both = [proof, "/v1/consistency?from=3&to=220"];
    for (spoil, mend, paths) in [
        // The order's own event, another in its tile, an earlier tile, one that is not there.
        (
            "UPDATE events SET bytes = set_byte(bytes, 100, get_byte(bytes, 100) # 1) WHERE journal_index = 3",
            "UPDATE events SET bytes = set_byte(bytes, 100, get_byte(bytes, 100) # 1) WHERE journal_index = 3",
            both,
        ),
        (
            "UPDATE events SET bytes = set_byte(bytes, 40, get_byte(bytes, 40) # 1) WHERE journal_index = 200",
            "UPDATE events SET bytes = set_byte(bytes, 40, get_byte(bytes, 40) # 1) WHERE journal_index = 200",
            both,
        ),
        (
            "UPDATE tree_nodes SET hash = set_byte(hash, 0, get_byte(hash, 0) # 1) WHERE position = 1",
            "UPDATE tree_nodes SET hash = set_byte(hash, 0, get_byte(hash, 0) # 1) WHERE position = 1",
            both,
        ),
        (
            "UPDATE tree_nodes SET position = 7 WHERE position = 1",
            "UPDATE tree_nodes SET position = 1 WHERE position = 7",
            both,
        ),
    ] {
        served.sql(spoil).await;
        for path in paths {
            let problem = served.problem(path).await;
            assert_eq!(problem["type"], "urn:rebate:problem:internal", "{spoil}: {path}");
        }
        served.sql(mend).await;
        for path in paths {
            assert_eq!(served.get(path).await.status(), 200, "{mend}: {path}");
        }
    }
}

#[tokio::test]
async fn two_sizes_that_no_proof_is_between_are_refused() {
    let served = Served::new().await;
    let _ledger = filled(&served).await;
    for (query, status, said) in [
        ("from=3&to=2", 400, "from is 3, which is more than 2"),
        ("from=0&to=2", 400, "from is 0"),
        ("from=0&to=0", 400, "from is 0"),
        ("from=7&to=8", 404, "no tree of 8 events, where there are 7 so far, on record as of slot 100"),
        ("from=1&to=18446744073709551615", 404, "18446744073709551615"),
        ("from=1&to=18446744073709551616", 400, "to"),
        ("from=-1&to=2", 400, "from"),
        ("from=1&to=2.0", 400, "to"),
        ("from=one&to=2", 400, "from"),
        ("from=1&to=", 400, "to"),
        ("from=1", 400, "to"),
        ("to=1", 400, "from"),
        ("from=1&to=2&platform=x", 400, "32 bytes in base58"),
        ("from=1&to=2&platform=11111111111111111111111111111111", 404, "platform 1111"),
    ] {
        let problem = served.problem(&format!("/v1/consistency?{query}")).await;
        assert_eq!(problem["status"], status, "{query}: {problem:#}");
        assert!(problem["detail"].as_str().unwrap().contains(said), "{query}: {problem:#}");
    }
    assert_eq!(served.json("/v1/consistency?from=7&to=7").await["proof"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn an_order_that_is_not_on_record_has_no_proof() {
    let served = Served::new().await;
    let _ledger = filled(&served).await;
    let problem = served.problem("/v1/orders/Z9/proof").await;
    assert_eq!((&problem["status"], &problem["type"]), (&404.into(), &"urn:rebate:problem:not-found".into()));
    let said = format!("no order with hash {} on record as of slot 100", order("Z9"));
    assert!(problem["detail"].as_str().unwrap().contains(&said), "{problem:#}");
    assert_eq!(served.problem("/v1/orders/A1/proof?by=hash").await["status"], 400);
    assert_eq!(served.problem("/v1/orders/A1/proof?platform=x").await["status"], 400);
}

#[tokio::test]
async fn every_platform_has_a_journal_of_its_own() {
    let served = Served::new().await;
    let first = filled(&served).await;
    let mut second = Ledger::of(served.pool(), [2; 32], 2).await;
    second.two_rules().await;
    second.pay("A1", "ann", 5, &[]).await;
    for path in ["/v1/orders/A1/proof", "/v1/consistency?from=1&to=2"] {
        assert_eq!(served.problem(path).await["type"], "urn:rebate:problem:platform-not-named", "{path}");
    }
    for ledger in [&first, &second] {
        let platform = Pubkey::new_from_array(ledger.journal.platform);
        let body = served.json(&format!("/v1/orders/A1/proof?platform={platform}")).await;
        let (event, index, path) = parts(&body);
        assert!(on_chain(ledger).includes(&event, index, &path), "{body:#}");
        let count = ledger.journal.count;
        let body = served.json(&format!("/v1/consistency?from=2&to={count}&platform={platform}")).await;
        assert_eq!(head(&body["to"]), on_chain(ledger));
        assert!(on_chain(ledger).goes_on_from(&head(&body["from"]), &nodes(&body["proof"])));
    }
}
