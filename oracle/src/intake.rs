//! Durable before answered: a notice and the record it stands for are one transaction, and only after it the answer is yes.
//!
//! Notices that come at the same time share a transaction, so that they share its wait for the disk, too. What is new goes in by
//! one statement. What is there already, whole or in part, is looked at one by one:
//!
//! - the same notice about the same record, or another notice about it: yes, and no second record;
//! - the same number or the same notice with another record: no, and a row in `conflicts`; nothing is signed.
//!
//! After a crash between commit and answer the provider sends again, and it is the first case.

use crate::{OracleError, metrics::Metrics, order::Encoded};
use axum::body::Bytes;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinSet,
};

/// Wakes whoever brings records onto the chain.
pub const QUEUED: &str = "oracle_queued";

/// One telling is enough for all that comes within this time.
const TELL_AT_MOST_EVERY: Duration = Duration::from_millis(5);

/// So many connections of each writer go to what is not new.
const MOST_BESIDE: usize = 4;

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

/// Tells whoever brings records onto the chain that there are some, until the last writer is gone. It is no part of the
/// transactions: Postgres lets only one that notifies commit at a time. Whom this does not reach looks by itself.
async fn tell(pool: PgPool, mut rung: mpsc::Receiver<()>) {
    while rung.recv().await.is_some() {
        if let Err(error) = sqlx::query!("SELECT pg_notify($1, '')", QUEUED).fetch_one(&pool).await {
            tracing::debug!("nobody was told of new records: {error}");
        }
        tokio::time::sleep(TELL_AT_MOST_EVERY).await;
    }
}

struct Writer {
    pool: PgPool,
    platform: [u8; 32],
    metrics: Metrics,
    bell: mpsc::Sender<()>,
}

