//! Connections that break, and a database that goes away, at every point of the work.

use crate::{
    database::Database,
    kinds::chain_of_everything,
    source::{Script, index, index_with},
};
use rebate_client::chain::Commitment;
use rebate_indexer::{Options, source::BlockRef, stretch::Stretch, write::Writer};
use rebate_tests::proxy::{Fate, Proxy};
use sqlx::postgres::PgPoolOptions;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// Indexes with one request that has another fate; false if the work was over before it came.
async fn index_with_cut(database: &Database, at: u32, fate: Fate) -> bool {
    database.clear().await;
    let (proxy, broken) = Proxy::that_cuts(database.options(), at, fate).await;
    let options = Options { blocks_at_once: 1, ..Options::default() };
    index_with(proxy.pool(2), Script::of(&chain_of_everything()), options).await.unwrap();
    assert!(proxy.requests() > 60, "only {} requests came through the proxy", proxy.requests());
    broken.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_between_any_two_statements_loses_and_repeats_nothing() {
    let whole = Database::new().await;
    index(&whole, Script::of(&chain_of_everything())).await.unwrap();
    let content = Arc::new(whole.content().await);
    let next = Arc::new(AtomicU32::new(1));
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let (content, next) = (Arc::clone(&content), Arc::clone(&next));
            tokio::spawn(async move {
                let database = Database::new().await;
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    for fate in [Fate::Unheard, Fate::Unanswered] {
                        if !index_with_cut(&database, at, fate).await {
                            return at;
                        }
                        assert_eq!(database.content().await, *content, "request {at} {fate:?}");
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        let end = worker.await.unwrap();
        assert!(end > 60, "the work was over after {end} requests");
    }
}

/// What is done through a connection that breaks.
#[derive(Clone, Copy, Debug)]
enum Step {
    Write,
    Revert,
    Settle,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_blocks_are_provisional_leaves_what_was_before_or_what_comes_after() {
    let chain = chain_of_everything();
    let stretch = |from: usize, to: usize| {
        Stretch::of(Some(BlockRef::of(&chain.blocks[from - 1])), &chain.blocks[from..to]).unwrap()
    };
    let (last, tip) = (chain.blocks.len(), chain.tip());
    for step in [Step::Write, Step::Revert, Step::Settle] {
        let database = Database::new().await;
        let writer = Writer::new(database.pool().clone(), chain.genesis_hash(), Commitment::Confirmed);
        writer.write(&Stretch::of(None, &chain.blocks[..4]).unwrap()).await.unwrap();
        writer.write_provisional(&stretch(4, last - 1)).await.unwrap();
        let without = database.rows().await;
        writer.write_provisional(&stretch(last - 1, last)).await.unwrap();
        let with = database.rows().await;
        for at in 1.. {
            let mut done = false;
            for fate in [Fate::Unheard, Fate::Unanswered] {
                let cut = (at, fate);
                // As it is before the step.
                let stands = writer.cursor().await.unwrap().unwrap();
                let is_written = stands.at == tip && stands.last_final != Some(tip);
                match step {
                    Step::Write if is_written => drop(writer.revert(&tip).await.unwrap()),
                    Step::Revert if !is_written => {
                        assert!(writer.write_provisional(&stretch(last - 1, last)).await.is_ok())
                    }
                    Step::Settle if !is_written => {
                        // There is no way back from final but this one.
                        database
                            .execute("UPDATE cursor SET final_slot = NULL, final_hash = NULL WHERE final_slot = slot")
                            .await;
                        sqlx::query("INSERT INTO provisional_stretches VALUES ($1, $2, 0, $2, '{}', '{}')")
                            .bind(i64::try_from(tip.slot).unwrap())
                            .bind(tip.hash.as_ref())
                            .execute(database.pool())
                            .await
                            .unwrap();
                    }
                    _ => {}
                }
                let (proxy, was_broken) = Proxy::that_cuts(database.options(), at, fate).await;
                let broken = Writer::new(proxy.pool(2), chain.genesis_hash(), Commitment::Confirmed);
                let failed = match step {
                    Step::Write => broken.write_provisional(&stretch(last - 1, last)).await.is_err(),
                    Step::Revert => broken.revert(&tip).await.is_err(),
                    Step::Settle => broken.settle(&tip).await.is_err(),
                };
                let was_broken = was_broken.load(Ordering::SeqCst);
                assert!(!failed || was_broken, "{step:?} {cut:?} failed by itself");
                done |= !was_broken;

                // Whoever comes next waits for the cursor until Postgres has seen that the connection is gone.
                database.execute("SELECT FROM cursor FOR UPDATE").await;
                let cursor = writer.cursor().await.unwrap().unwrap();
                let (undo, provisional) = (database.count("undo").await, writer.provisional().await.unwrap());
                let rows = database.rows().await;
                match step {
                    Step::Write | Step::Revert if cursor.at == tip => {
                        assert!(rows == with && undo > 0 && provisional == 2, "{step:?} {cut:?}");
                    }
                    Step::Write | Step::Revert => assert!(rows == without && provisional == 1, "{step:?} {cut:?}"),
                    Step::Settle => {
                        assert!(rows == with, "{step:?} {cut:?}");
                        assert_eq!(cursor.last_final == Some(tip), provisional == 0, "{step:?} {cut:?}");
                        assert!(provisional > 0 || undo == 0, "{step:?} {cut:?}");
                    }
                }
            }
            if done {
                assert!(at > 5, "{step:?} was over after {at} requests");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_database_that_ends_every_connection_is_waited_for() {
    let database = Database::new().await;
    let ending = {
        let (options, name) = (database.options(), database.options().get_database().unwrap().to_owned());
        tokio::spawn(async move {
            let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options.application_name("killer"));
            for _ in 0..20 {
                tokio::time::sleep(std::time::Duration::from_millis(15)).await;
                sqlx::query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = $1 AND application_name <> 'killer'",
                )
                .bind(&name)
                .execute(&pool)
                .await
                .unwrap();
            }
        })
    };
    let chain = {
        let (mut chain, platform) = crate::chain::Chain::with_platform();
        for number in 0..150 {
            chain.pay(platform, number % 7, 5);
            chain.pay(platform, number % 5, 5);
            chain.seal();
        }
        chain
    };
    index(&database, Script::of(&chain)).await.unwrap();
    ending.await.unwrap();
    assert_eq!(database.count("tree_nodes").await, 1);
    let undisturbed = Database::new().await;
    index(&undisturbed, Script::of(&chain)).await.unwrap();
    assert_eq!(database.content().await, undisturbed.content().await);
}
