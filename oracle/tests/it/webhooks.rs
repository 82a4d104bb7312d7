//! What the platform's server is told.

use crate::served::{Options, Served, payment};
use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use rebate_oracle::deliveries;
use serde_json::Value;
use standardwebhooks::Webhook;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, time::Instant};

type Got = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A receiver that says no to the first request.
async fn receiver() -> (String, Got) {
    let got = Got::default();
    let app = Router::new().route("/hook", post(take)).with_state(Arc::clone(&got));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, got)
}

async fn take(State(got): State<Got>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut got = got.lock().unwrap();
    got.push((headers, body));
    if got.len() == 1 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_platform_is_told_of_every_decision_until_it_says_yes_and_of_a_later_one_anew() {
    let (url, got) = receiver().await;
    let oracle = Served::with(Options { webhook: Some(url), ..Options::default() }).await;
    oracle.notify(&payment("A1", 600)).await;
    let decide = async |sql: &'static str| {
        sqlx::query(sql).execute(&oracle.pool).await.unwrap();
    };
    decide("UPDATE records SET state = 2").await;
    assert_eq!(oracle.count("deliveries").await, 0);
    decide("UPDATE records SET state = 5, reason = 'the payer has no funds'").await;
    until("told of the dead one twice", async || got.lock().unwrap().len() == 2).await;
    decide("UPDATE records SET state = 1, reason = NULL").await;
    decide("UPDATE records SET state = 3, slot = 7, signature = decode(repeat('01', 64), 'hex')").await;
    until("told of the recorded one", async || got.lock().unwrap().len() == 3).await;
    until("noted", async || oracle.count("deliveries WHERE delivered_at IS NOT NULL").await == 1).await;

    let secret = deliveries::secret(&oracle.settings.webhook.as_ref().unwrap().key().unwrap()).reveal();
    let webhook = Webhook::new(&secret).unwrap();
    let got = got.lock().unwrap().clone();
    assert!(got.iter().all(|(headers, _)| headers["user-agent"].to_str().unwrap().starts_with("rebate-oracle/")));
    let mut told = Vec::new();
    for (headers, body) in &got {
        webhook.verify(body, headers).unwrap();
        let body: Value = serde_json::from_slice(body).unwrap();
        told.push((
            headers["webhook-id"].clone(),
            body["type"].as_str().unwrap().to_owned(),
            body["data"]["order"].clone(),
        ));
    }
    // Sent again, it is the same; what came of it later is another.
    assert_eq!(got[0].1, got[1].1);
    assert_eq!(told[0], told[1]);
    assert_ne!(told[1].0, told[2].0);
    let types: Vec<&str> = told.iter().map(|(_, kind, _)| kind.as_str()).collect();
    assert_eq!(types, ["record.dead", "record.dead", "record.recorded"]);
    assert!(told.iter().all(|(.., order)| order == "A1"));
}

#[tokio::test]
async fn what_nobody_wants_to_be_told_is_forgotten() {
    let oracle = Served::new().await;
    oracle.notify(&payment("A1", 600)).await;
    sqlx::query("UPDATE records SET state = 4, reason = 'unknown user'").execute(&oracle.pool).await.unwrap();
    assert_eq!(oracle.count("deliveries").await, 1);
    assert_eq!(deliveries::tidy(&oracle.pool, true).await.unwrap(), 0);
    assert_eq!(deliveries::tidy(&oracle.pool, false).await.unwrap(), 1);
}
