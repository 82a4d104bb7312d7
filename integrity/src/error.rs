//! Why nothing can be said about integrity now.

use rebate_client::chain::ChainError;
use thiserror::Error;

/// Why nothing can be said about integrity now. It is no difference.
#[derive(Debug, Error)]
pub enum IntegrityError {
    /// The database does not answer, or not as it should.
    #[error("the database cannot be compared: {0}")]
    Database(#[from] sqlx::Error),
    /// The node does not answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The node takes too long.
    #[error("the node did not answer within {0} s; check that it runs and keeps up")]
    NodeSilent(u64),
    /// Nothing was indexed yet.
    #[error("no block was indexed yet: start the indexer")]
    NothingIndexed,
    /// The journal is longer than any can be.
    #[error("the database holds a journal of more than 2^40 events, which none can have: it is damaged")]
    TooLong,
}
