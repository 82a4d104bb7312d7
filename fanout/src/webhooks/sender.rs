//! Sends what is due, again and again until it is taken or given up.

use super::{
    delivery::{NotDelivered, Post},
    endpoint::{self, Endpoint},
    queue::Queue,
    secret::{Key, Secret},
};
use crate::{
    FanoutError,
    events::{self, EventId, address, genesis_hash},
    message::{self, Subjects},
    metrics::{DATABASE, WebhookMetrics},
    pauses::Outage,
};
use async_nats::Client;
use backon::{BackoffBuilder, ExponentialBuilder};
use prometheus::Registry;
use reqwest::StatusCode;
use sqlx::PgPool;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    join, select,
    sync::Notify,
    task::{JoinHandle, JoinSet},
    time::{interval, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The longest time between two attempts.
const LONGEST: Duration = Duration::from_secs(4 * 3_600);

/// Who endpoints are told it is.
const AGENT: &str = concat!("rebate-fanout/", env!("CARGO_PKG_VERSION"));

/// How much longer each pause is than the one before.
const FACTOR: f32 = 3.0;

/// How often endpoints that came or went are noticed.
const ENDPOINTS_EVERY: Duration = Duration::from_secs(1);

/// How often to look for what is due: retries, and what another process put there.
const DUE_EVERY: Duration = Duration::from_millis(250);

/// How often old rows are removed.
const TIDY_EVERY: Duration = Duration::from_secs(600);

/// At most so many of them in one statement.
const TIDY_AT_ONCE: i64 = 10_000;

/// How webhooks are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendOptions {
    /// The stream that tells of events.
    pub stream: String,
    /// How long an endpoint may take for its answer.
    pub timeout: Duration,
    /// How many requests one endpoint is sent at the same time, at least 1.
    pub concurrency: usize,
    /// After so many attempts an event is given up, at least 1.
    pub attempts: u32,
    /// The pause after the first attempt; each is three times the one before, up to four hours, and up to twice that by
    /// chance.
    pub first_pause: Duration,
    /// How long what became of an event is remembered.
    pub keep: Duration,
    /// Whether http is allowed also beyond this machine.
    pub allow_http: bool,
}

impl SendOptions {
    /// What suits most: attempts over a day and more.
    pub fn new(stream: &str) -> Self {
        Self {
            stream: stream.to_owned(),
            timeout: Duration::from_secs(10),
            concurrency: 8,
            attempts: 14,
            first_pause: Duration::from_secs(5),
            keep: Duration::from_secs(30 * 86_400),
            allow_http: false,
        }
    }
}

/// Sends webhooks.
#[derive(Clone)]
pub struct Sender {
    pool: PgPool,
    client: Client,
    key: Key,
    post: Post,
    options: SendOptions,
    metrics: WebhookMetrics,
    filled: Arc<Notify>,
}

/// An event that is due, taken for one attempt.
struct Due {
    id: EventId,
    attempt: i32,
}

impl Sender {
    /// Reads from `pool` what the stream behind `client` tells of, and signs by `key`. Its metrics go to `registry`.
    ///
    /// # Errors
    /// [`FanoutError::Metrics`] if another one's metrics are in that registry, [`FanoutError::Http`] if nothing can be sent.
    pub fn new(
        pool: PgPool,
        client: Client,
        key: Key,
        options: SendOptions,
        registry: &Registry,
    ) -> Result<Self, FanoutError> {
        let post = Post::new(AGENT, options.timeout, options.allow_http)?;
        let metrics = WebhookMetrics::register(registry)?;
        Ok(Self { pool, client, key, post, options, metrics, filled: Arc::new(Notify::new()) })
    }

    /// What it tells about itself.
    pub fn metrics(&self) -> &WebhookMetrics {
        &self.metrics
    }

