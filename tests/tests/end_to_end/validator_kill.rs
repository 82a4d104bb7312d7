//! The indexer or the validator, killed again and again.

use crate::{
    api::Api,
    deadline::until,
    ledger::Ledger,
    network::{EVENTS_BEFORE, Network},
    process::Process,
    services,
};
use rebate_client::{chain::SubmitError, recorder::RecordError};
use rebate_tests::database::TestDatabase;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};
use std::{collections::BTreeSet, time::Duration};
use tokio::{sync::watch, task::JoinHandle, time::sleep};

/// How many payments there are, and in how large batches they come.
const PAYMENTS: usize = 56;
const BATCHES: [usize; 4] = [4, 1, 3, 2];

/// Users in turn.
const USERS: usize = 9;

fn user(at: usize) -> String {
    format!("u{}", at % USERS)
}

/// Pays until all is paid; tells how many payments the chain has taken, and goes on only while it is allowed to.
async fn keep_paying(
    network: std::sync::Arc<Network>,
    paid: watch::Sender<usize>,
    mut allowed: watch::Receiver<usize>,
) {
    let mut recorder = network.recorder(&network.cast.payer).await;
    let mut at = 0;
    for size in BATCHES.iter().cycle() {
        allowed.wait_for(|allowed| *allowed > at).await.unwrap();
        let end = (at + size).min(PAYMENTS);
        let payments: Vec<_> =
            (at..end).map(|at| network.payment(&format!("K{at}"), &user(at), 1_000 + 10 * at as u64)).collect();
        // Whoever is told that the node is away, or does not know what became of it, submits it again.
        while let Err(error) = recorder.record(&payments, &network.sign(&payments)).await {
            assert!(is_passing(&error), "{error}");
            sleep(Duration::from_millis(100)).await;
        }
        at = end;
        paid.send_replace(at);
        if at == PAYMENTS {
            return;
        }
    }
}

fn is_passing(error: &RecordError) -> bool {
    match error {
        RecordError::Submit(SubmitError::Chain(_) | SubmitError::Unknown { .. }) => true,
        // A node that has just begun again does not know the accounts of the slots that it has yet to replay.
        RecordError::Submit(SubmitError::Failed { why, .. }) => why.contains("no record of a prior credit"),
        _ => false,
    }
}

async fn stored(pool: &PgPool) -> i64 {
    // Before the first migration there is no table.
    sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(pool).await.unwrap_or(-1)
}

/// Kills the indexer in the middle of its transaction: at the statement that writes to `table`, which is locked against
/// writing until the indexer is gone.
async fn kill_while_it_writes(indexer: Process, database: &TestDatabase, table: &str) {
    let mut locking = PgConnection::connect(&database.url()).await.unwrap();
    locking
        .execute(AssertSqlSafe(format!("BEGIN; LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")))
        .await
        .unwrap_or_else(|error| panic!("cannot lock {table}: {error}"));
    until(&format!("the indexer waits for {table}"), async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'rebate-indexer' AND wait_event_type = 'Lock'",
        )
        .fetch_one(database.pool())
        .await
        .unwrap();
        if waiting > 0 { Ok(()) } else { Err(format!("it does not, and said:\n{}", indexer.err())) }
    })
    .await;
    indexer.kill();
    locking.execute("ROLLBACK").await.unwrap();
}

/// Waits until `paid` payments are on chain.
async fn paid_at_least(paid: &mut watch::Receiver<usize>, count: usize, payer: &JoinHandle<()>) {
    until(&format!("{count} payments are on chain"), async || {
        assert!(!payer.is_finished() || *paid.borrow() == PAYMENTS, "whoever pays has failed");
        let paid = *paid.borrow_and_update();
        if paid >= count { Ok(()) } else { Err(format!("{paid} are")) }
    })
    .await;
}

