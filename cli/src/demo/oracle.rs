//! What the demo says to the oracle, as a payment provider and as the platform's server, and what it hears.

use crate::{
    pay::Fate,
    stage::oracle::{Oracle, PROVIDER},
};
use anyhow::{Context, bail};
use rebate_oracle::provider::hmac;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

/// How long the oracle may take to decide on a record.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often to ask.
const LOOK: Duration = Duration::from_millis(5);

/// The oracle over HTTP.
pub struct Counter<'a> {
    client: Client,
    oracle: &'a Oracle,
    /// What came of it so far.
    pub counts: Counts,
    /// The numbers and amounts of the provider's notices that were taken: what the provider exports at the end of the day.
    pub exported: Vec<(String, u64)>,
    /// The numbers of those that the program refused.
    pub refused: Vec<String>,
}

/// What came of everything that was sent to the oracle.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Callbacks of the provider that were answered with 200.
    pub callbacks: u64,
    /// Records of the platform's server that were.
    pub records: u64,
    /// Of both, those that were sent before.
    pub again: u64,
    /// What was answered with no.
    pub turned_away: u64,
    /// Records on chain.
    pub recorded: u64,
    /// Records that the program refused.
    pub refused: u64,
    /// Records that need an operator.
    pub dead: u64,
}

/// What the oracle says to a notice or a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is stored, under this number.
    Taken(String),
    /// It was stored before.
    Again,
    /// It says no, and why.
    TurnedAway(StatusCode, String),
}

#[derive(Deserialize)]
struct Taken {
    order: String,
    new: bool,
}

/// What providers and the platform's server are told where it says no.
#[derive(Deserialize)]
struct No {
    reason: Option<String>,
    detail: Option<String>,
}

#[derive(Deserialize)]
struct Status {
    state: String,
    reason: Option<String>,
}

impl<'a> Counter<'a> {
    /// Of this oracle.
    pub fn new(oracle: &'a Oracle) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(Duration::from_secs(20)).build().context("an HTTP client")?;
        Ok(Self { client, oracle, counts: Counts::default(), exported: Vec::new(), refused: Vec::new() })
    }

    /// Connections to its database.
    pub fn pool(&self) -> &'a PgPool {
        &self.oracle.pool
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> &'a str {
        &self.oracle.url
    }

    /// The provider tells of an order, by a notice with the order's number as its id.
    pub async fn notify(&mut self, number: &str, amount: u64, order: Value) -> anyhow::Result<Answer> {
        let (status, why) = self.call(number, order, self.oracle.secret.as_bytes()).await?;
        if status != StatusCode::OK {
            self.counts.turned_away = self.counts.turned_away.saturating_add(1);
            return Ok(Answer::TurnedAway(status, why));
        }
        self.counts.callbacks = self.counts.callbacks.saturating_add(1);
        // To a provider, both are the same.
        if self.exported.iter().any(|(known, _)| known == number) {
            self.counts.again = self.counts.again.saturating_add(1);
            return Ok(Answer::Again);
        }
        self.exported.push((number.to_owned(), amount));
        Ok(Answer::Taken(number.to_owned()))
    }

    /// Somebody who does not know the provider's secret pretends to be the provider.
    pub async fn forge(&mut self, number: &str, order: Value) -> anyhow::Result<(StatusCode, String)> {
        self.counts.turned_away = self.counts.turned_away.saturating_add(1);
        self.call(number, order, b"a stranger's").await
    }

    async fn call(&self, number: &str, mut order: Value, secret: &[u8]) -> anyhow::Result<(StatusCode, String)> {
        if let Some(order) = order.as_object_mut() {
            order.insert("event".to_owned(), json!(format!("notice of {number}")));
        }
        let body = order.to_string();
        let now = OffsetDateTime::now_utc().unix_timestamp().to_string();
        let signature = hmac::signature(secret, &now, &body);
        let url = format!("{}/v1/callbacks/{PROVIDER}", self.oracle.url);
        let request = self.client.post(url).header("x-timestamp", now).header("x-signature", signature).body(body);
        let (status, text) = answered(request).await?;
        Ok((status, why(&text)))
    }

    /// The platform's server has something recorded.
    pub async fn post(&mut self, order: &Value) -> anyhow::Result<Answer> {
        let request = self.client.post(format!("{}/v1/records", self.oracle.url)).bearer_auth(&self.oracle.api_key);
        let (status, text) = answered(request.json(order)).await?;
        if status != StatusCode::OK {
            self.counts.turned_away = self.counts.turned_away.saturating_add(1);
            return Ok(Answer::TurnedAway(status, why(&text)));
        }
        self.counts.records = self.counts.records.saturating_add(1);
        let Taken { order, new } = serde_json::from_str(&text).context("the oracle's answer to a record")?;
        if !new {
            self.counts.again = self.counts.again.saturating_add(1);
            return Ok(Answer::Again);
        }
        Ok(Answer::Taken(order))
    }

    /// Waits until a record that was taken is decided. One that is dead counts as refused, for a reason that says so.
    pub async fn decided(&mut self, number: &str) -> anyhow::Result<Fate> {
        let mut url = Url::parse(&self.oracle.url).context("the oracle's address")?;
        // The number of a link has slashes.
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(["v1", "orders", number]);
        }
        let begun = Instant::now();
        loop {
            let (status, text) = answered(self.client.get(url.clone()).bearer_auth(&self.oracle.api_key)).await?;
            if status != StatusCode::OK {
                bail!("the oracle answered {status} when asked about {number}: {text}");
            }
            let Status { state, reason } = serde_json::from_str(&text).context("the oracle's answer about an order")?;
            let reason = reason.unwrap_or_default();
            match state.as_str() {
                "recorded" => {
                    self.counts.recorded = self.counts.recorded.saturating_add(1);
                    return Ok(Fate::Recorded);
                }
                "refused" => {
                    self.counts.refused = self.counts.refused.saturating_add(1);
                    self.refused.push(number.to_owned());
                    return Ok(Fate::Refused(reason));
                }
                "dead" => {
                    self.counts.dead = self.counts.dead.saturating_add(1);
                    return Ok(Fate::Refused(format!("dead: {reason}")));
                }
                _ if begun.elapsed() > PATIENCE => {
                    bail!("the oracle took {number} and has it {state} after {PATIENCE:?}; its last word: {reason:?}");
                }
                _ => sleep(LOOK).await,
            }
        }
    }
}

async fn answered(request: RequestBuilder) -> anyhow::Result<(StatusCode, String)> {
    let answer = request.send().await.context("the oracle does not answer")?;
    Ok((answer.status(), answer.text().await.context("the oracle's answer")?))
}

/// The reason in an answer that says no.
fn why(text: &str) -> String {
    let no = serde_json::from_str::<No>(text).ok();
    no.and_then(|no| no.reason.or(no.detail)).unwrap_or_else(|| text.to_owned())
}