impl Writer {
    async fn run(self, waiting: Arc<Mutex<mpsc::Receiver<Job>>>, batch: usize) {
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

    fn ring(&self) {
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

    /// Stores those whose number and notice are new, and returns their numbers. One statement, hence one transaction and one
    /// round trip; all is sorted, so that two such statements wait for each other in one order.
    async fn store_new(&self, new: &[&Incoming]) -> Result<HashSet<String>, OracleError> {
        if new.is_empty() {
            return Ok(HashSet::new());
        }
        let providers: Vec<&str> = new.iter().map(|one| &*one.provider).collect();
        let events: Vec<&str> = new.iter().map(|one| one.event.as_str()).collect();
        let bodies: Vec<&[u8]> = new.iter().map(|one| &*one.body).collect();
        let kinds: Vec<i16> = new.iter().map(|one| i16::from(one.record.kind)).collect();
        let numbers: Vec<&str> = new.iter().map(|one| one.record.number.as_str()).collect();
        let hashes: Vec<&[u8]> = new.iter().map(|one| one.record.order_hash.as_slice()).collect();
        let records: Vec<&[u8]> = new.iter().map(|one| one.record.record.as_slice()).collect();
        let users: Vec<Option<&str>> =
            new.iter().map(|one| one.record.user.as_ref().map(|(user, _)| user.as_str())).collect();
        let secrets: Vec<Option<i16>> =
            new.iter().map(|one| one.record.user.as_ref().map(|(_, secret)| *secret)).collect();
        let refunds: Vec<Option<&str>> = new.iter().map(|one| one.record.refund_of.as_deref()).collect();
        let keys: Vec<Option<&[u8]>> =
            new.iter().map(|one| one.record.signed.as_ref().map(|(key, _)| key.as_slice())).collect();
        let signatures: Vec<Option<&[u8]>> =
            new.iter().map(|one| one.record.signed.as_ref().map(|(_, signature)| signature.as_slice())).collect();
        let recorded = sqlx::query_scalar!(
            r#"WITH came AS MATERIALIZED (
                 SELECT * FROM unnest($2::text[], $3::text[], $4::bytea[], $5::smallint[], $6::text[], $7::bytea[], $8::bytea[],
                                      $9::text[], $10::smallint[], $11::text[], $12::bytea[], $13::bytea[])
                   AS came(provider, event, body, kind, number, order_hash, record, user_id, secret, refund_of, key, signature)
             ), new_records AS (
                 INSERT INTO records (platform, kind, number, order_hash, record, user_id, refund_of, provider,
                                      signed_key, signed_signature)
                 SELECT $1, kind, number, order_hash, record, user_id, refund_of, provider, key, signature FROM came
                 WHERE NOT EXISTS (SELECT FROM notices WHERE notices.provider = came.provider AND notices.event = came.event)
                 ORDER BY number
                 ON CONFLICT (platform, number) DO NOTHING
                 RETURNING id, number
             ), new_notices AS (
                 INSERT INTO notices (provider, event, body, record)
                 SELECT provider, event, body, id FROM came JOIN new_records USING (number) ORDER BY provider, event
             ), new_users AS (
                 INSERT INTO users (platform, user_id, secret)
                 SELECT DISTINCT ON (user_id) $1, user_id, secret FROM came WHERE user_id IS NOT NULL
                   AND NOT EXISTS (SELECT FROM users WHERE users.platform = $1 AND users.user_id = came.user_id)
                 ORDER BY user_id
                 ON CONFLICT DO NOTHING
             )
             SELECT number AS "number!" FROM new_records"#,
            self.platform.as_slice(),
            providers.as_slice() as &[&str],
            events.as_slice() as &[&str],
            bodies.as_slice() as &[&[u8]],
            &kinds,
            numbers.as_slice() as &[&str],
            hashes.as_slice() as &[&[u8]],
            records.as_slice() as &[&[u8]],
            users.as_slice() as &[Option<&str>],
            secrets.as_slice() as &[Option<i16>],
            refunds.as_slice() as &[Option<&str>],
            keys.as_slice() as &[Option<&[u8]>],
            signatures.as_slice() as &[Option<&[u8]>],
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(recorded.into_iter().collect())
    }

    /// Stores one of which something may be there.
    async fn store_one(&self, incoming: &Incoming) -> Result<Stored, OracleError> {
        let mut transaction = self.pool.begin().await?;
        // Whoever stores the same number or notice, or another refund of the same order, waits here. In one order.
        let record = &incoming.record;
        let mut locks = vec![
            format!("event {} {}", incoming.provider, incoming.event),
            format!("number {}", record.refund_of.as_deref().unwrap_or(&record.number)),
            format!("number {}", record.number),
        ];
        locks.sort_unstable();
        locks.dedup();
        for lock in locks {
            sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", lock)
                .fetch_one(&mut *transaction)
                .await?;
        }
        let stored = self.decide(&mut transaction, incoming).await?;
        transaction.commit().await?;
        if stored == Stored::Recorded {
            self.ring();
        }
        if let Stored::Conflict { number } = &stored {
            self.metrics.conflicts.inc();
            // For an operator. Neither the body nor the user is in it.
            tracing::error!(
                provider = %incoming.provider, event = %incoming.event, number = %number,
                "a notice contradicts what is on record; nothing was signed, look into the table conflicts"
            );
        }
        Ok(stored)
    }

    async fn decide(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        incoming: &Incoming,
    ) -> Result<Stored, OracleError> {
        let Incoming { provider, event, body, record } = incoming;
        let of_notice = sqlx::query!(
            "SELECT id, number, record, refund_total FROM records
             WHERE id = (SELECT record FROM notices WHERE provider = $1 AND event = $2)",
            &**provider,
            event,
        )
        .fetch_optional(&mut **transaction)
        .await?;
        if let Some(known) = of_notice {
            // A notice of a refund that another one's sum covers stands for that one.
            let is_covered =
                record.refund_total.is_some_and(|total| known.refund_total.is_some_and(|of| to_u64(of) >= total));
            let same_number = known.number == record.number;
            let is_same = match record.refund_total {
                None => same_number && known.record == record.record,
                Some(total) if same_number => known.refund_total.map(to_u64) == Some(total),
                Some(_) => is_covered,
            };
            return if is_same { Ok(Stored::Known) } else { self.conflict(transaction, incoming, known.id).await };
        }
        let of_number = sqlx::query!(
            "SELECT id, record, refund_total FROM records WHERE platform = $1 AND number = $2",
            self.platform.as_slice(),
            record.number,
        )
        .fetch_optional(&mut **transaction)
        .await?;
        if let Some(known) = of_number {
            let is_same = match record.refund_total {
                None => known.record == record.record,
                Some(total) => known.refund_total.map(to_u64) == Some(total),
            };
            if !is_same {
                return self.conflict(transaction, incoming, known.id).await;
            }
            note(transaction, provider, event, body, known.id).await?;
            return Ok(Stored::Known);
        }
        let mut record = record.clone();
        if let (Some(total), Some(of)) = (record.refund_total, record.refund_of.clone()) {
            let before = sqlx::query!(
                "SELECT id, refund_total FROM records WHERE platform = $1 AND refund_of = $2 AND refund_total IS NOT NULL
                 ORDER BY refund_total DESC LIMIT 1",
                self.platform.as_slice(),
                of,
            )
            .fetch_optional(&mut **transaction)
            .await?;
            if let Some(before) = before {
                let so_far = before.refund_total.map_or(0, to_u64);
                let Some(more) = total.checked_sub(so_far).filter(|more| *more > 0) else {
                    // It came late: a later refund's sum has it.
                    note(transaction, provider, event, body, before.id).await?;
                    return Ok(Stored::Known);
                };
                record = record.with_refund_amount(more);
            }
        }
        let id = self.insert(transaction, provider, &record).await?;
        let Some(id) = id else {
            // Somebody's statement for many put the number there since we looked: look again.
            return Err(OracleError::Raced);
        };
        note(transaction, provider, event, body, id).await?;
        Ok(Stored::Recorded)
    }

    async fn insert(
        &self,
        connection: &mut PgConnection,
        provider: &str,
        record: &Encoded,
    ) -> Result<Option<i64>, OracleError> {
        if let Some((user, secret)) = &record.user {
            sqlx::query!(
                "INSERT INTO users (platform, user_id, secret) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                self.platform.as_slice(),
                user,
                secret,
            )
            .execute(&mut *connection)
            .await?;
        }
        Ok(sqlx::query_scalar!(
            "INSERT INTO records (platform, kind, number, order_hash, record, user_id, refund_of, refund_total, provider,
                                  signed_key, signed_signature)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT (platform, number) DO NOTHING RETURNING id",
            self.platform.as_slice(),
            i16::from(record.kind),
            record.number,
            record.order_hash.as_slice(),
            record.record,
            record.user.as_ref().map(|(user, _)| user.as_str()),
            record.refund_of,
            record.refund_total.and_then(|total| i64::try_from(total).ok()),
            provider,
            record.signed.as_ref().map(|(key, _)| key.as_slice()),
            record.signed.as_ref().map(|(_, signature)| signature.as_slice()),
        )
        .fetch_optional(connection)
        .await?)
    }

    async fn conflict(
        &self,
        connection: &mut PgConnection,
        incoming: &Incoming,
        known: i64,
    ) -> Result<Stored, OracleError> {
        sqlx::query!(
            "INSERT INTO conflicts (provider, event, number, record, came, body) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (provider, event, number, came) DO UPDATE SET times = conflicts.times + 1, last_at = now()",
            &*incoming.provider,
            incoming.event,
            incoming.record.number,
            known,
            incoming.record.record,
            &*incoming.body,
        )
        .execute(connection)
        .await?;
        Ok(Stored::Conflict { number: incoming.record.number.clone() })
    }
}

/// Keeps one more notice about a record.
async fn note(
    connection: &mut PgConnection,
    provider: &str,
    event: &str,
    body: &[u8],
    record: i64,
) -> Result<(), OracleError> {
    sqlx::query!(
        "INSERT INTO notices (provider, event, body, record) VALUES ($1, $2, $3, $4)",
        provider,
        event,
        body,
        record,
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn to_u64(total: i64) -> u64 {
    total.unsigned_abs()
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
