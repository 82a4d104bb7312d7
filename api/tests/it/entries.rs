use crate::{
    ledger::{Did, Ledger, order, user},
    served::Served,
};
use serde_json::Value;
use std::collections::HashSet;

/// Both grants of one payment.
const BOTH: [Did; 2] = [
    Did { rule: 1, version: 1, reason: rebate_core::outcome::Reason::Granted, clause: 0, asset: 1, amount: 1_000 },
    Did { rule: 2, version: 1, reason: rebate_core::outcome::Reason::Granted, clause: 0, asset: 1, amount: 30 },
];

fn places(page: &Value) -> Vec<(i64, i64)> {
    let place = |item: &Value| (item["journal_index"].as_i64().unwrap(), item["position"].as_i64().unwrap());
    page["items"].as_array().unwrap().iter().map(place).collect()
}

#[tokio::test]
async fn an_entry_says_what_changed_and_why() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    let index = ledger.pay("A1", "ann", 5_000, &BOTH).await;

    let body = served.json(&format!("/v1/users/{}/entries", user("ann"))).await;

    assert_eq!(places(&body), [(index, 1), (index, 0)], "newest first");
    let entry = &body["items"][0];
    assert_eq!(entry["operation"], "grant");
    assert_eq!(entry["asset"], 1);
    assert_eq!(entry["asset_name"], "coins");
    assert_eq!(entry["change"], "30");
    assert_eq!(entry["before"], "1000");
    assert_eq!(entry["after"], "1030");
    assert_eq!(entry["order"], order("A1"));
    assert_eq!(entry["rule"], 2);
    assert_eq!(entry["version"], 1);
    assert_eq!(entry["rule_name"], "weekend");
    assert_eq!(entry["at"], "2026-10-03T04:00:00Z");
    let signature = entry["transaction"]["signature"].as_str().unwrap();
    assert_eq!(bs58_length(signature), 64);
    assert_eq!(entry["transaction"]["slot"], 100);
    assert_eq!(entry["transaction"]["explorer"], format!("https://explorer.solana.com/tx/{signature}?cluster=devnet"));
}

fn bs58_length(text: &str) -> usize {
    bs58::decode(text).into_vec().unwrap().len()
}

#[tokio::test]
async fn pages_of_entries_join_without_gap_or_repeat_while_rows_are_added() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    let mut expected = Vec::new();
    for number in 0..7 {
        let index = ledger.pay(&format!("A{number}"), "ann", 5_000, &BOTH).await;
        expected.extend([(index, 0), (index, 1)]);
        ledger.pay(&format!("B{number}"), "bob", 5_000, &BOTH).await;
    }
    expected.reverse();

    // Three does not divide the two entries of a payment, so pages end within payments.
    let path = format!("/v1/users/{}/entries?limit=3", user("ann"));
    let mut page = served.json(&path).await;
    let mut seen = places(&page);
    let mut pages = 1;
    while let Some(cursor) = page["next_cursor"].as_str().map(str::to_owned) {
        ledger.pay(&format!("C{pages}"), "ann", 5_000, &BOTH).await;
        ledger.move_cursor(100 + pages).await;
        page = served.json(&format!("{path}&cursor={cursor}")).await;
        seen.extend(places(&page));
        pages += 1;
    }

    assert_eq!(pages, 5);
    assert_eq!(seen, expected);
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), seen.len());
}

#[tokio::test]
async fn a_page_that_ends_the_list_exactly_has_no_next() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    ledger.pay("A1", "ann", 5_000, &BOTH).await;

    let body = served.json(&format!("/v1/users/{}/entries?limit=2", user("ann"))).await;

    assert_eq!(places(&body).len(), 2);
    assert!(body["next_cursor"].is_null());
}

#[tokio::test]
async fn a_forged_cursor_is_a_400_problem() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    ledger.pay("A1", "ann", 5_000, &BOTH).await;
    let path = format!("/v1/users/{}/entries", user("ann"));
    let page = served.json(&format!("{path}?limit=1")).await;
    let good = page["next_cursor"].as_str().unwrap();

    let mut altered = good.to_owned();
    let middle = if &good[8..9] == "A" { "B" } else { "A" };
    altered.replace_range(8..9, middle);
    let cut = good[..good.len() - 4].to_owned();
    for forged in [altered, cut, String::new(), "AQ".into(), "%00".into(), "ä".into(), "A".repeat(4_000)] {
        let problem = served.problem(&format!("{path}?cursor={forged}")).await;
        assert_eq!(problem["status"], 400, "{forged}");
        assert_eq!(problem["type"], "urn:rebate:problem:invalid-cursor");
    }
}

#[tokio::test]
async fn a_cursor_of_another_list_is_refused() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    for name in ["ann", "bob"] {
        ledger.pay(&format!("{name}1"), name, 5_000, &BOTH).await;
        ledger.pay(&format!("{name}2"), name, 5_000, &BOTH).await;
    }
    let cursor = async |path: &str| {
        let page = served.json(path).await;
        page["next_cursor"].as_str().unwrap().to_owned()
    };
    let of_orders = cursor("/v1/orders?limit=1").await;
    let of_anns_orders = cursor(&format!("/v1/orders?limit=1&user={}", user("ann"))).await;
    let of_anns = cursor(&format!("/v1/users/{}/entries?limit=1", user("ann"))).await;

    for (list, cursor) in [
        (format!("/v1/users/{}/entries?", user("ann")), of_orders),
        (format!("/v1/users/{}/entries?", user("bob")), of_anns),
        ("/v1/orders?".into(), of_anns_orders.clone()),
        (format!("/v1/orders?user={}&", user("bob")), of_anns_orders),
    ] {
        let problem = served.problem(&format!("{list}cursor={cursor}")).await;
        assert_eq!(problem["type"], "urn:rebate:problem:invalid-cursor", "{list}");
    }
}

#[tokio::test]
async fn a_limit_out_of_range_is_refused() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    ledger.pay("A1", "ann", 5_000, &BOTH).await;
    for limit in ["0", "201", "-1", "65536", "ten", "1e2"] {
        let problem = served.problem(&format!("/v1/users/{}/entries?limit={limit}", user("ann"))).await;
        assert_eq!(problem["status"], 400, "{limit}");
        assert!(problem["detail"].as_str().unwrap().contains("limit"), "{problem:#}");
    }
}
