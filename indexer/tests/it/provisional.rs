//! Stretches written before they are final: taken back without a trace, or settled.

use crate::{
    chain::{Chain, GRANTING, IDLE, key},
    database::Database,
    kinds::{chain_of_everything, everything_else},
    reading::Dice,
    source::{Script, index},
    writing::eventful_chain,
};
use rebate_client::{
    chain::Commitment,
    event::{Event, OracleKeyRegistered, OrderShardsChanged},
};
use rebate_indexer::{
    source::{BlockRef, Mined},
    stretch::Stretch,
    write::{Reverted, WriteError, Writer},
};
use sqlx::postgres::PgListener;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// What the indexer writes without undo: the undo itself, what it found when it compared, what goes by its keys,
/// what an upgrade left to do, and what is not the indexer's.
const WITHOUT_UNDO: [&str; 14] = [
    "_sqlx_migrations",
    "integrity",
    "provisional_stretches",
    "undo",
    "rollups_due",
    "transactions",
    "events",
    "payments",
    "outcomes",
    "entries",
    "redemptions",
    "fanout_positions",
    "webhook_endpoints",
    "webhook_deliveries",
];

fn writer(database: &Database, chain: &Chain) -> Writer {
    Writer::new(database.pool().clone(), chain.genesis_hash(), Commitment::Confirmed)
}

fn stretch(chain: &Chain, from: usize, to: usize) -> Stretch {
    let after = from.checked_sub(1).map(|last| BlockRef::of(&chain.blocks[last]));
    Stretch::of(after, &chain.blocks[from..to]).unwrap()
}

async fn last_final(writer: &Writer) -> Option<BlockRef> {
    writer.cursor().await.unwrap().and_then(|cursor| cursor.last_final)
}

/// A chain on which all that can happen does, on several platforms, in many orders.
fn busy_chain(dice: &mut Dice) -> Chain {
    let mut chain = eventful_chain();
    for id in 10..13 {
        let platform = chain.create_platform(id);
        chain.publish(platform, GRANTING, 1, 0);
        chain.publish(platform, IDLE, 1, 0);
        chain.register_oracle(platform);
        // More than 256 events: some of them complete a node of the tree.
        for _ in 0..dice.below(12) {
            for _ in 0..dice.below(60) {
                chain.pay(platform, dice.below(30), 1 + dice.below(1_000));
            }
            chain.seal();
            chain.skip(dice.below(3));
        }
        everything_else(&mut chain, platform);
        for _ in 0..3 {
            let from_day = 20_100 + u32::try_from(dice.below(400)).unwrap();
            chain.decide(platform, |journal_index, at| {
                let (shards, page_slots) = (2, 64);
                Event::OrderShardsChanged(OrderShardsChanged {
                    journal_index,
                    at,
                    platform,
                    from_day,
                    shards,
                    page_slots,
                })
            });
            chain.decide(platform, |journal_index, at| {
                let (key, valid_from, valid_until) = (key(3), at, i64::MAX);
                Event::OracleKeyRegistered(OracleKeyRegistered {
                    journal_index,
                    at,
                    platform,
                    key,
                    valid_from,
                    valid_until,
                })
            });
            chain.pause(platform, true);
            chain.pause(platform, false);
            chain.pay(platform, dice.below(30), 7);
            chain.seal();
        }
    }
    chain
}

