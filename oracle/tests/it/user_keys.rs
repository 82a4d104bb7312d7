//! Users' keys, and what becomes of them when the secret is rotated.

use crate::served::{Options, Served, payment};
use rebate_client::platform_id;
use rebate_oracle::{OracleState, database};
use rebate_tests::database::TestDatabase;
use reqwest::StatusCode;
use serde_json::Value;

async fn key(oracle: &Served, user: &str) -> (String, i64) {
    let answer: Value = oracle.get(&format!("/v1/users/{user}/key")).await.json().await.unwrap();
    (answer["key"].as_str().unwrap().to_owned(), answer["secret"].as_i64().unwrap())
}

#[tokio::test]
async fn a_user_keeps_the_key_when_the_secret_is_rotated_and_a_new_one_gets_the_newest() {
    let database = TestDatabase::of_oracle().await.unwrap();
    let before = Served::over(&database.url(), Options::default()).await;
    let (old, new) = (|user| platform_id::user(b"platform-secret", user), |user| platform_id::user(b"rotated", user));
    assert_eq!(before.notify(&payment("A1", 600)).await, StatusCode::OK);
    // Whoever was told a key can rely on it, too.
    assert_eq!(key(&before, "told").await, (old("told").to_string(), 1));
    before.stop().await;

    let rotated = || Options { user_secrets: vec![(2, "rotated\n")], ..Options::default() };
    let after = Served::over(&database.url(), rotated()).await;
    assert_eq!(key(&after, "u1").await, (old("u1").to_string(), 1));
    assert_eq!(key(&after, "told").await, (old("told").to_string(), 1));
    assert_eq!(key(&after, "u2").await, (new("u2").to_string(), 2));
    // The old notice again is still the same record.
    assert_eq!(after.notify(&payment("A1", 600)).await, StatusCode::OK);
    let mut of_new = payment("A2", 600);
    of_new["user"] = "u3".into();
    assert_eq!(after.notify(&of_new).await, StatusCode::OK);
    assert_eq!(key(&after, "u3").await, (new("u3").to_string(), 2));
    after.stop().await;
}

#[tokio::test]
async fn an_oracle_without_a_secret_that_users_have_keys_by_does_not_start() {
    let oracle = Served::with(Options { user_secrets: vec![(2, "rotated")], ..Options::default() }).await;
    assert_eq!(oracle.notify(&payment("A1", 600)).await, StatusCode::OK);
    let mut settings = oracle.settings.clone();
    settings.user_secrets.retain(|secret| secret.number == 1);
    let pool = oracle.pool.clone();
    let error = OracleState::new(&settings, pool, prometheus::Registry::new()).await.err().unwrap().to_string();
    assert!(error.contains("number 2"), "{error}");
    assert!(!error.contains("rotated"), "{error}");
    assert_eq!(database::backlog(&oracle.pool).await.unwrap().queued, 1);
}
