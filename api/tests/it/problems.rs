use crate::{
    ledger::{Did, Ledger, PLATFORM, order, user},
    served::{Served, problem},
};
use rebate_api::Settings;
use rebate_client::{Pubkey, explorer::Cluster};
use reqwest::{Method, header};
use serde_json::{Value, json};
use std::time::Duration;

/// A path of every kind there is under /v1.
fn paths() -> Vec<String> {
    let (user, order, platform) = (user("ann"), order("A1"), Pubkey::new_from_array(PLATFORM));
    vec![
        "/v1/platforms".into(),
        format!("/v1/platforms/{platform}"),
        format!("/v1/users/{user}/balances"),
        format!("/v1/users/{user}/entries"),
        "/v1/orders".into(),
        format!("/v1/orders/{order}"),
        "/v1/rules".into(),
        "/v1/rules/1".into(),
        "/v1/rules/1/versions/1".into(),
        "/v1/integrity".into(),
        format!("/v1/orders/{order}/proof"),
        "/v1/consistency?from=2&to=4".into(),
        "/v1/analytics".into(),
        "/v1/analytics/participation".into(),
        "/v1/analytics/uplift".into(),
        format!("/v1/users/{user}/progress"),
        format!("/v1/users/{user}/preview?amount=5000"),
        format!("/v1/users/{user}/streamers"),
        format!("/v1/users/{user}/sessions"),
        "/v1/reasons".into(),
    ]
}

async fn filled(served: &Served) -> Ledger {
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    ledger.pay("A1", "ann", 5_000, &[Did::granted(1, 1_000)]).await;
    ledger.show(&served.chain);
    ledger
}

#[tokio::test]
async fn every_answer_names_its_slot_and_finality() {
    let served = Served::new().await;
    let _ledger = filled(&served).await;
    for path in paths() {
        let body = served.json(&path).await;
        assert_eq!(body["as_of_slot"], 100, "{path}");
        assert_eq!(body["finality"], "finalized", "{path}");
        assert_eq!(body["final_slot"], 100, "{path}");
    }
    served.sql("UPDATE cursor SET final_slot = 99").await;
    for path in paths() {
        let body = served.json(&path).await;
        assert_eq!((&body["finality"], &body["final_slot"]), (&json!("confirmed"), &json!(99)), "{path}");
    }
    served.sql("UPDATE cursor SET final_slot = NULL, final_hash = NULL").await;
    for path in paths() {
        let body = served.json(&path).await;
        assert_eq!((&body["finality"], &body["final_slot"]), (&json!("confirmed"), &Value::Null), "{path}");
    }
}

/// Every transaction in an answer, by slot and finality.
fn transactions(answer: &Value, found: &mut Vec<(i64, String)>) {
    match answer {
        Value::Array(items) => items.iter().for_each(|item| transactions(item, found)),
        Value::Object(members) => {
            if members.contains_key("signature") {
                found.push((answer["slot"].as_i64().unwrap(), answer["finality"].as_str().unwrap().to_owned()));
            }
            members.values().for_each(|member| transactions(member, found));
        }
        _ => {}
    }
}

#[tokio::test]
async fn every_transaction_says_whether_it_is_final_by_its_own_slot() {
    let served = Served::new().await;
    let mut ledger = filled(&served).await;
    ledger.move_cursor(200).await;
    ledger.pay("A2", "ann", 500, &[Did::granted(1, 100)]).await;
    ledger.move_cursor(300).await;
    let (user, second) = (user("ann"), order("A2"));
    for (last_final, older, newer) in
        [(300, "finalized", "finalized"), (199, "finalized", "confirmed"), (99, "confirmed", "confirmed")]
    {
        sqlx::query("UPDATE cursor SET final_slot = $1").bind(last_final).execute(served.pool()).await.unwrap();
        for (path, expected) in [
            ("/v1/orders".to_owned(), vec![(200, newer), (100, older)]),
            (format!("/v1/orders/{second}"), vec![(200, newer)]),
            (format!("/v1/users/{user}/entries"), vec![(200, newer), (100, older)]),
            ("/v1/rules".to_owned(), vec![(100, older), (100, older)]),
        ] {
            let mut found = Vec::new();
            transactions(&served.json(&path).await, &mut found);
            let expected: Vec<_> = expected.into_iter().map(|(slot, finality)| (slot, finality.to_owned())).collect();
            assert_eq!(found, expected, "{path} where {last_final} is the last final slot");
        }
    }
}

