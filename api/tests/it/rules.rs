use crate::{
    ledger::{Did, Ledger},
    served::Served,
};
use serde_json::{Value, json};

/// Two versions of rule 1, the second from 1,791,000,000 on, and rule 2, which ends then.
async fn published(served: &Served) -> Ledger {
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    ledger
        .rule(
            1,
            2,
            "first recharge 30",
            json!({"condition": [], "effect": {"kind": "fixed", "asset": 2, "amount": "30"}}),
        )
        .await;
    served
        .sql(
            "UPDATE rules SET superseded_at = 1791000000 WHERE rule = 1 AND version = 1;
             UPDATE rules SET effective_at = 1791000000 WHERE rule = 1 AND version = 2;
             UPDATE rules SET starts_at = 1790000000, ends_at = 1791000000 WHERE rule = 2",
        )
        .await;
    ledger
}

fn versions(page: &Value) -> Vec<(i64, i64)> {
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["rule"].as_i64().unwrap(), item["version"].as_i64().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_rule_version_shows_its_definition_in_the_words_of_rule_files() {
    let served = Served::new().await;
    let _ledger = published(&served).await;

    let body = served.json("/v1/rules/1/versions/1").await;

    assert_eq!(body["name"], "first recharge 20%");
    assert_eq!(body["when"], json!(["payment_number == 1", "product == 1 or product == 2"]));
    assert_eq!(
        body["effect"],
        json!({"kind": "ratio", "asset": 1, "bps": 2000, "min": "0", "max": "18446744073709551615"})
    );
    assert_eq!(body["superseded_at"], "2026-10-03T04:00:00Z");
    assert!(body["starts_at"].is_null());
    assert_eq!(body["transaction"]["slot"], 100);

    let body = served.json("/v1/rules/2/versions/1").await;
    assert_eq!(body["when"], json!(["weekday in [6, 7]"]));
    assert_eq!(body["effect"]["amount"], "30");
}

#[tokio::test]
async fn the_rules_in_force_are_those_that_decide_a_payment_of_that_time() {
    let served = Served::new().await;
    let _ledger = published(&served).await;

    let all = served.json("/v1/rules").await;
    assert_eq!(versions(&all), [(1, 1), (1, 2), (2, 1)]);
    for (at, expected) in [
        ("1789999999", vec![(1, 1)]),
        ("1790999999", vec![(1, 1), (2, 1)]),
        ("1791000000", vec![(1, 2)]),
        ("2026-10-03T12:00:00%2B08:00", vec![(1, 2)]),
        ("2026-10-03T12:00:00+08:00", vec![(1, 2)]),
        ("2026-10-03T03:59:59Z", vec![(1, 1), (2, 1)]),
    ] {
        let body = served.json(&format!("/v1/rules?in_force_at={at}")).await;
        assert_eq!(versions(&body), expected, "{at}");
    }
    let problem = served.problem("/v1/rules?in_force_at=yesterday").await;
    assert!(problem["detail"].as_str().unwrap().contains("RFC 3339"), "{problem:#}");
}

#[tokio::test]
async fn rule_versions_come_in_pages() {
    let served = Served::new().await;
    let _ledger = published(&served).await;

    let mut seen = Vec::new();
    let mut page = served.json("/v1/rules?limit=1").await;
    seen.extend(versions(&page));
    while let Some(cursor) = page["next_cursor"].as_str().map(str::to_owned) {
        page = served.json(&format!("/v1/rules?limit=1&cursor={cursor}")).await;
        seen.extend(versions(&page));
    }

    assert_eq!(seen, [(1, 1), (1, 2), (2, 1)]);
}

#[tokio::test]
async fn a_rule_shows_what_it_granted_by_asset() {
    let served = Served::new().await;
    let mut ledger = published(&served).await;
    ledger
        .rule(
            1,
            3,
            "first recharge 5",
            json!({"condition": [], "effect": {"kind": "fixed", "asset": 1, "amount": "5"}}),
        )
        .await;
    let of_stars = Did { version: 2, asset: 2, ..Did::granted(1, 30) };
    let of_version_3 = Did { version: 3, ..Did::granted(1, 5) };
    ledger.pay("A1", "ann", 5_000, &[Did::granted(1, u64::MAX)]).await;
    ledger.pay("A2", "bob", 5_000, &[of_stars]).await;
    ledger.pay("A3", "cat", 5_000, &[of_version_3]).await;

    let body = served.json("/v1/rules/1").await;

    // What two versions granted of one asset can be more than a u64 holds.
    assert_eq!(
        body["totals"],
        json!([
            {"asset": 1, "asset_name": "coins", "granted": "18446744073709551620", "grants": 2},
            {"asset": 2, "asset_name": "stars", "granted": "30", "grants": 1},
        ])
    );
    assert_eq!(body["versions"][0]["version"], 1);
    assert_eq!(body["versions"][1]["granted"], "30");
}

#[tokio::test]
async fn a_rule_that_was_never_published_is_not_on_record() {
    let served = Served::new().await;
    let _ledger = published(&served).await;
    for path in ["/v1/rules/7", "/v1/rules/1/versions/3", "/v1/rules/1/versions/0"] {
        assert_eq!(served.problem(path).await["status"], 404, "{path}");
    }
    for path in ["/v1/rules/65536", "/v1/rules/-1", "/v1/rules/one", "/v1/rules/1/versions/x"] {
        let problem = served.problem(path).await;
        assert_eq!(problem["status"], 400, "{path}");
    }
}
