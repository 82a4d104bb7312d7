//! What the demo reads from the API.

use anyhow::{Context, bail};
use rebate_core::units::UserKey;
use reqwest::{Client, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a recorded order may take to appear.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often to look for it.
const LOOK: Duration = Duration::from_millis(5);

/// A client of the API.
pub struct Api {
    client: Client,
    base: String,
}

/// An order number and what the chain recorded under it.
#[derive(Debug, Deserialize)]
struct Found {
    records: Vec<Order>,
}

/// An order, as far as the demo shows it.
#[derive(Debug, Deserialize)]
pub struct Order {
    /// What every rule did.
    pub outcomes: Vec<Outcome>,
}

/// What one rule did.
#[derive(Debug, Deserialize)]
pub struct Outcome {
    pub rule: u16,
    pub version: u16,
    pub rule_name: String,
    pub reason: String,
    pub asset_name: String,
    pub amount: String,
    pub before: String,
    pub after: String,
}

/// What a user has.
#[derive(Debug, Deserialize)]
pub struct Balances {
    pub payments: u64,
    pub paid: String,
    pub balances: Vec<Balance>,
}

/// Of one asset.
#[derive(Debug, Deserialize)]
pub struct Balance {
    pub asset: usize,
    pub asset_name: String,
    pub balance: String,
    pub entries: u64,
}

/// Whether database and chain agree.
#[derive(Debug, Deserialize)]
pub struct Integrity {
    pub status: String,
    #[serde(flatten)]
    pub rest: serde_json::Map<String, serde_json::Value>,
}

impl Balances {
    /// The balance of the asset at a slot; 0 for one the platform does not have.
    pub fn of_slot(&self, slot: usize) -> anyhow::Result<u64> {
        let balance = self.balances.iter().find(|balance| balance.asset.checked_sub(1) == Some(slot));
        balance.map_or(Ok(0), |balance| balance.balance.parse().context("the API's balance is no number"))
    }
}

impl Api {
    /// The API at `base`.
    pub fn new(base: &str) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(Duration::from_secs(20)).build().context("an HTTP client")?;
        Ok(Self { client, base: base.to_owned() })
    }

    /// `None` for what is not there.
    async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Option<T>> {
        let answer = self.client.get(format!("{}{path}", self.base)).send().await.context("the API does not answer")?;
        match answer.status() {
            StatusCode::OK => Ok(Some(answer.json().await.with_context(|| format!("the API's answer to {path}"))?)),
            StatusCode::NOT_FOUND => Ok(None),
            status => bail!("the API answered {status} to {path}: {}", answer.text().await.unwrap_or_default()),
        }
    }

    /// Waits until the order is there.
    pub async fn order(&self, order: &str) -> anyhow::Result<Order> {
        let begun = Instant::now();
        loop {
            let found: Option<Found> = self.get(&format!("/v1/orders/{order}?by=number")).await?;
            if let Some(order) = found.and_then(|found| found.records.into_iter().next()) {
                return Ok(order);
            }
            if begun.elapsed() > PATIENCE {
                bail!("order {order} was recorded on chain and did not appear in the API within {PATIENCE:?}");
            }
            sleep(LOOK).await;
        }
    }

    /// A user's balances; `None` for a user without payments.
    pub async fn balances(&self, user: &UserKey) -> anyhow::Result<Option<Balances>> {
        self.get(&format!("/v1/users/{user}/balances")).await
    }

    /// Whether the database is what the chain is.
    pub async fn integrity(&self) -> anyhow::Result<Integrity> {
        self.get("/v1/integrity").await?.context("the API knows no integrity")
    }
}
