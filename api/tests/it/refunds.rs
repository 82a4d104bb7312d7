use crate::{
    ledger::{Did, Ledger, fixed, order, user},
    served::Served,
};
use rebate_client::Pubkey;
use serde_json::{Value, json};

#[tokio::test]
async fn an_order_shows_its_refunds_with_what_each_took_back() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    let paid = ledger.pay("A1", "ann", 3_000, &[Did::granted(1, 100), Did::granted(2, 30)]).await;
    ledger.refund("R1", "A1", 1_000).await;
    let second = ledger.refund("R2", "A1", 500).await;

    let body = served.json("/v1/orders/A1").await;

    let record = &body["records"][0];
    assert_eq!(record["refunded"], "1500");
    assert_eq!(record["outcomes"].as_array().unwrap().len(), 2, "what the rules did stays");
    let refunds = record["refunds"].as_array().unwrap();
    assert_eq!(refunds.len(), 2);
    let refund = &refunds[1];
    assert_eq!(refund["order"], order("R2"));
    assert_eq!(refund["of"], order("A1"));
    assert_eq!(refund["user"], user("ann"));
    assert_eq!((&refund["amount"], &refund["refunded"]), (&json!("500"), &json!("1500")));
    assert_eq!(refund["journal_index"], second);
    assert_eq!(refund["paid_at"], "2026-10-03T04:00:00Z");
    let outcome = |at: usize| {
        let outcome = &refund["outcomes"][at];
        ["rule", "reason", "amount", "before", "after"].map(|field| outcome[field].clone())
    };
    assert_eq!(outcome(0), [json!(1), json!("Reversed"), json!("17"), json!("87"), json!("70")]);
    assert_eq!(outcome(1), [json!(2), json!("Reversed"), json!("5"), json!("70"), json!("65")]);
    assert!(refund["outcomes"][0]["clause"].is_null());
    assert_eq!(body["refunds"], json!([]));
    assert_eq!(record["journal_index"], paid);

    let list = served.json("/v1/orders").await;
    assert_eq!(list["items"][0]["refunded"], "1500");
    assert_eq!(list["items"][0]["refunds"], record["refunds"]);
}

#[tokio::test]
async fn an_order_without_refunds_says_so() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    ledger.pay("A1", "ann", 3_000, &[]).await;
    let body = served.json("/v1/orders/A1").await;
    assert_eq!(body["records"][0]["refunded"], "0");
    assert_eq!(body["records"][0]["refunds"], json!([]));
    assert_eq!(body["redemptions"], json!([]));
}

#[tokio::test]
async fn the_number_of_a_refund_or_a_redemption_is_found_too() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    ledger.pay("A1", "ann", 3_000, &[Did::granted(1, 100)]).await;
    ledger.refund("R1", "A1", 1_500).await;
    let index = ledger.redeem("V1", "ann", 1, 20).await;

    let body = served.json("/v1/orders/R1").await;
    assert_eq!(body["records"], json!([]));
    assert_eq!(body["refunds"][0]["of"], order("A1"));
    assert_eq!(body["refunds"][0]["outcomes"][0]["amount"], "50");

    let body = served.json("/v1/orders/V1").await;
    let redemption = &body["redemptions"][0];
    assert_eq!(redemption["order"], order("V1"));
    assert_eq!(redemption["user"], user("ann"));
    assert_eq!((&redemption["asset"], &redemption["asset_name"]), (&json!(1), &json!("coins")));
    let amounts = ["amount", "before", "after"].map(|field| redemption[field].clone());
    assert_eq!(amounts, [json!("20"), json!("50"), json!("30")]);
    assert_eq!(redemption["redeemed_at"], "2026-10-03T04:00:00Z");
    assert_eq!(redemption["journal_index"], index);
    assert_eq!(redemption["transaction"]["slot"], 100);
    assert_eq!((&body["records"], &body["refunds"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn what_a_refund_does_not_find_is_owed_and_the_balance_says_so() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    ledger.pay("A1", "ann", 3_000, &[Did::granted(1, 100)]).await;
    ledger.redeem("V1", "ann", 1, 80).await;
    ledger.refund("R1", "A1", 3_000).await;
    let path = format!("/v1/users/{}/balances", user("ann"));

    let body = served.json(&path).await;
    assert_eq!((&body["paid"], &body["refunded"]), (&json!("3000"), &json!("3000")));
    assert_eq!((&body["balances"][0]["balance"], &body["balances"][0]["debt"]), (&json!("0"), &json!("80")));
    assert!(body["wallet"].is_null());

    ledger.pay("A2", "ann", 10, &[Did::granted(2, 30)]).await;
    ledger.pay("A3", "ann", 10, &[Did::granted(2, 60)]).await;
    let body = served.json(&path).await;
    assert_eq!((&body["balances"][0]["balance"], &body["balances"][0]["debt"]), (&json!("10"), &json!("0")));
    assert_eq!(body["balances"][0]["entries"], 5);

    let entries = served.json(&format!("/v1/users/{}/entries", user("ann"))).await;
    let shown: Vec<Value> = entries["items"].as_array().unwrap().iter().map(short).collect();
    assert_eq!(
        shown,
        [
            json!(["grant", "10", "0", "10", "50", "0", "weekend"]),
            json!(["grant", "0", "0", "0", "80", "50", "weekend"]),
            json!(["reversal", "-20", "20", "0", "0", "80", "first recharge 20%"]),
            json!(["redemption", "-80", "100", "20", "0", "0", null]),
            json!(["grant", "100", "0", "100", "0", "0", "first recharge 20%"]),
        ]
    );
    let reversal = &entries["items"][2];
    assert_eq!((&reversal["order"], &reversal["refund_of"]), (&json!(order("R1")), &json!(order("A1"))));
    assert_eq!(entries["items"][3]["order"], order("V1"));
    assert!(entries["items"][4]["refund_of"].is_null());
}

/// What changed, by how much, balance and debt before and after, and the rule.
fn short(entry: &Value) -> Value {
    let fields = ["operation", "change", "before", "after", "debt_before", "debt_after", "rule_name"];
    fields.iter().map(|field| entry[field].clone()).collect()
}

#[tokio::test]
async fn claims_and_expiry_are_entries_of_no_order_and_no_rule() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.tokens(3).await;
    ledger.publish(fixed(3, 1, "gems", 3, 40), 0).await;
    ledger.pay("A1", "ann", 100, &[Did { asset: 3, ..Did::granted(3, 40) }]).await;
    ledger.link("ann", [8; 32]).await;
    let claimed = ledger.claim("ann", 3, 15).await;
    ledger.expire("ann", 3, 5).await;

    let entries = served.json(&format!("/v1/users/{}/entries", user("ann"))).await;
    let shown: Vec<Value> = entries["items"].as_array().unwrap().iter().map(short).collect();
    assert_eq!(shown[0], json!(["expiry", "-5", "25", "20", "0", "0", null]));
    assert_eq!(shown[1], json!(["claim", "-15", "40", "25", "0", "0", null]));
    let claim = &entries["items"][1];
    assert_eq!(claim["journal_index"], claimed);
    for absent in ["order", "refund_of", "rule", "version"] {
        assert!(claim[absent].is_null(), "{absent}");
    }
    assert_eq!(claim["transaction"]["slot"], 100);

    let body = served.json(&format!("/v1/users/{}/balances", user("ann"))).await;
    let wallet = Pubkey::new_from_array([8; 32]).to_string();
    assert_eq!(body["wallet"], json!({"address": wallet, "linked_at": "2026-10-03T04:00:00Z"}));
    assert_eq!(body["balances"][2]["balance"], "20");
}
