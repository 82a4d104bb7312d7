//! Why a back-test came to nothing.

use rebate_client::{Pubkey, event::DecodeError};
use thiserror::Error;

/// Why a back-test came to nothing.
#[derive(Debug, Error)]
pub enum BacktestError {
    /// The time makes no sense.
    #[error("the time to test is empty: {from} is not before {to}")]
    EmptyRange {
        /// Its beginning.
        from: String,
        /// Its end.
        to: String,
    },
    /// The database has no such platform.
    #[error("the database has no platform {0}; the API lists those it has at /v1/platforms")]
    UnknownPlatform(Pubkey),
    /// The database has none, or several and none was named.
    #[error("the database has {0} platforms; name one")]
    NotNamed(usize),
    /// The draft is for another platform.
    #[error("the draft does not fit the platform: {0}")]
    Draft(String),
    /// Somebody asked to stop it.
    #[error("the back-test was cancelled")]
    Cancelled,
    /// The database does not answer.
    #[error("the database does not answer: {0}")]
    Database(#[from] sqlx::Error),
    /// The database sent something else than rows.
    #[error("the database's answer cannot be read: {0}")]
    Answer(&'static str),
    /// An event of the journal cannot be read.
    #[error("event {index} of the journal cannot be read: {why}")]
    Event {
        /// Its place in the journal.
        index: u64,
        /// What is wrong with it.
        why: DecodeError,
    },
    /// The journal has a gap.
    #[error("event {expected} of the journal is missing: {found} comes next; compare the tables with the chain")]
    Gap {
        /// The one that should come.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// The journal contradicts itself.
    #[error("event {index} of the journal cannot be followed: {why}; compare the tables with the chain")]
    Contradiction {
        /// Its place in the journal.
        index: u64,
        /// What is wrong.
        why: String,
    },
}
