//! Webhooks to the platform's server: a record was recorded, refused, or is dead. Signed as Standard Webhooks has it, sent until
//! the endpoint says yes or the attempts are used up.
//!
//! The row to send is made in the transaction that decides the record. What is sent again has the same id, so the endpoint can
//! tell; a later state of the same record, which a dead one can come to, has another.

use crate::{
    OracleError,
    http::{kind_name, state_name},
    metrics::Metrics,
    settings::WebhookSettings,
};
use rebate_fanout::webhooks::{
    delivery::{NotDelivered, Post},
    endpoint,
    secret::{Key, Secret},
};
use serde_json::json;
use sqlx::PgPool;
use std::time::Duration;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

/// Who the endpoint is told it is.
const AGENT: &str = concat!("rebate-oracle/", env!("CARGO_PKG_VERSION"));

/// What the endpoint's secret is called: there is one endpoint.
const ENDPOINT: &str = "platform";

/// So many are sent at once.
const AT_ONCE: usize = 16;

/// How often to look for what is due.
const LOOK: Duration = Duration::from_millis(200);

/// While the database does not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(4 * 3_600);

/// For how long it is remembered what became of one.
const KEEP_DAYS: i32 = 30;

/// Sends webhooks.
#[derive(Clone, Debug)]
pub struct Deliveries {
    pool: PgPool,
    post: Post,
    url: String,
    secret: Secret,
    timeout: Duration,
    first_pause: Duration,
    attempts: u32,
    metrics: Metrics,
}

/// One that is due, taken for one attempt.
struct Due {
    record: i64,
    attempts: i32,
    enqueued_at: OffsetDateTime,
    state: i16,
}

impl Deliveries {
    /// Tells the endpoint in `settings` what becomes of the records behind `pool`.
    ///
    /// # Errors
    /// [`OracleError::Settings`] and [`OracleError::Http`].
    pub fn new(settings: &WebhookSettings, pool: PgPool, metrics: Metrics) -> Result<Self, OracleError> {
        endpoint::check_url(&settings.url, settings.allow_http).map_err(crate::settings::SettingsError::from)?;
        let timeout = Duration::from_millis(settings.timeout_ms);
        Ok(Self {
            pool,
            post: Post::new(AGENT, timeout, settings.allow_http)?,
            url: settings.url.clone(),
            secret: secret(&settings.key()?),
            timeout,
            first_pause: Duration::from_millis(settings.first_pause_ms),
            attempts: settings.attempts,
            metrics,
        })
    }

    /// Sends until `token` is cancelled, then finishes the attempts under way.
    pub async fn run(&self, token: CancellationToken) {
        let mut attempts = JoinSet::new();
        while !token.is_cancelled() {
            while attempts.try_join_next().is_some() {}
            let free = AT_ONCE.saturating_sub(attempts.len());
            let pause = match self.take(free).await {
                Ok(due) => {
                    let pause = if due.len() < free { LOOK } else { Duration::ZERO };
                    for due in due {
                        let sender = self.clone();
                        attempts.spawn(async move { sender.attempt(&due).await });
                    }
                    pause
                }
                Err(error) => {
                    tracing::warn!("webhooks wait: {error}");
                    PAUSE
                }
            };
            if pause.is_zero() {
                attempts.join_next().await;
            } else {
                token.run_until_cancelled(sleep(pause)).await;
            }
        }
        while attempts.join_next().await.is_some() {}
    }

