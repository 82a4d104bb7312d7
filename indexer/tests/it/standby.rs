//! Two indexers of one database: one writes, the other stands by.

use crate::{
    chain::Chain,
    database::Database,
    kinds::chain_of_everything,
    source::{Script, index},
};
use prometheus::Registry;
use rebate_indexer::{IndexError, Indexer, Options};
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

/// An indexer at work.
struct Running {
    indexer: Arc<Indexer>,
    token: CancellationToken,
    task: JoinHandle<Result<(), IndexError>>,
}

impl Running {
    fn start(database: &Database, chain: &Chain) -> Self {
        let options = Options { blocks_at_once: 1, ..Options::default() };
        let source = Arc::new(Script::of(chain));
        let indexer = Arc::new(Indexer::new(database.pool().clone(), source, options, &Registry::new()).unwrap());
        let token = CancellationToken::new();
        let task = tokio::spawn({
            let (indexer, token) = (Arc::clone(&indexer), token.clone());
            async move { indexer.run(token).await }
        });
        Self { indexer, token, task }
    }

    fn writes(&self) -> bool {
        self.indexer.metrics().writing.get() == 1
    }

    fn blocks(&self) -> u64 {
        self.indexer.metrics().blocks.get()
    }

    /// Until it writes and has come to the end of `chain`.
    async fn caught_up(&self, chain: &Chain) {
        let end = i64::try_from(chain.tip().slot).unwrap();
        until("the indexer catches up", || self.writes() && self.indexer.metrics().cursor_slot.get() == end).await;
    }

    async fn stop(self) {
        self.token.cancel();
        self.task.await.unwrap().unwrap();
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap_or_else(|_| panic!("{what}: not in a minute"));
}

/// The session that holds the lock.
async fn holder(database: &Database) -> Option<i32> {
    sqlx::query_scalar(
        "SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database
         WHERE locktype = 'advisory' AND granted AND datname = current_database()",
    )
    .fetch_optional(database.pool())
    .await
    .unwrap()
}

/// Until a session asked for the lock and did not get it.
async fn somebody_stands_by(database: &Database) {
    let refused = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE '%pg_try_advisory_lock%' AND state = 'idle' AND pid <> $1";
    loop {
        let holder = holder(database).await.unwrap_or_default();
        let refused: i64 = sqlx::query_scalar(refused).bind(holder).fetch_one(database.pool()).await.unwrap();
        if refused > 0 {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// A chain, the first half of it, and an indexer that has written that half; another one that has all of it stands by.
async fn one_writes_and_one_stands_by(database: &Database) -> (Chain, Running, Running) {
    let chain = chain_of_everything();
    let half = chain.up_to(chain.blocks.len() / 2);
    let first = Running::start(database, &half);
    first.caught_up(&half).await;
    let second = Running::start(database, &chain);
    somebody_stands_by(database).await;
    assert!(first.writes() && !second.writes(), "one of them writes");
    assert_eq!(second.blocks(), 0, "who stands by writes nothing");
    (chain, first, second)
}

/// The second has written the half that the first did not, and nothing else; the database is what one indexer makes of all.
async fn all_is_there_once(database: &Database, chain: &Chain, second: &Running) {
    second.caught_up(chain).await;
    let half = chain.blocks.len() / 2;
    assert_eq!(second.blocks(), (chain.blocks.len() - half) as u64, "each block is written once");
    let alone = Database::new().await;
    index(&alone, Script::of(chain)).await.unwrap();
    assert_eq!(database.content().await, alone.content().await);
}

#[tokio::test]
async fn a_second_indexer_stands_by_and_takes_over_when_the_first_stops() {
    let database = Database::new().await;
    let (chain, first, second) = one_writes_and_one_stands_by(&database).await;
    first.stop().await;
    all_is_there_once(&database, &chain, &second).await;
    second.stop().await;
    assert_eq!(holder(&database).await, None, "who stops hands over");
}

#[tokio::test]
async fn one_that_ends_without_a_word_is_followed_by_the_other() {
    let database = Database::new().await;
    let (chain, first, second) = one_writes_and_one_stands_by(&database).await;
    first.task.abort();
    all_is_there_once(&database, &chain, &second).await;
    second.stop().await;
}

#[tokio::test]
async fn one_whose_connection_with_the_lock_is_lost_stands_by_and_nothing_is_written_twice() {
    let database = Database::new().await;
    let (chain, first, second) = one_writes_and_one_stands_by(&database).await;
    // As where Postgres was restarted, or something in between forgot the connection.
    let lost = holder(&database).await.unwrap();
    let _: bool =
        sqlx::query_scalar("SELECT pg_terminate_backend($1)").bind(lost).fetch_one(database.pool()).await.unwrap();
    // The first may get it again; then the second has it when the first stops.
    while holder(&database).await.is_none_or(|holder| holder == lost) {
        sleep(Duration::from_millis(5)).await;
    }
    first.stop().await;
    all_is_there_once(&database, &chain, &second).await;
    second.stop().await;
}
