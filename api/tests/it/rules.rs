use crate::{
    ledger::{Did, Ledger, NOON, fixed},
    served::Served,
};
use rebate_client::event::{EffectEntry, Event, LimitsEntry, RuleDefinition, RuleDropped, RuleEnded, StepEntry};
use rebate_core::{
    rule::{Field, GroupMode, Operator, Predicate, TierMode},
    window::{Scope, Window},
};
use serde_json::{Value, json};

/// Two versions of rule 1, the second from 1,791,000,000 on, and rule 2, which ends then.
async fn published(served: &Served) -> Ledger {
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    ledger.publish(fixed(1, 2, "first recharge 30", 2, 30), NOON).await;
    served.sql("UPDATE rules SET starts_at = 1790000000, ends_at = 1791000000 WHERE rule = 2").await;
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
    ledger.publish(fixed(1, 3, "first recharge 5", 1, 5), NOON).await;
    let of_stars = Did { version: 2, asset: 2, ..Did::granted(1, 30) };
    let of_version_3 = Did { version: 3, ..Did::granted(1, 5) };
    ledger.pay("A1", "ann", 5_000, &[Did::granted(1, u64::MAX)]).await;
    ledger.refund("R1", "A1", 5_000).await;
    ledger.pay("A2", "bob", 5_000, &[of_stars]).await;
    ledger.pay("A3", "cat", 5_000, &[of_version_3]).await;

    let body = served.json("/v1/rules/1").await;

    // What two versions granted of one asset can be more than a u64 holds.
    assert_eq!(
        body["totals"],
        json!([
            {"asset": 1, "asset_name": "coins", "granted": "18446744073709551620", "grants": 2,
             "reversed": "18446744073709551615"},
            {"asset": 2, "asset_name": "stars", "granted": "30", "grants": 1, "reversed": "0"},
        ])
    );
    assert_eq!(body["budget"], json!({"spent": "35", "grants": 3}), "what was reversed can be granted again");
    assert_eq!(body["versions"][0]["version"], 1);
    assert_eq!(body["versions"][1]["granted"], "30");
}

#[tokio::test]
async fn a_rule_shows_everything_it_was_published_with() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    let rule = RuleDefinition {
        group: 3,
        group_mode: GroupMode::Best as u8,
        tags: 1 | 1 << 31,
        excludes: 1 << 5,
        condition: vec![
            Predicate::new(0, false, Field::Hour, Operator::Any, 1 << 20 | 1 << 21).into(),
            Predicate::new(1, true, Field::Segments, Operator::Any, 5).into(),
        ],
        window: Window::Week as u8,
        scope: Scope::UserStreamer as u8,
        effect: EffectEntry::Tiers {
            asset: 1,
            mode: TierMode::Marginal as u8,
            steps: vec![StepEntry { threshold: 0, value: 100 }, StepEntry { threshold: 5_000, value: 200 }],
        },
        limits: LimitsEntry { user_amount: u64::MAX, user_count: 3, total_amount: 0, total_count: 7, on_limit: 2 },
        holdout_bps: 500,
        ..fixed(1, 1, "evening tiers", 1, 1)
    };
    ledger.publish(rule, 0).await;

    let body = served.json("/v1/rules/1/versions/1").await;

    assert_eq!(body["when"], json!(["hour in [20, 21]", "not segments any 5"]));
    assert_eq!(body["group"], 3);
    assert_eq!(body["group_mode"], "best");
    assert_eq!(body["tags"], json!([0, 31]));
    assert_eq!(body["excludes"], json!([5]));
    assert_eq!(body["window"], "week");
    assert_eq!(body["scope"], "user_streamer");
    assert_eq!(
        body["effect"],
        json!({"kind": "tiers", "asset": 1, "mode": "marginal", "steps": [["0", "100"], ["5000", "200"]]})
    );
    assert_eq!(
        body["limits"],
        json!({"user_amount": "18446744073709551615", "user_count": "3", "total_amount": "0", "total_count": "7",
               "on_limit": "reject"})
    );
    assert_eq!(body["holdout_bps"], 500);
    assert_eq!(body["ended"], false);
    assert!(body["dropped_at"].is_null());
    assert_eq!(body["reversed"], "0");
}

#[tokio::test]
async fn effects_of_every_kind_are_shown_as_they_were_published() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    let effects = [
        (
            EffectEntry::Streak { asset: 1, days: 7, amount: 1_000, recurring: true },
            json!({"kind": "streak", "asset": 1, "days": 7, "amount": "1000", "recurring": true}),
        ),
        (EffectEntry::Multiplier { asset: 2, bps: 15_000 }, json!({"kind": "multiplier", "asset": 2, "bps": 15_000})),
    ];
    for (id, (effect, shown)) in (1..).zip(effects) {
        ledger.publish(RuleDefinition { effect, ..fixed(id, 1, "a rule", 1, 1) }, 0).await;
        assert_eq!(served.json(&format!("/v1/rules/{id}/versions/1")).await["effect"], shown);
    }
}

#[tokio::test]
async fn a_rule_that_ended_and_left_the_book_says_so() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    let (rule, version) = (1, 1);
    ledger
        .decide(|journal_index, at, platform| {
            Event::RuleEnded(RuleEnded { journal_index, at, platform, rule, version, ends_at: NOON })
        })
        .await;
    let body = served.json("/v1/rules/1/versions/1").await;
    assert_eq!(body["ended"], true);
    assert_eq!(body["superseded_at"], "2026-10-03T04:00:00Z");
    assert_eq!(versions(&served.json("/v1/rules?in_force_at=1791000000").await), [(2, 1)]);

    ledger
        .decide(|journal_index, at, platform| {
            let (granted, grants, reversed) = (0, 0, 0);
            Event::RuleDropped(RuleDropped { journal_index, at, platform, rule, version, granted, grants, reversed })
        })
        .await;
    assert_eq!(served.json("/v1/rules/1/versions/1").await["dropped_at"], "2026-10-03T04:00:00Z");
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