    /// Sends until `token` is cancelled, then finishes the attempts under way.
    ///
    /// # Errors
    /// [`FanoutError`] for what waiting does not mend.
    pub async fn run(&self, token: CancellationToken) -> Result<(), FanoutError> {
        let queue = Queue {
            pool: self.pool.clone(),
            client: self.client.clone(),
            stream: self.options.stream.clone(),
            metrics: self.metrics.clone(),
            filled: self.filled.clone(),
        };
        let all = token.child_token();
        let (queued, (), ()) = join!(
            async {
                let ended = queue.run(&all).await;
                // What ends it ends the others.
                all.cancel();
                ended
            },
            self.tidy(&all),
            self.endpoints(&all),
        );
        queued
    }

    /// A task for each endpoint, as they come and go.
    async fn endpoints(&self, token: &CancellationToken) {
        let mut running: HashMap<String, (Endpoint, CancellationToken, JoinHandle<()>)> = HashMap::new();
        let mut every = interval(ENDPOINTS_EVERY);
        while token.run_until_cancelled(every.tick()).await.is_some() {
            let enabled = match endpoint::enabled(&self.pool).await {
                Ok(enabled) => enabled,
                Err(error) => {
                    self.metrics.retries.with_label_values(&[DATABASE]).inc();
                    warn!("{error}; trying again until it works");
                    continue;
                }
            };
            let gone: Vec<String> = running
                .iter()
                .filter(|(_, (endpoint, _, task))| !enabled.contains(endpoint) || task.is_finished())
                .map(|(id, _)| id.clone())
                .collect();
            for id in gone {
                if let Some((_, stop, _)) = running.remove(&id) {
                    stop.cancel();
                    info!("endpoint {id} is not sent anything any more");
                }
            }
            for endpoint in enabled {
                if !running.contains_key(&endpoint.id) {
                    info!("endpoint {} is sent its events", endpoint.id);
                    let stop = token.child_token();
                    let (sender, of, told) = (self.clone(), endpoint.clone(), stop.clone());
                    let task = tokio::spawn(async move { sender.serve(of, told).await });
                    running.insert(endpoint.id.clone(), (endpoint, stop, task));
                }
            }
        }
        for (_, (_, _, task)) in running {
            // A task that panicked has said so.
            let _ = task.await;
        }
    }

    /// Sends one endpoint what is due until told to stop, then waits for the attempts under way.
    async fn serve(&self, endpoint: Endpoint, token: CancellationToken) {
        let secret = self.key.secret(&endpoint.id);
        let endpoint = Arc::new(endpoint);
        let mut attempts = JoinSet::new();
        let mut outage = Outage::new();
        while !token.is_cancelled() {
            while attempts.try_join_next().is_some() {}
            let filled = self.filled.notified();
            let free = self.options.concurrency.max(1).saturating_sub(attempts.len());
            let due = match self.take(&endpoint.id, free).await {
                Ok(due) => due,
                Err(error) => {
                    self.metrics.retries.with_label_values(&[DATABASE]).inc();
                    token.run_until_cancelled(outage.pause(&error)).await;
                    continue;
                }
            };
            outage.over();
            let took_all = due.len() < free;
            for due in due {
                let (sender, endpoint, secret) = (self.clone(), endpoint.clone(), secret.clone());
                attempts.spawn(async move { sender.attempt(&endpoint, &secret, &due).await });
            }
            select! {
                () = token.cancelled() => {}
                _ = attempts.join_next(), if !attempts.is_empty() => {}
                () = filled, if took_all => {}
                () = sleep(DUE_EVERY), if took_all => {}
            }
        }
        while attempts.join_next().await.is_some() {}
    }

