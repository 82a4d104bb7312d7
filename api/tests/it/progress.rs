use crate::evening::Evening;
use rebate_client::event::{AssetEntry, EffectEntry, LimitsEntry, OffsetEntry, RuleDefinition, StepEntry};
use rebate_core::{
    payment::Payment,
    rule::TierMode,
    units::{Amount, OrderHash, Timestamp, UserKey},
    window::{Scope, Window},
};
use rebate_tests::platform::{NOON, always, asset};
use serde_json::{Value, json};

const ANN: UserKey = UserKey([1; 32]);

fn paid(order: &str, amount: u64, at: i64) -> Payment {
    let (order, paid_at) = (OrderHash::of(order), Timestamp(at));
    Payment { order, user: ANN, amount: Amount(amount), paid_at, ..Payment::default() }
}

/// Tiers by week, three days in a row, and a daily limit; coins expire by the month.
fn evening() -> Evening {
    let steps = vec![StepEntry { threshold: 1_000, value: 10 }, StepEntry { threshold: 5_000, value: 100 }];
    let tiers = RuleDefinition {
        name: "spend and save".to_owned(),
        window: Window::Week as u8,
        ..always(1, EffectEntry::Tiers { asset: 1, mode: TierMode::Fixed as u8, steps })
    };
    let streak = RuleDefinition {
        name: "day after day".to_owned(),
        ..always(2, EffectEntry::Streak { asset: 1, days: 3, amount: 50, recurring: true })
    };
    let daily = RuleDefinition {
        name: "a little every day".to_owned(),
        window: Window::Day as u8,
        scope: Scope::User as u8,
        limits: LimitsEntry { user_amount: 30, user_count: 5, total_amount: 1_000, ..LimitsEntry::none() },
        ..always(3, EffectEntry::Fixed { asset: 1, amount: 20 })
    };
    let coins = AssetEntry { expiry_months: 1, ..asset("coins") };
    Evening::begin(vec![OffsetEntry { from: 0, seconds: 28_800 }], vec![coins], &[tiers, streak, daily])
}

fn texts(answer: &Value, list: &str) -> Vec<String> {
    answer[list].as_array().unwrap().iter().map(|item| item["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn progress_says_what_is_missing_what_is_left_and_what_expires_when() {
    let mut evening = evening();
    evening.index(NOON);
    let path = format!("/v1/users/{ANN}/progress");
    let nobody = evening.json(&path);
    assert_eq!(nobody["rules"][0]["next_tier"]["missing"], "1000");
    assert_eq!(nobody["balances"][0]["balance"], "0");

    evening.pay(&paid("A1", 1_200, NOON)).unwrap();
    evening.index(NOON + 86_400);
    evening.pay(&paid("A2", 300, NOON + 86_400)).unwrap();
    evening.index(NOON + 86_400);
    let progress = evening.json(&path);
    assert_eq!(progress["now"], "2026-10-04T12:00:00+08:00");
    assert_eq!(
        texts(&progress, "rules"),
        [
            "‘spend and save’: you spent 1500 that week; 3500 more reaches the next tier at 5000; it resets on Monday \
             00:00 +08:00",
            "‘day after day’: 2 days in a row so far; it pays on day 3",
            "‘a little every day’: 20 coins granted that day; 10 coins and 4 times more at most; it resets on Monday \
             00:00 +08:00",
        ]
    );
    let [tiers, streak, daily] = [0, 1, 2].map(|at| &progress["rules"][at]);
    assert_eq!(tiers["window_start"], "2026-09-28T00:00:00+08:00");
    assert_eq!(tiers["window_end"], "2026-10-05T00:00:00+08:00");
    assert_eq!(tiers["next_tier"], json!({"threshold": "5000", "missing": "3500", "value": "100"}));
    assert_eq!((&tiers["spend"], &tiers["payments"], &tiers["granted"]), (&json!("1500"), &json!(2), &json!("10")));
    assert_eq!(streak["streak"], json!({"days": 2, "today": true, "pays_at": 3, "days_needed": 1}));
    assert_eq!(daily["left"], json!({"amount": "10", "count": "4"}));
    assert_eq!(daily["budget_left"], json!({"amount": "960", "count": null}));
    // 10 + 20 on Saturday and 20 on Sunday, all in October: gone with the end of November.
    let held = &progress["balances"][0];
    assert_eq!(held["balance"], "50");
    assert_eq!(held["expires"], json!([{"amount": "50", "at": "2026-12-01T00:00:00+08:00"}]));

    // Two days without a payment end the streak; a month later what there is is the older part.
    evening.index(NOON + 3 * 86_400);
    assert_eq!(evening.json(&path)["rules"][1]["streak"]["days"], 0);
    evening.index(NOON + 40 * 86_400);
    assert_eq!(evening.json(&path)["balances"][0]["expires"][0]["at"], "2026-12-01T00:00:00+08:00");
    evening.index(NOON + 70 * 86_400);
    let held = &evening.json(&path)["balances"][0];
    assert_eq!((&held["balance"], &held["expired"], &held["expires"]), (&json!("0"), &json!("50"), &json!([])));
}

#[test]
fn a_preview_says_in_plain_words_why_a_rule_would_grant_nothing() {
    let mut evening = evening();
    evening.index(NOON);
    let path = format!("/v1/users/{ANN}/preview");
    let preview = evening.json(&format!("{path}?amount=900"));
    assert_eq!(preview["payment_number"], 1);
    assert_eq!(
        texts(&preview, "outcomes"),
        [
            "not granted: you spent 900 that week; 100 more reaches the next tier of ‘spend and save’ at 1000",
            "not granted: ‘day after day’ pays every 3 days in a row, and this was day 1 or another payment of it",
            "granted: 20 coins by ‘a little every day’",
        ]
    );
    assert_eq!(
        preview["granted"],
        json!([{"asset": 1, "asset_name": "coins", "amount": "20", "before": "0", "after": "20"}])
    );
    let late = evening.json(&format!("{path}?amount=900&at={}", NOON - 4 * 86_400));
    assert_eq!(late["refusal"], "TooLate");
    assert_eq!(late["refusal_text"], "It was made further back than the platform takes records of.");
    // Next Monday, as if it were recorded then.
    let later = evening.json(&format!("{path}?amount=6000&at={}", NOON + 2 * 86_400));
    assert_eq!(later["granted"][0]["amount"], "130");
    for bad in
        ["", "?amount=0", "?amount=x", "?amount=5&product=65536", "?amount=18446744073709551616", "?amount=1&at=x"]
    {
        let refused = evening.runtime.block_on(evening.served.problem(&format!("{path}{bad}")));
        assert_eq!(refused["type"], "urn:rebate:problem:invalid-parameter", "{bad}");
    }
}
