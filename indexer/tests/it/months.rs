//! Months: what is written into them, that they are there in time, and what was there before them.

use crate::{
    chain::{Chain, GRANTING, IDLE},
    database::Database,
    kinds::everything_else,
    source::{Script, index},
};
use rebate_client::{block::Block, chain::Commitment, event::Event};
use rebate_indexer::{
    database::migrate,
    source::BlockRef,
    stretch::Stretch,
    write::{Writer, Written},
};
use sqlx::{AssertSqlSafe, migrate::Migrator};

/// What is partitioned.
const PARTITIONED: [&str; 6] = ["transactions", "events", "payments", "outcomes", "entries", "redemptions"];

/// About a month, at 400 ms each.
const SLOTS_OF_A_MONTH: u64 = 30 * 86_400 * 10 / 4;

/// The months for which a table has partitions, as its partitions are named.
async fn partitions(database: &Database, table: &str) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT substr(relname, length($1) + 2) FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
         WHERE inhparent = $1::regclass ORDER BY relname",
    )
    .bind(table)
    .fetch_all(database.pool())
    .await
    .unwrap()
}

async fn months_of(database: &Database, table: &str) -> Vec<(String, i64)> {
    sqlx::query_as(AssertSqlSafe(format!("SELECT month::text, count(*) FROM {table} GROUP BY month ORDER BY month")))
        .fetch_all(database.pool())
        .await
        .unwrap()
}

fn writer(database: &Database, chain: &Chain) -> Writer {
    Writer::new(database.pool().clone(), chain.genesis_hash(), Commitment::Finalized)
}

/// Something of everything, over half a year.
fn half_a_year() -> Chain {
    let (mut chain, platform) = Chain::with_platform();
    let evening = chain.create_platform(3);
    chain.publish(evening, GRANTING, 1, 0);
    chain.publish(evening, IDLE, 1, 0);
    chain.register_oracle(evening);
    let mut payments = Vec::new();
    for month in 0..6 {
        for user in 0..7 {
            let payment = chain.payment(platform, user, 100 + month);
            chain.emit(&[Event::PaymentRecorded(payment.clone())]);
            payments.push(payment);
        }
        // Of last month's, too.
        for payment in payments.iter().rev().skip(3).step_by(5).take(2) {
            let refund = chain.refund(payment, 1);
            chain.emit(&[Event::RefundRecorded(refund)]);
        }
        chain.seal();
        let redemption = chain.redemption(platform, 1, 1, 10);
        chain.emit(&[Event::Redeemed(redemption)]);
        chain.seal();
        chain.skip(SLOTS_OF_A_MONTH);
    }
    everything_else(&mut chain, evening);
    chain.seal();
    chain
}

#[tokio::test]
async fn rows_are_in_the_month_of_their_block_and_a_journal_knows_where_its_months_begin() {
    let (database, chain) = (Database::new().await, half_a_year());
    index(&database, Script::of(&chain)).await.unwrap();
    for table in PARTITIONED {
        let months = months_of(&database, table).await;
        assert!(months.len() >= 6 && months.iter().all(|(month, _)| month.ends_with("-01")), "{table}: {months:?}");
        assert_eq!(months[0].0, "2025-06-01");
    }
    let wrong: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM events WHERE month <> date_trunc('month', at AT TIME ZONE 'UTC')
                     OR month <> month_of(platform, journal_index))
              + (SELECT count(*) FROM events LEFT JOIN transactions USING (signature, month) WHERE slot IS NULL)
              + (SELECT count(*) FROM payments LEFT JOIN events USING (platform, journal_index, month) WHERE at IS NULL)
              + (SELECT count(*) FROM outcomes LEFT JOIN events USING (platform, journal_index, month) WHERE at IS NULL)
              + (SELECT count(*) FROM entries LEFT JOIN events USING (platform, journal_index, month)
                 WHERE kind IS NULL)
              + (SELECT count(*) FROM refunds LEFT JOIN events USING (platform, journal_index, month) WHERE at IS NULL)
              + (SELECT count(*) FROM refunds LEFT JOIN payments ON payments.platform = refunds.platform
                     AND payments.journal_index = payment_index AND payments.month = payment_month
                 WHERE number IS NULL)",
    )
    .fetch_one(database.pool())
    .await
    .unwrap();
    assert_eq!(wrong, 0);
    let apart: i64 = sqlx::query_scalar("SELECT count(*) FROM refunds WHERE month <> payment_month")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert!(apart > 0, "some refunds come in a later month than their payments");
}

