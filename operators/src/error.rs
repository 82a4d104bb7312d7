//! Why nothing was done.

use thiserror::Error;

/// Why nothing was done. None of these says a secret.
#[derive(Debug, Error)]
pub enum OperatorsError {
    /// The database cannot be asked. Try again.
    #[error("the operators' database failed: {0}; check that Postgres runs and that OPERATORS_DATABASE_URL is right")]
    Database(#[from] sqlx::Error),
    /// The database is not one that this code reads.
    #[error("the operators' database cannot be migrated: {0}; begin with an empty database, or restore a backup")]
    Schema(#[from] sqlx::migrate::MigrateError),
    /// A row is not what this code wrote.
    #[error("the operators' database holds what this code never wrote: {0}")]
    Damaged(String),
    /// The system has no randomness.
    #[error("the system gives no random bytes, so no key can be made")]
    NoRandomness,
    /// A key cannot be called that.
    #[error("a key's name has 1 to {} characters, none of them a control character", crate::keys::LONGEST_NAME)]
    Name,
    /// A key cannot be made that does not hold any more.
    #[error("the key would expire in the past; name a time to come")]
    Expired,
    /// There is none, or it was revoked before.
    #[error("no key {0} is in force; `rebate operator key list` shows all there are")]
    NoKey(crate::key::KeyId),
}
