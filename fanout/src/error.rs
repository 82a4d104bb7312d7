//! Why the fan-out stopped, or has to try again.

use crate::{events::EventId, nats::NatsError};
use rebate_client::event::DecodeError;
use thiserror::Error;

/// Why the fan-out stopped, or has to try again. What was acknowledged is not lost; starting again goes on from there.
#[derive(Debug, Error)]
pub enum FanoutError {
    /// The database cannot be asked.
    #[error("the database failed: {0}; check that Postgres runs and that DATABASE_URL is the indexer's")]
    Database(#[from] sqlx::Error),
    /// The database is not one that this code reads.
    #[error("the database lacks tables of this version ({0}); start rebate-indexer of the same version first")]
    Schema(String),
    /// NATS cannot be used.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// An event is newer than this code. Update it.
    #[error("event {id} cannot be read: {source}")]
    Undecodable {
        /// The event.
        id: EventId,
        /// Why.
        source: DecodeError,
    },
    /// Nothing can be posted.
    #[error("webhooks cannot be sent: {0}")]
    Http(#[from] reqwest::Error),
    /// Two of them in one process share a registry.
    #[error("the metrics cannot be registered: {0}; give each its own registry")]
    Metrics(#[from] prometheus::Error),
}

impl FanoutError {
    /// Whether waiting mends it.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Database(_) => true,
            Self::Nats(error) => error.is_temporary(),
            Self::Schema(_) | Self::Undecodable { .. } | Self::Http(_) | Self::Metrics(_) => false,
        }
    }
}
