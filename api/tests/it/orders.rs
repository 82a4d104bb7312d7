use crate::{
    ledger::{Did, Ledger, order, user},
    served::Served,
};
use rebate_api::Settings;
use rebate_client::explorer::Cluster;
use serde_json::{Value, json};

#[tokio::test]
async fn an_order_is_found_by_its_number_and_by_its_hash() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    let index = ledger.pay("A 1/ü", "ann", 5_000, &[Did::granted(1, 1_000)]).await;

    for path in [
        "/v1/orders/A%201%2F%C3%BC".to_owned(),
        "/v1/orders/A%201%2F%C3%BC?by=number".to_owned(),
        format!("/v1/orders/{}", order("A 1/ü")),
        format!("/v1/orders/{}?by=hash", order("A 1/ü").to_uppercase()),
    ] {
        let body = served.json(&path).await;
        assert_eq!(body["order"], order("A 1/ü"), "{path}");
        assert_eq!(body["records"][0]["journal_index"], index);
        assert_eq!(body["records"][0]["user"], user("ann"));
    }
}

#[tokio::test]
async fn a_number_that_looks_like_a_hash_can_be_told_from_one() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    let number = "ab".repeat(32);
    ledger.pay(&number, "ann", 5_000, &[]).await;

    assert_eq!(served.get(&format!("/v1/orders/{number}")).await.status(), 404);
    let body = served.json(&format!("/v1/orders/{number}?by=number")).await;
    assert_eq!(body["order"], order(&number));
    let problem = served.problem("/v1/orders/A1?by=hash").await;
    assert_eq!(problem["status"], 400);
    let problem = served.problem("/v1/orders/A1?by=magic").await;
    assert!(problem["detail"].as_str().unwrap().contains("magic"), "{problem:#}");
}

#[tokio::test]
async fn an_order_shows_what_every_rule_did_and_why() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    ledger.pay("A1", "ann", 5_000, &[Did::granted(1, 1_000)]).await;
    ledger.pay("A2", "ann", 700, &[Did::not_matched(1, 1), Did::granted(2, 30)]).await;

    let body = served.json("/v1/orders/A2").await;

    let record = &body["records"][0];
    assert_eq!(record["payment_number"], 2);
    assert_eq!(record["paid_at"], "2026-10-03T04:00:00Z");
    assert_eq!(
        record["outcomes"],
        json!([
            {
                "rule": 1, "version": 1, "rule_name": "first recharge 20%", "reason": "NotMatched", "clause": 1,
                "failing": "product == 1 or product == 2",
                "text": "not granted: ‘first recharge 20%’ is for payments where the product is 1 or the product is 2",
                "asset": 1, "asset_name": "coins", "amount": "0",
                "before": "1000", "after": "1000",
            },
            {
                "rule": 2, "version": 1, "rule_name": "weekend", "reason": "Granted", "clause": null, "failing": null,
                "text": "granted: 30 coins by ‘weekend’", "asset": 1, "asset_name": "coins", "amount": "30", "before": "1000", "after": "1030",
            },
        ])
    );
}

#[tokio::test]
async fn an_order_recorded_again_for_another_day_shows_both_records() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    let first = ledger.pay("A1", "ann", 5_000, &[Did::granted(1, 1_000)]).await;
    let second = ledger.pay("A1", "ann", 5_000, &[]).await;

    let body = served.json("/v1/orders/A1").await;

    let indices: Vec<i64> =
        body["records"].as_array().unwrap().iter().map(|record| record["journal_index"].as_i64().unwrap()).collect();
    assert_eq!(indices, [first, second]);
}

#[tokio::test]
async fn orders_are_listed_latest_first_and_by_user() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    for number in 1..=3 {
        ledger.pay(&format!("A{number}"), "ann", number, &[Did::granted(1, 1)]).await;
        ledger.pay(&format!("B{number}"), "bob", number, &[]).await;
    }
    let hashes = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| item["order"].as_str().unwrap().to_owned()).collect()
    };

    let first = served.json("/v1/orders?limit=4").await;
    assert_eq!(hashes(&first), ["B3", "A3", "B2", "A2"].map(order));
    assert_eq!(first["items"][1]["outcomes"][0]["amount"], "1");
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = served.json(&format!("/v1/orders?limit=4&cursor={cursor}")).await;
    assert_eq!(hashes(&second), ["B1", "A1"].map(order));
    assert!(second["next_cursor"].is_null());

    let anns = served.json(&format!("/v1/orders?user={}", user("ann"))).await;
    assert_eq!(hashes(&anns), ["A3", "A2", "A1"].map(order));
    let nobodys = served.json(&format!("/v1/orders?user={}", user("nobody"))).await;
    assert_eq!(nobodys["items"], json!([]));
}

#[tokio::test]
async fn a_chain_that_no_explorer_reaches_has_no_links() {
    let served = Served::with(Settings::new(Cluster::Embedded)).await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    ledger.pay("A1", "ann", 1, &[]).await;

    let body = served.json("/v1/orders/A1").await;

    assert!(body["records"][0]["transaction"]["explorer"].is_null());
}

#[tokio::test]
async fn a_local_validator_is_named_to_the_explorer() {
    let cluster = Cluster::Custom("http://127.0.0.1:8899".into());
    let served = Served::with(Settings::new(cluster)).await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    ledger.pay("A1", "ann", 1, &[]).await;

    let body = served.json("/v1/orders/A1").await;

    let link = body["records"][0]["transaction"]["explorer"].as_str().unwrap();
    assert!(link.ends_with("?cluster=custom&customUrl=http%3A%2F%2F127.0.0.1%3A8899"), "{link}");
}

#[tokio::test]
async fn a_reason_newer_than_this_server_is_shown_by_its_number() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    ledger.pay("A1", "ann", 1, &[Did::not_matched(1, 0)]).await;
    served.sql("ALTER TABLE outcomes DROP CONSTRAINT outcomes_reason_check; UPDATE outcomes SET reason = 200").await;

    let body = served.json("/v1/orders/A1").await;

    assert_eq!(body["records"][0]["outcomes"][0]["reason"], "Reason200");
}
