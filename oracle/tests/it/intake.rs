//! Durable before answered, once, and nothing that contradicts it.

use crate::served::{Served, now, payment};
use rebate_core::{
    message::{self, Record},
    refund::Refund,
    units::{Amount, OrderHash},
};
use reqwest::StatusCode;
use serde_json::{Value, json};

#[tokio::test]
async fn a_paid_order_is_stored_with_its_notice_and_queued_before_the_answer() {
    let oracle = Served::new().await;
    assert_eq!(oracle.notify(&payment("A1", 600)).await, StatusCode::OK);
    let row: (i16, Vec<u8>, i16, Option<String>) =
        sqlx::query_as("SELECT kind, record, state, user_id FROM records WHERE number = 'A1'")
            .fetch_one(&oracle.pool)
            .await
            .unwrap();
    assert_eq!((row.0, row.2, row.3.as_deref()), (1, 1, Some("u1")));
    // What is stored is what the program reads.
    let mut bytes = message::encode::<rebate_core::payment::Payment>(&[1; 32], &[2; 32], &[]).unwrap();
    bytes.pop();
    bytes.push(1);
    bytes.extend_from_slice(&row.1);
    let mut records = message::open(&bytes, &[1; 32], &[2; 32]).unwrap();
    let record: rebate_core::payment::Payment = records.next().unwrap().unwrap();
    assert_eq!((record.order, record.amount, record.product), (OrderHash::of("A1"), Amount(600), 7));
    let expected = rebate_client::platform_id::user(b"platform-secret", "u1");
    assert_eq!(record.user, expected);
    let status: Value = oracle.get("/v1/orders/A1").await.json().await.unwrap();
    assert_eq!((&status["state"], &status["kind"]), (&json!("queued"), &json!("payment")));
    assert_eq!(oracle.metric("rebate_oracle_records{state=\"queued\"}").await, Some(1.0));
}