#[tokio::test]
async fn partitions_are_there_three_months_ahead() {
    let (database, chain) = (Database::new().await, half_a_year());
    let stretch = Stretch::of(None, &chain.blocks[..3]).unwrap();
    writer(&database, &chain).write(&stretch).await.unwrap();
    for table in PARTITIONED {
        assert_eq!(partitions(&database, table).await, ["2025_06", "2025_07", "2025_08", "2025_09"], "{table}");
    }
    // Started again, also if nothing comes.
    database.execute("DROP TABLE events_2025_08, payments_2025_09").await;
    index(&database, Script::of(&chain.up_to(3))).await.unwrap();
    for table in PARTITIONED {
        assert_eq!(partitions(&database, table).await, ["2025_06", "2025_07", "2025_08", "2025_09"], "{table}");
    }
    // As time goes by.
    index(&database, Script::of(&chain)).await.unwrap();
    for table in PARTITIONED {
        let last = partitions(&database, table).await.pop();
        assert_eq!(last.as_deref(), Some("2026_02"), "{table}");
    }
}

#[tokio::test]
async fn a_block_whose_month_has_no_partition_yet_is_written_all_the_same() {
    let (mut chain, platform) = Chain::with_platform();
    // Nothing happens for three years.
    chain.skip(36 * SLOTS_OF_A_MONTH);
    chain.pay(platform, 1, 100);
    chain.seal();
    let database = Database::new().await;
    index(&database, Script::of(&chain)).await.unwrap();
    let months: Vec<_> = months_of(&database, "payments").await;
    assert_eq!(months, [("2028-05-01".to_owned(), 1)]);
    // In one transaction with what came before.
    let at_once = Database::new().await;
    writer(&at_once, &chain).write(&Stretch::of(None, &chain.blocks).unwrap()).await.unwrap();
    assert_eq!(at_once.content().await, database.content().await);
    // Those between are of no use.
    assert_eq!(partitions(&at_once, "events").await, ["2025_06", "2028_05", "2028_06", "2028_07", "2028_08"]);
}

#[tokio::test]
async fn a_month_that_was_made_by_halves_is_completed() {
    let (mut chain, platform) = Chain::with_platform();
    let database = Database::new().await;
    index(&database, Script::of(&chain)).await.unwrap();
    database.execute("DROP TABLE entries_2025_06, payments_2025_06").await;
    chain.pay(platform, 1, 100);
    chain.seal();
    index(&database, Script::of(&chain)).await.unwrap();
    assert_eq!((database.count("entries").await, database.count("payments").await), (1, 1));
}

#[tokio::test]
async fn a_clock_that_goes_back_takes_no_row_into_an_earlier_month() {
    let (mut chain, platform) = Chain::with_platform();
    chain.skip(2 * SLOTS_OF_A_MONTH);
    chain.pay(platform, 1, 100);
    chain.seal();
    let mut late = chain.payment(platform, 1, 100);
    late.at -= 40 * 86_400;
    chain.emit(&[Event::PaymentRecorded(late)]);
    chain.seal();
    for at_once in [1, 100] {
        let database = Database::new().await;
        let mut last = None;
        for blocks in chain.blocks.chunks(at_once) {
            let stretch = Stretch::of(last, blocks).unwrap();
            writer(&database, &chain).write(&stretch).await.unwrap();
            last = stretch.end();
        }
        assert_eq!(months_of(&database, "payments").await, [("2025-07-01".to_owned(), 2)]);
        assert_eq!(database.count("journal_months").await, 2);
    }
}

/// Numbers that look random and are the same for the same seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }
}

/// Payments, refunds and redemptions by chance, in blocks of up to 40 events and over some months.
fn blocks_by_chance(dice: &mut Dice) -> (Chain, Vec<Block>) {
    let (mut chain, platform) = Chain::with_platform();
    let mut blocks = chain.take_blocks();
    for _ in 0..12 {
        let mut payments = Vec::new();
        for _ in 0..dice.below(40) {
            let user = dice.below(9);
            match dice.below(8) {
                0 if !payments.is_empty() => {
                    let payment = payments.swap_remove(usize::try_from(dice.below(payments.len() as u64)).unwrap());
                    let refund = chain.refund(&payment, 1 + dice.below(payment.amount));
                    chain.emit(&[Event::RefundRecorded(refund)]);
                }
                1 => chain.pause(platform, dice.below(2) == 0),
                _ => {
                    let amount = [1 + dice.below(1_000_000), u64::MAX, 10_000, 100_000_000][dice.below(4) as usize];
                    let payment = chain.payment(platform, user, amount);
                    chain.emit(&[Event::PaymentRecorded(payment.clone())]);
                    payments.push(payment);
                }
            }
        }
        chain.seal();
        blocks.extend(chain.take_blocks());
        chain.skip(dice.below(SLOTS_OF_A_MONTH));
    }
    chain.seal();
    blocks.extend(chain.take_blocks());
    (chain, blocks)
}

