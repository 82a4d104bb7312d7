//! Durable before answered: a notice and the record it stands for are one transaction, and only after it the answer is yes.
//!
//! Notices that come at the same time share a transaction, so that they share its wait for the disk, too. What is new goes in by
//! one statement. What is there already, whole or in part, is looked at one by one:
//!
//! - the same notice about the same record, or another notice about it: yes, and no second record;
//! - the same number or the same notice with another record: no, and a row in `conflicts`; nothing is signed.
//!
//! After a crash between commit and answer the provider sends again, and it is the first case.

mod many;
mod one;
mod writer;

use crate::{OracleError, metrics::Metrics, order::Encoded};
use axum::body::Bytes;
use sqlx::PgPool;
use std::sync::Arc;
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinSet,
};
use writer::{Writer, tell};

/// Wakes whoever brings records onto the chain.
pub const QUEUED: &str = "oracle_queued";

/// The longest body that is taken, in bytes.
pub const LONGEST_BODY: usize = 64 * 1024;

/// A notice that was checked and read.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The provider's name.
    pub provider: Arc<str>,
    /// The notice's id with the provider.
    pub event: String,
    /// As it came, at most [`LONGEST_BODY`].
    pub body: Bytes,
    /// The record it stands for.
    pub record: Encoded,
}

/// What became of a notice. It is stored in every case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Its record is new and queued.
    Recorded,
    /// Its record is there already.
    Known,
    /// What is there contradicts it.
    Conflict {
        /// With which order.
        number: String,
    },
}

/// Why a notice could not be stored. Nothing of it was; it may be sent again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotStored {
    /// More wait than may.
    #[error("more notices come than are stored; send it again in a moment")]
    Busy,
    /// The process is ending.
    #[error("this server is stopping; send it again")]
    Stopping,
    /// The database does not answer, or says no.
    #[error("the database does not take it now; send it again in a moment")]
    Database(Arc<OracleError>),
}

type Answer = Result<Stored, NotStored>;

struct Job {
    incoming: Incoming,
    answer: oneshot::Sender<Answer>,
}

/// Stores notices. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Intake {
    jobs: mpsc::Sender<Job>,
    metrics: Metrics,
}

/// Does the storing, until the last [`Intake`] is gone and all that waits is stored. Nothing is stored once this is dropped.
#[derive(Debug)]
pub struct Writers(JoinSet<()>);

impl Writers {
    /// Waits for them.
    pub async fn finish(mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

/// What bounds an intake.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Notices that wait at most.
    pub waiting: usize,
    /// Notices in one transaction at most.
    pub batch: usize,
    /// Transactions at once.
    pub writers: usize,
}

impl Intake {
    /// Stores into the database behind `pool`, for `platform`. Must be called in a runtime.
    pub fn start(pool: &PgPool, platform: [u8; 32], bounds: Bounds, metrics: Metrics) -> (Self, Writers) {
        let (jobs, waiting) = mpsc::channel(bounds.waiting.max(1));
        let waiting = Arc::new(Mutex::new(waiting));
        let mut writers = JoinSet::new();
        let (bell, rung) = mpsc::channel(1);
        writers.spawn(tell(pool.clone(), rung));
        for _ in 0..bounds.writers.max(1) {
            let writer = Writer { pool: pool.clone(), platform, metrics: metrics.clone(), bell: bell.clone() };
            writers.spawn(writer.run(Arc::clone(&waiting), bounds.batch.max(1)));
        }
        (Self { jobs, metrics }, Writers(writers))
    }

    /// Stores one notice. Once this returns `Ok`, it stays stored.
    ///
    /// # Errors
    /// [`NotStored`].
    pub async fn store(&self, incoming: Incoming) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.jobs.try_send(Job { incoming, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NotStored::Busy,
            mpsc::error::TrySendError::Closed(_) => NotStored::Stopping,
        })?;
        self.metrics
            .waiting
            .set(i64::try_from(self.jobs.max_capacity().saturating_sub(self.jobs.capacity())).unwrap_or(0));
        answered.await.unwrap_or(Err(NotStored::Stopping))
    }
}
