//! Takes waiting notices by the batch, stores what is new together and the rest one by one, and answers.

use super::{Incoming, Job, NotStored, QUEUED, Stored};
use crate::{OracleError, metrics::Metrics};
use sqlx::PgPool;
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
};

/// One telling is enough for all that comes within this time.
const TELL_AT_MOST_EVERY: Duration = Duration::from_millis(5);

/// So many connections of each writer go to what is not new.
const MOST_BESIDE: usize = 4;

/// Tells whoever brings records onto the chain that there are some, until the last writer is gone. It is no part of the
/// transactions: Postgres lets only one that notifies commit at a time. Whom this does not reach looks by itself.
pub(super) async fn tell(pool: PgPool, mut rung: mpsc::Receiver<()>) {
    while rung.recv().await.is_some() {
        if let Err(error) = sqlx::query!("SELECT pg_notify($1, '')", QUEUED).fetch_one(&pool).await {
            tracing::debug!("nobody was told of new records: {error}");
        }
        tokio::time::sleep(TELL_AT_MOST_EVERY).await;
    }
}

pub(super) struct Writer {
    pub(super) pool: PgPool,
    pub(super) platform: [u8; 32],
    pub(super) metrics: Metrics,
    pub(super) bell: mpsc::Sender<()>,
}

impl Writer {
    pub(super) async fn run(self, waiting: Arc<Mutex<mpsc::Receiver<Job>>>, batch: usize) {
        let writer = Arc::new(self);
        let mut jobs = Vec::with_capacity(batch);
        // What is not new is beside, so that many who try again keep nobody waiting who is new.
        let mut beside = JoinSet::new();
        loop {
            // Whoever waits for jobs holds the lock; the others store meanwhile.
            if waiting.lock().await.recv_many(&mut jobs, batch).await == 0 {
                break;
            }
            writer.metrics.batch.observe(jobs.len() as f64);
            let rest = writer.store(std::mem::take(&mut jobs)).await;
            while beside.try_join_next().is_some() {}
            if rest.is_empty() {
                continue;
            }
            if beside.len() >= MOST_BESIDE {
                beside.join_next().await;
            }
            let writer = Arc::clone(&writer);
            beside.spawn(async move { writer.store_each(rest).await });
        }
        while beside.join_next().await.is_some() {}
    }

    pub(super) fn ring(&self) {
        // One that is rung already is enough.
        let _ = self.bell.try_send(());
    }

    /// Stores what is new in one transaction and returns the rest.
    async fn store(&self, jobs: Vec<Job>) -> Vec<Job> {
        // Only one of each number and notice can be new in one statement.
        let (mut numbers, mut events) = (HashSet::new(), HashSet::new());
        let is_first: Vec<bool> = jobs
            .iter()
            .map(|Job { incoming, .. }| {
                let is_direct = incoming.record.refund_total.is_none();
                is_direct
                    && events.insert((incoming.provider.clone(), incoming.event.clone()))
                    && numbers.insert(incoming.record.number.clone())
            })
            .collect();
        let first: Vec<&Incoming> =
            jobs.iter().zip(&is_first).filter(|(_, first)| **first).map(|(job, _)| &job.incoming).collect();
        let recorded = match self.store_new(&first).await {
            Ok(recorded) => recorded,
            // Two processes stored parts of the same in another order, or one notice stands for two records: one by one,
            // each finds out what is the matter with it.
            Err(OracleError::Database(sqlx::Error::Database(error)))
                if matches!(error.code().as_deref(), Some("23505" | "40P01" | "40001")) =>
            {
                HashSet::new()
            }
            Err(error) => {
                fail(jobs, error);
                return Vec::new();
            }
        };
        if !recorded.is_empty() {
            self.ring();
        }
        let mut rest = Vec::new();
        for (job, first) in jobs.into_iter().zip(is_first) {
            if first && recorded.contains(&job.incoming.record.number) {
                // Whoever went away asks again.
                let _ = job.answer.send(Ok(Stored::Recorded));
            } else {
                rest.push(job);
            }
        }
        rest
    }

    /// Stores one after the other, of which something may be there.
    async fn store_each(&self, jobs: Vec<Job>) {
        for Job { incoming, answer } in jobs {
            let stored = match self.store_one(&incoming).await {
                // What was in the way is there now.
                Err(error) if error.is_race() => self.store_one(&incoming).await,
                stored => stored,
            };
            let _ = answer.send(stored.map_err(not_stored));
        }
    }
}

fn not_stored(error: OracleError) -> NotStored {
    log(&error);
    NotStored::Database(Arc::new(error))
}

fn fail(jobs: Vec<Job>, error: OracleError) {
    log(&error);
    let error = Arc::new(error);
    for job in jobs {
        let _ = job.answer.send(Err(NotStored::Database(Arc::clone(&error))));
    }
}

/// An outage is one line in a while, not one for each notice.
fn log(error: &OracleError) {
    static FAILED: AtomicUsize = AtomicUsize::new(0);
    if FAILED.fetch_add(1, Ordering::Relaxed).is_multiple_of(100) {
        tracing::error!("notices are not stored: {error}");
    }
}
