//! The indexer that reads by address, beside one that reads by block.

use crate::{
    deadline::until,
    network::{EVENTS_BEFORE, Network},
    process::Process,
};
use rebate_tests::database::TestDatabase;
use sqlx::{AssertSqlSafe, PgPool};

fn indexer(network: &Network, database: &TestDatabase, source: &str) -> Process {
    Process::start_as("rebate-indexer", |command| {
        command.args(["--rpc", &network.url(), "--source", source, "--poll-ms", "100"]);
        command.env("DATABASE_URL", database.url());
    })
}

/// Waits until so many events are there.
async fn has_events(pool: &PgPool, count: i64, indexer: &Process) {
    until(&format!("{count} events are indexed"), async || {
        // Before the first migration there is no table.
        match sqlx::query_scalar::<_, i64>("SELECT count(*) FROM events").fetch_one(pool).await.unwrap_or(-1) {
            found if found == count => Ok(()),
            found => Err(format!("there are {found}, and the indexer said:\n{}", indexer.err())),
        }
    })
    .await;
}

/// Everything in the database but how far it goes.
async fn content(pool: &PgPool) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_stat_user_tables WHERE relname NOT IN ('cursor', 'integrity', '_sqlx_migrations') ORDER BY 1",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    assert!(tables.len() >= 20, "{tables:?}");
    let mut content = String::new();
    for table in tables {
        let query = format!("SELECT to_jsonb(t)::text FROM {table} AS t ORDER BY 1");
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(pool).await.unwrap();
        content.push_str(&format!("{table}\n{}\n", rows.join("\n")));
    }
    content
}

#[tokio::test]
async fn by_address_a_validator_s_events_end_in_the_same_tables_as_by_block() {
    const USERS: [&str; 4] = ["amy", "bo", "cy", "di"];
    let (by_block, by_address) = (TestDatabase::new().await.unwrap(), TestDatabase::new().await.unwrap());
    let network = Network::start().await;
    let mut payments = 0;
    let pay = async |order: String, user: &str| {
        let payments = [network.payment(&order, user, 1_000)];
        let mut recorder = network.recorder(&network.cast.payer).await;
        recorder.record(&payments, &network.sign(&payments)).await.unwrap().slot.unwrap()
    };
    for user in USERS {
        pay(format!("first of {user}"), user).await;
        payments += 1;
    }
    let blocks = indexer(&network, &by_block, "rpc");
    let addresses = indexer(&network, &by_address, "address");

    // Until several are in one slot, where the order in the list is not that in the block.
    for round in 0.. {
        let [a, b, c, d] = USERS.map(|user| pay(format!("{round} of {user}"), user));
        let (a, b, c, d) = tokio::join!(a, b, c, d);
        payments += 4;
        let mut slots = vec![a, b, c, d];
        slots.sort_unstable();
        slots.dedup();
        if slots.len() < 4 {
            break;
        }
        assert!(round < 20, "no two transactions in one slot");
    }
    let events = i64::try_from(EVENTS_BEFORE).unwrap() + payments;
    has_events(by_address.pool(), events, &addresses).await;
    has_events(by_block.pool(), events, &blocks).await;
    assert_eq!(content(by_address.pool()).await, content(by_block.pool()).await);

    // Killed and started again, it finds its place in the list.
    addresses.kill();
    pay("after the kill".to_owned(), "amy").await;
    let addresses = indexer(&network, &by_address, "address");
    has_events(by_address.pool(), events + 1, &addresses).await;
    has_events(by_block.pool(), events + 1, &blocks).await;
    assert_eq!(content(by_address.pool()).await, content(by_block.pool()).await);
}

#[tokio::test]
async fn sources_that_make_no_sense_are_refused_before_anything_is_asked() {
    let refused = async |arguments: &[&str]| {
        let process = Process::start_as("rebate-indexer", |command| {
            command.args(["--rpc", "http://127.0.0.1:1"]).args(arguments);
            command.env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none").env_remove("REBATE_GEYSER");
            command.env("REBATE_GEYSER_TOKEN", "s3cret");
        });
        let ended = process.ended().await;
        assert!(!ended.err.contains("s3cret"), "{}", ended.err);
        ended
    };
    refused(&["--source", "geyser"]).await.assert_refused(&["give --geyser"]);
    refused(&["--geyser", "http://127.0.0.1:1"]).await.assert_refused(&["give --source geyser"]);
    let confirmed = ["--source", "address", "--commitment", "confirmed"];
    refused(&confirmed).await.assert_refused(&["reads what is final only"]);
    let scheme = ["--source", "geyser", "--geyser", "ftp://somewhere"];
    refused(&scheme).await.assert_refused(&["must begin with http:// or https://"]);
}
