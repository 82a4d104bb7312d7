//! What a JetStream consumer gets of the events, whatever happens to the publisher and to NATS.

use crate::{deadline::until, process::Process};
use async_nats::jetstream::{self, consumer::pull, message::PublishMessage, stream::Stream};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::StreamExt;
use rebate_indexer::{Indexer, Options, source::embedded::EmbeddedSource};
use rebate_local::nats::LocalNats;
use rebate_tests::{
    database::TestDatabase,
    draw::Draw,
    platform::{TestPlatform, payment},
};
use rustix::process::Signal;
use serde_json::Value;
use solana_signer::Signer;
use std::{collections::HashSet, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::task::{JoinHandle, block_in_place};
use tokio_util::sync::CancellationToken;

/// A platform with its indexer in this process, and a NATS of its own.
pub struct Place {
    pub platform: TestPlatform,
    pub database: TestDatabase,
    pub nats: LocalNats,
    _folder: TempDir,
    token: CancellationToken,
    indexing: JoinHandle<()>,
}

impl Place {
    pub async fn new() -> Self {
        let database = TestDatabase::new().await.unwrap();
        // The platform waits for what it does, which only a thread of its own may.
        let platform = block_in_place(TestPlatform::with_sample_rules);
        let token = CancellationToken::new();
        let source = Arc::new(EmbeddedSource::new(platform.chain.clone()));
        let registry = prometheus::Registry::new();
        let indexer = Indexer::new(database.pool().clone(), source, Options::default(), &registry).unwrap();
        let stop = token.clone();
        let indexing = tokio::spawn(async move { indexer.run(stop).await.unwrap() });
        let folder = tempfile::tempdir().unwrap();
        let nats = block_in_place(|| LocalNats::start(folder.path()).unwrap());
        Self { platform, database, nats, _folder: folder, token, indexing }
    }

    /// Records a payment of 50.00.
    pub fn pay(&self, number: &str) {
        block_in_place(|| self.platform.pay(&[payment(number, "amy", 5_000)])).unwrap();
    }

    /// Many events, as small as there are; an even number, or the platform stays paused.
    pub fn pause_and_go_on(&self, times: usize) {
        let pauser = &self.platform.pauser;
        for time in 0..times {
            let pause =
                rebate_client::instruction::set_paused(&pauser.pubkey(), &self.platform.addresses, time % 2 == 0);
            block_in_place(|| self.platform.run(&[pause], &[pauser])).unwrap();
        }
    }

    /// A command of the fan-out on this database and this NATS.
    pub fn fanout(&self, arguments: &[&str]) -> Process {
        Process::start_as("rebate-fanout", |command| {
            command.args(arguments).env("DATABASE_URL", self.database.url()).env("REBATE_NATS", self.nats.url());
        })
    }

    /// A publisher that takes small steps, so that there is a middle to kill it in.
    fn publisher(&self) -> Process {
        self.fanout(&["publish", "--batch", "7", "--in-flight", "3", "--poll-ms", "50"])
    }

    async fn jetstream(&self) -> jetstream::Context {
        let options = async_nats::ConnectOptions::new().retry_on_initial_connect().max_reconnects(None);
        jetstream::new(options.connect(self.nats.url()).await.unwrap())
    }

    /// Stops a publisher.
    async fn stop(publisher: Process) {
        publisher.signal(Signal::TERM);
        publisher.ended().await.assert_success();
    }

    /// Waits until the position is at the end of the journal.
    async fn position_at_the_end(&self) {
        let events = block_in_place(|| self.platform.journal()).count;
        until("the position is at the end", async || {
            let next: i64 = sqlx::query_scalar("SELECT coalesce(max(next_index), 0) FROM fanout_positions")
                .fetch_one(self.database.pool())
                .await
                .unwrap();
            if next.unsigned_abs() == events { Ok(()) } else { Err(format!("it is at {next}")) }
        })
        .await;
    }

    /// Makes the stream forget every id, as it does when its duplicate window is over.
    async fn forget_ids(&self, context: &jetstream::Context) {
        let mut stream = context.get_stream("rebate").await.unwrap();
        let config = stream.info().await.unwrap().config.clone();
        let short = jetstream::stream::Config { duplicate_window: Duration::from_millis(100), ..config.clone() };
        context.update_stream(short).await.unwrap();
        let mut probes = Vec::new();
        until("the stream forgets ids", async || {
            let probe = PublishMessage::build().message_id("probe");
            let subject = config.subjects[0].replace('>', "probe");
            let probe = context.send_publish(subject, probe).await.unwrap().await.unwrap();
            probes.push(probe.sequence);
            if probes.len() > 1 && !probe.duplicate { Ok(()) } else { Err("it still knows one") }
        })
        .await;
        for probe in probes.into_iter().collect::<HashSet<_>>() {
            stream.delete_message(probe).await.unwrap();
        }
        context.update_stream(config).await.unwrap();
    }

    /// How many messages the stream has.
    async fn messages(&self, context: &jetstream::Context) -> Result<u64, String> {
        let stream = context.get_stream("rebate").await.map_err(|error| error.to_string())?;
        Ok(stream.cached_info().state.messages)
    }

    /// Waits until there are at least so many.
    async fn published(&self, context: &jetstream::Context, least: u64) {
        until(&format!("{least} messages are in the stream"), async || match self.messages(context).await? {
            messages if messages >= least => Ok(()),
            messages => Err(format!("{messages} are")),
        })
        .await;
    }

    /// Waits until the stream has every event and checks that it has each once, in order, with the bytes that are on the
    /// chain, and after the events of a block the message about it.
    async fn everything_is_there_once(&self, context: &jetstream::Context) {
        let emitted: Vec<_> = (self.platform.since..=self.platform.chain.tip())
            .flat_map(|slot| self.platform.events_between(slot, slot).into_iter().map(move |event| (slot, event)))
            .collect();
        assert_eq!(emitted.len() as u64, block_in_place(|| self.platform.journal()).count);
        let slots: HashSet<u64> = emitted.iter().map(|(slot, _)| *slot).collect();
        self.published(context, (emitted.len() + slots.len()) as u64).await;
        // Whatever comes on top would be twice: the publisher has nothing left to do.
        self.position_at_the_end().await;
        let stream = context.get_stream("rebate").await.unwrap();
        let messages = consumed(&stream).await;
        let ids: HashSet<&String> = messages.iter().map(|(id, _)| id).collect();
        assert_eq!(ids.len(), messages.len(), "a message came twice");
        let (blocks, events): (Vec<_>, Vec<_>) = messages.iter().partition(|(id, _)| id.starts_with("block/"));
        assert_eq!(events.len(), emitted.len());
        for ((id, body), (slot, event)) in events.iter().zip(&emitted) {
            let index = event.event.journal_index();
            assert_eq!(*id, format!("{}/{index}", self.platform.addresses.platform));
            assert_eq!((&body["id"], &body["journal_index"]), (&id.as_str().into(), &index.into()));
            assert_eq!((&body["kind"], &body["slot"]), (&event.event.name().into(), &(*slot).into()));
            assert_eq!(BASE64_STANDARD.decode(body["bytes"].as_str().unwrap()).unwrap(), event.bytes);
        }
        assert_eq!(blocks.len(), slots.len());
        for (_, block) in blocks {
            let place = messages.iter().position(|(_, body)| body == block).unwrap();
            let of_block = |body: &Value| body["kind"] != "Block" && body["slot"] == block["slot"];
            let before = messages[..place].iter().filter(|(_, body)| of_block(body)).count();
            assert_eq!(block["events"], before, "events of slot {} before its own message", block["slot"]);
        }
    }

    pub async fn end(self) {
        self.token.cancel();
        self.indexing.await.unwrap();
    }
}

/// Every message that a consumer gets, with its id.
async fn consumed(stream: &Stream) -> Vec<(String, Value)> {
    let count = usize::try_from(stream.cached_info().state.messages).unwrap();
    let consumer = stream.create_consumer(pull::Config::default()).await.unwrap();
    let messages = consumer.messages().await.unwrap().take(count);
    let taken = messages.then(async |message| {
        let message = message.unwrap();
        message.ack().await.unwrap();
        let id = message.headers.as_ref().unwrap().get("Nats-Msg-Id").unwrap().to_string();
        (id, serde_json::from_slice(&message.payload).unwrap())
    });
    tokio::time::timeout(Duration::from_secs(60), taken.collect()).await.expect("the consumer gets every message")
}

/// Another number with each run, which is printed; `REBATE_SEED` repeats one.
fn draw() -> Draw {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos().into();
    let seed = std::env::var("REBATE_SEED").map_or(now, |seed| seed.parse().unwrap());
    println!("REBATE_SEED={seed}");
    Draw::of(seed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_gets_every_event_once_although_the_publisher_is_killed_again_and_again() {
    let (place, mut draw) = (Place::new().await, draw());
    place.pay("P1");
    place.pause_and_go_on(200);
    let context = place.jetstream().await;
    let mut publisher = place.publisher();
    for round in 1..=6 {
        let before = place.messages(&context).await.unwrap_or(0);
        place.published(&context, before + draw.between(1, 40)).await;
        publisher.kill();
        place.pay(&format!("K{round}"));
        place.pause_and_go_on(2 * usize::try_from(draw.between(10, 25)).unwrap());
        publisher = place.publisher();
    }
    place.everything_is_there_once(&context).await;
    Place::stop(publisher).await;
    place.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_publishers_of_one_stream_publish_every_event_once_although_postgres_drops_them() {
    let place = Place::new().await;
    place.pay("P1");
    place.pause_and_go_on(100);
    let context = place.jetstream().await;
    let mut publishers = [place.publisher(), place.publisher()];
    for publisher in &mut publishers {
        publisher.said_line_with("publishing to the stream rebate").await;
    }
    for _ in 0..4 {
        place.pause_and_go_on(24);
        // What Postgres does to them when it restarts.
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'rebate-fanout'",
        )
        .execute(place.database.pool())
        .await
        .unwrap();
    }
    place.everything_is_there_once(&context).await;
    for publisher in publishers {
        Place::stop(publisher).await;
    }
    place.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nats_that_is_killed_and_comes_back_loses_nothing_and_repeats_nothing() {
    let (mut place, mut draw) = (Place::new().await, draw());
    place.pay("P1");
    place.pause_and_go_on(200);
    // It may also begin before NATS does.
    block_in_place(|| place.nats.kill());
    let publisher = place.publisher();
    for round in 1..=3 {
        block_in_place(|| place.nats.restart().unwrap());
        let context = place.jetstream().await;
        let before = place.messages(&context).await.unwrap_or(0);
        place.published(&context, before + draw.between(1, 40)).await;
        block_in_place(|| place.nats.kill());
        place.pay(&format!("K{round}"));
        place.pause_and_go_on(40);
    }
    block_in_place(|| place.nats.restart().unwrap());
    place.everything_is_there_once(&place.jetstream().await).await;
    Place::stop(publisher).await;
    place.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_was_away_for_longer_than_the_stream_remembers_ids_repeats_nothing() {
    let (place, mut draw) = (Place::new().await, draw());
    place.pay("P1");
    place.pause_and_go_on(60);
    let context = place.jetstream().await;
    let publisher = place.publisher();
    place.everything_is_there_once(&context).await;
    Place::stop(publisher).await;
    // As if it had been killed after publishing and before noting that it had, in the middle of a block or not.
    sqlx::query("UPDATE fanout_positions SET next_index = $1, slot = 0")
        .bind(i64::try_from(draw.below(60)).unwrap())
        .execute(place.database.pool())
        .await
        .unwrap();
    let stream = context.get_stream("rebate").await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    for sequence in (last - draw.below(9)..=last).rev() {
        stream.delete_message(sequence).await.unwrap();
    }
    place.forget_ids(&context).await;
    place.pause_and_go_on(20);
    let publisher = place.publisher();
    place.everything_is_there_once(&context).await;
    Place::stop(publisher).await;
    place.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_lost_after_acknowledging_it_is_published_again() {
    let (place, mut draw) = (Place::new().await, draw());
    place.pay("P1");
    place.pause_and_go_on(60);
    let context = place.jetstream().await;
    let publisher = place.publisher();
    place.everything_is_there_once(&context).await;
    place.position_at_the_end().await;
    Place::stop(publisher).await;
    // What was not yet on its disk when the power went.
    let stream = context.get_stream("rebate").await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    for sequence in (last - draw.between(1, 40)..=last).rev() {
        stream.delete_message(sequence).await.unwrap();
    }
    place.forget_ids(&context).await;
    let publisher = place.publisher();
    place.everything_is_there_once(&context).await;
    assert!(publisher.err().contains("lost"), "{}", publisher.err());
    Place::stop(publisher).await;
    place.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_somebody_elses_is_refused_and_a_database_without_our_tables_too() {
    let place = Place::new().await;
    place.pay("P1");
    let context = place.jetstream().await;
    let others = jetstream::stream::Config {
        name: "orders".to_owned(),
        subjects: vec!["orders.>".to_owned()],
        ..jetstream::stream::Config::default()
    };
    context.create_stream(others).await.unwrap();
    let refused = place.fanout(&["publish", "--stream", "orders"]).ended().await;
    assert!(!refused.status.success());
    assert!(refused.err.contains("orders.>") && refused.err.contains("--stream"), "{}", refused.err);

    let empty = TestDatabase::without_migrations().await.unwrap();
    let refused = Process::start_as("rebate-fanout", |command| {
        command.arg("publish").env("DATABASE_URL", empty.url()).env("REBATE_NATS", place.nats.url());
    });
    refused.ended().await.assert_refused(&["lacks tables", "rebate-indexer"]);
    place.end().await;
}