#[tokio::test]
async fn an_indexer_killed_while_payments_flow_loses_nothing_and_repeats_nothing() {
    let database = TestDatabase::new().await.unwrap();
    let network = std::sync::Arc::new(Network::start().await);
    let (paid, mut seen) = watch::channel(0);
    let (allow, allowed) = watch::channel(0);
    let payer = tokio::spawn(keep_paying(network.clone(), paid, allowed));

    // At each of these tables once; in a fresh database first, and with a backlog from then on. Rows reach them in this
    // order, and the cursor last.
    let tables = ["events", "payments", "entries", "balances", "cursor"];
    for (round, table) in tables.into_iter().enumerate() {
        let backlog = (round + 1) * PAYMENTS / (tables.len() + 1);
        allow.send_replace(backlog);
        // Nobody reads meanwhile: there is something to catch up with.
        paid_at_least(&mut seen, backlog, &payer).await;
        let before = stored(database.pool()).await;
        let indexer = services::indexer(&network, &database);
        if table == "events" {
            // Until it has made the tables there is nothing to lock.
            until("the indexer has begun", async || match stored(database.pool()).await {
                0.. => Ok(()),
                _ => Err(indexer.err()),
            })
            .await;
        }
        // Payments flow on while it reads, is killed and is away.
        allow.send_replace(backlog + 8);
        kill_while_it_writes(indexer, &database, table).await;
        assert!(stored(database.pool()).await >= before, "what was committed is gone");
    }
    let indexer = services::indexer(&network, &database);
    allow.send_replace(PAYMENTS);
    // Once more between two transactions, wherever it is by then.
    until("the indexer goes on", async || {
        let stored = stored(database.pool()).await;
        if stored > 20 { Ok(()) } else { Err(format!("{stored} events are stored")) }
    })
    .await;
    let mut other = services::indexer(&network, &database);
    other.said_line_with("standing by").await;
    indexer.kill();
    other.said_line_with("taking over").await;
    payer.await.unwrap();

    let (_server, api) = services::api(&network, &database).await;
    database_is_the_chain(&network, &database, &api).await;
}

#[tokio::test]
async fn a_validator_killed_while_payments_flow_costs_the_index_nothing_and_repeats_nothing() {
    let database = TestDatabase::new().await.unwrap();
    let network = std::sync::Arc::new(Network::start().await);
    let (paid, mut seen) = watch::channel(0);
    let (allow, allowed) = watch::channel(0);
    let payer = tokio::spawn(keep_paying(network.clone(), paid, allowed));
    let indexer = services::indexer(&network, &database);
    for round in 1..=3 {
        // Payments flow on while it is killed and is away.
        allow.send_replace(round * PAYMENTS / 3);
        paid_at_least(&mut seen, (round - 1) * PAYMENTS / 3 + 4, &payer).await;
        network.restart_validator().await;
    }
    payer.await.unwrap();
    until("everything is in the database", async || {
        let (stored, there) = (stored(database.pool()).await, network.journal().await.count);
        if stored == there as i64 {
            Ok(())
        } else {
            Err(format!("{stored} of {there}, and it said:\n{}", indexer.err()))
        }
    })
    .await;
    let (_server, api) = services::api(&network, &database).await;
    database_is_the_chain(&network, &database, &api).await;
}

/// API and database say what the chain's own transactions and accounts say, no less and no more.
async fn database_is_the_chain(network: &Network, database: &TestDatabase, api: &Api) {
    let integrity = api.integrity().await;
    let events = EVENTS_BEFORE + PAYMENTS as u64;
    assert_eq!(integrity["stored_count"], events, "{integrity}");

    let ledger = Ledger::read(network).await;
    assert_eq!(ledger.indices(), (0..events).collect::<Vec<_>>(), "the chain's journal");
    assert_eq!(ledger.head(), network.journal().await.root());
    let indices: Vec<i64> = sqlx::query_scalar("SELECT journal_index FROM events ORDER BY journal_index")
        .fetch_all(database.pool())
        .await
        .unwrap();
    assert_eq!(indices, (0..events as i64).collect::<Vec<_>>(), "the database's journal");

    let mut entries = 0;
    for user in (0..USERS).map(user).collect::<BTreeSet<_>>() {
        let key = network.cast.user(&user);
        let grants = ledger.grants(&key);
        let payments = ledger.payments().filter(|payment| payment.user == key.0).count();
        let balance: u64 = grants.iter().sum();
        assert_eq!(network.balance(&key).await, balance, "{user}: account and events of the chain");
        assert_eq!(api.balance(&key).await, (balance, payments as u64), "{user}: API and chain");
        let mut shown: Vec<u64> = api
            .list(&format!("/v1/users/{key}/entries"))
            .await
            .iter()
            .map(|entry| entry["change"].as_str().unwrap().parse().unwrap())
            .collect();
        shown.reverse();
        assert_eq!(shown, grants, "{user}: entries in the API and grants of the chain");
        entries += grants.len() as i64;
    }
    let counted: i64 = sqlx::query_scalar("SELECT count(*) FROM entries").fetch_one(database.pool()).await.unwrap();
    assert_eq!(counted, entries, "entries of nobody");
    assert_eq!(api.list("/v1/orders").await.len(), PAYMENTS);
}
