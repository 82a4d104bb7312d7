use crate::served::{Served, problem};
use rebate_operators::{
    audit::{self, Verdict},
    key::Key,
    role::Role,
};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use std::{
    io::Write,
    sync::{Arc, Mutex},
};
use tracing_subscriber::fmt::MakeWriter;

const ID: &str = "0123456789abcdef";

/// Every path for operators, with a body that it takes, and the role it needs.
fn guarded() -> Vec<(Method, String, Value, Role)> {
    vec![
        (Method::GET, "/v1/operators/me".into(), Value::Null, Role::Viewer),
        (Method::GET, "/v1/operators/audit".into(), Value::Null, Role::Viewer),
        (Method::GET, "/v1/operators/keys".into(), Value::Null, Role::Admin),
        (Method::POST, "/v1/operators/keys".into(), json!({"name": "new", "role": "viewer"}), Role::Admin),
        (Method::DELETE, format!("/v1/operators/keys/{ID}"), Value::Null, Role::Admin),
    ]
}

async fn body(response: reqwest::Response) -> Value {
    let status = response.status();
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    let body: Value = response.json().await.unwrap();
    assert!(status.is_success(), "{status}: {body:#}");
    body
}

#[tokio::test]
async fn without_operators_it_is_said_what_to_set() {
    let served = Served::new().await;
    for (method, path, body, _) in guarded() {
        let response = served.ask(method, &path, "rop_x", body).await;
        assert!(!response.headers().contains_key(header::RETRY_AFTER), "waiting helps nobody");
        let problem = problem(response).await;
        assert_eq!((&problem["status"], &problem["type"]), (&json!(503), &json!("urn:rebate:problem:not-configured")));
        assert!(problem["detail"].as_str().unwrap().contains("OPERATORS_DATABASE_URL"), "{problem:#}");
    }
}

