use crate::{
    oracle::OracleServer,
    served::{Served, problem},
};
use rebate_api::{
    Settings,
    access::{Access, oracle::Oracle},
};
use rebate_client::explorer::Cluster;
use rebate_operators::{audit, role::Role};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const PATH: &str = "/v1/operators/dead-letters";

async fn served(oracle: Oracle) -> Served {
    Served::with_access(Settings::new(Cluster::Devnet), Access { oracle: Some(oracle), ..Access::default() }).await
}

async fn both() -> (OracleServer, Served) {
    let oracle = OracleServer::new().await;
    let served = served(Oracle::new(&oracle.url, &oracle.key).unwrap()).await;
    (oracle, served)
}

/// The log's rows about dead letters, the latest first.
async fn told(served: &Served) -> Vec<(String, String, Option<String>)> {
    let rows = audit::page(served.operators(), &Default::default(), None, 99).await.unwrap();
    let about = rows.into_iter().filter(|row| row.action == "dead-letter.retry");
    about.map(|row| (row.target, row.outcome, row.detail)).collect()
}

#[tokio::test]
async fn a_dead_letter_is_listed_with_its_reason_and_tried_again_and_that_is_logged() {
    let (oracle, served) = both().await;
    let (viewer, editor) = (served.key(Role::Viewer).await, served.key(Role::Editor).await);
    for order in ["A1", "A2", "A3"] {
        oracle.pay(order, "ann").await;
    }
    let first = oracle.give_up("A1", "the payer has no funds").await;
    let second = oracle.give_up("A3", "<b>'; DROP TABLE records; --").await;

    let page: Value = served.ask(Method::GET, PATH, &viewer, Value::Null).await.json().await.unwrap();
    let items = page["items"].as_array().unwrap();
    assert_eq!(items.iter().map(|item| item["id"].as_i64().unwrap()).collect::<Vec<_>>(), [second, first]);
    assert_eq!(items[1]["reason"], "the payer has no funds");
    assert_eq!(
        (&items[1]["order"], &items[1]["kind"], &items[1]["attempts"]),
        (&json!("A1"), &json!("payment"), &json!(30))
    );

    let retry = format!("{PATH}/{first}/retry");
    let refused = served.ask(Method::POST, &retry, &viewer, Value::Null).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!(oracle.state("A1").await, 5);
    let retried = served.ask(Method::POST, &retry, &editor, Value::Null).await;
    assert_eq!(retried.status(), StatusCode::OK);
    assert_eq!(retried.json::<Value>().await.unwrap(), json!({"order": "A1", "state": "queued"}));
    assert_eq!((oracle.state("A1").await, oracle.state("A3").await), (1, 5));
    let done = |outcome: &str| (first.to_string(), outcome.to_owned(), None);
    assert_eq!(told(&served).await, [done("done"), done("begun")]);

    let again = problem(served.ask(Method::POST, &retry, &editor, Value::Null).await).await;
    assert_eq!((&again["status"], &again["type"]), (&json!(409), &json!("urn:rebate:problem:conflict")));
    let (_, outcome, detail) = told(&served).await.remove(0);
    assert_eq!(outcome, "failed");
    assert!(detail.unwrap().contains("not dead now"));
    let missing = served.ask(Method::POST, &format!("{PATH}/999999/retry"), &editor, Value::Null).await;
    assert_eq!(problem(missing).await["status"], 404);
    for wrong in ["0", "-1", "x", "9223372036854775808", "1%2F..%2F2"] {
        let answer = served.ask(Method::POST, &format!("{PATH}/{wrong}/retry"), &editor, Value::Null).await;
        assert_eq!(problem(answer).await["status"], 400, "{wrong}");
    }
}

#[tokio::test]
async fn dead_letters_come_in_pages() {
    let (oracle, served) = both().await;
    let viewer = served.key(Role::Viewer).await;
    let mut ids = Vec::new();
    for order in ["A1", "A2", "A3"] {
        oracle.pay(order, "ann").await;
        ids.push(oracle.give_up(order, "why").await);
    }
    let first: Value =
        served.ask(Method::GET, &format!("{PATH}?limit=2"), &viewer, Value::Null).await.json().await.unwrap();
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = served.ask(Method::GET, &format!("{PATH}?limit=2&cursor={cursor}"), &viewer, Value::Null).await;
    let rest: Value = rest.json().await.unwrap();
    let of = |page: &Value| {
        page["items"].as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!([of(&first), of(&rest)].concat(), ids.iter().rev().copied().collect::<Vec<_>>());
    assert_eq!(rest["next_cursor"], Value::Null);
    let other = served.ask(Method::GET, &format!("/v1/operators/audit?cursor={cursor}"), &viewer, Value::Null).await;
    assert_eq!(problem(other).await["type"], "urn:rebate:problem:invalid-cursor");
}

#[tokio::test]
async fn where_the_oracle_cannot_be_asked_it_is_said_so_and_nothing_about_it() {
    let none = Served::with_operators().await;
    let editor = none.key(Role::Editor).await;
    let said = problem(none.ask(Method::GET, PATH, &editor, Value::Null).await).await;
    assert!(said["detail"].as_str().unwrap().contains("--oracle-url"), "{said:#}");

    // A port that nobody listens on any more.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let served = served(Oracle::new(&format!("http://user:hidden@{gone}/"), "rbk_hidden").unwrap()).await;
    let editor = served.key(Role::Editor).await;
    let said = problem(served.ask(Method::POST, &format!("{PATH}/1/retry"), &editor, Value::Null).await).await;
    assert_eq!((&said["status"], &said["type"]), (&json!(503), &json!("urn:rebate:problem:oracle-unavailable")));
    let log = format!("{:?}", told(&served).await);
    assert!(log.contains("failed") && log.contains("begun"), "{log}");
    for text in [said.to_string(), log] {
        assert!(!text.contains("hidden") && !text.contains(&gone.to_string()), "{text}");
    }

    let oracle = OracleServer::new().await;
    let stranger = self::served(Oracle::new(&oracle.url, "rbk_wrong").unwrap()).await;
    let viewer = stranger.key(Role::Viewer).await;
    let said = problem(stranger.ask(Method::GET, PATH, &viewer, Value::Null).await).await;
    assert!(said["detail"].as_str().unwrap().contains("api_keys"), "{said:#}");
    assert!(Oracle::new("not an address", "k").is_err() && Oracle::new("ftp://a", "k").is_err());
    assert!(Oracle::new(&oracle.url, " \n").is_err() && Oracle::new(&oracle.url, "a\nb").is_err());
}
