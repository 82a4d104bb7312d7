//! One payment, all the way.

use crate::{api::Api, network::EVENTS_BEFORE, network::Network, services};
use rebate_core::units::OrderHash;
use rebate_tests::database::TestDatabase;
use reqwest::StatusCode;
use serde_json::json;

/// Opens what the payments need and records them in one transaction; its signature and slot.
async fn pay(network: &Network, payments: &[rebate_core::payment::Payment]) -> (String, Option<u64>) {
    let mut recorder = network.recorder(&network.cast.payer).await;
    let landed = recorder.record(payments, &network.sign(payments)).await.unwrap();
    (landed.signature.to_string(), landed.slot)
}

async fn balances_follow(network: &Network, api: &Api, user: &str, expected: u64, payments: u64) {
    let key = network.cast.user(user);
    assert_eq!(network.balance(&key).await, expected, "{user}'s balance on chain");
    assert_eq!(api.balance(&key).await, (expected, payments), "{user}'s balance and payments in the API");
}

#[tokio::test]
async fn a_signed_payment_becomes_a_balance_an_entry_and_an_order_that_anybody_can_look_up() {
    let database = TestDatabase::new().await.unwrap();
    let network = Network::start().await;
    let mut indexer = services::indexer(&network, &database);
    let (_server, api) = services::api(&network, &database).await;
    indexer.said_line_with("beginning with an empty database").await;

    let (signature, slot) = pay(&network, &[network.payment("A1", "amy", 10_000)]).await;
    let answer = api.order("A1").await;
    assert_eq!(answer["finality"], "confirmed");
    let record = &answer["records"][0];
    assert_eq!(answer["records"].as_array().unwrap().len(), 1, "{answer}");
    assert_eq!(record["order"], OrderHash::of("A1").to_string());
    assert_eq!(record["user"], network.cast.user("amy").to_string());
    assert_eq!((&record["amount"], &record["payment_number"]), (&json!("10000"), &json!(1)));
    assert_eq!(record["journal_index"], EVENTS_BEFORE);
    let outcome = |rule: u16, name: &str, amount: &str, before: &str, after: &str| {
        json!({
            "rule": rule, "version": 1, "rule_name": name, "reason": "Granted", "clause": null, "failing": null,
            "text": format!("granted: {amount} coins by ‘{name}’"), "asset": 1, "asset_name": "coins",
            "amount": amount, "before": before, "after": after,
        })
    };
    let granted =
        [outcome(1, "first recharge 20%", "2000", "0", "2000"), outcome(2, "one percent", "100", "2000", "2100")];
    assert_eq!(record["outcomes"], json!(granted));

    // The explorer is told which chain to look at: the validator's own address.
    let node = network.url().replace(':', "%3A").replace('/', "%2F");
    let page = format!("https://explorer.solana.com/tx/{signature}?cluster=custom&customUrl={node}");
    assert_eq!(record["transaction"]["explorer"], page);
    assert_eq!(record["transaction"]["signature"], signature);
    assert_eq!(record["transaction"]["slot"].as_u64(), slot);
    let by_hash = api.get(&format!("/v1/orders/{}", OrderHash::of("A1"))).await;
    assert_eq!(by_hash["records"], answer["records"]);

    balances_follow(&network, &api, "amy", 2_100, 1).await;
    let entries = api.list(&format!("/v1/users/{}/entries", network.cast.user("amy"))).await;
    assert_eq!(entries.len(), 2, "{entries:?}");
    for (entry, outcome) in entries.iter().rev().zip(&granted) {
        assert_eq!(entry["operation"], "grant");
        assert_eq!(entry["order"], record["order"]);
        assert_eq!(entry["change"], outcome["amount"]);
        for field in ["rule", "version", "rule_name", "asset", "asset_name", "before", "after"] {
            assert_eq!(entry[field], outcome[field], "{field} of {entry}");
        }
        assert_eq!(entry["transaction"], record["transaction"]);
    }

    // The second payment of the same user, and the first of another, in one transaction.
    let payments = [network.payment("A2", "amy", 700), network.payment("B1", "bo", 500)];
    let (signature, _) = pay(&network, &payments).await;
    let second = api.order("A2").await["records"][0].clone();
    assert_eq!(second["payment_number"], 2);
    assert_eq!(second["outcomes"][0]["reason"], "NotMatched");
    assert_eq!(second["outcomes"][0]["failing"], "payment_number == 1");
    assert_eq!(second["outcomes"][1]["after"], "2107");
    let other = api.order("B1").await["records"][0].clone();
    assert_eq!(
        (&second["transaction"]["signature"], &other["transaction"]),
        (&json!(signature), &second["transaction"])
    );
    balances_follow(&network, &api, "amy", 2_107, 2).await;
    balances_follow(&network, &api, "bo", 105, 1).await;

    let integrity = api.integrity().await;
    assert_eq!(integrity["chain_count"], EVENTS_BEFORE + 3);
    assert_eq!(integrity["stored_head"], integrity["chain_head"]);
    let unknown = api.ask("/v1/orders/A3?by=number").await;
    assert_eq!(unknown.0, StatusCode::NOT_FOUND, "{}", unknown.1);
    assert_eq!(api.get("/ready").await["status"], "ready");
}
