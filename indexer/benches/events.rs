//! How fast events go through decoding and into Postgres, commits that wait for the disk included.
//!
//! `DATABASE_URL=… cargo bench -p rebate-indexer` prints one line of JSON per figure. The databases it makes on that server
//! go at the end. With REBATE_BENCH set to a figure's name, only that one is measured.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench may fail by any panic")]

#[path = "../tests/it/chain.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod chain;
#[path = "../tests/it/database.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod database;

use async_trait::async_trait;
use chain::Chain;
use database::Database;
use prometheus::Registry;
use rebate_client::{block::Block, chain::Commitment, event::Event};
use rebate_indexer::{
    Indexer, Options,
    source::{BlockRef, BlockSource, Next, SourceError},
    stretch::Stretch,
    write::Writer,
};
use serde_json::{Value, json};
use solana_program::hash::Hash;
use std::{
    collections::VecDeque,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const BACKFILL: &str = "indexer.backfill_events_per_second";
const MEMORY: &str = "indexer.rss_mib";
const BLOCKS: &str = "indexer.write_ms_per_block";
const COPY_UNNEST: &str = "indexer.copy_to_unnest";

/// What a child of this process is for: its memory is that of the backfill alone.
const CHILD: &str = "indexer.rss_mib (child)";

const USERS: u64 = 20_000;
const PAYMENTS_PER_TRANSACTION: u64 = 4;

/// While catching up, a block is one of a busy platform: 500 payments.
const BUSY: u64 = 125;

/// At the tip: 200 payments.
const TIP: u64 = 50;

const BACKFILL_BLOCKS: u64 = 600;

fn main() {
    let wanted = std::env::var("REBATE_BENCH").ok();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if wanted.as_deref() == Some(CHILD) {
        return runtime.block_on(fill_lazily());
    }
    let is_wanted = |name| wanted.as_deref().is_none_or(|wanted| wanted == name);
    if is_wanted(BACKFILL) {
        runtime.block_on(backfill());
    }
    if is_wanted(MEMORY) {
        memory();
    }
    if is_wanted(BLOCKS) {
        runtime.block_on(block_by_block());
    }
    if is_wanted(COPY_UNNEST) {
        copy_and_unnest(&runtime);
    }
}

/// Payments of many users, with two outcomes each.
struct Load {
    chain: Chain,
    platform: [u8; 32],
    payments: u64,
}

impl Load {
    fn new() -> Self {
        let (chain, platform) = Chain::with_platform();
        Self { chain, platform, payments: 0 }
    }

    fn seal(&mut self, transactions: u64) {
        for _ in 0..transactions {
            let events: Vec<Event> = (0..PAYMENTS_PER_TRANSACTION)
                .map(|_| {
                    self.payments += 1;
                    // Steps over the users in an order that is not the index's.
                    let user = self.payments * 7_919 % USERS;
                    Event::PaymentRecorded(self.chain.payment(self.platform, user, 100 + self.payments % 9_900))
                })
                .collect();
            self.chain.emit(&events);
        }
        let _: &Block = self.chain.seal();
    }
}

/// Blocks that are there at once.
enum Feed {
    Made(Mutex<VecDeque<Block>>),
    /// Made when asked for; so many are to come.
    Lazy(Mutex<(Load, VecDeque<Block>, u64)>),
}

impl Feed {
    fn next(&self) -> Next {
        let block = match self {
            Self::Made(blocks) => blocks.lock().unwrap().pop_front(),
            Self::Lazy(state) => {
                let (load, blocks, left) = &mut *state.lock().unwrap();
                if blocks.is_empty() && *left > 0 {
                    *left -= 1;
                    load.seal(BUSY);
                    blocks.extend(load.chain.take_blocks());
                }
                blocks.pop_front()
            }
        };
        block.map_or(Next::NothingYet, |block| Next::Block(Box::new(block)))
    }
}

struct Source {
    genesis: Hash,
    feed: Feed,
}

#[async_trait]
impl BlockSource for Source {
    fn commitment(&self) -> Commitment {
        Commitment::Finalized
    }

    async fn genesis_hash(&self) -> Result<Hash, SourceError> {
        Ok(self.genesis)
    }

    async fn tip(&self) -> Result<u64, SourceError> {
        Ok(0)
    }

    async fn first(&self, _from_slot: Option<u64>) -> Result<Next, SourceError> {
        Ok(self.feed.next())
    }

    async fn next_after(&self, _cursor: &BlockRef) -> Result<Next, SourceError> {
        Ok(self.feed.next())
    }

    async fn wait(&self, _slot: Option<u64>) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Lets an indexer take `events` from `source`, and says how long that took.
async fn index(database: &Database, source: Source, events: u64) -> Duration {
    let options = Options::default();
    let indexer = Indexer::new(database.pool().clone(), Arc::new(source), options, &Registry::new()).unwrap();
    let token = CancellationToken::new();
    let start = Instant::now();
    let until_written = async {
        while indexer.metrics().events.get() < events {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let took = start.elapsed();
        token.cancel();
        took
    };
    let (ended, took) = tokio::join!(indexer.run(token.clone()), until_written);
    ended.unwrap();
    took
}

async fn backfill() {
    let mut load = Load::new();
    for _ in 0..BACKFILL_BLOCKS {
        load.seal(BUSY);
    }
    // What decoding alone takes, on one core.
    let decode = Instant::now();
    let decoded = Stretch::of(None, &load.chain.blocks).unwrap();
    let decode = decode.elapsed();
    let events = decoded.events().len() as u64;
    drop(decoded);
    let database = Database::new().await;
    let genesis = load.chain.genesis_hash();
    let payments = load.payments;
    let blocks: VecDeque<Block> = std::mem::take(&mut load.chain.blocks).into();
    drop(load);
    let before = Spent::by(&database).await;
    let took = index(&database, Source { genesis, feed: Feed::Made(Mutex::new(blocks)) }, events).await;
    let spent = Spent::by(&database).await;
    assert_eq!(database.count("entries").await, i64::try_from(payments).unwrap(), "every payment has one entry");
    let share = |part: f64| (part / took.as_secs_f64() * 1000.0).round() / 1000.0;
    print(
        BACKFILL,
        (events as f64 / took.as_secs_f64()).round(),
        "1/s",
        &database,
        json!({
            "events": events,
            "users": USERS,
            "outcomes_per_event": 2,
            "decode_share": share(decode.as_secs_f64()),
            "indexer_cpu_share": share(spent.own - before.own),
            "postgres_cpu_share": share(spent.postgres - before.postgres),
            "wal_bytes_per_event": ((spent.wal - before.wal) / events as f64).round(),
            "events_per_transaction": Options::default().events_at_once,
        }),
    )
    .await;
}

/// What was spent so far.
struct Spent {
    /// Seconds of this process on a core.
    own: f64,
    /// Seconds of the server's processes on a core.
    postgres: f64,
    /// Bytes of the write-ahead log.
    wal: f64,
}

impl Spent {
    async fn by(database: &Database) -> Self {
        // The processes that have not ended: the connections of this pool, and those that write to the disk.
        let processes: Vec<i32> =
            sqlx::query_scalar("SELECT pid FROM pg_stat_activity").fetch_all(database.pool()).await.unwrap();
        let wal: f64 = sqlx::query_scalar("SELECT (pg_current_wal_lsn() - '0/0')::float8")
            .fetch_one(database.pool())
            .await
            .unwrap();
        let postgres = processes.iter().map(|process| seconds_of(&process.to_string())).sum();
        Self { own: seconds_of("self"), postgres, wal }
    }
}

/// How long a process was on a core; 0 where the system does not say.
fn seconds_of(process: &str) -> f64 {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else { return 0.0 };
    // After the name, in parentheses: proc(5), fields 14 and 15, in hundredths.
    let fields: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(|field| field.parse().unwrap_or_default())
        .collect();
    fields.iter().skip(11).take(2).sum::<f64>() / 100.0
}

/// The greatest memory of a process that does nothing but backfill, with blocks that are made as they are asked for.
fn memory() {
    let child = Command::new(std::env::current_exe().unwrap()).env("REBATE_BENCH", CHILD).status().unwrap();
    assert!(child.success(), "{child}");
}

async fn fill_lazily() {
    let database = Database::new().await;
    let mut load = Load::new();
    let genesis = load.chain.genesis_hash();
    let first: VecDeque<Block> = load.chain.take_blocks().into();
    let events = BACKFILL_BLOCKS * BUSY * PAYMENTS_PER_TRANSACTION;
    let feed = Feed::Lazy(Mutex::new((load, first, BACKFILL_BLOCKS)));
    // The last block stays with the chain.
    index(&database, Source { genesis, feed }, events - BUSY * PAYMENTS_PER_TRANSACTION).await;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    let value = kib.map_or(Value::Null, |kib| json!((kib / 1024.0).round()));
    print(MEMORY, value, "MiB", &database, json!({ "events": events, "users": USERS })).await;
}

async fn block_by_block() {
    const MEASURED: usize = 600;
    let mut load = Load::new();
    for _ in 0..MEASURED + 100 {
        load.seal(TIP);
    }
    let database = Database::new().await;
    let writer = Writer::new(database.pool().clone(), load.chain.genesis_hash(), Commitment::Finalized);
    let mut times = write_each(&writer, &load.chain.blocks, 1).await;
    // The first ones meet a database that has read nothing yet.
    let mut times = times.split_off(times.len() - MEASURED);
    let total: Duration = times.iter().sum();
    times.sort();
    let per_block = TIP * PAYMENTS_PER_TRANSACTION;
    print(
        BLOCKS,
        milliseconds(quantile(&times, 0.99)),
        "ms",
        &database,
        json!({
            "quantile": "p99",
            "p50": milliseconds(quantile(&times, 0.5)),
            "greatest": milliseconds(quantile(&times, 1.0)),
            "events_per_block": per_block,
            "blocks": MEASURED,
        }),
    )
    .await;
    print(
        "indexer.events_per_second_block_by_block",
        (per_block as f64 * MEASURED as f64 / total.as_secs_f64()).round(),
        "1/s",
        &database,
        json!({ "events_per_block": per_block, "blocks": MEASURED }),
    )
    .await;
}

/// Writes the blocks, so many at once, and says how long each took, decoding not included.
async fn write_each(writer: &Writer, blocks: &[Block], at_once: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    let mut last = None;
    // The platform and its rules first.
    let (setup, blocks) = blocks.split_at(3);
    for some in [setup].into_iter().chain(blocks.chunks(at_once)) {
        let stretch = Stretch::of(last, some).unwrap();
        let start = Instant::now();
        writer.write(&stretch).await.unwrap();
        times.push(start.elapsed());
        last = stretch.end();
    }
    times
}

/// How much longer UNNEST takes than COPY, by the number of events in a transaction.
fn copy_and_unnest(runtime: &Runtime) {
    const EVENTS: u64 = 40_000;
    let mut ratios = serde_json::Map::new();
    let mut last = 0.0;
    let database = runtime.block_on(Database::new());
    for (transactions, at_once, events) in
        [(1, 1, 2_000), (5, 1, 4_000), (25, 1, 10_000), (TIP, 1, EVENTS), (BUSY, 10, EVENTS)]
    {
        let mut load = Load::new();
        while load.payments < events {
            load.seal(transactions);
        }
        let mut spent = [Duration::ZERO; 2];
        // Twice, so that neither always comes first.
        for way in [0, 1, 1, 0] {
            let copy_from = [0, usize::MAX][way];
            spent[way] += runtime.block_on(async {
                let database = Database::new().await;
                let writer = Writer::new(database.pool().clone(), load.chain.genesis_hash(), Commitment::Finalized);
                let times = write_each(&writer.copying_from(copy_from), &load.chain.blocks, at_once).await;
                times.iter().skip(3).sum::<Duration>()
            });
        }
        last = (spent[1].as_secs_f64() / spent[0].as_secs_f64() * 100.0).round() / 100.0;
        let per_transaction = transactions * PAYMENTS_PER_TRANSACTION * at_once as u64;
        let per_event = |way: usize| (spent[way].as_secs_f64() * 1e6 / 2.0 / events as f64).round();
        ratios.insert(
            format!("{per_transaction} events"),
            json!({ "unnest_to_copy": last, "copy_us_per_event": per_event(0), "unnest_us_per_event": per_event(1) }),
        );
    }
    runtime.block_on(print(COPY_UNNEST, last, "", &database, json!({ "by_transaction": ratios })));
}

fn quantile(sorted: &[Duration], part: f64) -> Duration {
    let place = ((sorted.len() as f64 * part).ceil() as usize).clamp(1, sorted.len());
    sorted[place - 1]
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

async fn print(name: &str, value: impl Into<Value>, unit: &str, database: &Database, mut details: Value) {
    let figure = details.as_object_mut().unwrap();
    figure.insert("name".to_owned(), name.into());
    figure.insert("value".to_owned(), value.into());
    figure.insert("unit".to_owned(), unit.into());
    for setting in ["fsync", "synchronous_commit"] {
        let value: String =
            sqlx::query_scalar("SELECT current_setting($1)").bind(setting).fetch_one(database.pool()).await.unwrap();
        figure.insert(setting.to_owned(), value.into());
    }
    println!("{details}");
}
