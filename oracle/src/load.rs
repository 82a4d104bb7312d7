//! Plays a provider's notices at a steady rate, and measures.

use reqwest::{Client, StatusCode};
use ring::hmac::{self, HMAC_SHA256, Key};
use serde_json::json;
use sqlx::PgPool;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use thiserror::Error;
use time::OffsetDateTime;
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

/// Notices under way at once; where there would be more, the oracle is too slow and the rate is not kept.
const UNDER_WAY: usize = 4_096;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is played.
#[derive(Clone, Debug)]
pub struct Load {
    /// Where notices go: `http://…/v1/callbacks/NAME`, of a provider of the kind `hmac`.
    pub url: String,
    /// That provider's secret.
    pub secret: Vec<u8>,
    /// The platform's currency.
    pub currency: String,
    /// What order numbers begin with; another one for each run.
    pub prefix: String,
    /// Notices a second.
    pub rate: u32,
    /// For how many seconds.
    pub seconds: u32,
    /// Of how many users, in turn.
    pub users: u32,
}

impl Load {
    /// From one notice to the next.
    fn pause(&self) -> Duration {
        Duration::from_secs(1).checked_div(self.rate.max(1)).unwrap_or_default()
    }
}

/// How long things took, sorted.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Sorts them.
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What so many percent of them were not longer than, in milliseconds.
    pub fn percentile(&self, percent: usize) -> f64 {
        let at = self.0.len().saturating_mul(percent).div_ceil(100).saturating_sub(1);
        self.0.get(at).copied().unwrap_or_default().as_secs_f64() * 1_000.0
    }
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// From sending a notice to its answer, of those answered with yes.
    pub answers: Times,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Notices that were not answered.
    pub unanswered: u64,
    /// Why the first of them was not.
    pub why_unanswered: Option<String>,
    /// From the first notice to the last answer.
    pub took: Duration,
    /// When the first notice was due.
    pub begun: Option<OffsetDateTime>,
}

/// Why nothing was measured.
#[derive(Debug, Error)]
pub enum LoadError {
    /// No HTTP client.
    #[error("no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// The database cannot be asked.
    #[error("the oracle's database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// Orders that are not through.
    #[error("{0} orders are not through after {1:?}")]
    NotThrough(i64, Duration),
}

/// Plays the notices, each at its moment, whether or not those before were answered.
///
/// # Errors
/// [`LoadError::Client`].
pub async fn play(load: &Load) -> Result<Measured, LoadError> {
    let client = Client::builder().timeout(PATIENCE).pool_max_idle_per_host(UNDER_WAY).build()?;
    let key = Arc::new(Key::new(HMAC_SHA256, &load.secret));
    let permits = Arc::new(Semaphore::new(UNDER_WAY));
    let (begun, begun_at) = (Instant::now(), OffsetDateTime::now_utc());
    let pause = load.pause();
    let count = load.rate.saturating_mul(load.seconds);
    let mut sent: JoinSet<(Result<StatusCode, reqwest::Error>, Duration)> = JoinSet::new();
    let (mut answers, mut measured) = (Vec::new(), Measured::default());
    let mut take =
        |(status, took): (Result<StatusCode, reqwest::Error>, Duration), measured: &mut Measured| match status {
            Err(error) => {
                measured.unanswered = measured.unanswered.saturating_add(1);
                measured.why_unanswered.get_or_insert_with(|| why(&error));
            }
            Ok(status) => {
                let counted = measured.statuses.entry(status.as_u16()).or_default();
                *counted = counted.saturating_add(1);
                if status.is_success() {
                    answers.push(took);
                }
            }
        };
    for at in 0..count {
        sleep_until(begun + pause.saturating_mul(at)).await;
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { break };
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let body = json!({
            "event": format!("{}-{at}", load.prefix),
            "kind": "payment",
            "order": format!("{}-{at}", load.prefix),
            "user": format!("load-{}", at % load.users.max(1)),
            "amount": 1_000 + u64::from(at % 9_000),
            "currency": load.currency,
            "paid_at": now,
            "product": 1,
        })
        .to_string();
        let signature = hmac::sign(&key, format!("{now}.{body}").as_bytes());
        let request = client
            .post(&load.url)
            .header("x-timestamp", now)
            .header("x-signature", hex::encode(signature.as_ref()))
            .body(body);
        sent.spawn(async move {
            let begun = Instant::now();
            let answer = request.send().await;
            drop(permit);
            (answer.map(|answer| answer.status()), begun.elapsed())
        });
        while let Some(joined) = sent.try_join_next() {
            if let Ok(answer) = joined {
                take(answer, &mut measured);
            }
        }
    }
    while let Some(joined) = sent.join_next().await {
        if let Ok(answer) = joined {
            take(answer, &mut measured);
        }
    }
    measured.took = begun.elapsed();
    measured.answers = Times::of(answers);
    measured.begun = Some(begun_at);
    Ok(measured)
}

/// The innermost reason: the others say that a request failed.
fn why(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// What became of a run's orders.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// Of those on chain: from when the notice was due to the oracle's knowing that its record is confirmed.
    pub confirmed: Times,
    /// How many the program refused.
    pub refused: i64,
    /// How many need an operator.
    pub dead: i64,
}

/// Waits until all orders of the run are through, at most for `patience`, and says what became of them. This machine's clock
/// must be the database's.
///
/// # Errors
/// [`LoadError`].
pub async fn ended(pool: &PgPool, load: &Load, measured: &Measured, patience: Duration) -> Result<Ended, LoadError> {
    let begun = Instant::now();
    let pattern = format!("{}-%", load.prefix);
    let (refused, dead) = loop {
        let row = sqlx::query!(
            r#"SELECT count(*) FILTER (WHERE state IN (1, 2)) AS "waiting!", count(*) FILTER (WHERE state = 4) AS "refused!",
                   count(*) FILTER (WHERE state = 5) AS "dead!"
               FROM records WHERE number LIKE $1"#,
            pattern,
        )
        .fetch_one(pool)
        .await?;
        if row.waiting == 0 {
            break (row.refused, row.dead);
        }
        if begun.elapsed() > patience {
            return Err(LoadError::NotThrough(row.waiting, patience));
        }
        sleep(Duration::from_millis(200)).await;
    };
    let rows = sqlx::query!("SELECT number, changed_at FROM records WHERE number LIKE $1 AND state = 3", pattern)
        .fetch_all(pool)
        .await?;
    let took = rows.into_iter().filter_map(|row| {
        let at: u32 = row.number.rsplit_once('-')?.1.parse().ok()?;
        let due = measured.begun? + load.pause().saturating_mul(at);
        Some((row.changed_at - due).try_into().unwrap_or_default())
    });
    Ok(Ended { confirmed: Times::of(took.collect()), refused, dead })
}