#[tokio::test]
async fn every_table_that_the_indexer_writes_is_under_undo() {
    let database = Database::new().await;
    for table in database.tables().await {
        let triggers: Vec<String> = sqlx::query_scalar(
            "SELECT tgname::text FROM pg_trigger
             WHERE tgrelid = $1::text::regclass AND tgfoid = 'keep_undo'::regproc AND tgenabled = 'O' ORDER BY 1",
        )
        .bind(&table)
        .fetch_all(database.pool())
        .await
        .unwrap();
        if WITHOUT_UNDO.contains(&table.as_str()) {
            assert!(triggers.is_empty(), "{table} is listed as being without undo");
            continue;
        }
        let expected = ["keep_undo_delete", "keep_undo_insert", "keep_undo_update"];
        assert_eq!(triggers, expected, "{table}: CALL put_under_undo in its migration, or list it here");
        let keys: i64 =
            sqlx::query_scalar("SELECT count(*) FROM pg_index WHERE indrelid = $1::text::regclass AND indisprimary")
                .bind(&table)
                .fetch_one(database.pool())
                .await
                .unwrap();
        assert_eq!(keys, 1, "{table} has no primary key to find its rows by");
    }
}

#[tokio::test]
async fn whatever_is_written_settled_and_taken_back_every_table_is_as_it_was() {
    let mut dice = Dice::new();
    let chain = busy_chain(&mut dice);
    let database = Database::new().await;
    let writer = writer(&database, &chain);
    // How many blocks there were, and what was in every table, before each provisional stretch.
    let mut before: Vec<(usize, String)> = Vec::new();
    let (mut blocks, mut reverts) = (0, 0);
    while blocks < chain.blocks.len() {
        match dice.below(8) {
            0 if !before.is_empty() => {
                let first = dice.size(before.len() as u64);
                let next = before.get(first + 1).map_or(blocks, |(next, _)| *next);
                let from = writer.cursor().await.unwrap().unwrap().at;
                let reverted = writer.revert(&BlockRef::of(&chain.blocks[next - 1])).await.unwrap();
                let stretches = before.len() - first;
                let content = before.drain(first..).next().unwrap();
                blocks = content.0;
                let to = blocks.checked_sub(1).map(|last| BlockRef::of(&chain.blocks[last]));
                assert_eq!(reverted, Some(Reverted { stretches, from, to }));
                assert!(database.rows().await == content.1, "something is not as it was before block {blocks}");
                reverts += 1;
            }
            1 if !before.is_empty() => {
                let last = dice.size(before.len() as u64);
                let next = before.get(last + 1).map_or(blocks, |(next, _)| *next);
                let end = BlockRef::of(&chain.blocks[next - 1]);
                assert_eq!(writer.settle(&end).await.unwrap(), last as u64 + 1);
                before.drain(..=last);
                assert_eq!(last_final(&writer).await, Some(end));
            }
            choice => {
                let next = (blocks + 1 + dice.size(4)).min(chain.blocks.len());
                let stretch = stretch(&chain, blocks, next);
                if choice == 2 {
                    writer.write(&stretch).await.unwrap();
                    before.clear();
                    assert_eq!(last_final(&writer).await, stretch.end());
                } else {
                    before.push((blocks, database.rows().await));
                    writer.write_provisional(&stretch).await.unwrap();
                }
                blocks = next;
            }
        }
        assert_eq!(writer.provisional().await.unwrap(), before.len() as u64);
        if before.is_empty() {
            assert_eq!(database.count("undo").await, 0);
        }
    }
    println!("{reverts} reverts");
    let undisturbed = Database::new().await;
    index(&undisturbed, Script::of(&chain)).await.unwrap();
    assert!(
        database.content_but_finality().await == undisturbed.content_but_finality().await,
        "the end is not what it is undisturbed"
    );
}

#[tokio::test]
async fn events_of_every_kind_are_taken_back() {
    let chain = chain_of_everything();
    let database = Database::new().await;
    let writer = writer(&database, &chain);
    let empty = database.rows().await;
    // Each block by itself, and from each back to the beginning.
    for blocks in 1..=chain.blocks.len() {
        for next in 1..=blocks {
            writer.write_provisional(&stretch(&chain, next - 1, next)).await.unwrap();
        }
        writer.revert(&BlockRef::of(&chain.blocks[0])).await.unwrap().unwrap();
        assert_eq!(database.rows().await, empty);
        assert_eq!(writer.cursor().await.unwrap(), None);
    }
}

