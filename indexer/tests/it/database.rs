//! A database of one test's own.

use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
    time::UNIX_EPOCH,
};

/// A fresh database with the schema, on the server that `DATABASE_URL` names.
pub struct Database {
    name: String,
    server: PgConnectOptions,
    pool: PgPool,
}

/// Where a database stands.
#[derive(sqlx::FromRow)]
pub struct At {
    pub slot: i64,
    pub hash: Vec<u8>,
    pub final_slot: Option<i64>,
}

impl Database {
    pub async fn new() -> Self {
        let database = Self::without_schema().await;
        rebate_indexer::database::migrate(&database.pool).await.unwrap();
        database
    }

    pub async fn without_schema() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let url = std::env::var("DATABASE_URL")
            .expect("DATABASE_URL is not set: these tests need a Postgres, run them with `make test`");
        let server = PgConnectOptions::from_str(&url).expect("DATABASE_URL is no address of a Postgres");
        let name = format!(
            "indexer_{}_{}_{}",
            UNIX_EPOCH.elapsed().unwrap().as_micros(),
            std::process::id(),
            MADE.fetch_add(1, Ordering::Relaxed)
        );
        execute(&server, format!("CREATE DATABASE {name} TEMPLATE template0")).await;
        let pool = PgPoolOptions::new().max_connections(4).connect_lazy_with(server.clone().database(&name));
        Self { name, server, pool }
    }

    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// How to connect to it.
    pub fn options(&self) -> PgConnectOptions {
        self.server.clone().database(&self.name)
    }

    pub async fn count(&self, table: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}"))).fetch_one(&self.pool).await.unwrap()
    }

    pub async fn execute(&self, statement: &str) {
        self.pool.execute(sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))).await.unwrap();
    }

    /// Empties every table.
    pub async fn clear(&self) {
        self.execute(
            "DO $$ BEGIN EXECUTE (
                 SELECT 'TRUNCATE ' || string_agg(format('%I', relname), ', ') FROM pg_class
                 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
                     AND relname <> '_sqlx_migrations'
             ); END $$",
        )
        .await;
    }

    /// Its tables; a partitioned one is one.
    pub async fn tables(&self) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT relname::text FROM pg_class
             WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
             ORDER BY relname",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// Every row of every table as text, but for what says which of it is final.
    pub async fn rows(&self) -> String {
        let mut content = String::new();
        for table in self.tables().await {
            let columns = match table.as_str() {
                "undo" | "provisional_stretches" => continue,
                "cursor" => "to_jsonb(cursor) - '{written_at,final_slot,final_hash}'::text[]",
                whole => whole,
            };
            let rows: Vec<String> =
                sqlx::query_scalar(AssertSqlSafe(format!("SELECT ({columns})::text FROM {table} ORDER BY 1")))
                    .fetch_all(&self.pool)
                    .await
                    .unwrap();
            content.push_str(&format!("{table}\n{}\n", rows.join("\n")));
        }
        content
    }

    /// As [`Self::content`], of databases that were read at different commitments.
    pub async fn content_but_finality(&self) -> String {
        self.content_at_once().await.1
    }

    /// The same, and where the database stands, as of one moment.
    pub async fn content_at_once(&self) -> (Option<At>, String) {
        self.content_without("'{written_at,commitment,final_slot,final_hash}'::text[]").await
    }

    /// Everything in it that the chain decides, as text: two databases of the same blocks are equal in it.
    pub async fn content(&self) -> String {
        self.content_without("'written_at'").await.1
    }

    async fn content_without(&self, columns: &str) -> (Option<At>, String) {
        const TABLES: [&str; 27] = [
            "cursor",
            "transactions",
            "events",
            "journals",
            "journal_months",
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
            "rollups",
            "rollup_grants",
            "payers",
            "user_months",
            "exposures",
        ];
        let mut snapshot = self.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.unwrap();
        let at = sqlx::query_as("SELECT slot, blockhash AS hash, final_slot FROM cursor")
            .fetch_optional(&mut *snapshot)
            .await
            .unwrap();
        let mut content = String::new();
        for table in TABLES {
            let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
                "SELECT row::text FROM (SELECT to_jsonb(t) - {columns} AS row FROM {table} AS t) AS rows ORDER BY 1"
            )))
            .fetch_all(&mut *snapshot)
            .await
            .unwrap();
            content.push_str(&format!("{table}\n{}\n", rows.join("\n")));
        }
        (at, content)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Also where the test fails. The test's runtime may be ending, so another one waits for the server.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(execute(&self.server, format!("DROP DATABASE {} WITH (FORCE)", self.name)));
            });
        });
    }
}

async fn execute(server: &PgConnectOptions, statement: String) {
    let mut connection =
        PgConnection::connect_with(server).await.expect("the Postgres that DATABASE_URL names cannot be reached");
    connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await.unwrap();
}
