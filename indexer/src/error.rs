//! Why the indexer stopped.

use crate::{database::DatabaseError, source::SourceError, stretch::StretchError, write::WriteError};
use rebate_integrity::verdict::Mismatch;
use solana_program::hash::Hash;
use thiserror::Error;

/// Why the indexer stopped. What was written is whole; starting again goes on from there.
#[derive(Debug, Error)]
pub enum IndexError {
    /// The source cannot go on.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A block cannot be read.
    #[error(transparent)]
    Stretch(#[from] StretchError),
    /// A block cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The database is of another chain. Nothing was written.
    #[error(
        "the database holds the chain with genesis hash {stored}, and the source yields the one with {found}; \
         give the right address, or begin with an empty database"
    )]
    OtherChain {
        /// What the database holds.
        stored: Hash,
        /// What the source yields.
        found: Hash,
    },
    /// The tables are not what the chain has. Nothing more is written until that is mended.
    #[error(
        "the tables are not what the chain has, so nothing more is written: {0}. `rebate verify --all --database` finds all \
         that differs; mend it, or index into an empty database, and then say so with `rebate index resume`"
    )]
    Mismatch(Box<Mismatch>),
    /// Two indexers in one process share a registry.
    #[error("the metrics cannot be registered: {0}; give every indexer a registry of its own")]
    Metrics(#[from] prometheus::Error),
}

impl IndexError {
    /// Whether it goes away by itself, so that reading the cursor again and going on is right.
    pub(crate) fn is_outage_of_database(&self) -> bool {
        match self {
            Self::Database(error) | Self::Write(WriteError::Database(error)) => error.is_temporary(),
            _ => false,
        }
    }
}
