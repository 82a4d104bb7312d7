//! From what is in force to a draft, through its check and its back-test, to transactions that an admin signs: the program on a
//! chain, what the indexer wrote of it, and the API.

use crate::{deadline::until, process::Process};
use base64::{Engine, engine::general_purpose::STANDARD};
use rebate_api::{ApiState, Settings, access::Access};
use rebate_client::{
    chain::{Commitment, Dispatch, ReadAccounts},
    event::{EffectEntry, RuleDefinition},
    explorer::Cluster,
};
use rebate_core::{
    refund::Refund,
    units::{Amount, OrderHash, Timestamp},
};
use rebate_indexer::{source::BlockRef, stretch::Stretch, write::Writer};
use rebate_operators::{audit::Actor, keys, role::Role};
use rebate_rulefile::RuleFile;
use rebate_tests::{
    database::TestDatabase,
    platform::{NOON, TestPlatform, first_recharge, payment, weekend_bonus},
};
use reqwest::{Client, Method, StatusCode, header};
use serde_json::{Value, json};
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use std::sync::Arc;
use tokio::{net::TcpListener, task::block_in_place};
use tokio_util::sync::CancellationToken;

/// A platform with a database and an API.
struct Service {
    platform: TestPlatform,
    database: TestDatabase,
    operators: TestDatabase,
    /// An editor's key.
    key: String,
    url: String,
    client: Client,
    token: CancellationToken,
}

impl Service {
    /// Two users pay three times on a Saturday, and half of one payment is refunded:
    ///
    /// | order | user | amount | rule 1, 20 % of the first | rule 2, 1000 on weekends |
    /// |---|---|---|---|---|
    /// | P1 | amy | 5000 | 1000 | 1000 |
    /// | P2 | bob | 10000, half refunded | 2000, 1000 reversed | 1000, 500 reversed |
    /// | P3 | amy | 2000 | not matched | 1000 |
    async fn start() -> Self {
        let database = TestDatabase::new().await.unwrap();
        let operators = TestDatabase::of_operators().await.unwrap();
        let draft = keys::Draft { name: "ed", role: Role::Editor, expires_at: None };
        let (key, _) = keys::create(operators.pool(), &Actor::CommandLine, None, &draft).await.unwrap();
        let key = key.reveal();
        let platform = block_in_place(|| {
            let platform = TestPlatform::with_sample_rules();
            let (p1, p2, p3) = (payment("P1", "amy", 5_000), payment("P2", "bob", 10_000), payment("P3", "amy", 2_000));
            for payment in [p1, p2, p3] {
                platform.pay(&[payment]).unwrap();
            }
            let refund = Refund {
                order: OrderHash::of("R1"),
                of: OrderHash::of("P2"),
                amount: Amount(5_000),
                paid_at: Timestamp(NOON),
            };
            platform.refund(&refund, &p2).unwrap();
            platform
        });
        let mut service = Self {
            platform,
            database,
            operators,
            key,
            url: String::new(),
            client: Client::new(),
            token: CancellationToken::new(),
        };
        service.index().await;
        service.url = service.serve().await;
        service
    }

    /// Brings the database to the chain's tip.
    async fn index(&self) {
        let chain = &self.platform.chain;
        let writer = Writer::new(self.database.pool().clone(), chain.first_hash(), Commitment::Finalized);
        let read: Option<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT slot, blockhash FROM cursor").fetch_optional(self.database.pool()).await.unwrap();
        let mut last = read.map(|(slot, hash)| BlockRef {
            slot: slot.try_into().unwrap(),
            hash: solana_program::hash::Hash::new_from_array(hash.try_into().unwrap()),
        });
        for slot in last.map_or(0, |last| last.slot + 1)..=chain.tip() {
            let stretch = Stretch::of(last, [&chain.block(slot).unwrap()]).unwrap();
            last = stretch.end();
            writer.write(&stretch).await.unwrap();
        }
    }

