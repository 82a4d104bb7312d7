//! Analytics: a scenario whose figures were computed by hand, and requests that are none.

use crate::{
    ledger::{Bought, Did, Ledger, PLATFORM, fixed},
    served::Served,
};
use rebate_client::event::{EffectEntry, RuleDefinition};
use rebate_core::outcome::Reason;
use reqwest::header;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The scenario, and what is answered.
const SCENARIO: &str = include_str!("../fixtures/analytics.toml");

#[derive(Deserialize)]
struct Scenario {
    payment: Vec<Payment>,
    refund: Refund,
    expiry: Expiry,
    answer: Vec<Expected>,
    uplift: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Payment {
    order: String,
    user: String,
    at: String,
    amount: u64,
    product: u16,
    streamer: u64,
    tier: u8,
    segments: u32,
    coins: u64,
    star: String,
}

#[derive(Deserialize)]
struct Refund {
    order: String,
    of: String,
    at: String,
    amount: u64,
}

#[derive(Deserialize)]
struct Expiry {
    user: String,
    at: String,
    asset: u8,
    amount: u64,
}

/// Rows of from, key, asset, numerator, denominator, value.
#[derive(Deserialize)]
struct Expected {
    path: String,
    rows: Vec<(String, String, i64, String, String, String)>,
}

fn unix(at: &str) -> i64 {
    OffsetDateTime::parse(at, &Rfc3339).unwrap().unix_timestamp()
}

impl Scenario {
    fn read() -> Self {
        toml::from_str(SCENARIO).unwrap()
    }

    /// Lets all of it happen, the refund and the expiry after the last payment.
    async fn play(&self, served: &Served) -> Ledger {
        let mut ledger = Ledger::new(served.pool()).await;
        let welcome = RuleDefinition {
            group: 1,
            effect: EffectEntry::Ratio { asset: 1, bps: 2_000, min: 0, max: 0 },
            ..fixed(1, 1, "welcome", 1, 0)
        };
        ledger.publish(welcome, 0).await;
        ledger.publish(RuleDefinition { group: 2, holdout_bps: 5_000, ..fixed(2, 1, "=star", 2, 10) }, 0).await;
        for payment in &self.payment {
            let star = Reason::ALL.into_iter().find(|reason| reason.name() == payment.star).unwrap();
            let amount = if star == Reason::Granted { 10 } else { 0 };
            let coins = match payment.coins {
                0 => Did::not_matched(1, 0),
                coins => Did::granted(1, coins),
            };
            let did = [coins, Did { reason: star, asset: 2, ..Did::granted(2, amount) }];
            let bought = Bought {
                at: unix(&payment.at),
                product: payment.product,
                streamer: payment.streamer,
                tier: payment.tier,
                segments: payment.segments,
            };
            ledger.buy(&payment.order, &payment.user, payment.amount, bought, &did).await;
        }
        let Refund { order, of, at, amount } = &self.refund;
        ledger.refund_at(order, of, *amount, unix(at)).await;
        let Expiry { user, at, asset, amount } = &self.expiry;
        ledger.expire_at(user, *asset, *amount, unix(at)).await;
        ledger
    }
}

/// With all of the scenario's time, unless the path says otherwise.
fn path(of: &str) -> String {
    let mut path = format!("/v1/analytics/{of}");
    for bound in ["from=2026-09-01T00:00:00%2B08:00", "to=2026-10-12T00:00:00%2B08:00"] {
        if !of.starts_with("uplift") && !of.contains(&bound[..bound.find('=').unwrap() + 1]) {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(bound);
        }
    }
    path
}

/// A member as text; "" for null.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => panic!("{other} is no text"),
    }
}

#[tokio::test]
async fn the_figures_of_a_scenario_computed_by_hand_come_back_from_every_measure() {
    let scenario = Scenario::read();
    let served = Served::new().await;
    scenario.play(&served).await;
    let mut measures: Vec<String> = Vec::new();
    for expected in &scenario.answer {
        let path = path(&expected.path);
        let answer = served.json(&path).await;
        let rows: Vec<_> = answer["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let [from, key, numerator, denominator, value] =
                    ["from", "key", "numerator", "denominator", "value"].map(|name| text(&row[name]));
                (from, key, row["asset"].as_i64().unwrap_or_default(), numerator, denominator, value)
            })
            .collect();
        assert_eq!(rows, expected.rows, "{path}: {answer:#}");
        assert_eq!(answer["as_of_slot"], 100);
        assert_eq!(answer["measure"], expected.path.split('?').next().unwrap());
        measures.push(text(&answer["measure"]));
    }
    let described = served.json("/v1/analytics").await;
    for measure in described["measures"].as_array().unwrap() {
        assert!(measures.contains(&text(&measure["measure"])), "{measure} is not in the scenario");
        for part in ["numerator", "denominator", "text"] {
            assert!(!text(&measure["definition"][part]).is_empty(), "{measure}");
        }
    }
}

