//! Connections that break, and a database that goes away, at every point of the work.

use crate::{
    database::Database,
    kinds::chain_of_everything,
    proxy::{Fate, Proxy},
    source::{Script, index, index_with},
};
use rebate_indexer::Options;
use sqlx::postgres::PgPoolOptions;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

/// Indexes with one request that has another fate; false if the work was over before it came.
async fn index_with_cut(database: &Database, at: u32, fate: Fate) -> bool {
    database.clear().await;
    let broken = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&broken);
    let is_cut = move |request| request == at && !flag.swap(true, Ordering::SeqCst);
    let proxy = Proxy::new(database, move |request| if is_cut(request) { fate } else { Fate::Answered }).await;
    let options = Options { blocks_at_once: 1, ..Options::default() };
    index_with(proxy.pool(database), Script::of(&chain_of_everything()), options).await.unwrap();
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
