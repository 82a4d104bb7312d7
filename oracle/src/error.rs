//! Why the oracle did not do what it was asked.

use thiserror::Error;

/// Why the oracle did not do what it was asked.
#[derive(Debug, Error)]
pub enum OracleError {
    /// The database cannot be asked. What was answered with yes is stored; try again.
    #[error("the oracle's database failed: {0}; check that Postgres runs and that ORACLE_DATABASE_URL is right")]
    Database(#[from] sqlx::Error),
    /// The database is not one that this code reads.
    #[error("the oracle's database cannot be migrated: {0}; begin with an empty database, or restore a backup")]
    Schema(#[from] sqlx::migrate::MigrateError),
}