#[tokio::test]
async fn uplift_comes_with_its_interval_cuped_and_the_check_of_the_sides() {
    let scenario = Scenario::read();
    let served = Served::new().await;
    scenario.play(&served).await;
    let answer = served.json("/v1/analytics/uplift?key=2").await;
    let details: BTreeMap<String, String> = answer["rows"][0]["details"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect();
    assert_eq!(details, scenario.uplift);
    // Only dan was exposed in week 2, and with nobody on the other side there is no difference.
    let answer = served.json("/v1/analytics/uplift?from=2026-10-05T00:00:00%2B08:00").await;
    let row = &answer["rows"][0];
    assert_eq!((row["denominator"].as_str(), &row["value"]), (Some("100.000000"), &Value::Null), "{answer:#}");
    assert_eq!(row["details"]["low"], Value::Null);
}

#[tokio::test]
async fn every_row_names_its_bucket_in_the_platforms_time_and_what_its_key_is_called() {
    let scenario = Scenario::read();
    let served = Served::new().await;
    scenario.play(&served).await;
    let answer = served.json(&path("grants?every=week&by=rule")).await;
    let row = &answer["rows"][1];
    assert_eq!(row["from"], "2026-09-28T00:00:00+08:00");
    assert_eq!(row["to"], "2026-10-05T00:00:00+08:00");
    assert_eq!((&row["label"], &row["asset_name"]), (&"=star".into(), &"stars".into()));
    assert_eq!(row["details"]["expired"], Value::Null, "by rule it is not known");
    assert_eq!((&answer["unit"], &answer["every"], &answer["by"]), (&"asset".into(), &"week".into(), &"rule".into()));
    let answer = served.json(&path("payers?every=day&by=newness")).await;
    assert_eq!(answer["rows"][0]["label"], "new users");
}

#[tokio::test]
async fn a_table_of_comma_separated_values_has_the_same_rows_and_no_formulas() {
    let scenario = Scenario::read();
    let served = Served::new().await;
    scenario.play(&served).await;
    let response = served.get(&path("participation?every=week&by=rule&format=csv")).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/csv; charset=utf-8; header=present");
    assert!(response.headers().contains_key(header::ETAG));
    let body = response.text().await.unwrap();
    let lines: Vec<&str> = body.split("\r\n").collect();
    assert_eq!(lines[0], "from,to,key,label,asset,asset_name,numerator,denominator,value,granted_payers,payers");
    assert_eq!(lines[2], "2026-09-28T00:00:00+08:00,2026-10-05T00:00:00+08:00,2,'=star,,,2,4,0.500000,2,4");
    assert_eq!(lines.len(), 6, "{body}");
}

#[tokio::test]
async fn a_request_that_means_nothing_is_refused_and_says_why() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    let refused = [
        ("popularity", "popularity"),
        ("payers?every=fortnight", "fortnight"),
        ("payers?by=<script>", "<script>"),
        ("payers?from=yesterday", "yesterday"),
        ("payers?from=2026-10-03T00:00:00Z&to=2026-10-03T00:00:00Z", "before"),
        ("payers?from=9999-12-31T23:59:59Z", "before"),
        ("payers?key=1", "without `by`"),
        ("payers?by=rule&key=65536", "65536"),
        ("payers?by=tier&key=-1", "-1"),
        ("payers?by=segment&key=32", "32"),
        ("payers?by=effect&key=gift", "gift"),
        ("payers?by=newness&key=old", "old"),
        ("payers?by=streamer&key=18446744073709551616", "18446744073709551616"),
        ("payers?asset=1", "asset"),
        ("grants?asset=9", "asset"),
        ("grants?asset=0", "asset"),
        ("breakage?by=rule", "breakage"),
        ("conversion?by=newness", "conversion"),
        ("uplift?by=product", "uplift"),
        ("uplift?every=day", "uplift"),
        ("uplift?from=2026-10-04T00:00:00Z&to=2026-10-03T00:00:00Z", "before"),
        ("payers?format=xml", "xml"),
    ];
    for (path, why) in refused {
        let problem = served.problem(&format!("/v1/analytics/{path}")).await;
        assert_eq!(problem["type"], "urn:rebate:problem:invalid-parameter", "{path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(why), "{path}: {problem}");
    }
    // All of time is fine, and so is what the calendar hardly reaches.
    for path in ["payers?from=0001-01-01T00:00:00Z", "payers?every=hour&to=9999-12-31T23:59:59Z", "roi?by=streamer"] {
        assert_eq!(served.json(&format!("/v1/analytics/{path}")).await["rows"], serde_json::json!([]), "{path}");
    }
}

#[tokio::test]
async fn an_answer_with_too_many_rows_is_refused_and_says_what_to_do() {
    let served = Served::new().await;
    let _ledger = Ledger::new(served.pool()).await;
    // Not written by the indexer: that would take a minute.
    sqlx::query(
        "INSERT INTO rollups SELECT $1, 2, 5, 20729, streamer, 1, 1, 0, 0, 1, 0, 0, 0, 0 FROM generate_series(1, 25001) AS streamer",
    )
    .bind(PLATFORM)
    .execute(served.pool())
    .await
    .unwrap();
    let problem = served.problem(&path("payers?by=streamer")).await;
    assert!(problem["detail"].as_str().unwrap().contains("more than 25000 rows"), "{problem}");
    let answer = served.json(&path("payers?by=streamer&key=77")).await;
    assert_eq!(answer["rows"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn while_an_upgrade_is_not_over_nothing_wrong_is_answered() {
    let served = Served::new().await;
    let _ledger = Ledger::new(served.pool()).await;
    sqlx::query("INSERT INTO rollups_due VALUES ($1, 0)").bind(PLATFORM).execute(served.pool()).await.unwrap();
    let problem = served.problem("/v1/analytics/payers").await;
    assert_eq!(problem["type"], "urn:rebate:problem:not-ready");
    assert!(problem["detail"].as_str().unwrap().contains("0 of 1 events"), "{problem}");
}