    /// An API over the database, of which only the first goes with the test.
    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let settings = Settings::new(Cluster::Embedded);
        let pool = rebate_api::database::connect(&self.database.url(), 8, settings.request_timeout).await.unwrap();
        let chain = Arc::new(self.platform.chain.clone());
        let state = ApiState::new(pool, chain, settings, prometheus::Registry::new()).unwrap();
        let state = state.with_access(Access { operators: Some(self.operators.pool().clone()), ..Access::default() });
        tokio::spawn(rebate_api::serve(listener, state, self.token.clone()));
        url
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let mut request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body:#}");
        body
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask(Method::POST, path, Some(body)).await;
        assert!(status.is_success(), "{path}: {status} {answer:#}");
        answer
    }

    /// The detail of the problem that something is answered with.
    async fn problem(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, String) {
        let (status, answer) = self.ask(method, path, body).await;
        let detail = answer["detail"].as_str().unwrap_or_else(|| panic!("{path}: {status} {answer:#}"));
        (status.as_u16(), detail.to_owned())
    }

    /// What is in force, as a rule file.
    async fn file(&self) -> String {
        self.get("/v1/rules/file").await["toml"].as_str().unwrap().to_owned()
    }

    async fn begin(&self, body: &Value) -> String {
        let answer = self
            .client
            .post(format!("{}/v1/backtests", self.url))
            .bearer_auth(&self.key)
            .json(body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        let location = answer.headers()[header::LOCATION].to_str().unwrap().to_owned();
        let shown: Value = answer.json().await.unwrap();
        assert_eq!(location, format!("/v1/backtests/{}", shown["id"].as_str().unwrap()));
        location
    }

    /// A back-test once its status is this one.
    async fn once(&self, location: &str, status: &str) -> Value {
        until(&format!("{location} is {status}"), async || {
            let shown = self.get(location).await;
            if shown["status"] == status { Ok(shown) } else { Err(shown) }
        })
        .await
    }

    async fn tested(&self, body: &Value) -> Value {
        let location = self.begin(body).await;
        self.once(&location, "done").await["result"].clone()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.token.cancel();
    }
}