#[tokio::test]
async fn without_a_key_that_holds_nothing_of_operators_is_answered() {
    let served = Served::with_operators().await;
    let admin = served.key(Role::Admin).await;
    let mut forged = admin.clone();
    let end = if forged.pop() == Some('A') { "E" } else { "A" };
    forged.push_str(end);
    let unknown = Key::make().unwrap().reveal();
    for (method, path, body, _) in guarded() {
        for key in [forged.as_str(), &unknown, &admin[..20], "", "rop_", &format!("{admin}, {admin}"), "é"] {
            let response = served.ask(method.clone(), &path, key, body.clone()).await;
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{method} {path} {key:?}");
            assert!(response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap().starts_with("Bearer"));
            let problem = problem(response).await;
            assert_eq!(problem["type"], "urn:rebate:problem:unauthorized");
            assert!(!problem.to_string().contains(&unknown[21..]));
        }
        let other =
            served.client.request(method.clone(), format!("{}{path}", served.url)).basic_auth("a", Some(&admin));
        assert_eq!(other.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{method} {path}");
    }
    // Whoever has no key leaves no trace in the log, and cannot fill it.
    assert_eq!(audit::page(served.operators(), &Default::default(), None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_lesser_role_is_refused_and_told_which_it_takes_and_that_is_logged() {
    let served = Served::with_operators().await;
    for role in Role::ALL {
        let key = served.key(role).await;
        for (method, path, body, needed) in guarded() {
            let response = served.ask(method.clone(), &path, &key, body).await;
            if role >= needed {
                assert!(
                    !matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN),
                    "{method} {path}"
                );
                continue;
            }
            let problem = problem(response).await;
            assert_eq!((&problem["status"], &problem["type"]), (&json!(403), &json!("urn:rebate:problem:forbidden")));
            assert!(problem["detail"].as_str().unwrap().contains(needed.name()), "{problem:#}");
            let last = audit::page(served.operators(), &Default::default(), None, 1).await.unwrap().remove(0);
            assert_eq!((last.outcome.as_str(), last.operator_name.as_str()), ("refused", role.name()));
            assert_eq!(last.target, format!("{method} {}", path.replace(ID, "{id}")));
            assert_eq!(last.request_id.as_deref(), problem["request_id"].as_str());
        }
    }
}

#[tokio::test]
async fn a_key_is_made_shown_once_used_and_revoked() {
    let served = Served::with_operators().await;
    let admin = served.key(Role::Admin).await;
    let new = json!({"name": "Ann", "role": "viewer", "expires_at": "2100-01-01T00:00:00Z"});
    let response = served.ask(Method::POST, "/v1/operators/keys", &admin, new).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let location = response.headers()[header::LOCATION].to_str().unwrap().to_owned();
    let made = body(response).await;
    let (secret, id) = (made["secret"].as_str().unwrap(), made["key"]["id"].as_str().unwrap());
    assert_eq!(location, format!("/v1/operators/keys/{id}"));
    assert_eq!((&made["key"]["role"], &made["key"]["in_force"]), (&json!("viewer"), &json!(true)));
    assert_eq!(made["key"]["expires_at"], "2100-01-01T00:00:00Z");

    let me = body(served.ask(Method::GET, "/v1/operators/me", secret, Value::Null).await).await;
    assert_eq!(me, json!({"id": id, "name": "Ann", "role": "viewer"}));
    let list = body(served.ask(Method::GET, "/v1/operators/keys", &admin, Value::Null).await).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    assert!(!list.to_string().contains(&secret[21..]));

    let revoked = served.ask(Method::DELETE, &location, &admin, Value::Null).await;
    assert_eq!(revoked.status(), StatusCode::NO_CONTENT);
    let after = served.ask(Method::GET, "/v1/operators/me", secret, Value::Null).await;
    assert_eq!(after.status(), StatusCode::UNAUTHORIZED);
    let again = served.ask(Method::DELETE, &location, &admin, Value::Null).await;
    assert_eq!(problem(again).await["status"], 404);

    let log = body(served.ask(Method::GET, "/v1/operators/audit", &admin, Value::Null).await).await;
    let told: Vec<_> = log["items"].as_array().unwrap().iter().map(|row| (&row["action"], &row["target"])).collect();
    assert_eq!(told[..2], [(&json!("key.revoke"), &json!(id)), (&json!("key.create"), &json!(id))]);
    assert!(!log.to_string().contains(&secret[21..]) && !log.to_string().contains(&admin[21..]));
    assert!(
        matches!(audit::verify(served.operators(), None).await.unwrap(), Verdict::Sound(head) if head.entries == 3)
    );
}

#[tokio::test]
async fn a_body_that_makes_no_key_is_refused_and_nothing_of_it_is_repeated() {
    let served = Served::with_operators().await;
    let admin = served.key(Role::Admin).await;
    for wrong in [
        json!({}),
        json!([]),
        json!("x"),
        json!({"name": "a"}),
        json!({"name": "a", "role": "root"}),
        json!({"name": 1, "role": "viewer"}),
        json!({"name": "", "role": "viewer"}),
        json!({"name": "a\u{0}b", "role": "viewer"}),
        json!({"name": "n".repeat(101), "role": "viewer"}),
        json!({"name": "a", "role": "viewer", "expires_at": "yesterday"}),
        json!({"name": "a", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z"}),
        json!({"name": "a", "role": "viewer", "more": 1}),
    ] {
        let problem = problem(served.ask(Method::POST, "/v1/operators/keys", &admin, wrong.clone()).await).await;
        let told = (&problem["status"], &problem["type"]);
        assert_eq!(told, (&json!(400), &json!("urn:rebate:problem:invalid-body")), "{wrong}: {problem:#}");
    }
    let url = format!("{}/v1/operators/keys", served.url);
    let text = served.client.post(&url).bearer_auth(&admin).body("{}").send().await.unwrap();
    assert!(problem(text).await["detail"].as_str().unwrap().contains("application/json"));
    let long = json!({"name": "n".repeat(20_000), "role": "viewer"});
    assert_eq!(problem(served.ask(Method::POST, "/v1/operators/keys", &admin, long).await).await["status"], 413);
    for id in ["x", "0123456789ABCDEF", "%00", "'; DROP TABLE keys; --"] {
        let path = format!("/v1/operators/keys/{id}");
        assert_eq!(problem(served.ask(Method::DELETE, &path, &admin, Value::Null).await).await["status"], 400, "{id}");
    }
    let html = json!({"name": "<script>alert(1)</script>'; DROP TABLE keys; --", "role": "viewer"});
    let made = body(served.ask(Method::POST, "/v1/operators/keys", &admin, html.clone()).await).await;
    assert_eq!(made["key"]["name"], html["name"]);
}

#[tokio::test]
async fn the_log_is_paged_and_filtered_and_takes_no_other_cursor() {
    let served = Served::with_operators().await;
    let viewer = served.key(Role::Viewer).await;
    served.key(Role::Editor).await;
    served.key(Role::Admin).await;
    let get =
        async |query: &str| served.ask(Method::GET, &format!("/v1/operators/audit{query}"), &viewer, Value::Null).await;
    let first = body(get("?limit=2").await).await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = body(get(&format!("?limit=2&cursor={cursor}")).await).await;
    let ids = |page: &Value| page["items"].as_array().unwrap().iter().map(|row| row["id"].as_i64()).collect::<Vec<_>>();
    assert_eq!((ids(&first), ids(&second)), (vec![Some(3), Some(2)], vec![Some(1)]));
    assert_eq!(second["next_cursor"], Value::Null);
    assert_eq!(ids(&body(get("?action=key.create&outcome=done&from=2020-01-01T00:00:00Z").await).await).len(), 3);
    assert_eq!(ids(&body(get("?to=2020-01-01T00:00:00Z").await).await).len(), 0);
    for wrong in [
        format!("?cursor={cursor}&action=key.create"),
        "?cursor=AAAA".into(),
        "?limit=0".into(),
        "?outcome=maybe".into(),
        "?operator=ann".into(),
        "?from=never".into(),
        "?action=%00".into(),
    ] {
        assert_eq!(problem(get(&wrong).await).await["status"], 400, "{wrong}");
    }
    assert_eq!(ids(&body(get("?action='%20OR%20true%20--").await).await).len(), 0);
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_key_gets_into_the_servers_log() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    // One thread: all that the server logs is this subscriber's.
    let _guard = tracing::subscriber::set_default(subscriber);
    let served = Served::with_operators().await;
    let admin = served.key(Role::Admin).await;
    let made = served.ask(Method::POST, "/v1/operators/keys", &admin, json!({"name": "a", "role": "viewer"})).await;
    let made = body(made).await["secret"].as_str().unwrap().to_owned();
    let unknown = Key::make().unwrap().reveal();
    let revoked = served.key(Role::Viewer).await;
    served.ask(Method::DELETE, &format!("/v1/operators/keys/{}", &revoked[4..20]), &admin, Value::Null).await;
    for key in [&admin, &made, &unknown, &revoked] {
        for (method, path, body, _) in guarded() {
            served.ask(method, &path, key, body).await;
        }
        served.ask(Method::GET, "/v1/orders", key, Value::Null).await;
    }
    let bytes = log.0.lock().unwrap().clone();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("a key that nobody made was tried"), "the server's log is caught");
    for key in [&admin, &made, &unknown, &revoked] {
        // What the client of the test logs about its own request does not count; reqwest marks the header sensitive, too.
        assert!(!text.contains(&key[21..]), "a key is in the log");
    }
}
