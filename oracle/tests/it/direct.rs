//! What the platform's own server posts and asks.

use crate::served::{PLATFORM, Served};
use base64::{Engine, prelude::BASE64_STANDARD};
use rebate_client::{Pubkey, oracle::sign, platform_id};
use rebate_core::{
    message::Record,
    payment::Payment,
    units::{Amount, OrderHash, Timestamp},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use solana_keypair::Keypair;

fn record(number: &str, amount: u64) -> Payment {
    Payment {
        order: OrderHash::of(number),
        user: platform_id::user(b"platform-secret", "u1"),
        amount: Amount(amount),
        paid_at: Timestamp(1_790_784_000),
        product: 7,
        ..Payment::default()
    }
}

fn signed(key: &Keypair, platform: &Pubkey, number: &str, amount: u64) -> Value {
    let payment = record(number, amount);
    let message = sign(key, platform, &[payment]).unwrap();
    let mut bytes = Vec::new();
    payment.encode(&mut bytes);
    json!({
        "order": number,
        "record": BASE64_STANDARD.encode(bytes),
        "key": bs58::encode(message.key).into_string(),
        "signature": bs58::encode(message.signature).into_string(),
        "user": "u1",
    })
}

#[tokio::test]
async fn every_kind_of_record_can_be_posted_to_be_signed() {
    let oracle = Served::new().await;
    let wallet = Pubkey::new_from_array([9; 32]).to_string();
    for body in [
        json!({"kind": "payment", "order": "A1", "user": "u1", "amount": 600, "currency": "CNY", "paid_at": 5}),
        json!({"kind": "refund", "order": "R1", "of": "A1", "amount": "100", "currency": "CNY", "paid_at": 6}),
        json!({"kind": "redemption", "order": "D1", "user": "u1", "asset": 2, "amount": 3, "redeemed_at": 7}),
        json!({"kind": "wallet_link", "user": "u1", "wallet": wallet, "linked_at": 8}),
    ] {
        for new in [true, false] {
            let answer = oracle.post("/v1/records", &body).await;
            assert_eq!(answer.status(), StatusCode::OK, "{body}");
            let taken: Value = answer.json().await.unwrap();
            assert_eq!(taken["new"], new, "{body}");
            let number = taken["order"].as_str().unwrap().replace('/', "%2F");
            let status: Value = oracle.get(&format!("/v1/orders/{number}")).await.json().await.unwrap();
            assert_eq!((&status["kind"], &status["order"]), (&body["kind"], &taken["order"]));
        }
    }
    assert_eq!(oracle.count("records").await, 4);
    let other = json!({"kind": "refund", "order": "R1", "of": "A1", "amount": 101, "currency": "CNY", "paid_at": 6});
    assert_eq!(oracle.post("/v1/records", &other).await.status(), StatusCode::CONFLICT);
    let status: Value = oracle.get("/v1/orders/A1").await.json().await.unwrap();
    assert_eq!(status["refunds"], json!([{"order": "R1", "state": "queued"}]));
    assert_eq!(oracle.get("/v1/orders/none").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_signed_record_is_stored_with_its_signature_and_is_the_same_as_one_to_be_signed() {
    let oracle = Served::new().await;
    let (key, platform) = (Keypair::new(), PLATFORM.parse().unwrap());
    let body = signed(&key, &platform, "A1", 600);
    assert_eq!(oracle.post("/v1/records/signed", &body).await.status(), StatusCode::OK);
    let row: (Vec<u8>, Vec<u8>, Vec<u8>, String) =
        sqlx::query_as("SELECT signed_key, signed_signature, record, user_id FROM records")
            .fetch_one(&oracle.pool)
            .await
            .unwrap();
    let message = sign(&key, &platform, &[record("A1", 600)]).unwrap();
    assert_eq!((row.0, row.1), (message.key.to_vec(), message.signature.to_vec()));
    assert!(message.message.ends_with(&row.2));
    assert_eq!(row.3, "u1");
    // A provider's notice of the same order says the same.
    assert_eq!(oracle.notify(&crate::served::payment("A1", 600)).await, StatusCode::OK);
    assert_eq!(oracle.notify(&crate::served::payment("A1", 601)).await, StatusCode::CONFLICT);
    assert_eq!(oracle.count("records").await, 1);
}

#[tokio::test]
async fn a_signed_record_is_refused_unless_all_of_it_fits() {
    let oracle = Served::new().await;
    let (key, platform): (_, Pubkey) = (Keypair::new(), PLATFORM.parse().unwrap());
    let good = signed(&key, &platform, "A1", 600);
    let with = |field: &str, value: Value| {
        let mut changed = good.clone();
        changed[field] = value;
        changed
    };
    let mut cut = BASE64_STANDARD.decode(good["record"].as_str().unwrap()).unwrap();
    cut.pop();
    for (body, expected) in [
        // For another platform, by another key, over other bytes.
        (signed(&key, &Pubkey::new_from_array([1; 32]), "A1", 600), StatusCode::UNAUTHORIZED),
        (with("key", json!(Pubkey::new_from_array([1; 32]).to_string())), StatusCode::UNAUTHORIZED),
        (with("record", json!(BASE64_STANDARD.encode(&cut))), StatusCode::UNAUTHORIZED),
        (with("record", signed(&key, &platform, "A1", 601)["record"].clone()), StatusCode::UNAUTHORIZED),
        // Said beside it and not so.
        (with("order", json!("A2")), StatusCode::UNPROCESSABLE_ENTITY),
        (with("order", Value::Null), StatusCode::UNPROCESSABLE_ENTITY),
        (with("user", json!("u2")), StatusCode::UNPROCESSABLE_ENTITY),
        (with("signature", json!("1".repeat(1_000))), StatusCode::UNPROCESSABLE_ENTITY),
        (with("record", json!("*")), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({}), StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(oracle.post("/v1/records/signed", &body).await.status(), expected, "{body}");
    }
    // Signed by an oracle's key, and more than the one encoding.
    let mut long = Vec::new();
    record("A1", 600).encode(&mut long);
    long.push(0);
    let mut message = sign(&key, &platform, &[record("A1", 600)]).unwrap().message;
    message.push(0);
    let signature = solana_signer::Signer::sign_message(&key, &message);
    let body = json!({
        "order": "A1", "record": BASE64_STANDARD.encode(long), "key": good["key"], "signature": signature.to_string(),
    });
    assert_eq!(oracle.post("/v1/records/signed", &body).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(oracle.count("records").await, 0);
}

#[tokio::test]
async fn the_description_has_every_route() {
    let oracle = Served::new().await;
    let described: Value = oracle.get("/openapi.json").await.json().await.unwrap();
    let mut paths: Vec<&str> = described["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "/live",
            "/metrics",
            "/openapi.json",
            "/ready",
            "/v1/callbacks/{provider}",
            "/v1/dead-letters",
            "/v1/dead-letters/{id}/retry",
            "/v1/orders/{order}",
            "/v1/records",
            "/v1/records/signed",
            "/v1/users/{id}/key",
        ]
    );
    for path in ["/live", "/ready"] {
        assert_eq!(oracle.client.get(format!("{}{path}", oracle.url)).send().await.unwrap().status(), StatusCode::OK);
    }
}