#[tokio::test]
async fn an_etag_changes_when_something_becomes_final() {
    let served = Served::new().await;
    let _ledger = filled(&served).await;
    let mut tags = Vec::new();
    for last_final in ["NULL, final_hash = NULL", "98, final_hash = blockhash", "99", "100"] {
        let update = format!("UPDATE cursor SET final_slot = {last_final}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(update)).execute(served.pool()).await.unwrap();
        tags.push(served.get("/v1/orders").await.headers()[header::ETAG].clone());
    }
    let all = tags.len();
    tags.dedup();
    assert_eq!(tags.len(), all, "{tags:?}");
}

#[tokio::test]
async fn an_etag_answers_304_until_the_cursor_moves() {
    let served = Served::new().await;
    let mut ledger = filled(&served).await;
    for path in paths().iter().filter(|path| *path != "/v1/integrity") {
        let ask = async |tag: String| {
            served.client.get(format!("{}{path}", served.url)).header(header::IF_NONE_MATCH, tag).send().await.unwrap()
        };
        let first = served.get(path).await;
        let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        assert_eq!(first.headers()[header::CACHE_CONTROL], "public, no-cache");

        let again = ask(format!("\"other\", {tag}")).await;
        assert_eq!(again.status(), 304, "{path}");
        assert_eq!(again.headers()[header::ETAG], tag.as_str());
        assert_eq!(again.text().await.unwrap(), "");

        ledger.move_cursor(ledger.slot + 1).await;
        let later = ask(tag.clone()).await;
        assert_eq!(later.status(), 200, "{path}");
        assert_ne!(later.headers()[header::ETAG], tag.as_str());
    }
    let ann = served.get(&paths()[2]).await;
    let rules = served.get(&paths()[6]).await;
    assert_ne!(ann.headers()[header::ETAG], rules.headers()[header::ETAG]);
}

#[tokio::test]
async fn a_fork_at_the_same_slot_changes_the_etag() {
    let served = Served::new().await;
    let _ledger = filled(&served).await;
    let before = served.get("/v1/orders").await.headers()[header::ETAG].clone();
    served.sql("UPDATE cursor SET blockhash = decode(repeat('07', 32), 'hex')").await;
    assert_ne!(served.get("/v1/orders").await.headers()[header::ETAG], before);
}

#[tokio::test]
async fn unknown_paths_are_problem_documents() {
    let served = Served::new().await;
    for path in ["/v1", "/v2/orders", "/v1/users", "/v1/orders/a/b", "/v1/orders/", "/%ff"] {
        let problem = served.problem(path).await;
        assert_eq!(problem["status"], 404, "{path}");
        assert_eq!(problem["type"], "urn:rebate:problem:unknown-path");
        assert_eq!(problem["instance"], path);
        assert!(problem["request_id"].is_string());
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_a_problem_document() {
    let served = Served::new().await;
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let request = served.client.request(method, format!("{}/v1/orders", served.url));
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()[header::ALLOW], "GET,HEAD");
        assert_eq!(problem(response).await["status"], 405);
    }
}

#[tokio::test]
async fn a_body_that_nobody_needs_is_refused() {
    let served = Served::new().await;
    let request = served.client.get(format!("{}/v1/orders", served.url));
    let response = request.body(vec![0; 20_000]).send().await.unwrap();
    assert_eq!(problem(response).await["status"], 413);
}

#[tokio::test]
async fn sql_in_a_parameter_is_just_text() {
    let served = Served::new().await;
    let _ledger = filled(&served).await;
    let sql = "x'%3B%20DROP%20TABLE%20cursor%3B%20--";
    for path in [
        format!("/v1/orders/{sql}"),
        format!("/v1/orders/{sql}?by=hash"),
        format!("/v1/orders/{sql}/proof"),
        format!("/v1/consistency?from=1&to={sql}"),
        format!("/v1/orders?user={sql}"),
        format!("/v1/orders?cursor={sql}"),
        format!("/v1/orders?limit={sql}"),
        format!("/v1/orders?platform={sql}"),
        format!("/v1/users/{sql}/balances"),
        format!("/v1/users/{sql}/entries"),
        format!("/v1/platforms/{sql}"),
        format!("/v1/rules/{sql}"),
        format!("/v1/rules?in_force_at={sql}"),
    ] {
        let status = served.problem(&path).await["status"].as_u64().unwrap();
        assert!(status == 400 || status == 404, "{path}: {status}");
    }
    served.json("/v1/orders/A1").await;
}

#[tokio::test]
async fn a_parameter_that_is_not_text_is_a_400_problem() {
    let served = Served::new().await;
    let _ledger = filled(&served).await;
    for path in ["/v1/orders/%ff", "/v1/users/%ff/balances", "/v1/orders?user=%ff", "/v1/orders?limit=1&limit=2"] {
        let problem = served.problem(path).await;
        assert_eq!(problem["status"], 400, "{path}");
        assert_eq!(problem["type"], "urn:rebate:problem:invalid-parameter", "{path}");
    }
    // Postgres takes no NUL in a text, and none gets there.
    assert_eq!(served.problem("/v1/orders/%00").await["status"], 404);
}

#[tokio::test]
async fn a_malformed_key_is_told_what_it_should_be() {
    let served = Served::new().await;
    let _ledger = filled(&served).await;
    let problem = served.problem("/v1/users/u1/balances").await;
    assert_eq!(problem["status"], 400);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("\"u1\" is not 64 hexadecimal digits"), "{detail}");
}

