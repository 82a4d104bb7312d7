//! Records that need an operator, over HTTP.

use crate::served::{PLATFORM, Served};
use reqwest::StatusCode;
use serde_json::{Value, json};

async fn pay(oracle: &Served, order: &str) {
    let body = json!({"kind": "payment", "order": order, "user": "u1", "amount": 600, "currency": "CNY", "paid_at": 5});
    assert_eq!(oracle.post("/v1/records", &body).await.status(), StatusCode::OK);
}

async fn give_up(oracle: &Served, order: &str) -> i64 {
    let update = "UPDATE records SET state = 5, reason = 'no funds' WHERE number = $1 RETURNING id";
    sqlx::query_scalar(update).bind(order).fetch_one(&oracle.pool).await.unwrap()
}

async fn ids(oracle: &Served, query: &str) -> Vec<i64> {
    let page: Value = oracle.get(&format!("/v1/dead-letters{query}")).await.json().await.unwrap();
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn dead_records_are_listed_latest_first_and_queued_again_once() {
    let oracle = Served::new().await;
    for order in ["A1", "A2", "A3"] {
        pay(&oracle, order).await;
    }
    assert_eq!(ids(&oracle, "").await, [0; 0]);
    let (first, last) = (give_up(&oracle, "A1").await, give_up(&oracle, "A3").await);
    assert_eq!(ids(&oracle, "").await, [last, first]);
    assert_eq!(ids(&oracle, "?limit=1").await, [last]);
    assert_eq!(ids(&oracle, &format!("?before={last}")).await, [first]);

    let path = format!("/v1/dead-letters/{first}/retry");
    let retried = oracle.post(&path, &json!({})).await;
    assert_eq!(retried.json::<Value>().await.unwrap(), json!({"order": "A1", "state": "queued"}));
    assert_eq!(ids(&oracle, "").await, [last]);
    assert_eq!(oracle.post(&path, &json!({})).await.status(), StatusCode::CONFLICT);
    let state: Value = oracle.get("/v1/orders/A1").await.json().await.unwrap();
    assert_eq!(state["state"], "queued");
}

#[tokio::test]
async fn only_the_platforms_server_sees_and_retries_dead_records() {
    let oracle = Served::new().await;
    pay(&oracle, "A1").await;
    let id = give_up(&oracle, "A1").await;
    let retry = format!("{}/v1/dead-letters/{id}/retry", oracle.url);
    for key in ["", "rbk_wrong", &oracle.key[1..]] {
        let list = oracle.client.get(format!("{}/v1/dead-letters", oracle.url)).bearer_auth(key).send().await.unwrap();
        assert_eq!(list.status(), StatusCode::UNAUTHORIZED);
        let tried = oracle.client.post(&retry).bearer_auth(key).send().await.unwrap();
        assert_eq!(tried.status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(ids(&oracle, "").await, [id]);
    // Another platform's record in the same database is nobody's here.
    let other = "UPDATE records SET platform = decode(repeat('07', 32), 'hex')";
    sqlx::raw_sql(other).execute(&oracle.pool).await.unwrap();
    assert_eq!(ids(&oracle, "").await, [0; 0]);
    assert_eq!(oracle.post(&format!("/v1/dead-letters/{id}/retry"), &json!({})).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn numbers_that_are_none_are_refused() {
    let oracle = Served::new().await;
    for query in ["?limit=0", "?limit=501", "?limit=x", "?before=x", "?before=99999999999999999999"] {
        let answer = oracle.get(&format!("/v1/dead-letters{query}")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{query}");
    }
    assert_eq!(oracle.post("/v1/dead-letters/x/retry", &json!({})).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(oracle.post("/v1/dead-letters/-1/retry", &json!({})).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_order_names_the_platform_and_the_user_whose_it_is() {
    let oracle = Served::new().await;
    pay(&oracle, "A1").await;
    let refund = |order: &str, of: &str| json!({"kind": "refund", "order": order, "of": of, "amount": 100, "currency": "CNY", "paid_at": 6});
    let wallet = bs58::encode([9; 32]).into_string();
    let link = json!({"kind": "wallet_link", "user": "u1", "wallet": wallet, "linked_at": 8});
    let redemption =
        json!({"kind": "redemption", "order": "D1", "user": "u1", "asset": 2, "amount": 3, "redeemed_at": 7});
    let mut numbers = vec!["A1".to_owned()];
    for body in [refund("R1", "A1"), redemption, link] {
        let taken: Value = oracle.post("/v1/records", &body).await.json().await.unwrap();
        numbers.push(taken["order"].as_str().unwrap().replace('/', "%2F"));
    }
    let key: Value = oracle.get("/v1/users/u1/key").await.json().await.unwrap();
    for number in numbers {
        let order: Value = oracle.get(&format!("/v1/orders/{number}")).await.json().await.unwrap();
        assert_eq!((&order["platform"], &order["user_key"]), (&json!(PLATFORM), &key["key"]), "{number}");
    }
    oracle.post("/v1/records", &refund("R2", "elsewhere")).await;
    let order: Value = oracle.get("/v1/orders/R2").await.json().await.unwrap();
    assert_eq!(order["user_key"], Value::Null);
}