#[tokio::test]
async fn what_is_final_is_not_taken_back() {
    let chain = chain_of_everything();
    let database = Database::new().await;
    let writer = writer(&database, &chain);
    writer.write(&stretch(&chain, 0, 2)).await.unwrap();
    writer.write_provisional(&stretch(&chain, 2, 4)).await.unwrap();
    let content = database.rows().await;
    let inside = BlockRef::of(&chain.blocks[2]);
    let other = BlockRef { hash: chain.blocks[1].hash, ..BlockRef::of(&chain.blocks[3]) };
    for end in [BlockRef::of(&chain.blocks[0]), BlockRef::of(&chain.blocks[1]), inside, other] {
        assert_eq!(writer.revert(&end).await.unwrap(), None);
        assert_eq!(writer.settle(&end).await.unwrap(), 0);
        assert_eq!(database.rows().await, content);
    }
    let end = BlockRef::of(&chain.blocks[3]);
    assert_eq!(writer.settle(&end).await.unwrap(), 1);
    assert_eq!(writer.revert(&end).await.unwrap(), None);
    assert_eq!((database.rows().await, last_final(&writer).await), (content, Some(end)));
}

#[tokio::test]
async fn of_two_that_settle_at_once_the_one_with_the_earlier_block_does_not_move_back_what_is_final() {
    let chain = chain_of_everything();
    let database = Database::new().await;
    let writer = Arc::new(writer(&database, &chain));
    writer.write_provisional(&stretch(&chain, 0, 2)).await.unwrap();
    writer.write_provisional(&stretch(&chain, 2, 4)).await.unwrap();
    let ends = [BlockRef::of(&chain.blocks[3]), BlockRef::of(&chain.blocks[1])];
    // Whoever came first gets the cursor first.
    let mut before_them = database.pool().begin().await.unwrap();
    sqlx::query("SELECT slot FROM cursor FOR UPDATE").execute(&mut *before_them).await.unwrap();
    let mut settling = Vec::new();
    for (waiting, end) in (1..).zip(ends) {
        let writer = Arc::clone(&writer);
        settling.push(tokio::spawn(async move { writer.settle(&end).await.unwrap() }));
        while database.count("pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").await
            < waiting
        {
            sleep(Duration::from_millis(5)).await;
        }
    }
    before_them.rollback().await.unwrap();
    let mut settled = Vec::new();
    for settling in settling {
        settled.push(settling.await.unwrap());
    }
    assert_eq!((settled, last_final(&writer).await), (vec![2, 0], Some(ends[0])));
}

#[tokio::test]
async fn a_final_block_makes_all_before_it_final() {
    let chain = chain_of_everything();
    let database = Database::new().await;
    let writer = writer(&database, &chain);
    writer.write_provisional(&stretch(&chain, 0, 2)).await.unwrap();
    assert_eq!(last_final(&writer).await, None);
    writer.write_provisional(&stretch(&chain, 2, 3)).await.unwrap();
    assert!(database.count("undo").await > 0);
    writer.write(&stretch(&chain, 3, 4)).await.unwrap();
    assert_eq!(last_final(&writer).await, Some(BlockRef::of(&chain.blocks[3])));
    assert_eq!((database.count("undo").await, writer.provisional().await.unwrap()), (0, 0));
}

#[tokio::test]
async fn final_blocks_leave_no_undo() {
    let database = Database::new().await;
    index(&database, Script::of(&eventful_chain())).await.unwrap();
    let used: bool =
        sqlx::query_scalar("SELECT is_called FROM undo_statements").fetch_one(database.pool()).await.unwrap();
    assert!(!used);
    assert_eq!((database.count("undo").await, database.count("provisional_stretches").await), (0, 0));
}

