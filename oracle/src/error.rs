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
    /// Another transaction stored the same at the same time. Try again.
    #[error("the same was stored by somebody else at the same time; try again")]
    Raced,
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] crate::settings::SettingsError),
    /// Two in one process share a registry.
    #[error("the metrics cannot be registered: {0}; give each its own registry")]
    Metrics(#[from] prometheus::Error),
    /// Nothing can be posted.
    #[error("webhooks cannot be sent: {0}")]
    Http(#[from] reqwest::Error),
}

impl OracleError {
    /// Whether it was only that two transactions met.
    pub(crate) fn is_race(&self) -> bool {
        match self {
            Self::Raced => true,
            // unique_violation, deadlock_detected, serialization_failure
            Self::Database(sqlx::Error::Database(error)) => {
                matches!(error.code().as_deref(), Some("23505" | "40P01" | "40001"))
            }
            _ => false,
        }
    }
}