#[tokio::test]
async fn before_the_first_block_there_is_nothing_to_answer_from() {
    let served = Served::new().await;
    for path in paths() {
        let problem = served.problem(&path).await;
        assert_eq!(problem["status"], 503, "{path}");
        assert!(problem["detail"].as_str().unwrap().contains("indexer"), "{problem:#}");
    }
}

#[tokio::test]
async fn a_database_without_migrations_says_so() {
    let served = Served::without_migrations().await;
    let problem = served.problem("/v1/orders").await;
    assert_eq!(problem["status"], 503);
    assert!(problem["detail"].as_str().unwrap().contains("migrations"), "{problem:#}");
}

#[tokio::test]
async fn data_that_cannot_be_is_an_error_without_internals() {
    let served = Served::new().await;
    let _ledger = filled(&served).await;
    served.sql(r#"UPDATE rules SET definition = '{"effect": "secret"}'"#).await;
    let problem = served.problem("/v1/rules").await;
    assert_eq!(problem["status"], 500);
    assert!(!problem.to_string().contains("secret"));
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let settings = Settings { request_timeout: Duration::from_millis(300), ..Settings::new(Cluster::Devnet) };
    let served = Served::with(settings).await;
    let _ledger = filled(&served).await;
    let mut transaction = served.pool().begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE payments").execute(&mut *transaction).await.unwrap();

    let problem = served.problem("/v1/orders").await;

    assert_eq!(problem["status"], 503);
    assert_eq!(problem["type"], "urn:rebate:problem:timeout");
}

#[tokio::test]
async fn more_requests_than_can_be_answered_are_turned_away_but_not_the_probes() {
    let settings = Settings { max_concurrency: 1, ..Settings::new(Cluster::Devnet) };
    let served = Served::with(settings).await;
    let _ledger = filled(&served).await;
    let mut transaction = served.pool().begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE payments").execute(&mut *transaction).await.unwrap();
    let slow = served.get("/v1/orders");
    let rest = async {
        // Until the slow one is under way, the others are answered.
        loop {
            let response = served.get("/v1/rules").await;
            if response.status() != 200 {
                assert_eq!(response.headers()[header::RETRY_AFTER], "1");
                break problem(response).await;
            }
        }
    };
    let checked = async {
        let refused = rest.await;
        assert_eq!(refused["type"], "urn:rebate:problem:overloaded");
        assert_eq!(served.get("/health").await.status(), 200);
        assert_eq!(served.get("/metrics").await.status(), 200);
        transaction.rollback().await.unwrap();
    };
    let (slow, ()) = tokio::join!(slow, checked);
    assert_eq!(slow.status(), 200);
}

#[tokio::test]
async fn a_request_under_way_is_answered_before_the_server_stops() {
    let mut served = Served::new().await;
    let _ledger = filled(&served).await;
    let mut transaction = served.pool().begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE payments").execute(&mut *transaction).await.unwrap();
    let url = format!("{}/v1/orders", served.url);
    let slow = tokio::spawn(served.client.get(&url).send());
    while !served.get("/metrics").await.text().await.unwrap().contains("in_flight 2") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    served.token.cancel();
    tokio::time::sleep(Duration::from_millis(50)).await;
    transaction.rollback().await.unwrap();

    assert_eq!(slow.await.unwrap().unwrap().status(), 200);
    (&mut served.server).await.unwrap().unwrap();
    assert!(served.client.get(&url).send().await.is_err());
}

#[tokio::test]
async fn pages_of_any_origin_may_read() {
    let served = Served::new().await;
    let _ledger = filled(&served).await;
    let response = served
        .client
        .get(format!("{}/v1/orders", served.url))
        .header(header::ORIGIN, "https://app.example")
        .header("x-request-id", "mine")
        .send()
        .await
        .unwrap();
    let headers = response.headers();
    assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    assert!(headers[header::ACCESS_CONTROL_EXPOSE_HEADERS].to_str().unwrap().contains("etag"));
    assert_eq!(headers["x-request-id"], "mine");

    let response = served
        .client
        .get(format!("{}/v1/nothing", served.url))
        .header(header::ORIGIN, "https://app.example")
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
}
