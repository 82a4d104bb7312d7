use crate::{
    ledger::Ledger,
    served::{Served, problem},
};
use rebate_api::{Rate, Settings, access::Access};
use rebate_client::explorer::Cluster;
use rebate_operators::{key::Key, role::Role};
use reqwest::{Method, Response, StatusCode, header};
use serde_json::{Value, json};
use std::num::NonZeroU32;

/// One request an hour or so, after a burst.
fn bounded(burst: u32) -> Settings {
    let rate = Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::new(burst).unwrap() };
    Settings { rate: Some(rate), ..Settings::new(Cluster::Devnet) }
}

async fn get(served: &Served, path: &str, forwarded: &str) -> Response {
    let request = served.client.get(format!("{}{path}", served.url)).header("x-forwarded-for", forwarded);
    request.send().await.unwrap()
}

/// Asks until it is too often; returns how many were answered, and the refusal.
async fn exhaust(served: &Served, forwarded: &str) -> (u32, Response) {
    for answered in 0..1_000 {
        let response = get(served, "/v1/rules", forwarded).await;
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            return (answered, response);
        }
        assert_eq!(response.status(), StatusCode::OK);
    }
    panic!("nothing was refused");
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_again_and_the_probes_are_not_counted() {
    let served = Served::with(bounded(20)).await;
    let _ledger = Ledger::new(served.pool()).await;
    let first = served.get("/v1/rules").await;
    assert_eq!(first.headers()["ratelimit-policy"], "\"client\";q=20;w=20");
    assert_eq!(first.headers()["ratelimit"], "\"client\";r=19;t=1");

    let (answered, refused) = exhaust(&served, "1.1.1.1").await;
    // One a second comes back meanwhile.
    assert!((19..=30).contains(&answered), "{answered}");
    let headers = refused.headers().clone();
    assert_eq!(headers[header::RETRY_AFTER], "1");
    assert_eq!(headers["ratelimit"], "\"client\";r=0;t=20");
    let refused = problem(refused).await;
    assert_eq!((&refused["status"], &refused["type"]), (&json!(429), &json!("urn:rebate:problem:rate-limited")));
    for path in ["/health", "/metrics", "/openapi.json"] {
        let response = served.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert!(!response.headers().contains_key("ratelimit"));
    }
    let metrics = served.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains(r#"route="/v1/rules",status="429"} 1"#), "{metrics}");
}

#[tokio::test]
async fn an_address_that_a_client_makes_up_gives_it_no_more() {
    let served = Served::with(bounded(5)).await;
    let _ledger = Ledger::new(served.pool()).await;
    exhaust(&served, "1.1.1.1").await;
    for forwarded in ["2.2.2.2", "3.3.3.3, 4.4.4.4"] {
        assert_eq!(get(&served, "/v1/rules", forwarded).await.status(), StatusCode::TOO_MANY_REQUESTS);
    }
}

#[tokio::test]
async fn behind_a_proxy_of_ours_each_client_has_its_own_limit() {
    let served = Served::with(Settings { trusted_proxies: 1, ..bounded(5) }).await;
    let _ledger = Ledger::new(served.pool()).await;
    exhaust(&served, "9.9.9.9, 1.1.1.1").await;
    assert_eq!(get(&served, "/v1/rules", "2.2.2.2").await.status(), StatusCode::OK);
    // What it says of itself stands to the left of what the proxy saw.
    assert_eq!(get(&served, "/v1/rules", "8.8.8.8, 1.1.1.1").await.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn an_operator_may_ask_more_often_and_who_tries_keys_may_not() {
    let served = Served::with_access(bounded(5), Access::default()).await;
    let key = served.key(Role::Viewer).await;
    let ask = async |key: &str| served.ask(Method::GET, "/v1/operators/me", key, Value::Null).await;
    let first = ask(&key).await;
    assert_eq!(first.headers()["ratelimit-policy"], "\"client\";q=50;w=5");
    let unknown = Key::make().unwrap().reveal();
    let mut statuses = Vec::new();
    for _ in 0..9 {
        statuses.push(ask(&unknown).await.status().as_u16());
    }
    assert_eq!(statuses[0], 401);
    assert_eq!(statuses[8], 429, "{statuses:?}");
    assert_eq!(ask("no key at all").await.status(), 429);
    // The operator at the same address still gets in.
    assert_eq!(ask(&key).await.status(), StatusCode::OK);
    // Until those who try keys there are too many for the database, too.
    for _ in 0..80 {
        ask(&unknown).await;
    }
    assert_eq!(ask(&key).await.status(), 429);
}