    /// Takes at most `free` that are due. Should this process end before it says what became of them, they are due again once
    /// the request must be over.
    async fn take(&self, free: usize) -> Result<Vec<Due>, OracleError> {
        if free == 0 {
            return Ok(Vec::new());
        }
        let lease = self.timeout.saturating_mul(2).saturating_add(Duration::from_secs(5));
        Ok(sqlx::query_as!(
            Due,
            "UPDATE deliveries SET attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => $2)
             WHERE record IN (
                 SELECT record FROM deliveries WHERE next_attempt_at <= now()
                 ORDER BY next_attempt_at LIMIT $1 FOR UPDATE SKIP LOCKED
             )
             RETURNING record, attempts, enqueued_at, state",
            i64::try_from(free).unwrap_or(i64::MAX),
            lease.as_secs_f64(),
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// One attempt, and what came of it.
    async fn attempt(&self, due: &Due) {
        let result = match self.body(due).await {
            Ok(body) => {
                let id = format!("record/{}/{}", due.record, due.enqueued_at.unix_timestamp_nanos());
                self.post.deliver(&self.url, &self.secret, &id, body).await
            }
            // The lease ends, and it is tried again.
            Err(error) => return tracing::warn!("webhooks wait: {error}"),
        };
        let (name, noted) = match result {
            Ok(_) => ("delivered", self.note(due, None, None).await),
            Err(reason) => {
                let last = u32::try_from(due.attempts).unwrap_or(u32::MAX) >= self.attempts;
                let pause = (!last).then(|| self.pause(due.attempts));
                (if last { "failed" } else { "again" }, self.note(due, pause, Some(&reason)).await)
            }
        };
        self.metrics.deliveries.with_label_values(&[name]).inc();
        if let Err(error) = noted {
            tracing::warn!("what became of a webhook is not noted, so it is sent again: {error}");
        }
    }

    /// Three times as long each time.
    fn pause(&self, attempts: i32) -> Duration {
        let factor = 3u32.saturating_pow(u32::try_from(attempts).unwrap_or(0).saturating_sub(1));
        self.first_pause.saturating_mul(factor).min(LONGEST_PAUSE)
    }

    /// What became of an attempt, unless the record came to another state meanwhile, which is another row's worth.
    async fn note(&self, due: &Due, pause: Option<Duration>, error: Option<&NotDelivered>) -> Result<(), OracleError> {
        sqlx::query!(
            "UPDATE deliveries SET next_attempt_at = now() + make_interval(secs => $3), last_error = $4,
                    delivered_at = CASE WHEN $4::text IS NULL THEN now() END,
                    failed_at = CASE WHEN $4::text IS NOT NULL AND $3::double precision IS NULL THEN now() END
             WHERE record = $1 AND enqueued_at = $2",
            due.record,
            due.enqueued_at,
            pause.map(|pause| pause.as_secs_f64()),
            error.map(ToString::to_string),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What is told: the same bytes every time.
    async fn body(&self, due: &Due) -> Result<Vec<u8>, OracleError> {
        let row = sqlx::query!(
            "SELECT platform, kind, number, order_hash, reason, signature, slot, refund_of FROM records WHERE id = $1",
            due.record,
        )
        .fetch_one(&self.pool)
        .await?;
        let body = json!({
            "type": format!("record.{}", state_name(due.state)),
            "timestamp": due.enqueued_at.to_offset(UtcOffset::UTC).format(&Rfc3339).unwrap_or_default(),
            "data": {
                "platform": bs58::encode(row.platform).into_string(),
                "order": row.number,
                "kind": kind_name(row.kind),
                "order_hash": hex::encode(row.order_hash),
                "refund_of": row.refund_of,
                "state": state_name(due.state),
                "reason": row.reason,
                "signature": row.signature.map(|signature| bs58::encode(signature).into_string()),
                "slot": row.slot,
            },
        });
        Ok(body.to_string().into_bytes())
    }
}

/// The secret that the endpoint checks signatures with.
pub fn secret(key: &Key) -> Secret {
    key.secret(ENDPOINT)
}

/// Forgets what became of webhooks long ago, and, where nobody is told, what would be to tell. Call it now and then.
///
/// # Errors
/// [`OracleError::Database`].
pub async fn tidy(pool: &PgPool, is_anybody_told: bool) -> Result<u64, OracleError> {
    let removed = sqlx::query!(
        "DELETE FROM deliveries WHERE enqueued_at < now() - make_interval(days => $1) AND (next_attempt_at IS NULL OR NOT $2)",
        if is_anybody_told { KEEP_DAYS } else { 0 },
        is_anybody_told,
    )
    .execute(pool)
    .await?;
    Ok(removed.rows_affected())
}
