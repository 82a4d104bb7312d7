use crate::{
    ledger::{Did, Ledger, user},
    served::Served,
};
use serde_json::json;

#[tokio::test]
async fn totals_by_streamer_and_session_are_the_sums_of_a_users_payments() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    for (number, amount, granted) in [("A1", 5_000, 1_000), ("A2", 300, 0), ("A3", 700, 30)] {
        let did = if granted == 0 { vec![] } else { vec![Did::granted(1, granted)] };
        ledger.pay(number, "ann", amount, &did).await;
    }
    ledger.pay("B1", "bob", 9_999, &[Did::granted(1, 7)]).await;
    ledger.redeem("S1", "ann", 1, 900).await;
    ledger.refund("R1", "A1", 2_500).await;
    // Ann's second payment went to another streamer, in a session.
    served
        .sql(
            "UPDATE payments SET streamer = 7, session = 8
             WHERE journal_index = (SELECT min(journal_index) + 1 FROM payments)",
        )
        .await;
    let ann = user("ann");

    let streamers = served.json(&format!("/v1/users/{ann}/streamers")).await;
    assert_eq!(
        streamers["items"],
        json!([
            {
                "streamer": "7", "payments": 1, "paid": "300", "refunded": "0", "first_paid_at": "2026-10-03T04:00:00Z",
                "last_paid_at": "2026-10-03T04:00:00Z", "granted": [],
            },
            {
                "streamer": u64::MAX.to_string(), "payments": 2, "paid": "5700", "refunded": "2500",
                "first_paid_at": "2026-10-03T04:00:00Z", "last_paid_at": "2026-10-03T04:00:00Z",
                "granted": [
                    {"asset": 1, "asset_name": "coins", "granted": "1030", "grants": 2, "reversed": "500"},
                ],
            },
        ])
    );
    let sessions = served.json(&format!("/v1/users/{ann}/sessions?limit=1")).await;
    assert_eq!((&sessions["items"][0]["session"], &sessions["items"][0]["payments"]), (&json!("0"), &json!(2)));
    let cursor = sessions["next_cursor"].as_str().unwrap();
    let rest = served.json(&format!("/v1/users/{ann}/sessions?limit=1&cursor={cursor}")).await;
    assert_eq!((&rest["items"][0]["session"], &rest["items"][0]["paid"]), (&json!("8"), &json!("300")));
    assert!(rest["next_cursor"].is_null());
    let nobody = user("nobody");
    for list in ["streamers", "sessions"] {
        assert_eq!(served.problem(&format!("/v1/users/{nobody}/{list}")).await["status"], 404);
        let refused = served.problem(&format!("/v1/users/{ann}/{list}?cursor={cursor}x")).await;
        assert_eq!(refused["type"], "urn:rebate:problem:invalid-cursor");
    }
}