#[tokio::test]
async fn a_provisional_stretch_says_its_transactions_and_their_slots() {
    let (mut chain, platform) = Chain::with_platform();
    chain.pay(platform, 1, 5);
    chain.emit_bytes(true, &[b"of a failed transaction".to_vec()]);
    chain.pay(platform, 2, 5);
    chain.seal();
    chain.seal();
    chain.pay(platform, 1, 5);
    chain.seal();
    let database = Database::new().await;
    let writer = writer(&database, &chain);
    writer.write(&stretch(&chain, 0, 3)).await.unwrap();
    writer.write_provisional(&stretch(&chain, 3, 6)).await.unwrap();
    let [paid, .., later] = &chain.blocks[3..] else { panic!("no blocks") };
    let expected = [(paid, 0), (paid, 2), (later, 0)]
        .map(|(block, at)| Mined { signature: block.transactions[at].signature, slot: block.slot });
    assert_eq!(writer.provisional_up_to(later.slot - 1, 9).await.unwrap(), []);
    let stretches = writer.provisional_up_to(later.slot, 9).await.unwrap();
    assert_eq!(stretches.len(), 1);
    assert_eq!(stretches[0].transactions, expected);
    assert_eq!((stretches[0].start, stretches[0].end), (Some(BlockRef::of(&chain.blocks[2])), chain.tip()));
}

#[tokio::test]
async fn two_writers_of_provisional_blocks_are_fenced_by_the_cursor() {
    let chain = eventful_chain();
    let database = Database::new().await;
    let (one, two) = (writer(&database, &chain), writer(&database, &chain));
    for stretch in [stretch(&chain, 0, 3), stretch(&chain, 3, chain.blocks.len())] {
        let (first, second) = tokio::join!(one.write_provisional(&stretch), two.write_provisional(&stretch));
        let fenced = first.and(second).unwrap_err();
        assert!(matches!(fenced, WriteError::Fenced { .. }), "{fenced}");
    }
    // A revert meanwhile fences whoever goes on from what was taken back.
    let (tip, last) = (chain.tip(), chain.blocks.len());
    let mut longer = chain.clone();
    longer.seal();
    assert!(one.revert(&tip).await.unwrap().is_some());
    let stale = two.write_provisional(&stretch(&longer, last, last + 1)).await;
    assert!(matches!(stale, Err(WriteError::Fenced { .. })), "{stale:?}");
}

#[tokio::test]
async fn a_row_that_somebody_else_removed_stops_a_revert_and_nothing_is_half_done() {
    let chain = eventful_chain();
    let database = Database::new().await;
    let writer = writer(&database, &chain);
    writer.write(&stretch(&chain, 0, 3)).await.unwrap();
    writer.write_provisional(&stretch(&chain, 3, chain.blocks.len())).await.unwrap();
    for table in ["transactions", "events"] {
        let last = format!("(SELECT ctid, tableoid FROM {table} ORDER BY tableoid DESC, ctid DESC LIMIT 1)");
        database.execute(&format!("DELETE FROM {table} WHERE (ctid, tableoid) = {last}")).await;
        let content = database.rows().await;
        let error = writer.revert(&chain.tip()).await.unwrap_err();
        assert!(error.to_string().contains(&format!("rows of {table} found")), "{error}");
        assert_eq!(database.rows().await, content);
    }
}

#[tokio::test]
async fn listeners_are_told_where_a_revert_goes_back_to() {
    let chain = eventful_chain();
    let database = Database::new().await;
    let writer = writer(&database, &chain);
    writer.write(&stretch(&chain, 0, 3)).await.unwrap();
    writer.write_provisional(&stretch(&chain, 3, chain.blocks.len())).await.unwrap();
    let mut listener = PgListener::connect_with(database.pool()).await.unwrap();
    listener.listen("rebate_block").await.unwrap();
    writer.revert(&chain.tip()).await.unwrap().unwrap();
    assert_eq!(listener.recv().await.unwrap().payload(), chain.blocks[2].slot.to_string());
}
