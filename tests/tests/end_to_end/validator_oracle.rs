//! The payment oracle as a process, killed again and again between a provider and a validator.

use crate::{
    deadline::until,
    ledger::Ledger,
    network::{EVENTS_BEFORE, Network},
    process::Process,
    services,
};
use rebate_client::event::Event;
use rebate_core::units::OrderHash;
use rebate_tests::database::TestDatabase;
use reqwest::{Client, StatusCode};
use ring::hmac::{HMAC_SHA256, Key, sign};
use serde_json::{Value, json};
use solana_keypair::Keypair;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::{fs, path::PathBuf, sync::Arc, time::Duration, time::UNIX_EPOCH};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinSet, time::sleep};

const SECRET: &str = "what the provider signs with";

/// How many payments there are, from how many users, and how many connections bring them.
const PAYMENTS: usize = 50;
const USERS: usize = 9;
const SENDERS: usize = 4;

/// Refunds of the first payments.
const REFUNDS: usize = 3;

/// What the oracle's process needs, whichever it is.
struct Oracle {
    database: TestDatabase,
    files: TempDir,
    rpc: String,
    key: String,
    /// Where the process that runs now listens.
    base: watch::Sender<String>,
}

impl Oracle {
    async fn new(network: &Network) -> Self {
        let files = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| -> PathBuf {
            let path = files.path().join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let key = |keypair: &Keypair| serde_json::to_string(&keypair.to_bytes().to_vec()).unwrap();
        let made = Process::start("rebate-oracle", ["api-key"]).ended().await;
        made.assert_success();
        let (api_key, sha256) = made.out.trim().split_once('\n').unwrap();
        let settings = format!(
            r#"
            platform = "{platform}"
            currency = "CNY"
            user_secrets = [{{ number = 1, secret = {{ file = {user:?} }} }}]
            api_keys = [{{ name = "shop", {sha256} }}]
            [providers.shop]
            kind = "hmac"
            secrets = [{{ file = {shop:?} }}]
            [outbox]
            rpc = {{ env = "ORACLE_RPC" }}
            oracle_key = {{ file = {oracle:?} }}
            payer_key = {{ file = {payer:?} }}
            "#,
            platform = network.addresses.platform,
            user = file("user", "the secret that users' keys are made with"),
            shop = file("shop", SECRET),
            oracle = file("oracle", &key(&network.cast.oracle)),
            payer = file("payer", &key(&network.cast.payer)),
        );
        file("settings.toml", &settings);
        let database = TestDatabase::without_migrations().await.unwrap();
        let (base, _) = watch::channel(String::new());
        Self { database, files, rpc: network.url(), key: api_key.to_owned(), base }
    }

    async fn start(&self) -> Process {
        let mut process = Process::start_as("rebate-oracle", |command| {
            command
                .args(["serve", "--listen", "127.0.0.1:0", "--settings"])
                .arg(self.files.path().join("settings.toml"));
            command.env("ORACLE_DATABASE_URL", self.database.url()).env("ORACLE_RPC", &self.rpc);
        });
        let line = process.said_line_with("listening on http://").await;
        let base = line.split("listening on ").nth(1).unwrap().split_whitespace().next().unwrap();
        self.base.send_replace(base.to_owned());
        process
    }

    async fn count(&self, what: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {what}");
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(self.database.pool()).await.unwrap()
    }

    /// Locks a table against writing.
    async fn lock(&self, table: &str) -> PgConnection {
        let mut locking = PgConnection::connect(&self.database.url()).await.unwrap();
        let lock = format!("BEGIN; LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE");
        locking.execute(AssertSqlSafe(lock)).await.unwrap_or_else(|error| panic!("cannot lock {table}: {error}"));
        locking
    }

    /// Kills it in the middle of the transaction that writes to `table`.
    async fn kill_while_it_writes(&self, process: Process, table: &str) {
        let lock = self.lock(table).await;
        let waiting = format!(
            "pg_locks l JOIN pg_stat_activity a USING (pid)
             WHERE a.datname = current_database() AND NOT l.granted AND l.relation = '{table}'::regclass"
        );
        until(&format!("the oracle waits for {table}"), async || match self.count(&waiting).await {
            0 => Err(format!("it does not, and said:\n{}", process.err())),
            _ => Ok(()),
        })
        .await;
        process.kill();
        lock.close().await.unwrap();
    }

    /// Kills it when a transaction of its is written down, and perhaps sent.
    async fn kill_while_it_sends(&self, process: Process) {
        until("something is sent", async || match self.count("submissions").await {
            0 => Err(format!("nothing is; it said:\n{}", process.err())),
            _ => Ok(()),
        })
        .await;
        process.kill();
    }

    /// Kills it when the chain has taken what the database does not know of.
    async fn kill_before_it_notes(&self, network: &Network, process: Process) {
        let lock = until("something is sent", async || {
            let lock = self.lock("records").await;
            match self.count("submissions").await {
                0 => Err(lock.close().await.map_or_else(|error| error.to_string(), |()| "nothing is".to_owned())),
                _ => Ok(lock),
            }
        })
        .await;
        until("the chain knows more than the database", async || {
            let there = network.journal().await.count - EVENTS_BEFORE;
            let noted = self.count("records WHERE state = 3").await as u64;
            if there > noted { Ok(()) } else { Err(format!("{there} on chain, {noted} noted")) }
        })
        .await;
        process.kill();
        lock.close().await.unwrap();
    }
}

/// A notice as the provider signs it each time anew.
async fn post(client: &Client, base: &str, notice: &Value) -> Result<StatusCode, reqwest::Error> {
    let (now, body) = (UNIX_EPOCH.elapsed().unwrap().as_secs(), notice.to_string());
    let signature = sign(&Key::new(HMAC_SHA256, SECRET.as_bytes()), format!("{now}.{body}").as_bytes());
    let request = client.post(format!("{base}/v1/callbacks/shop")).timeout(Duration::from_secs(3));
    let request = request.header("x-timestamp", now).header("x-signature", hex::encode(signature)).body(body);
    Ok(request.send().await?.status())
}

/// Sends a notice as providers do: again and again, until it is taken.
async fn notify(client: &Client, base: &watch::Receiver<String>, notice: &Value) {
    loop {
        let at = base.borrow().clone();
        match post(client, &at, notice).await {
            Ok(StatusCode::OK) => return,
            Ok(status) => assert!(status.is_server_error(), "{notice}: {status}"),
            Err(_) => {}
        }
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oracle_killed_again_and_again_brings_every_order_onto_the_chain_once() {
    let network = Network::start().await;
    let oracle = Arc::new(Oracle::new(&network).await);
    let paid_at = network.began.0;
    let amount = |at: usize| 1_000 + 10 * at as u64;
    let payment = |at: usize| {
        json!({ "event": format!("event {at}"), "kind": "payment", "order": format!("O{at}"), "product": 1,
                "user": format!("u{}", at % USERS), "amount": amount(at), "currency": "CNY", "paid_at": paid_at })
    };
    let refund = |at: usize| {
        json!({ "event": format!("event of refund {at}"), "kind": "refund", "order": format!("R{at}"),
                "of": format!("O{at}"), "amount": 300, "currency": "CNY", "paid_at": paid_at })
    };
    let notices: Arc<Vec<Value>> = Arc::new((0..PAYMENTS).map(payment).chain((0..REFUNDS).map(refund)).collect());

    // Each sends its share in order, as far as it is allowed to, and each third notice twice.
    let (allow, allowed) = watch::channel(0);
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let (notices, base, mut allowed) = (Arc::clone(&notices), oracle.base.subscribe(), allowed.clone());
        senders.spawn(async move {
            let client = Client::new();
            for at in (sender..notices.len()).step_by(SENDERS) {
                allowed.wait_for(|allowed| *allowed > at).await.unwrap();
                notify(&client, &base, &notices[at]).await;
                if at % 3 == 0 {
                    notify(&client, &base, &notices[at]).await;
                }
            }
        });
    }

    let process = oracle.start().await;
    allow.send_replace(10);
    oracle.kill_while_it_sends(process).await;

    let process = oracle.start().await;
    allow.send_replace(20);
    oracle.kill_while_it_writes(process, "notices").await;

    let process = oracle.start().await;
    allow.send_replace(30);
    oracle.kill_while_it_writes(process, "submissions").await;

    let process = oracle.start().await;
    allow.send_replace(40);
    oracle.kill_before_it_notes(&network, process).await;

    // The validator goes, too; the next one begins while there is no chain.
    let process = oracle.start().await;
    allow.send_replace(notices.len());
    oracle.kill_while_it_sends(process).await;
    let ((), process) = tokio::join!(network.restart_validator(), oracle.start());
    while let Some(sender) = senders.join_next().await {
        sender.unwrap();
    }
    until("every record is decided", async || match oracle.count("records WHERE state IN (1, 2)").await {
        0 => Ok(()),
        open => Err(format!("{open} are not, and it said:\n{}", process.err())),
    })
    .await;

    // Every notice once more changes nothing.
    let (client, base) = (Client::new(), oracle.base.borrow().clone());
    let journal = network.journal().await.count;
    for notice in notices.iter() {
        assert_eq!(post(&client, &base, notice).await.unwrap(), StatusCode::OK, "{notice}");
    }
    for table in ["notices", "records", "records WHERE state = 3"] {
        assert_eq!(oracle.count(table).await, (PAYMENTS + REFUNDS) as i64, "{table}");
    }
    for table in ["conflicts", "submissions"] {
        assert_eq!(oracle.count(table).await, 0, "{table}");
    }
    for notice in notices.iter() {
        let order = notice["order"].as_str().unwrap();
        let answer = client.get(format!("{base}/v1/orders/{order}")).bearer_auth(&oracle.key).send().await.unwrap();
        let shown: Value = answer.json().await.unwrap();
        assert_eq!(shown["state"], "recorded", "{shown}");
    }

    // The chain's own journal: every order, each once, with what was paid.
    let ledger = Ledger::read(&network).await;
    let events = EVENTS_BEFORE + (PAYMENTS + REFUNDS) as u64;
    assert_eq!((journal, network.journal().await.count), (events, events));
    assert_eq!(ledger.indices(), (0..events).collect::<Vec<_>>(), "the chain's journal");
    for at in 0..PAYMENTS {
        let hash = OrderHash::of(&format!("O{at}"));
        let paid: Vec<u64> =
            ledger.payments().filter(|payment| payment.order == hash.0).map(|payment| payment.amount).collect();
        assert_eq!(paid, [amount(at)], "O{at}");
    }
    for at in 0..REFUNDS {
        let (order, of) = (OrderHash::of(&format!("R{at}")), OrderHash::of(&format!("O{at}")));
        let is_it = |event: &Event| matches!(event, Event::RefundRecorded(refund) if (refund.order, refund.of, refund.amount) == (order.0, of.0, 300));
        assert_eq!(ledger.events.iter().filter(|(event, _)| is_it(event)).count(), 1, "R{at}");
    }

    // The operator's comparison finds nothing.
    let export = oracle.files.path().join("export.csv");
    let lines = (0..PAYMENTS).map(|at| format!("O{at},{}\n", amount(at)));
    fs::write(&export, ["order,amount\n".to_owned()].into_iter().chain(lines).collect::<String>()).unwrap();
    let platform = network.addresses.platform.to_string();
    let compared = Process::start_as("rebate", |command| {
        command.args(["oracle", "reconcile", "--platform", &platform, "--rpc", &oracle.rpc]).arg(&export);
        command.env("ORACLE_DATABASE_URL", oracle.database.url());
    });
    let compared = compared.ended().await;
    compared.assert_success();
    let all = format!("{PAYMENTS} orders exported, {PAYMENTS} recorded on chain as stored");
    assert!(compared.out.contains(&all), "{compared:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_that_name_accounts_by_a_lookup_table_are_indexed_and_verified_like_others() {
    let network = Network::start().await;
    let oracle = Oracle::new(&network).await;
    let index = TestDatabase::new().await.unwrap();
    let _indexer = services::indexer(&network, &index);
    let process = oracle.start().await;
    let (client, base) = (Client::new(), oracle.base.borrow().clone());
    until("there is a lookup table", async || {
        let metrics = client.get(format!("{base}/metrics")).send().await.unwrap().text().await.unwrap();
        match metrics.lines().any(|line| line == "rebate_oracle_outbox_lookup_table 1") {
            true => Ok(()),
            false => Err(process.err()),
        }
    })
    .await;
    let mut notices = JoinSet::new();
    for at in 0..12 {
        let notice = json!({ "event": format!("event {at}"), "kind": "payment", "order": format!("T{at}"), "product": 1,
            "user": format!("u{at}"), "amount": 1_000, "currency": "CNY", "paid_at": network.began.0 });
        let (client, base) = (client.clone(), oracle.base.subscribe());
        notices.spawn(async move { notify(&client, &base, &notice).await });
    }
    notices.join_all().await;
    until("every record is recorded", async || match oracle.count("records WHERE state <> 3").await {
        0 => Ok(()),
        open => Err(format!("{open} are not, and it said:\n{}", process.err())),
    })
    .await;
    // Every one is on chain by a transaction of version 0.
    let signatures: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT DISTINCT signature FROM records").fetch_all(oracle.database.pool()).await.unwrap();
    for signature in signatures {
        let signature = bs58::encode(signature).into_string();
        let asked = json!({ "jsonrpc": "2.0", "id": 1, "method": "getTransaction", "params": [signature,
            { "encoding": "base64", "commitment": "confirmed", "maxSupportedTransactionVersion": 0 }] });
        let shown: Value = client.post(&oracle.rpc).json(&asked).send().await.unwrap().json().await.unwrap();
        assert_eq!(shown["result"]["version"], 0, "{shown}");
        assert_eq!(shown["result"]["meta"]["loadedAddresses"]["writable"].as_array().map(Vec::len), Some(3), "{shown}");
    }
    // Who recomputes everything from the node finds every signature and grant right, and the index the same.
    let platform = network.addresses.platform.to_string();
    let said = until("the indexer has all of it", async || {
        let verify = ["verify", "--rpc", &oracle.rpc, "--platform", &platform, "--all", "--database", &index.url()];
        let verified = Process::start("rebate", verify).ended().await;
        verified.assert_success();
        if verified.out.contains("behind") { Err(verified.out) } else { Ok(verified.out) }
    })
    .await;
    assert!(said.contains("is right"), "{said}");
}