#[tokio::test]
async fn copy_and_unnest_leave_the_same_tables() {
    // SEED=… repeats a run.
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos()).unwrap() | 1);
    println!("SEED={seed}");
    let mut dice = Dice(seed);
    let everything = half_a_year();
    let genesis = everything.genesis_hash();
    let by_chance = blocks_by_chance(&mut dice).1;
    for blocks in [everything.blocks, by_chance] {
        let mut contents = Vec::new();
        let sizes: Vec<usize> = (0..blocks.len()).map(|_| 1 + dice.below(4) as usize).collect();
        // All by COPY, all by UNNEST, and each where it is faster.
        for copy_from in [Some(0), Some(usize::MAX), None] {
            let database = Database::new().await;
            let writer = Writer::new(database.pool().clone(), genesis, Commitment::Finalized);
            let writer = copy_from.map_or(writer.clone(), |events| writer.copying_from(events));
            let (mut last, mut rest) = (None, blocks.as_slice());
            for size in &sizes {
                let (some, others) = rest.split_at(rest.len().min(*size));
                rest = others;
                let stretch = Stretch::of(last, some).unwrap();
                writer.write(&stretch).await.unwrap();
                last = stretch.end();
            }
            contents.push(database.content().await);
        }
        assert_eq!(contents[0], contents[1]);
        assert_eq!(contents[0], contents[2]);
    }
}

#[tokio::test]
async fn what_was_written_before_there_were_months_is_kept_and_goes_on() {
    static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");
    // In an order that foreign keys allow.
    const TABLES: [&str; 21] = [
        "cursor",
        "transactions",
        "events",
        "journals",
        "tree_nodes",
        "platforms",
        "utc_offsets",
        "assets",
        "vaults",
        "order_shards",
        "oracle_keys",
        "rules",
        "payments",
        "refunds",
        "redemptions",
        "wallet_links",
        "claims",
        "outcomes",
        "entries",
        "users",
        "balances",
    ];
    let rows = async |database: &Database, table: &str| -> Vec<String> {
        sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT row::text FROM (SELECT to_jsonb(t) - 'written_at' - 'month' - 'payment_month' AS row FROM {table} AS t)
                 AS rows ORDER BY 1"
        )))
        .fetch_all(database.pool())
        .await
        .unwrap()
    };
    let chain = half_a_year();
    let half = chain.blocks.len() / 2;
    let at_half = Database::new().await;
    index(&at_half, Script::of(&chain.up_to(half))).await.unwrap();

    // The same rows in the tables of the version before.
    let database = Database::without_schema().await;
    MIGRATIONS.run_to(8, database.pool()).await.unwrap();
    for table in TABLES {
        let content: serde_json::Value = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM {table} AS t"
        )))
        .fetch_one(at_half.pool())
        .await
        .unwrap();
        sqlx::query(AssertSqlSafe(format!(
            "INSERT INTO {table} SELECT * FROM jsonb_populate_recordset(NULL::{table}, $1)"
        )))
        .bind(content)
        .execute(database.pool())
        .await
        .unwrap();
    }
    let before: Vec<u32> = filenodes(&database, "").await;
    migrate(database.pool()).await.unwrap();
    for table in TABLES {
        assert_eq!(rows(&database, table).await, rows(&at_half, table).await, "{table}");
    }
    assert_eq!(filenodes(&database, "_before").await, before, "no table was rewritten");

    // A block of those that are there already, then the rest, refunds of payments from before among them.
    let last = BlockRef::of(&chain.blocks[half - 1]);
    let again = BlockRef::of(&chain.blocks[half - 2]);
    let set = "UPDATE cursor SET slot = $1, blockhash = $2, final_slot = $1, final_hash = $2";
    sqlx::query(set)
        .bind(i64::try_from(again.slot).unwrap())
        .bind(again.hash.as_ref())
        .execute(database.pool())
        .await
        .unwrap();
    let written =
        writer(&database, &chain).write(&Stretch::of(Some(again), &chain.blocks[half - 1..half]).unwrap()).await;
    assert_eq!(written.unwrap(), Written { events: 0 });
    let written = writer(&database, &chain).write(&Stretch::of(Some(last), &chain.blocks[half..]).unwrap()).await;
    assert!(written.unwrap().events > 0);
    let undisturbed = Database::new().await;
    index(&undisturbed, Script::of(&chain)).await.unwrap();
    for table in TABLES {
        assert_eq!(rows(&database, table).await, rows(&undisturbed, table).await, "{table}");
    }
    for table in ["rollups", "rollup_grants", "payers", "user_months", "exposures"] {
        assert_eq!(rows(&database, table).await, rows(&undisturbed, table).await, "{table}");
    }
    let of_before: i64 =
        sqlx::query_scalar("SELECT count(*) FROM refunds WHERE payment_month = '0001-01-01' AND month > payment_month")
            .fetch_one(database.pool())
            .await
            .unwrap();
    assert!(of_before > 0, "some payments from before were refunded after");
}

/// The files of the tables that have rows from before.
async fn filenodes(database: &Database, ending: &str) -> Vec<u32> {
    let mut files = Vec::new();
    for table in PARTITIONED {
        let file: sqlx::postgres::types::Oid = sqlx::query_scalar("SELECT pg_relation_filenode($1::text::regclass)")
            .bind(format!("{table}{ending}"))
            .fetch_one(database.pool())
            .await
            .unwrap();
        files.push(file.0);
    }
    files
}
