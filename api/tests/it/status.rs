use crate::{ledger::Ledger, served::Served};
use serde_json::Value;

fn missing(problem: &Value) -> Vec<&str> {
    assert_eq!(problem["status"], 503);
    assert_eq!(problem["type"], "urn:rebate:problem:not-ready");
    let missing = problem["missing"].as_array().unwrap();
    missing.iter().map(|what| what.as_str().unwrap()).collect()
}

#[tokio::test]
async fn ready_says_what_is_missing() {
    let served = Served::without_migrations().await;
    let problem = served.problem("/ready").await;
    let all = missing(&problem);
    assert!(all.len() >= 3, "{problem:#}");
    assert!(all[0].starts_with("migration 0001 (chain) is not applied"), "{problem:#}");

    let served = Served::new().await;
    let problem = served.problem("/ready").await;
    assert!(missing(&problem)[0].contains("no block was indexed"), "{problem:#}");

    let _ledger = Ledger::new(served.pool()).await;
    served.sql("UPDATE cursor SET block_time = now() - interval '61 seconds'").await;
    let problem = served.problem("/ready").await;
    assert!(missing(&problem)[0].contains("slot 100"), "{problem:#}");

    served.sql("UPDATE cursor SET block_time = now()").await;
    let body = served.json("/ready").await;
    assert_eq!(body["status"], "ready");
    assert_eq!(body["as_of_slot"], 100);
    assert!(body["lag_seconds"].as_i64().unwrap() < 60);
}

#[tokio::test]
async fn one_missing_migration_is_named() {
    let served = Served::new().await;
    let _ledger = Ledger::new(served.pool()).await;
    served.sql("DELETE FROM _sqlx_migrations WHERE version = 3").await;
    let problem = served.problem("/ready").await;
    assert_eq!(missing(&problem).len(), 1);
    assert!(missing(&problem)[0].contains("0003"), "{problem:#}");
}

#[tokio::test]
async fn an_indexer_that_stopped_makes_the_server_unready() {
    let served = Served::new().await;
    let _ledger = Ledger::new(served.pool()).await;
    served.sql("UPDATE cursor SET written_at = now() - interval '1 hour', block_time = NULL").await;
    let problem = served.problem("/ready").await;
    assert!(missing(&problem)[0].contains("indexer"), "{problem:#}");
    assert_eq!(served.get("/health").await.status(), 200);
    assert_eq!(served.get("/v1/orders").await.status(), 200, "what is there is still served");
}

#[tokio::test]
async fn metrics_count_requests_by_route_and_status() {
    let served = Served::new().await;
    let _ledger = Ledger::new(served.pool()).await;
    served.get("/v1/orders/A1").await;
    served.get("/v1/orders/A2").await;
    served.get("/v1/rules").await;
    served.get("/secret").await;

    let response = served.get("/metrics").await;
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    let text = response.text().await.unwrap();

    for line in [
        r#"rebate_api_requests_total{method="GET",route="/v1/orders/{order}",status="404"} 2"#,
        r#"rebate_api_requests_total{method="GET",route="/v1/rules",status="200"} 1"#,
        r#"rebate_api_requests_total{method="GET",route="none",status="404"} 1"#,
        r#"rebate_api_request_duration_seconds_count{method="GET",route="/v1/orders/{order}"} 2"#,
        "rebate_api_requests_in_flight 1",
        "rebate_api_db_connections ",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("secret"));
}
