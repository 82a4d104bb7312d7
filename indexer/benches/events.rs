//! How many events a second go through decoding and into Postgres, commits that wait for the disk included.
//!
//! `DATABASE_URL=… cargo bench -p rebate-indexer` prints one line of JSON per figure. The database it makes on that server
//! goes at the end.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench may fail by any panic")]

#[path = "../tests/it/chain.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod chain;
#[path = "../tests/it/database.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod database;

use chain::Chain;
use rebate_client::{block::Block, chain::Commitment, event::Event};
use rebate_indexer::{source::BlockRef, stretch::Stretch, write::Writer};
use serde_json::json;
use std::time::{Duration, Instant};

/// How busy the chain of one measurement is.
struct Load {
    name: &'static str,
    blocks: u64,
    transactions_per_block: u64,
    payments_per_transaction: u64,
    users: u64,
    /// How many blocks one transaction of the database takes.
    at_once: usize,
}

const LOADS: [Load; 2] = [
    Load {
        name: "indexer.events_per_second",
        blocks: 120,
        transactions_per_block: 125,
        payments_per_transaction: 4,
        users: 20_000,
        at_once: 4,
    },
    // What a chain at its tip does: each block by itself.
    Load {
        name: "indexer.events_per_second_block_by_block",
        blocks: 200,
        transactions_per_block: 25,
        payments_per_transaction: 4,
        users: 20_000,
        at_once: 1,
    },
];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for load in LOADS {
        runtime.block_on(measure(&load));
    }
}

async fn measure(load: &Load) {
    let chain = make(load);
    let blocks = &chain.blocks;
    let events = load.blocks * load.transactions_per_block * load.payments_per_transaction;
    let database = database::Database::new().await;
    let writer = Writer::new(database.pool().clone(), chain.genesis_hash(), Commitment::Finalized);
    // The platform and its rules are there already when the clock starts.
    let (setup, load_blocks) = blocks.split_at(3);
    let begin = Stretch::of(None, setup).unwrap();
    writer.write(&begin).await.unwrap();

    let mut last = begin.end();
    let mut decoding = Duration::ZERO;
    let start = Instant::now();
    for some in load_blocks.chunks(load.at_once) {
        let decode = Instant::now();
        let stretch = Stretch::of(last, some).unwrap();
        decoding += decode.elapsed();
        writer.write(&stretch).await.unwrap();
        last = stretch.end();
    }
    let took = start.elapsed();
    assert_eq!(last, blocks.last().map(BlockRef::of));
    let stored = database.count("entries").await;
    assert_eq!(stored, i64::try_from(events).unwrap(), "every payment has one entry");
    println!(
        "{}",
        json!({
            "name": load.name,
            "value": (events as f64 / took.as_secs_f64()).round(),
            "unit": "1/s",
            "events": events,
            "outcomes_per_event": 2,
            "blocks": load.blocks,
            "blocks_per_transaction": load.at_once,
            "decode_share": (decoding.as_secs_f64() / took.as_secs_f64() * 1000.0).round() / 1000.0,
            "fsync": setting(&database, "fsync").await,
            "synchronous_commit": setting(&database, "synchronous_commit").await,
        })
    );
}

async fn setting(database: &database::Database, name: &str) -> String {
    sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(database.pool()).await.unwrap()
}

fn make(load: &Load) -> Chain {
    let (mut chain, platform) = Chain::with_platform();
    let mut number = 0_u64;
    for _ in 0..load.blocks {
        for _ in 0..load.transactions_per_block {
            let events: Vec<Event> = (0..load.payments_per_transaction)
                .map(|_| {
                    number += 1;
                    // Steps over the users in an order that is not the index's.
                    Event::PaymentRecorded(chain.payment(platform, number * 7_919 % load.users, 100 + number % 9_900))
                })
                .collect();
            chain.emit(&events);
        }
        let _: &Block = chain.seal();
    }
    chain
}
