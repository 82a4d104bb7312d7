//! A Postgres that goes away under the indexer and comes back.

use crate::deadline::until;
use rebate_client::event::Event;
use rebate_indexer::{Indexer, Options, database, source::embedded::EmbeddedSource};
use rebate_local::{LocalPostgres, Settings};
use rebate_tests::platform::{TestPlatform, payment};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::PgPool;
use std::{fs, path::Path, sync::Arc};
use tokio::task::block_in_place;
use tokio_util::sync::CancellationToken;

/// How a server ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// As an operator stops it.
    Stopped,
    /// As a power cut does: nothing is written any more.
    Killed,
}

fn start(dir: &Path) -> LocalPostgres {
    LocalPostgres::start_with(dir, &Settings::default()).unwrap()
}

fn end(postgres: LocalPostgres, dir: &Path, how: End) {
    if let End::Killed = how {
        let file = fs::read_to_string(dir.join("data/postmaster.pid")).unwrap();
        let pid = Pid::from_raw(file.lines().next().unwrap().parse().unwrap()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
    }
    postgres.stop().unwrap();
}

async fn stored(pool: &PgPool) -> Result<i64, String> {
    sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(pool).await.map_err(|error| error.to_string())
}

async fn wait_for(pool: &PgPool, events: usize) {
    until(&format!("{events} events are in the database"), async || match stored(pool).await? {
        stored if stored >= events as i64 => Ok(()),
        stored => Err(format!("{stored} are")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_restarts_while_the_indexer_runs_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("postgres");
    let mut postgres = start(&dir);
    postgres.create_database("rebate").await.unwrap();
    let url = postgres.url("rebate");
    let pool = database::connect(&url).await.unwrap();
    database::migrate(&pool).await.unwrap();

    // The platform waits for what it does, which only a thread of its own may.
    let platform = block_in_place(TestPlatform::with_sample_rules);
    let token = CancellationToken::new();
    let source = Arc::new(EmbeddedSource::new(platform.chain.clone()));
    let indexer = Indexer::new(pool.clone(), source, Options::default(), &prometheus::Registry::new()).unwrap();
    let running = {
        let token = token.clone();
        tokio::spawn(async move { indexer.run(token).await })
    };
    let mut paid = 0;
    let mut pay = |count: usize| {
        for _ in 0..count {
            let payment = payment(&format!("P{paid}"), &format!("u{}", paid % 5), 1_000);
            block_in_place(|| platform.pay(&[payment])).unwrap();
            paid += 1;
        }
        4 + paid
    };
    // One page of orders holds 56 in all.
    wait_for(&pool, pay(6)).await;
    for how in [End::Stopped, End::Killed, End::Killed, End::Stopped] {
        // Some before, some while nobody can write them down, some after.
        pay(3);
        end(postgres, &dir, how);
        assert!(stored(&pool).await.is_err(), "{how:?}, and yet it answers");
        assert!(!running.is_finished(), "the indexer gave up: {:?}", running.await);
        pay(5);
        postgres = start(&dir);
        wait_for(&pool, pay(3)).await;
    }

    let events = platform.events();
    let leaves: Vec<(i64, Vec<u8>)> = sqlx::query_as("SELECT journal_index, bytes FROM events ORDER BY journal_index")
        .fetch_all(&pool)
        .await
        .unwrap();
    let expected: Vec<_> =
        events.iter().map(|emitted| (emitted.event.journal_index() as i64, emitted.bytes.clone())).collect();
    assert_eq!(leaves, expected);
    assert_eq!(leaves.len() as u64, block_in_place(|| platform.journal()).count);
    for user in ["u0", "u1", "u2", "u3", "u4"] {
        let key = rebate_client::platform_id::unkeyed_user(user);
        let (balance, entries): (String, i64) =
            sqlx::query_as("SELECT balance::text, entries FROM balances WHERE user_key = $1")
                .bind(key.0)
                .fetch_one(&pool)
                .await
                .unwrap();
        assert_eq!(balance, block_in_place(|| platform.balance(user)).to_string(), "{user}");
        let grants = events.iter().filter_map(|emitted| match &emitted.event {
            Event::PaymentRecorded(payment) if payment.user == key.0 => Some(&payment.outcomes),
            _ => None,
        });
        let grants = grants.flatten().filter(|outcome| outcome.reason == 0).count() as i64;
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM entries WHERE user_key = $1")
            .bind(key.0)
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!((entries, rows), (grants, grants), "{user}");
    }
    token.cancel();
    running.await.unwrap().unwrap();
    pool.close().await;
}
