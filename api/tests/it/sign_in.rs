use crate::{
    ledger::{Ledger, PLATFORM},
    oracle::{OracleServer, user_key},
    served::{Served, problem},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rebate_api::{
    Settings,
    access::{Access, oracle::Oracle, sign_in::SignIn},
};
use rebate_client::explorer::Cluster;
use reqwest::{Method, Response, StatusCode, header};
use ring::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::{Value, json};
use std::time::Duration;
use time::OffsetDateTime;

const DOMAIN: &str = "app.example";
const PLATFORM_SECRET: &[u8] = b"what the platform signs its tokens with";

fn wallet(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn address(wallet: &Ed25519KeyPair) -> String {
    bs58::encode(wallet.public_key().as_ref()).into_string()
}

fn sign(wallet: &Ed25519KeyPair, text: &str) -> String {
    bs58::encode(wallet.sign(text.as_bytes()).as_ref()).into_string()
}

async fn served(oracle: Option<Oracle>) -> Served {
    let settings = Settings::new(Cluster::Devnet);
    let sign_in = SignIn::new(DOMAIN, &settings.cluster, Duration::from_secs(600), None).unwrap();
    let sign_in = Some(sign_in.with_platform(PLATFORM_SECRET, "rebate").unwrap());
    Served::with_access(settings, Access { sign_in, oracle, ..Access::default() }).await
}

async fn post(served: &Served, path: &str, body: Value) -> Response {
    served.client.post(format!("{}{path}", served.url)).json(&body).send().await.unwrap()
}

/// The message that the server wants to be signed.
async fn message(served: &Served, wallet: &Ed25519KeyPair) -> String {
    let answer = post(served, "/v1/sign-in/nonce", json!({"address": address(wallet)})).await;
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    answer.json::<Value>().await.unwrap()["message"].as_str().unwrap().to_owned()
}

async fn enter(served: &Served, message: &str, signature: &str) -> Response {
    post(served, "/v1/sign-in", json!({"message": message, "signature": signature})).await
}

/// A token for who has the wallet.
async fn token(served: &Served, wallet: &Ed25519KeyPair) -> String {
    let message = message(served, wallet).await;
    let answer = enter(served, &message, &sign(wallet, &message)).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned()
}

async fn me(served: &Served, token: &str) -> Value {
    let answer = served.ask(Method::GET, "/v1/me", token, Value::Null).await;
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    answer.json().await.unwrap()
}

/// Links a wallet to a user, so many seconds into the day.
async fn link(served: &Served, user: [u8; 32], wallet: &Ed25519KeyPair, at: i64) {
    let linked_at = OffsetDateTime::from_unix_timestamp(1_791_000_000 + at).unwrap();
    sqlx::query(
        "INSERT INTO wallet_links (platform, journal_index, user_key, wallet, oracle, linked_at)
         VALUES ($1, (SELECT 1000 + count(*) FROM wallet_links), $2, $3, $1, $4)",
    )
    .bind(PLATFORM.as_slice())
    .bind(user.as_slice())
    .bind(wallet.public_key().as_ref())
    .bind(linked_at)
    .execute(served.pool())
    .await
    .unwrap();
}

/// A token that the platform signs for its user.
fn of_platform(secret: &[u8], user: [u8; 32], seconds: i64) -> String {
    let exp = OffsetDateTime::now_utc().unix_timestamp() + seconds;
    let claims = json!({"sub": hex::encode(user), "aud": "rebate", "exp": exp});
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(json!({"alg": "HS256", "typ": "JWT"})), part(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
}

#[tokio::test]
async fn who_signs_the_message_is_in_and_sees_whose_users_the_wallet_is() {
    let served = served(None).await;
    let _ledger = Ledger::new(served.pool()).await;
    let (ann, bob) = (wallet(1), wallet(2));
    link(&served, [5; 32], &ann, 0).await;
    link(&served, [6; 32], &ann, 0).await;
    link(&served, [7; 32], &bob, 0).await;
    // One user of Ann's is Bob's now, and one of Bob's was Ann's first.
    link(&served, [6; 32], &bob, 5).await;
    let token = token(&served, &ann).await;
    let me = me(&served, &token).await;
    assert_eq!(me["wallet"], address(&ann));
    let users: Vec<_> = me["users"].as_array().unwrap().iter().map(|user| user["user"].as_str().unwrap()).collect();
    assert_eq!(users, [hex::encode([5; 32])]);
    assert_eq!(me["users"][0]["platform"], bs58::encode(PLATFORM).into_string());
    assert!(me["expires_at"].is_string());
}

#[tokio::test]
async fn a_message_that_was_signed_is_good_for_one_token_however_many_ask_at_once() {
    let served = served(None).await;
    let ann = wallet(1);
    let message = message(&served, &ann).await;
    let signature = sign(&ann, &message);
    let (first, second, third) = tokio::join!(
        enter(&served, &message, &signature),
        enter(&served, &message, &signature),
        enter(&served, &message, &signature)
    );
    let mut statuses = [first, second, third].map(|answer| answer.status().as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401, 401]);
    let replayed = problem(enter(&served, &message, &signature).await).await;
    assert!(replayed["detail"].as_str().unwrap().contains("used before"), "{replayed:#}");
}

#[tokio::test]
async fn forged_expired_and_misdirected_messages_let_nobody_in() {
    let served = served(None).await;
    let (ann, bob) = (wallet(1), wallet(2));
    let good = message(&served, &ann).await;
    let line = |name: &str| good.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    let (chain, nonce, until) = (line("Chain ID: "), line("Nonce: "), line("Expiration Time: "));
    let forged_nonce = format!("Nonce: {}", "0".repeat(nonce.len() - 7));
    for (why, text) in [
        ("another domain", good.replace("app.example wants", "evil.example wants")),
        ("another address on the web", good.replace("https://app.example/", "https://evil.example/")),
        ("another chain", good.replace(&chain, "Chain ID: mainnet")),
        ("a nonce of nobody's", good.replace(&nonce, &forged_nonce)),
        ("another version", good.replace("Version: 1", "Version: 2")),
        ("expired", good.replace(&until, "Expiration Time: 2026-01-01T00:00:00Z")),
        ("from the future", good.replace(&line("Issued At: "), "Issued At: 2100-01-01T00:00:00Z")),
    ] {
        assert_ne!(text, good, "{why}");
        let refused = problem(enter(&served, &text, &sign(&ann, &text)).await).await;
        assert_eq!(
            (&refused["status"], &refused["type"]),
            (&json!(401), &json!("urn:rebate:problem:unauthorized")),
            "{why}"
        );
    }
    for (why, text, signature) in [
        ("signed by another", good.clone(), sign(&bob, &good)),
        ("something else was signed", good.clone(), sign(&ann, &good.replace("costs", "Costs"))),
        ("another's address", good.replace(&address(&ann), &address(&bob)), sign(&ann, &good)),
    ] {
        assert_eq!(enter(&served, &text, &signature).await.status(), StatusCode::UNAUTHORIZED, "{why}");
    }
    for body in [
        json!({}),
        json!({"message": good, "signature": "0OIl"}),
        json!({"message": good, "signature": "1".repeat(88)}),
        json!({"message": good, "signature": "1".repeat(10_000)}),
        json!({"message": "x", "signature": sign(&ann, "x")}),
        json!({"message": format!("{good}\n"), "signature": sign(&ann, &good)}),
        json!({"message": good.replace('\n', "\r\n"), "signature": sign(&ann, &good)}),
        json!({"message": "x".repeat(5_000), "signature": sign(&ann, "x")}),
        json!({"message": "\u{0}", "signature": sign(&ann, "x")}),
    ] {
        assert_eq!(problem(post(&served, "/v1/sign-in", body.clone()).await).await["status"], 400, "{body}");
    }
    for body in [json!({}), json!({"address": "x"}), json!({"address": address(&ann), "domain": "evil.example"})] {
        assert_eq!(problem(post(&served, "/v1/sign-in/nonce", body).await).await["status"], 400);
    }
    // None of that used the nonce up.
    assert_eq!(enter(&served, &good, &sign(&ann, &good)).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_token_that_nobody_here_signed_opens_nothing() {
    let served = served(None).await;
    let _ledger = Ledger::new(served.pool()).await;
    let good = token(&served, &wallet(1)).await;
    let user = [5; 32];
    let mut parts: Vec<String> = good.split('.').map(str::to_owned).collect();
    let other = token(&served, &wallet(2)).await;
    parts[1] = other.split('.').nth(1).unwrap().to_owned();
    // Another server, with a session key of its own.
    let elsewhere = self::served(None).await;
    let message = message(&elsewhere, &wallet(1)).await;
    assert_eq!(enter(&served, &message, &sign(&wallet(1), &message)).await.status(), StatusCode::UNAUTHORIZED);
    let unsigned = format!("{}.{}.", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), parts[1]);
    for forged in [
        parts.join("."),
        unsigned,
        token(&elsewhere, &wallet(1)).await,
        of_platform(b"another secret of the same length!!!!!", user, 60),
        of_platform(PLATFORM_SECRET, user, -60),
        of_platform(PLATFORM_SECRET, user, 48 * 3_600),
        "rop_0123456789abcdef_x".to_owned(),
        "x".repeat(5_000),
    ] {
        for path in ["/v1/me", "/v1/me/orders/A1"] {
            let answer = served.ask(Method::GET, path, &forged, Value::Null).await;
            assert!(answer.headers().contains_key(header::WWW_AUTHENTICATE));
            assert_eq!(problem(answer).await["status"], 401, "{forged}");
        }
    }
    assert_eq!(me(&served, &of_platform(PLATFORM_SECRET, user, 60)).await["users"][0]["user"], hex::encode(user));
    // A user's token is no operator's key.
    assert_eq!(
        served.ask(Method::GET, "/v1/operators/me", &good, Value::Null).await.status(),
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn where_nobody_can_sign_in_it_is_said_what_to_set() {
    for served in [Served::new().await, Served::with_operators().await] {
        let nonce = post(&served, "/v1/sign-in/nonce", json!({"address": address(&wallet(1))})).await;
        assert!(problem(nonce).await["detail"].as_str().unwrap().contains("--domain"));
        let me = served.ask(Method::GET, "/v1/me", "x", Value::Null).await;
        assert_eq!(problem(me).await["type"], "urn:rebate:problem:not-configured");
    }
}

#[tokio::test]
async fn a_user_sees_the_way_of_ones_own_orders_and_of_no_others() {
    let oracle = OracleServer::new().await;
    let served = served(Some(Oracle::new(&oracle.url, &oracle.key).unwrap())).await;
    let _ledger = Ledger::new(served.pool()).await;
    let (ann, bob, nobody) = (wallet(1), wallet(2), wallet(3));
    link(&served, user_key("ann"), &ann, 0).await;
    link(&served, user_key("bob"), &bob, 0).await;
    oracle.pay("A/1 ü", "ann").await;
    oracle.pay("B1", "bob").await;
    let refund =
        json!({"kind": "refund", "order": "R1", "of": "A/1 ü", "amount": 100, "currency": "CNY", "paid_at": 6});
    oracle.post(refund).await;
    let order = async |token: &str, order: &str| {
        served.ask(Method::GET, &format!("/v1/me/orders/{order}"), token, Value::Null).await
    };
    let (ann, bob, nobody) = (token(&served, &ann).await, token(&served, &bob).await, token(&served, &nobody).await);
    let mine: Value = order(&ann, "A%2F1%20%C3%BC").await.json().await.unwrap();
    assert_eq!((&mine["order"], &mine["state"], &mine["kind"]), (&json!("A/1 ü"), &json!("queued"), &json!("payment")));
    assert_eq!(mine["refunds"], json!([{"order": "R1", "state": "queued"}]));
    let refund: Value = order(&ann, "R1").await.json().await.unwrap();
    assert_eq!((&refund["kind"], &refund["state"]), (&json!("refund"), &json!("queued")));
    let by_platform: Value =
        order(&of_platform(PLATFORM_SECRET, user_key("ann"), 60), "R1").await.json().await.unwrap();
    assert_eq!(by_platform["order"], "R1");

    // Another's is answered as one that there is not.
    let unknown = problem(order(&ann, "none").await).await;
    for (token, of) in [(&ann, "B1"), (&bob, "A%2F1%20%C3%BC"), (&bob, "R1"), (&nobody, "B1"), (&nobody, "none")] {
        let refused = problem(order(token, of).await).await;
        assert_eq!((&refused["status"], &refused["detail"]), (&json!(404), &unknown["detail"]), "{of}");
    }
    for odd in ["%00", "..", "%2e%2e%2fkeys", &"x".repeat(2_000), "'; DROP TABLE records; --"] {
        assert_eq!(order(&ann, odd).await.status(), StatusCode::NOT_FOUND, "{odd}");
    }

    // Why an attempt failed is not the user's matter; that it is over, and why, is.
    sqlx::raw_sql("UPDATE records SET reason = 'http://node/?key=secret' WHERE number = 'B1'")
        .execute(oracle.pool())
        .await
        .unwrap();
    assert_eq!(order(&bob, "B1").await.json::<Value>().await.unwrap()["reason"], Value::Null);
    oracle.give_up("B1", "the wallet is closed").await;
    let dead: Value = order(&bob, "B1").await.json().await.unwrap();
    assert_eq!((&dead["state"], &dead["reason"]), (&json!("dead"), &json!("the wallet is closed")));
}
