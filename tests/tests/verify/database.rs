//! A whole platform with an indexer's database.

use crate::evening::{Evening, all_async, verification};
use rebate_cli::verify::Databases;
use rebate_client::chain::Commitment;
use rebate_indexer::{source::BlockRef, stretch::Stretch, write::Writer};
use rebate_tests::database::TestDatabase;
use sqlx::{AssertSqlSafe, PgPool, Row};
use std::collections::BTreeMap;

struct Indexed {
    evening: Evening,
    database: TestDatabase,
}

impl Indexed {
    async fn new() -> Self {
        let evening = tokio::task::spawn_blocking(Evening::play).await.unwrap();
        let database = TestDatabase::new().await.unwrap();
        let chain = &evening.platform().chain;
        let writer = Writer::new(database.pool().clone(), chain.first_hash(), Commitment::Finalized);
        let mut last: Option<BlockRef> = None;
        for slot in 0..=chain.tip() {
            let block = chain.block(slot).unwrap();
            let stretch = Stretch::of(last, [&block]).unwrap();
            last = stretch.end();
            writer.write(&stretch).await.unwrap();
        }
        Self { evening, database }
    }

    async fn verify(&self) -> crate::evening::Said {
        let databases = Databases { url: self.database.url(), scratch: None };
        all_async(&verification(self.evening.platform()), self.evening.node(), Some(databases)).await
    }

    fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    async fn run(&self, statement: &str) -> u64 {
        sqlx::query(AssertSqlSafe(statement.to_owned())).execute(self.pool()).await.unwrap().rows_affected()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_the_indexer_wrote_agrees_in_every_table_and_nothing_is_left_behind() {
    let indexed = Indexed::new().await;
    let said = indexed.verify().await;
    said.assert_right();
    assert!(!said.out.contains("transactions.position"), "{}", said.out);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_database WHERE datname LIKE $1")
        .bind(format!("rebate\\_verify\\_%\\_{}", std::process::id()))
        .fetch_one(indexed.pool())
        .await
        .unwrap();
    assert_eq!(left, 0);
}

/// Without constraints, so that anything can be written; they are there again with the next database.
async fn without_constraints(indexed: &Indexed) {
    indexed
        .run(
            "DO $$ DECLARE c record; BEGIN
                 FOR c IN SELECT conrelid::regclass AS t, conname FROM pg_constraint
                     WHERE connamespace = current_schema()::regnamespace AND contype IN ('c', 'f') AND conparentid = 0 LOOP
                     EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', c.t, c.conname);
                 END LOOP;
             END $$",
        )
        .await;
}

/// The columns of every table that are no part of its key and no time of writing, with their types.
async fn columns(pool: &PgPool) -> BTreeMap<String, Vec<(String, String)>> {
    let rows = sqlx::query(
        "SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns AS columns
         JOIN information_schema.tables USING (table_schema, table_name)
         WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' AND table_name !~ '^_sqlx'
             AND column_name <> 'written_at'
             AND NOT EXISTS (SELECT FROM pg_class WHERE oid = quote_ident(table_name)::regclass AND relispartition)
             AND NOT EXISTS (
                 SELECT FROM pg_index WHERE indrelid = quote_ident(table_name)::regclass AND indisprimary
                     AND columns.ordinal_position = ANY (indkey::smallint[])
             )
         ORDER BY table_name, ordinal_position",
    );
    let mut all: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for row in rows.fetch_all(pool).await.unwrap() {
        all.entry(row.get(0)).or_default().push((row.get(1), row.get(2)));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn one_row_in_any_table_altered_by_hand_is_named_with_its_table_its_key_and_every_column() {
    let indexed = Indexed::new().await;
    without_constraints(&indexed).await;
    // The copy is no table of the schema that is compared.
    indexed.run("CREATE SCHEMA by_hand").await;
    let tables = columns(indexed.pool()).await;
    assert!(tables.len() > 15, "{tables:?}");
    for (table, columns) in tables {
        // What a revert would need, what an upgrade left to do, and the tree's nodes, of which there are none before 256 events.
        if ["undo", "provisional_stretches", "rollups_due", "tree_nodes"].contains(&table.as_str()) {
            continue;
        }
        // What is not the chain's, and where rows are kept.
        if ["integrity", "journal_months", "fanout_positions", "webhook_endpoints", "webhook_deliveries"]
            .contains(&table.as_str())
        {
            continue;
        }
        let of_chain = |column: &str| {
            !["month", "payment_month"].contains(&column)
                && (table != "cursor" || ["blockhash", "block_time"].contains(&column))
        };
        let altered: Vec<_> = columns.iter().filter(|(column, _)| of_chain(column)).collect();
        let set: Vec<_> =
            altered.iter().map(|(column, kind)| format!("\"{column}\" = {}", otherwise(column, kind))).collect();
        indexed.run(&format!("CREATE TABLE by_hand.before AS TABLE \"{table}\"")).await;
        let set = set.join(", ");
        let update = format!(
            "UPDATE \"{table}\" SET {set} WHERE (tableoid, ctid) = (SELECT tableoid, max(ctid) FROM \"{table}\" GROUP BY 1 LIMIT 1)"
        );
        let rows = indexed.run(&update).await;
        assert!(rows > 0, "{table} is empty; let something of it happen in the evening");
        let said = indexed.verify().await;
        said.assert_wrong(&["✗"]);
        for (column, _) in altered {
            let named = said.out.lines().any(|line| {
                line.starts_with(&format!("    {table}: the row ")) && line.contains(&format!(": {column} is "))
            });
            assert!(named, "{table}.{column} is not named:\n{}", said.out);
        }
        indexed.run(&format!("DELETE FROM \"{table}\"")).await;
        indexed.run(&format!("INSERT INTO \"{table}\" SELECT * FROM by_hand.before")).await;
        indexed.run("DROP TABLE by_hand.before").await;
    }
    indexed.verify().await.assert_right();
}

/// Another value of a column.
fn otherwise(column: &str, kind: &str) -> String {
    match kind {
        "bytea" => format!("coalesce(set_byte({column}, 0, get_byte({column}, 0) # 1), '\\x07')"),
        "smallint" | "integer" | "bigint" | "numeric" => format!("coalesce({column}, 0) + 1"),
        "text" => format!("coalesce({column}, '') || 'x'"),
        "boolean" => format!("NOT {column}"),
        "timestamp with time zone" => format!("coalesce({column}, 'epoch') + interval '1 second'"),
        "jsonb" => format!("jsonb_set({column}, '{{by_hand}}', '1')"),
        "ARRAY" => format!("{column} || '\\x00'::bytea"),
        other => panic!("{column} is {other}; say here how to alter it"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_too_many_and_a_row_too_few_are_named() {
    let indexed = Indexed::new().await;
    without_constraints(&indexed).await;
    indexed
        .run("DELETE FROM entries WHERE journal_index = (SELECT min(journal_index) FROM entries) AND position = 0")
        .await;
    indexed.verify().await.assert_wrong(&["entries: the row", "is missing"]);
    indexed.run("INSERT INTO claims SELECT platform, journal_index + 1, user_key, wallet, asset, amount, destination FROM claims").await;
    indexed.verify().await.assert_wrong(&["claims: the row", "is stored and should not be"]);
    indexed
        .run(
            "INSERT INTO transactions (signature, slot, position, month)
             SELECT decode(repeat('ab', 64), 'hex'), 1, 0, max(month) FROM transactions",
        )
        .await;
    indexed.verify().await.assert_wrong(&["transactions: the row signature abab", "no event is of it"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_byte_of_a_stored_event_is_named_by_its_index() {
    let indexed = Indexed::new().await;
    indexed
        .run("UPDATE events SET bytes = set_byte(bytes, 100, get_byte(bytes, 100) # 1) WHERE journal_index = 9")
        .await;
    let said = indexed.verify().await;
    said.assert_wrong(&["events: the row ", "journal_index 9: bytes is"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_behind_is_compared_as_far_as_it_is() {
    let indexed = Indexed::new().await;
    let evening = indexed.evening;
    let evening = tokio::task::spawn_blocking(move || {
        evening.platform().pay(&[rebate_tests::platform::payment("A9", "amy", 12_345)]).unwrap();
        evening
    });
    let indexed = Indexed { evening: evening.await.unwrap(), database: indexed.database };
    let said = indexed.verify().await;
    said.assert_right();
    assert!(said.out.contains("1 behind the chain's"), "{}", said.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_chain_is_refused() {
    let indexed = Indexed::new().await;
    indexed.run("UPDATE cursor SET genesis_hash = decode(repeat('ab', 32), 'hex')").await;
    indexed.verify().await.assert_wrong(&["another chain"]);
}
