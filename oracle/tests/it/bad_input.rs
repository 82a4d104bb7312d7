//! Notices that are none, over HTTP. Nothing of any is stored.

use crate::served::{Served, now, payment, sign};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

async fn nothing_is_stored(oracle: &Served) {
    for table in ["records", "notices", "conflicts", "users"] {
        assert_eq!(oracle.count(table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn forged_stale_and_unreadable_notices_are_refused_and_counted() {
    let oracle = Served::new().await;
    let body = payment("A1", 600).to_string();
    // A clock that is off by minutes, either way.
    for off in [-600, 600] {
        let answer = oracle.notify_signed(body.clone(), now() + off).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        let why = answer.text().await.unwrap();
        assert!(why.contains("clock"), "{why}");
    }
    let forged = oracle.client.post(format!("{}/v1/callbacks/shop", oracle.url)).body(body.clone());
    let forged = forged.header("x-timestamp", now()).header("x-signature", sign(now(), b"something else"));
    assert_eq!(forged.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    // Signed, and not what it should be.
    for (wrong, expected) in [
        (&b"\xff\xfe{}"[..], StatusCode::BAD_REQUEST),
        (b"", StatusCode::BAD_REQUEST),
        (b"{", StatusCode::BAD_REQUEST),
        (b"[]", StatusCode::BAD_REQUEST),
        (&body.as_bytes()[..body.len() / 2], StatusCode::BAD_REQUEST),
        (&with("amount", json!(0)), StatusCode::UNPROCESSABLE_ENTITY),
        (&with("amount", json!(-1)), StatusCode::BAD_REQUEST),
        (&with("amount", json!(6.5)), StatusCode::BAD_REQUEST),
        (&with("amount", json!("6e3")), StatusCode::BAD_REQUEST),
        (&with("amount", json!("+600")), StatusCode::BAD_REQUEST),
        (&with("amount", json!("18446744073709551616")), StatusCode::BAD_REQUEST),
        (&with("amount", json!(u64::MAX)), StatusCode::UNPROCESSABLE_ENTITY),
        (&with("currency", json!("USD")), StatusCode::UNPROCESSABLE_ENTITY),
        (&with("paid_at", json!(-1)), StatusCode::UNPROCESSABLE_ENTITY),
        (&with("order", json!("")), StatusCode::UNPROCESSABLE_ENTITY),
        (&with("order", json!("A\u{0}1")), StatusCode::UNPROCESSABLE_ENTITY),
        (&with("order", json!("x".repeat(257))), StatusCode::UNPROCESSABLE_ENTITY),
        (&with("event", json!("")), StatusCode::BAD_REQUEST),
        (&with("product", json!(65_536)), StatusCode::BAD_REQUEST),
        (&with("unknown", json!(1)), StatusCode::BAD_REQUEST),
        (&with("kind", json!("gift")), StatusCode::BAD_REQUEST),
    ] {
        let answer = oracle.notify_signed(wrong, now()).await;
        assert_eq!(answer.status(), expected, "{}", String::from_utf8_lossy(wrong));
    }
    nothing_is_stored(&oracle).await;
    let counted = |result: &str| format!("rebate_oracle_notices_total{{provider=\"shop\",result=\"{result}\"}}");
    assert_eq!(oracle.metric(&counted("stale")).await, Some(2.0));
    assert_eq!(oracle.metric(&counted("forged")).await, Some(1.0));
    assert_eq!(oracle.metric(&counted("malformed")).await, Some(14.0));
    assert_eq!(oracle.metric(&counted("unusable")).await, Some(7.0));
}

fn with(field: &str, value: Value) -> Vec<u8> {
    let mut notice = payment("A1", 600);
    notice[field] = value;
    notice.to_string().into_bytes()
}

#[tokio::test]
async fn a_replayed_notice_is_stale_after_the_window_and_nothing_new_within() {
    let oracle = Served::new().await;
    let body = payment("A1", 600).to_string();
    let signed_at = now() - 299;
    assert_eq!(oracle.notify_signed(body.clone(), signed_at).await.status(), StatusCode::OK);
    assert_eq!(oracle.notify_signed(body.clone(), now() - 200).await.status(), StatusCode::OK);
    assert_eq!(oracle.notify_signed(body, now() - 301).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(oracle.count("records").await, 1);
}

#[tokio::test]
async fn an_oversized_notice_is_refused_before_it_is_read_whole() {
    let oracle = Served::new().await;
    let longest = vec![b' '; 65_536];
    assert_eq!(oracle.notify_signed(longest, now()).await.status(), StatusCode::BAD_REQUEST);
    let answer = oracle.notify_signed(vec![b' '; 65_537], now()).await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    // Without an announced length it is cut off when it becomes too long.
    let address = oracle.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /v1/callbacks/shop HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 20_000, "x".repeat(20_000));
    for _ in 0..4 {
        // The other end may have gone already.
        let _ = stream.write_all(chunk.as_bytes()).await;
    }
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(str::from_utf8(&answer).unwrap(), "HTTP/1.1 413");
    nothing_is_stored(&oracle).await;
}

#[tokio::test]
async fn a_notice_whose_sender_goes_away_in_the_middle_is_not_stored() {
    let oracle = Served::new().await;
    let (body, at) = (payment("A1", 600).to_string(), now());
    let head = format!(
        "POST /v1/callbacks/shop HTTP/1.1\r\nhost: x\r\nx-timestamp: {at}\r\nx-signature: {}\r\ncontent-length: {}\r\n\r\n",
        sign(at, body.as_bytes()),
        body.len()
    );
    let mut stream = TcpStream::connect(oracle.url.strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body.as_bytes()[..body.len() - 1]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    nothing_is_stored(&oracle).await;
    // And it can still come whole.
    assert_eq!(oracle.notify(&payment("A1", 600)).await, StatusCode::OK);
}

#[tokio::test]
async fn a_notice_to_no_provider_and_a_question_without_a_key_are_refused() {
    let oracle = Served::new().await;
    let unknown = oracle.client.post(format!("{}/v1/callbacks/nobody", oracle.url)).body("x").send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    for (method, path) in
        [("GET", "/v1/orders/A1"), ("GET", "/v1/users/u1/key"), ("POST", "/v1/records"), ("POST", "/v1/records/signed")]
    {
        for key in [None, Some("Bearer "), Some("Bearer rbk_x"), Some("Basic eDp5")] {
            let mut request = oracle.client.request(method.parse().unwrap(), format!("{}{path}", oracle.url));
            if let Some(key) = key {
                request = request.header("authorization", key);
            }
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path} {key:?}");
        }
    }
    nothing_is_stored(&oracle).await;
}