/// The result of a rule.
fn of_rule(result: &Value, rule: u16) -> Value {
    let rules = result["rules"].as_array().unwrap();
    rules.iter().find(|of| of["rule"] == rule).unwrap_or_else(|| panic!("no rule {rule}: {result:#}")).clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_force_is_written_as_a_file_and_comes_to_what_was_granted_when_it_is_tested() {
    let service = Service::start().await;
    let toml = service.file().await;
    let read = RuleFile::parse("in force", &toml).unwrap();
    assert_eq!(read.rules, [first_recharge(), weekend_bonus()], "{toml}");

    let result = service.tested(&json!({ "toml": toml })).await;

    for rule in [1, 2] {
        let of = of_rule(&result, rule);
        assert_eq!(of["draft"], of["really"], "{result:#}");
        assert_eq!((&of["really"]["granted"], &of["difference"]), (&json!("3000"), &json!("0")), "{result:#}");
    }
    assert_eq!(of_rule(&result, 1)["really"]["not_granted"]["NotMatched"], 1);
    assert_eq!((&result["payments"], &result["paid"], &result["users"]), (&json!(3), &json!("17000"), &json!(2)));
    assert_eq!((&result["refunds"], &result["refunded"]), (&json!(1), &json!("5000")));
    assert_eq!((&result["differing"], &result["refused"]), (&json!(0), &json!(0)));
    let asset = &result["assets"][0];
    assert_eq!(
        asset["really"],
        json!({ "granted": "6000", "grants": 5, "users": 2, "reversed": "1500" }),
        "{result:#}"
    );
    assert_eq!(asset["draft"], asset["really"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_shows_what_it_would_have_granted_by_rule_and_by_tenth_of_the_users() {
    let service = Service::start().await;
    // Two thousand on weekends, at most three thousand in all; nothing for the first recharge.
    let toml = service.file().await;
    let (settings, rules) = toml.split_at(toml.find("\n[[rule]]\nid = 1").unwrap());
    let weekend = &rules[rules.find("\n[[rule]]\nid = 2").unwrap()..];
    let draft =
        format!("{settings}{weekend}limits = {{ total_amount = 3000 }}\n").replace("amount = 1000", "amount = 2000");

    let result = service.tested(&json!({ "toml": draft })).await;

    // P1 gets 2000, P2 what is left of the budget, P3 nothing; of P2's 1000 half is reversed, and P3 came before that.
    let weekend = of_rule(&result, 2);
    assert_eq!(weekend["draft"]["granted"], "3000", "{result:#}");
    assert_eq!((&weekend["draft"]["grants"], &weekend["draft"]["reversed"]), (&json!(2), &json!("500")));
    assert_eq!(weekend["draft"]["not_granted"]["BudgetSpent"], 1);
    assert_eq!(weekend["budget"], json!({ "spent": "2500", "total_amount": "3000", "grants": 2, "total_count": null }));
    let first = of_rule(&result, 1);
    assert_eq!((&first["draft"], &first["difference"]), (&Value::Null, &json!("-3000")));
    assert_eq!(result["assets"][0]["difference"], "-3000");
    // Amy paid 7000 and gets 2000 instead of 3000, bob paid 10000 and gets 1000 instead of 3000.
    let tenths: Vec<_> = result["deciles"].as_array().unwrap().iter().filter(|tenth| tenth["users"] != 0).collect();
    let tenth =
        |at: usize| (&tenths[at]["spend"], &tenths[at]["assets"][0]["draft"], &tenths[at]["assets"][0]["really"]);
    assert_eq!(tenths.len(), 2, "{result:#}");
    assert_eq!(tenth(0), (&json!("7000"), &json!("2000"), &json!("3000")));
    assert_eq!(tenth(1), (&json!("10000"), &json!("1000"), &json!("3000")));
    // Before the payments nothing is tested, and what is tested is told apart.
    let none = service.tested(&json!({ "toml": draft, "to": NOON.to_string() })).await;
    assert_eq!((&none["payments"], &none["users"]), (&json!(0), &json!(0)));
    let after = service.tested(&json!({ "toml": draft, "from": (NOON + 1).to_string() })).await;
    assert_eq!((&after["payments"], &after["payments_before"]), (&json!(0), &json!(3)), "{after:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_prints_what_the_api_answers() {
    let service = Service::start().await;
    let toml = service.file().await;
    let result = service.tested(&json!({ "toml": toml })).await;
    let folder = tempfile::tempdir().unwrap();
    let draft = folder.path().join("draft.toml");
    std::fs::write(&draft, &toml).unwrap();
    let database = service.database.url();
    let run = async |more: &[&str]| {
        let mut arguments = vec!["backtest", "--database-url", &database];
        arguments.extend(more);
        let ended = Process::start("rebate", arguments).ended().await;
        ended.assert_success();
        ended.out
    };
    let path = draft.to_str().unwrap();

    let said: Value = serde_json::from_str(&run(&["--rules", path, "--json"]).await).unwrap();
    assert_eq!(said, result);
    let published: Value = serde_json::from_str(&run(&["--published", "--json"]).await).unwrap();
    assert_eq!((&published["assets"], &published["deciles"]), (&result["assets"], &result["deciles"]));
    let tables = run(&["--rules", path]).await;
    assert!(tables.contains("weekend bonus") && tables.contains("tenth 10"), "{tables}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_is_checked_by_line_and_column_explained_and_compared_with_what_is_published() {
    let service = Service::start().await;
    let toml = service.file().await;

    let wrong = service.post("/v1/rules/check", &json!({ "toml": toml.replace("bps = 2000", "bsp = 2000") })).await;
    let line = 1 + toml[..toml.find("bps = 2000").unwrap()].matches('\n').count();
    assert_eq!((&wrong["sound"], &wrong["errors"][0]["line"]), (&json!(false), &json!(line)), "{wrong:#}");
    assert!(wrong["errors"][0]["message"].as_str().unwrap().contains("bsp"), "{wrong:#}");

    let draft =
        toml.replace("amount = 1000", "amount = 2000").replace("id = 1\nname = \"first", "id = 3\nname = \"first");
    let checked = service.post("/v1/rules/check", &json!({ "toml": draft })).await;
    assert_eq!((&checked["sound"], &checked["errors"]), (&json!(true), &json!([])), "{checked:#}");
    let rule = |id: u16| {
        checked["rules"].as_array().unwrap().iter().find(|rule| rule["rule"] == id).cloned().unwrap_or_default()
    };
    assert_eq!((&rule(3)["status"], &rule(3)["published_version"]), (&json!("new"), &Value::Null));
    assert_eq!((&rule(2)["status"], &rule(2)["published_version"]), (&json!("changed"), &json!(1)));
    let change = json!([{ "field": "effect", "from": "1000 of asset 1", "to": "2000 of asset 1" }]);
    assert_eq!(rule(2)["differences"], change, "{checked:#}");
    assert!(rule(2)["explanation"].as_str().unwrap().contains("2000 coins"), "{checked:#}");
    assert_eq!(checked["missing"], json!([{ "rule": 1, "name": "first recharge 20%" }]));
    let findings = checked["findings"].as_array().unwrap();
    assert!(findings.iter().any(|found| found["message"].as_str().unwrap().contains("no budget")), "{checked:#}");

    // The same as JSON, which is shown as the file it makes.
    let json = json!({
        "platform": { "max_lateness": "7d", "utc_offsets": [{ "from": 0, "offset": "+08:00" }] },
        "asset": [{ "id": 1, "name": "coins", "kind": "points" }],
        "rule": [{
            "id": 2, "name": "weekend bonus", "priority": 20, "when": ["weekday in [6, 7]"], "starts_at": null,
            "effect": { "kind": "fixed", "asset": 1, "amount": 1000 },
        }],
    });
    let same = service.post("/v1/rules/check", &json!({ "json": json })).await;
    assert_eq!((&same["sound"], &same["rules"][0]["status"]), (&json!(true), &json!("same")), "{same:#}");
    assert_eq!(RuleFile::parse("made", same["toml"].as_str().unwrap()).unwrap().rules, [weekend_bonus()]);

    // Another platform's assets are nothing to publish here.
    let stars = service.post("/v1/rules/check", &json!({ "toml": toml.replace("\"coins\"", "\"stars\"") })).await;
    assert_eq!(stars["sound"], false);
    assert!(stars["errors"][0]["message"].as_str().unwrap().contains("asset 1"), "{stars:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_transactions_of_a_draft_publish_it_once_the_admin_signed_them_and_versions_are_compared() {
    let service = Service::start().await;
    let platform = &service.platform;
    let admin = platform.admin.pubkey();
    let draft = service.file().await.replace("amount = 1000", "amount = 2000");

    let made = service.post("/v1/rules/transaction", &json!({ "toml": draft, "admin": admin.to_string() })).await;

    assert_eq!(made["unchanged"], json!([1]), "{made:#}");
    let [transaction] = made["transactions"].as_array().unwrap().as_slice() else { panic!("{made:#}") };
    let [does] = transaction["does"].as_array().unwrap().as_slice() else { panic!("{made:#}") };
    assert!(does.as_str().unwrap().starts_with("publishes rule 2 version 2 for payments from "), "{made:#}");
    assert!(does.as_str().unwrap().contains("2000 coins"), "{made:#}");
    let bytes = STANDARD.decode(transaction["transaction"].as_str().unwrap()).unwrap();
    assert_eq!(transaction["bytes"], bytes.len());
    let mut unsigned: VersionedTransaction = wincode::deserialize(&bytes).unwrap();
    assert!(unsigned.signatures.iter().all(|signature| *signature == Default::default()));
    assert_eq!(unsigned.message.static_account_keys()[0], admin);
    unsigned.signatures = vec![platform.admin.sign_message(&unsigned.message.serialize())];
    platform.chain.send(&unsigned).await.unwrap();
    let signature = unsigned.signatures[0];
    until("the transaction has landed", async || {
        let ended = platform.chain.ended(&signature).await.unwrap();
        ended.map(|ended| assert_eq!(ended.failed, None)).ok_or("not yet")
    })
    .await;
    let (_, rules) = block_in_place(|| platform.rule_book());
    assert_eq!(rules.len(), 3);

    service.index().await;
    let compared = service.get("/v1/rules/2/versions/compare?from=1&to=2").await;
    let change = json!([{ "field": "effect", "from": "1000 of asset 1", "to": "2000 of asset 1" }]);
    assert_eq!(compared["differences"], change, "{compared:#}");
    assert!(compared["to"]["explanation"].as_str().unwrap().contains("2000 coins"));
    assert_eq!(service.problem(Method::GET, "/v1/rules/2/versions/compare?from=1&to=3", None).await.0, 404);
    // It is in force later, so that the file of now has the version before.
    assert!(service.file().await.contains("amount = 1000"));
    let later = made["effective_at"].as_str().unwrap();
    assert!(
        service.get(&format!("/v1/rules/file?at={later}")).await["toml"].as_str().unwrap().contains("amount = 2000")
    );

    // What is not the admin's, or too early, is no transaction.
    let stranger = json!({ "toml": draft, "admin": platform.payer.pubkey().to_string() });
    let (status, detail) = service.problem(Method::POST, "/v1/rules/transaction", Some(&stranger)).await;
    assert_eq!((status, detail.contains("is not the platform's admin")), (400, true), "{detail}");
    let early = json!({ "toml": draft, "admin": admin.to_string(), "effective_at": NOON.to_string() });
    let (status, detail) = service.problem(Method::POST, "/v1/rules/transaction", Some(&early)).await;
    assert_eq!((status, detail.contains("timelock")), (400, true), "{detail}");
    let _clock = platform.chain.now().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_the_draft_does_not_have_ends_where_that_is_asked_for() {
    let service = Service::start().await;
    let toml = service.file().await;
    let (settings, rules) = toml.split_at(toml.find("\n[[rule]]\nid = 1").unwrap());
    let weekend = &rules[rules.find("\n[[rule]]\nid = 2").unwrap()..];
    let admin = service.platform.admin.pubkey().to_string();
    let mut body = json!({ "toml": format!("{settings}{weekend}"), "admin": admin });
    assert_eq!(service.post("/v1/rules/transaction", &body).await["transactions"], json!([]));
    body["end_missing"] = true.into();
    let made = service.post("/v1/rules/transaction", &body).await;
    let does = made["transactions"][0]["does"][0].as_str().unwrap();
    assert!(does.starts_with("ends rule 1 \"first recharge 20%\" for payments from "), "{made:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_drafts_and_bad_times_are_refused_with_a_reason() {
    let service = Service::start().await;
    let toml = service.file().await;
    let stranger = "ReBo6PHCPNUAdG9RMgkdmMmoW6gDbtJ8aMVU7AJgm5u";
    let cases = [
        (
            "/v1/backtests",
            json!({ "toml": toml, "from": "2026-10-02T00:00:00Z", "to": "2026-10-01T00:00:00Z" }),
            "is not before",
        ),
        ("/v1/backtests", json!({ "toml": toml, "from": "yesterday" }), "RFC 3339"),
        ("/v1/backtests", json!({ "toml": toml, "from": "0" }), "after 1970"),
        ("/v1/backtests", json!({ "toml": "[platform" }), "the draft, line 1, column"),
        ("/v1/backtests", json!({}), "either `toml` or `json`"),
        ("/v1/backtests", json!({ "toml": toml, "json": {} }), "either `toml` or `json`"),
        ("/v1/backtests", json!({ "toml": toml, "until": 3 }), "unknown field"),
        ("/v1/backtests", json!({ "json": [1, 2] }), "a draft is an object"),
        ("/v1/backtests", json!([]), "in the body"),
        ("/v1/rules/check", json!({ "toml": 3 }), "in the body"),
        ("/v1/rules/check", json!({ "json": { "platform": { "a": [[[[[[[[[[1]]]]]]]]]] } } }), "nested deeper"),
        ("/v1/rules/transaction", json!({ "toml": toml }), "missing field `admin`"),
    ];
    for (path, body, expected) in cases {
        let (status, detail) = service.problem(Method::POST, path, Some(&body)).await;
        assert!(status == 400 && detail.contains(expected), "{path} {body}: {status} {detail}");
    }
    let stranger_key =
        service.client.post(format!("{}/v1/rules/check", service.url)).json(&json!({ "toml": toml })).send();
    assert_eq!(stranger_key.await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let huge = json!({ "toml": "#".repeat(300 * 1024) });
    assert_eq!(service.problem(Method::POST, "/v1/backtests", Some(&huge)).await.0, 413);
    let unknown = json!({ "toml": toml, "platform": stranger });
    assert_eq!(service.problem(Method::POST, "/v1/rules/check", Some(&unknown)).await.0, 404);
    let location = service.begin(&unknown).await;
    let failed = service.once(&location, "failed").await;
    assert!(failed["error"].as_str().unwrap().contains("no platform"), "{failed:#}");
    for path in ["/v1/backtests/b3c2f8f2-6f0b-4f43-9b1e-1c6b5a4a7b11", "/v1/backtests/x"] {
        let (status, _) = service.problem(Method::GET, path, None).await;
        assert_eq!(status, if path.ends_with('x') { 400 } else { 404 }, "{path}");
    }
    // A large draft that is one is taken.
    let large = format!("{toml}{}", "# what it is for\n".repeat(10_000));
    assert_eq!(service.post("/v1/rules/check", &json!({ "toml": large })).await["sound"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_runs_at_a_time_a_few_wait_and_any_of_them_can_be_cancelled() {
    let service = Service::start().await;
    let body = json!({ "toml": service.file().await });
    // While the table is locked, the first one cannot get on.
    let mut lock = service.database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE events IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let running = service.begin(&body).await;
    service.once(&running, "running").await;
    let mut waiting = Vec::new();
    for before in 1..5 {
        let location = service.begin(&body).await;
        assert_eq!(service.once(&location, "waiting").await["before"], before);
        waiting.push(location);
    }
    let answer = service
        .client
        .post(format!("{}/v1/backtests", service.url))
        .bearer_auth(&service.key)
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key(header::RETRY_AFTER));

    let (status, _) = service.ask(Method::DELETE, &waiting[1], None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    service.once(&waiting[1], "cancelled").await;
    let (status, _) = service.ask(Method::DELETE, &running, None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    lock.rollback().await.unwrap();
    service.once(&running, "cancelled").await;
    for location in [&waiting[0], &waiting[2], &waiting[3]] {
        assert_eq!(service.once(location, "done").await["percent"], 100);
    }
    // One that is done is forgotten, and a server that was started anew knows none.
    assert_eq!(service.ask(Method::DELETE, &waiting[0], None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(service.problem(Method::GET, &waiting[0], None).await.0, 404);
    let anew = Client::new()
        .get(format!("{}{}", service.serve().await, waiting[2]))
        .bearer_auth(&service.key)
        .send()
        .await
        .unwrap();
    assert_eq!(anew.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_moment_on_a_draft_goes_on_with_what_was_counted_before() {
    let service = Service::start().await;
    // Sunday; the draft gives one thousand for every second payment of a user.
    let sunday = NOON + 86_400;
    block_in_place(|| {
        service.platform.chain.set_clock(Some(sunday));
        for (order, user) in [("P4", "amy"), ("P5", "bob"), ("P6", "cat")] {
            let paid = rebate_core::payment::Payment { paid_at: Timestamp(sunday), ..payment(order, user, 1_000) };
            service.platform.pay(&[paid]).unwrap();
        }
    });
    service.index().await;
    let toml = service.file().await;
    let settings = &toml[..toml.find("\n[[rule]]").unwrap()];
    let second = RuleDefinition {
        condition: vec![
            rebate_core::rule::Predicate::new(
                0,
                false,
                rebate_core::rule::Field::PaymentNumber,
                rebate_core::rule::Operator::Eq,
                2,
            )
            .into(),
        ],
        effect: EffectEntry::Fixed { asset: 1, amount: 1_000 },
        id: 9,
        ..weekend_bonus()
    };
    let settings = RuleFile::parse("settings", settings).unwrap();
    let draft = RuleFile { rules: vec![second], ..settings }.to_toml().unwrap();
    let result = service.tested(&json!({ "toml": draft, "from": sunday.to_string() })).await;
    // For amy it is the third, for bob the second, for cat the first.
    assert_eq!((&result["payments_before"], &result["payments"]), (&json!(3), &json!(3)));
    let of = of_rule(&result, 9);
    assert_eq!((&of["draft"]["granted"], &of["draft"]["grants"]), (&json!("1000"), &json!(1)), "{result:#}");
    assert_eq!(of_rule(&result, 2)["really"]["granted"], "3000");
    assert_eq!(of_rule(&result, 1)["really"]["granted"], "200", "cat's first: {result:#}");
}
