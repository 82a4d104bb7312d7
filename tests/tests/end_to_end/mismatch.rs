//! Tables that are altered behind the indexer's back: it stops, says what differs, and the API is not ready until it is
//! mended.

use crate::{api::Api, deadline::until};
use rebate_api::{ApiState, Settings};
use rebate_client::explorer::Cluster;
use rebate_indexer::{IndexError, Indexer, Options, source::embedded::EmbeddedSource, status};
use rebate_tests::{
    database::TestDatabase,
    platform::{TestPlatform, payment},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, block_in_place},
};
use tokio_util::sync::CancellationToken;

/// How often the tables are compared.
const OFTEN: Duration = Duration::from_millis(100);

/// A platform, a database, and an API over it; indexers come and go.
struct Place {
    platform: TestPlatform,
    database: TestDatabase,
    api: Api,
    token: CancellationToken,
    serving: JoinHandle<()>,
}

/// An indexer that runs.
struct Running {
    token: CancellationToken,
    task: JoinHandle<Result<(), IndexError>>,
}

impl Place {
    async fn new() -> Self {
        let database = TestDatabase::new().await.unwrap();
        // The platform waits for what it does, which only a thread of its own may.
        let platform = block_in_place(TestPlatform::with_sample_rules);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = Api::new(&format!("http://{}", listener.local_addr().unwrap()));
        let settings = Settings { max_lag: None, ..Settings::new(Cluster::Embedded) };
        let chain = Arc::new(platform.chain.clone());
        let state = ApiState::new(database.pool().clone(), chain, settings, prometheus::Registry::new()).unwrap();
        let token = CancellationToken::new();
        let stop = token.clone();
        let serving = tokio::spawn(async move { rebate_api::serve(listener, state, stop).await.unwrap() });
        Self { platform, database, api, token, serving }
    }

    fn index(&self) -> Running {
        let source = Arc::new(EmbeddedSource::new(self.platform.chain.clone()));
        let chain = Arc::new(self.platform.chain.clone());
        let indexer =
            Indexer::new(self.database.pool().clone(), source, Options::default(), &prometheus::Registry::new())
                .unwrap()
                .comparing(chain, OFTEN);
        let token = CancellationToken::new();
        let stop = token.clone();
        Running { token, task: tokio::spawn(async move { indexer.run(stop).await }) }
    }

    async fn pay(&self, number: &str) {
        block_in_place(|| self.platform.pay(&[payment(number, "amy", 5_000)])).unwrap();
    }

    async fn sql(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(self.database.pool()).await.unwrap();
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.database.pool()).await.unwrap()
    }

    /// Waits until a comparison agreed that began after this call.
    async fn agrees(&self) {
        let before: String = sqlx::query_scalar("SELECT coalesce(max(checked_at), '-infinity')::text FROM integrity")
            .fetch_one(self.database.pool())
            .await
            .unwrap();
        until("the tables agree with the chain", async || {
            let agrees: i64 =
                sqlx::query_scalar("SELECT count(*) FROM integrity WHERE agrees AND checked_at > $1::timestamptz")
                    .bind(&before)
                    .fetch_one(self.database.pool())
                    .await
                    .map_err(|error| error.to_string())?;
            if agrees == 1 { Ok(()) } else { Err("no verdict yet".to_owned()) }
        })
        .await;
    }

    async fn ready(&self) -> (u16, String) {
        let (status, body) = self.api.ask("/ready").await;
        (status.as_u16(), body.to_string())
    }
}

/// What it stopped for.
async fn stopped(running: Running) -> String {
    let ended = tokio::time::timeout(Duration::from_secs(60), running.task).await.expect("it stops").unwrap();
    match ended {
        Err(error @ IndexError::Mismatch(_)) => error.to_string(),
        other => panic!("it should stop for a mismatch: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_altered_by_hand_stops_the_writer_until_it_is_mended_and_the_api_is_not_ready_meanwhile() {
    let place = Place::new().await;
    for (spoil, mend, named) in [
        (
            "UPDATE balances SET balance = balance + 1",
            "UPDATE balances SET balance = balance - 1",
            "of asset 1 on chain",
        ),
        (
            "UPDATE rules SET granted = granted + 1 WHERE rule = 1",
            "UPDATE rules SET granted = granted - 1 WHERE rule = 1",
            "rule 1 version 1",
        ),
        (
            "UPDATE events SET bytes = set_byte(bytes, 100, get_byte(bytes, 100) # 1) WHERE journal_index = 3",
            "UPDATE events SET bytes = set_byte(bytes, 100, get_byte(bytes, 100) # 1) WHERE journal_index = 3",
            "do not hash to what the chain has",
        ),
    ] {
        let running = place.index();
        let number = format!("P{}", named.len());
        place.pay(&number).await;
        place.api.order(&number).await;
        place.agrees().await;
        assert_eq!(place.ready().await.0, 200);

        place.sql(spoil).await;
        let why = stopped(running).await;
        assert!(why.contains(named) && why.contains("rebate index resume"), "{why}");
        let (status, body) = place.ready().await;
        assert!(status == 503 && body.contains(named), "{status} {body}");

        // Nothing is written while it stands, also by the next one.
        let events = place.count("SELECT count(*) FROM events").await;
        let why = stopped(place.index()).await;
        assert!(why.contains(named), "{why}");
        assert_eq!(place.count("SELECT count(*) FROM events").await, events);

        place.sql(mend).await;
        let running = place.index();
        place.agrees().await;
        assert_eq!(place.ready().await.0, 200);
        running.token.cancel();
        running.task.await.unwrap().unwrap();
    }
    place.token.cancel();
    place.serving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_chain_went_on_somebody_has_to_say_that_it_is_mended() {
    let place = Place::new().await;
    let running = place.index();
    place.pay("P1").await;
    place.api.order("P1").await;
    place.agrees().await;
    place.sql("UPDATE balances SET balance = balance + 1").await;
    stopped(running).await;
    place.pay("P2").await;
    place.sql("UPDATE balances SET balance = balance - 1").await;

    // The accounts are later than the tables, which only writing would mend.
    stopped(place.index()).await;
    assert_eq!(status::resume(place.database.pool()).await.unwrap(), 1);
    let running = place.index();
    place.api.order("P2").await;
    place.agrees().await;
    let seen = status::Status::read(place.database.pool()).await.unwrap();
    assert!(seen.is_writing);
    assert_eq!(seen.platforms.len(), 1);
    assert!(seen.platforms[0].compared.as_ref().is_some_and(|(_, found)| found.is_empty()));
    running.token.cancel();
    running.task.await.unwrap().unwrap();
    let seen = status::Status::read(place.database.pool()).await.unwrap();
    assert!(!seen.is_writing);
    place.token.cancel();
    place.serving.await.unwrap();
}