    /// Takes at most `free` of an endpoint's events that are due. Should this process end before it says what became of
    /// them, they are due again once the request must be over.
    async fn take(&self, endpoint: &str, free: usize) -> Result<Vec<Due>, FanoutError> {
        if free == 0 {
            return Ok(Vec::new());
        }
        let lease = self.options.timeout.saturating_mul(2).saturating_add(Duration::from_secs(5));
        let rows = sqlx::query!(
            "UPDATE webhook_deliveries SET attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => $3)
             WHERE (endpoint, platform, journal_index) IN (
                 SELECT endpoint, platform, journal_index FROM webhook_deliveries
                 WHERE endpoint = $1 AND next_attempt_at <= now()
                 ORDER BY next_attempt_at, platform, journal_index LIMIT $2 FOR UPDATE SKIP LOCKED
             )
             RETURNING platform, journal_index, attempts",
            endpoint,
            i64::try_from(free).unwrap_or(i64::MAX),
            lease.as_secs_f64(),
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let id = EventId { platform: address(row.platform)?, journal_index: row.journal_index };
                Ok(Due { id, attempt: row.attempts })
            })
            .collect()
    }

    /// One attempt, and what came of it.
    async fn attempt(&self, endpoint: &Endpoint, secret: &Secret, due: &Due) {
        let result = match self.body(due.id).await {
            Ok(body) => self.post.deliver(&endpoint.url, secret, &due.id.to_string(), body).await,
            Err(Failed::For(reason)) => Err(reason),
            Err(Failed::Database(error)) => {
                // The lease ends, and it is tried again.
                warn!("{error}");
                return;
            }
        };
        if let Err(error) = self.note(endpoint, due, &result).await {
            warn!("what became of event {} for endpoint {} is not noted: {error}", due.id, endpoint.id);
        }
    }

    async fn body(&self, id: EventId) -> Result<Vec<u8>, Failed> {
        let database = |error: sqlx::Error| Failed::Database(error.into());
        let chain = genesis_hash(&self.pool).await.map_err(database)?;
        let event = events::one(&self.pool, id).await.map_err(database)?;
        let (Some(chain), Some(event)) = (chain, event) else { return Err(Failed::For(NotDelivered::NoEvent)) };
        message::body(&Subjects::of(chain), &event)
            .map_err(|error| Failed::For(NotDelivered::Unreadable(error.to_string())))
    }

    async fn note(
        &self,
        endpoint: &Endpoint,
        due: &Due,
        result: &Result<StatusCode, NotDelivered>,
    ) -> Result<(), FanoutError> {
        let attempt = due.attempt.unsigned_abs();
        let reason = match result {
            Ok(status) => return self.note_delivered(endpoint, due, *status).await,
            Err(reason) => reason,
        };
        let pause = (attempt < self.options.attempts).then(|| self.pause_after(attempt));
        if pause.is_none() {
            warn!("event {} is given up for endpoint {} after {attempt} attempts: {reason}", due.id, endpoint.id);
        }
        let label = if pause.is_some() { "again" } else { "failed" };
        self.metrics.deliveries.with_label_values(&[label]).inc();
        sqlx::query!(
            "UPDATE webhook_deliveries
             SET next_attempt_at = now() + make_interval(secs => $5), failed_at = CASE WHEN $5::float8 IS NULL THEN now() END,
                 last_status = $6, last_error = $7
             WHERE endpoint = $1 AND platform = $2 AND journal_index = $3 AND attempts = $4",
            endpoint.id,
            due.id.platform.as_ref(),
            due.id.journal_index,
            due.attempt,
            pause.map(|pause| pause.as_secs_f64()),
            reason.status().map(|status| i32::from(status.as_u16())),
            reason.to_string(),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn note_delivered(&self, endpoint: &Endpoint, due: &Due, status: StatusCode) -> Result<(), FanoutError> {
        self.metrics.deliveries.with_label_values(&["delivered"]).inc();
        // Where somebody asked for it again meanwhile, that stands.
        sqlx::query!(
            "UPDATE webhook_deliveries
             SET delivered_at = now(), next_attempt_at = NULL, last_status = $5, last_error = NULL
             WHERE endpoint = $1 AND platform = $2 AND journal_index = $3 AND attempts = $4",
            endpoint.id,
            due.id.platform.as_ref(),
            due.id.journal_index,
            due.attempt,
            i32::from(status.as_u16()),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// How long to wait after the attempt with this number, from 1.
    fn pause_after(&self, attempt: u32) -> Duration {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(self.options.first_pause)
            .with_max_delay(LONGEST)
            .with_factor(FACTOR)
            .with_jitter()
            .without_max_times()
            .with_total_delay(None);
        let before = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        pauses.build().nth(before).unwrap_or(LONGEST)
    }

    /// Removes what was decided long ago, and counts what waits.
    async fn tidy(&self, token: &CancellationToken) {
        let mut every = interval(TIDY_EVERY);
        while token.run_until_cancelled(every.tick()).await.is_some() {
            if let Err(error) = self.tidy_once().await {
                warn!("what was sent long ago is not removed: {error}");
            }
        }
    }

    async fn tidy_once(&self) -> Result<(), FanoutError> {
        loop {
            // What is forgotten must not be sent once more when a stream is made anew and tells of it again.
            let removed = sqlx::query_scalar!(
                r#"WITH removed AS (
                       DELETE FROM webhook_deliveries
                       WHERE (endpoint, platform, journal_index) IN (
                           SELECT endpoint, platform, journal_index FROM webhook_deliveries
                           WHERE next_attempt_at IS NULL AND enqueued_at < now() - make_interval(secs => $1)
                           ORDER BY enqueued_at LIMIT $2
                       )
                       RETURNING endpoint, slot
                   ), passed AS (
                       UPDATE webhook_endpoints SET since_slot = greatest(since_slot, past.slot)
                       FROM (SELECT endpoint, max(slot) AS slot FROM removed GROUP BY endpoint) AS past
                       WHERE id = past.endpoint
                   )
                   SELECT count(*) AS "removed!" FROM removed"#,
                self.options.keep.as_secs_f64(),
                TIDY_AT_ONCE,
            )
            .fetch_one(&self.pool)
            .await?;
            if removed < TIDY_AT_ONCE {
                return Ok(());
            }
        }
    }
}

/// Why there is nothing to send.
enum Failed {
    /// This event cannot be sent.
    For(NotDelivered),
    /// The database does not say.
    Database(FanoutError),
}

/// Sends an event once more, or for the first time, whatever became of it: a running sender takes it at once. Says whether
/// there are such an endpoint and such an event.
///
/// # Errors
/// If the database cannot be written to.
pub async fn replay(pool: &PgPool, endpoint: &str, id: EventId) -> Result<bool, FanoutError> {
    let Some(event) = events::one(pool, id).await? else { return Ok(false) };
    let replayed = sqlx::query!(
        "INSERT INTO webhook_deliveries (endpoint, platform, journal_index, slot)
         SELECT id, $2, $3, $4 FROM webhook_endpoints WHERE id = $1
         ON CONFLICT (endpoint, platform, journal_index) DO UPDATE
         SET attempts = 0, next_attempt_at = now(), enqueued_at = now(), delivered_at = NULL, failed_at = NULL",
        endpoint,
        id.platform.as_ref(),
        id.journal_index,
        event.slot,
    )
    .execute(pool)
    .await?;
    Ok(replayed.rows_affected() == 1)
}

/// The same with every event that was given up for an endpoint. Returns how many.
///
/// # Errors
/// If the database cannot be written to.
pub async fn replay_failed(pool: &PgPool, endpoint: &str) -> Result<u64, FanoutError> {
    let replayed = sqlx::query!(
        "UPDATE webhook_deliveries SET attempts = 0, next_attempt_at = now(), enqueued_at = now(), failed_at = NULL
         WHERE endpoint = $1 AND failed_at IS NOT NULL",
        endpoint,
    )
    .execute(pool)
    .await?;
    Ok(replayed.rows_affected())
}
