//! What is not kept for ever.

use crate::served::{Served, payment};
use rebate_oracle::retention;
use reqwest::StatusCode;

async fn run(oracle: &Served, sql: &'static str) {
    sqlx::raw_sql(sql).execute(&oracle.pool).await.unwrap();
}

#[tokio::test]
async fn notices_are_forgotten_when_their_time_is_over_and_their_records_decided_which_stay_and_know_them_again() {
    let oracle = Served::new().await;
    for (number, at) in [("recorded", 1), ("refused", 2), ("dead", 3), ("queued", 4), ("young", 5)] {
        assert_eq!(oracle.notify(&payment(number, 600 + at)).await, StatusCode::OK);
    }
    // The same number with other content, long ago and lately.
    assert_eq!(oracle.notify(&payment("recorded", 1)).await, StatusCode::CONFLICT);
    run(&oracle, "UPDATE conflicts SET last_at = now() - interval '401 days'").await;
    assert_eq!(oracle.notify(&payment("recorded", 2)).await, StatusCode::CONFLICT);
    run(
        &oracle,
        "UPDATE records SET state = 3, slot = 7 WHERE number IN ('recorded', 'young');
         UPDATE records SET state = 4, reason = 'TooLate' WHERE number = 'refused';
         UPDATE records SET state = 5, reason = 'no funds' WHERE number = 'dead';
         UPDATE notices SET received_at = now() - interval '401 days' WHERE event <> 'event-young'",
    )
    .await;
    assert_eq!(retention::forget(&oracle.pool, 402).await.unwrap(), 0);
    assert_eq!(retention::forget(&oracle.pool, 400).await.unwrap(), 3);
    let left: Vec<String> =
        sqlx::query_scalar("SELECT event FROM notices ORDER BY id").fetch_all(&oracle.pool).await.unwrap();
    assert_eq!(left, ["event-dead", "event-queued", "event-young"]);
    assert_eq!(oracle.count("conflicts").await, 1);

    // The records stay, and whoever comes again finds them.
    assert_eq!(oracle.notify(&payment("recorded", 601)).await, StatusCode::OK);
    assert_eq!(oracle.notify(&payment("refused", 700)).await, StatusCode::CONFLICT);
    assert_eq!(oracle.count("records").await, 5);
    assert_eq!(oracle.count("records WHERE state = 1").await, 1);
}

#[tokio::test]
async fn many_old_notices_go_also_behind_many_that_have_to_stay() {
    let oracle = Served::new().await;
    for number in ["queued", "recorded"] {
        assert_eq!(oracle.notify(&payment(number, 600)).await, StatusCode::OK);
    }
    run(
        &oracle,
        "UPDATE records SET state = 3, slot = 7 WHERE number = 'recorded';
         INSERT INTO notices (provider, event, body, record, received_at)
         SELECT 'shop', number || ' again ' || n, '', id, now() - interval '2 days'
         FROM records, generate_series(1, 2500) n ORDER BY number, n",
    )
    .await;
    assert_eq!(retention::forget(&oracle.pool, 1).await.unwrap(), 2_500);
    assert_eq!(oracle.count("notices WHERE event LIKE 'queued again %'").await, 2_500);
    assert_eq!(oracle.count("notices WHERE event LIKE 'event-%'").await, 2);
    oracle.stop().await;
}
