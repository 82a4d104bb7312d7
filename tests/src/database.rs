//! A database for each test, on the Postgres that `DATABASE_URL` names.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use rebate_local::{LocalPostgres, LocalPostgresError};
use sqlx::PgPool;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgPoolOptions;

/// The folder of the schema's migrations.
pub const MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");

/// The folder of the oracle's.
pub const ORACLE_MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../oracle/migrations");

/// The folder of the operators'.
pub const OPERATORS_MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../operators/migrations");

/// A fresh database of one test's own. It goes when this value does, also where the test fails.
#[derive(Debug)]
pub struct TestDatabase {
    postgres: LocalPostgres,
    name: String,
    pool: PgPool,
}

/// Why a test has no database.
#[derive(Debug, thiserror::Error)]
pub enum TestDatabaseError {
    /// Nobody started a Postgres for the tests.
    #[error("DATABASE_URL is not set; run the tests with `make test`, or: rebate-local postgres -- cargo nextest run")]
    NoPostgres,
    /// The database could not be made.
    #[error(transparent)]
    Postgres(#[from] LocalPostgresError),
    /// The new database could not be reached.
    #[error("cannot connect to the new database: {0}; has Postgres reached max_connections?")]
    Connect(#[from] sqlx::Error),
    /// A migration failed.
    #[error("a migration in migrations/ failed: {0}; mend that file")]
    Migrate(#[from] MigrateError),
}

impl TestDatabase {
    /// A database with all migrations applied.
    pub async fn new() -> Result<Self, TestDatabaseError> {
        Self::with(MIGRATIONS).await
    }

    /// A database as the oracle has it.
    pub async fn of_oracle() -> Result<Self, TestDatabaseError> {
        Self::with(ORACLE_MIGRATIONS).await
    }

    /// A database as operators have it.
    pub async fn of_operators() -> Result<Self, TestDatabaseError> {
        Self::with(OPERATORS_MIGRATIONS).await
    }

    async fn with(migrations: &str) -> Result<Self, TestDatabaseError> {
        let database = Self::without_migrations().await?;
        // Read at run time: a migration added since the tests were compiled counts too.
        Migrator::new(Path::new(migrations)).await?.run(&database.pool).await?;
        Ok(database)
    }

    /// A database with nothing in it.
    pub async fn without_migrations() -> Result<Self, TestDatabaseError> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let url = std::env::var("DATABASE_URL").map_err(|_| TestDatabaseError::NoPostgres)?;
        let postgres = LocalPostgres::named(&url)?;
        // The process alone would do until its number comes round again on a Postgres that outlives this run.
        let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_micros());
        let name = format!("test_{now}_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        postgres.create_database(&name).await?;
        let pool = PgPoolOptions::new().max_connections(10).connect_lazy(&postgres.url(&name))?;
        Ok(Self { postgres, name, pool })
    }

    /// Connections to it, made when they are needed.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Its URL, for a process that connects by itself.
    pub fn url(&self) -> String {
        self.postgres.url(&self.name)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // A test's runtime may be ending and cannot wait for anything here, so another one does, in another thread.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                    return;
                };
                // What stays behind on somebody's Postgres has a name that tells what it is.
                let _left = runtime.block_on(self.postgres.drop_database(&self.name));
            });
        });
    }
}