#[tokio::test]
async fn whoever_brings_records_onto_the_chain_is_told_of_new_ones() {
    let oracle = Served::new().await;
    let mut listener = sqlx::postgres::PgListener::connect_with(&oracle.pool).await.unwrap();
    listener.listen(rebate_oracle::intake::QUEUED).await.unwrap();
    for name in ["alipay payment", "alipay refund, a part"] {
        assert_eq!(oracle.send("alipay", name).await.status(), StatusCode::OK);
        tokio::time::timeout(std::time::Duration::from_secs(10), listener.recv()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn the_same_notice_again_is_a_yes_and_nothing_new() {
    let oracle = Served::new().await;
    for _ in 0..3 {
        assert_eq!(oracle.notify(&payment("A1", 600)).await, StatusCode::OK);
    }
    // Another notice of the same order with the same content is kept, too.
    let mut other = payment("A1", 600);
    other["event"] = json!("another");
    assert_eq!(oracle.notify(&other).await, StatusCode::OK);
    assert_eq!((oracle.count("records").await, oracle.count("notices").await), (1, 2));
    assert_eq!(oracle.count("conflicts").await, 0);
}

#[tokio::test]
async fn the_same_order_with_other_content_is_a_conflict_and_nothing_is_changed() {
    let oracle = Served::new().await;
    oracle.notify(&payment("A1", 600)).await;
    let before: Vec<u8> = sqlx::query_scalar("SELECT record FROM records").fetch_one(&oracle.pool).await.unwrap();
    let mut other = payment("A1", 601);
    other["event"] = json!("another");
    for _ in 0..2 {
        assert_eq!(oracle.notify(&other).await, StatusCode::CONFLICT);
        // Nor under the event that is known.
        assert_eq!(oracle.notify(&payment("A1", 602)).await, StatusCode::CONFLICT);
    }
    // A known event about another order is a contradiction, too: nothing is recorded of it.
    let mut moved = payment("A2", 600);
    moved["event"] = json!("event-A1");
    assert_eq!(oracle.notify(&moved).await, StatusCode::CONFLICT);
    let after: Vec<u8> = sqlx::query_scalar("SELECT record FROM records").fetch_one(&oracle.pool).await.unwrap();
    assert_eq!(before, after);
    assert_eq!((oracle.count("records").await, oracle.count("notices").await), (1, 1));
    // Each is kept once, however often it comes.
    let times: Vec<i64> =
        sqlx::query_scalar("SELECT times FROM conflicts ORDER BY id").fetch_all(&oracle.pool).await.unwrap();
    assert_eq!(times, [2, 2, 1]);
    assert_eq!(oracle.metric("rebate_oracle_conflicts_total").await, Some(5.0));
}

#[tokio::test]
async fn provider_retries_in_parallel_make_one_record_and_all_are_a_yes() {
    let oracle = Served::new().await;
    let notices: Vec<Value> = (0..10).map(|number| payment(&format!("P{number}"), 600)).collect();
    let all = (0..160).map(|at| oracle.notify(&notices[at % 10]));
    let answers = futures_util::future::join_all(all).await;
    assert!(answers.iter().all(|status| *status == StatusCode::OK), "{answers:?}");
    assert_eq!((oracle.count("records").await, oracle.count("notices").await), (10, 10));
}

#[tokio::test]
async fn of_two_contents_in_parallel_one_stands_and_the_other_is_a_conflict() {
    let oracle = Served::new().await;
    let all = (0..80).map(|at| {
        let mut notice = payment(&format!("P{}", at % 4), 600 + at / 40);
        notice["event"] = json!(format!("event-{at}"));
        let oracle = &oracle;
        async move { (at % 4, at / 40, oracle.notify(&notice).await) }
    });
    let answers = futures_util::future::join_all(all).await;
    for order in 0..4 {
        let yes: Vec<u64> = answers
            .iter()
            .filter(|(of, _, status)| *of == order && *status == StatusCode::OK)
            .map(|(_, content, _)| *content)
            .collect();
        let no = answers.iter().filter(|(of, _, status)| *of == order && *status == StatusCode::CONFLICT).count();
        assert_eq!((yes.len(), no), (10, 10), "{answers:?}");
        assert!(yes.iter().all(|content| *content == yes[0]), "{answers:?}");
    }
    assert_eq!((oracle.count("records").await, oracle.count("conflicts").await), (4, 40));
}

#[tokio::test]
async fn what_one_transaction_of_many_cannot_store_does_not_keep_the_others_out() {
    let oracle = Served::new().await;
    oracle.notify(&payment("P0", 600)).await;
    // New ones, known ones, contradicting ones and two of one event, all at once.
    let all = (0..60).map(|at| match at % 3 {
        0 => payment(&format!("N{at}"), 600),
        1 => payment("P0", 600),
        _ => payment("P0", 601),
    });
    let answers = futures_util::future::join_all(all.map(|notice| {
        let oracle = &oracle;
        async move { oracle.notify(&notice).await }
    }))
    .await;
    for (at, answer) in answers.iter().enumerate() {
        assert_eq!(*answer, if at % 3 == 2 { StatusCode::CONFLICT } else { StatusCode::OK }, "{at}");
    }
    assert_eq!(oracle.count("records").await, 21);
}

#[tokio::test]
async fn refunds_that_are_told_by_their_sum_are_recorded_by_what_each_adds() {
    let oracle = Served::new().await;
    for name in ["alipay payment", "alipay refund, a part", "alipay refund, the rest", "alipay payment, finished"] {
        let answer = oracle.send("alipay", name).await;
        assert_eq!((answer.status(), answer.text().await.unwrap().as_str()), (StatusCode::OK, "success"), "{name}");
    }
    assert_eq!(refunds(&oracle).await, [("AR1".to_owned(), 1_000), ("AR2".to_owned(), 7_888)]);
    // Again, and nothing is new.
    assert!(oracle.send("alipay", "alipay refund, a part").await.status().is_success());
    assert_eq!(oracle.count("records").await, 3);
    let status: Value = oracle.get("/v1/orders/A1").await.json().await.unwrap();
    assert_eq!(status["refunds"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_refund_whose_sum_a_later_one_has_already_adds_nothing() {
    let oracle = Served::new().await;
    for name in ["alipay refund, the rest", "alipay refund, a part", "alipay refund, a part"] {
        assert_eq!(oracle.send("alipay", name).await.status(), StatusCode::OK, "{name}");
    }
    assert_eq!(refunds(&oracle).await, [("AR2".to_owned(), 8_888)]);
    assert_eq!(oracle.count("notices").await, 2);
}

async fn refunds(oracle: &Served) -> Vec<(String, u64)> {
    let rows: Vec<(String, Vec<u8>)> =
        sqlx::query_as("SELECT number, record FROM records WHERE kind = 2 ORDER BY number")
            .fetch_all(&oracle.pool)
            .await
            .unwrap();
    rows.into_iter()
        .map(|(number, record)| {
            assert_eq!(record.len(), Refund::MAX_SIZE);
            (number, u64::from_le_bytes(record[65..73].try_into().unwrap()))
        })
        .collect()
}

#[tokio::test]
async fn each_provider_is_answered_as_it_expects() {
    let oracle = Served::new().await;
    let answer = oracle.send("wechat", "wechat payment").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.json::<Value>().await.unwrap()["code"], "SUCCESS");
    let answer = oracle.send("wechat", "wechat other merchant").await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.json::<Value>().await.unwrap()["code"], "FAIL");
    let answer = oracle.send("alipay", "alipay other application").await;
    assert_eq!((answer.status(), answer.text().await.unwrap().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "failure"));
    let answer = oracle.notify_signed(payment("A1", 1).to_string(), now()).await;
    assert_eq!(answer.json::<Value>().await.unwrap()["received"], true);
}
