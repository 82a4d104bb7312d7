//! What the demo reads from the API.

use anyhow::{Context, bail};
use rebate_client::Pubkey;
use rebate_core::units::UserKey;
use reqwest::{Client, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

/// How long a recorded event may take to appear.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often to look for it.
const LOOK: Duration = Duration::from_millis(5);

/// How many entries of a user are read at most; an event has no more than one for each rule or asset.
const ENTRIES: usize = 100;

/// A client of the API.
pub struct Api {
    client: Client,
    base: String,
}

/// An order number and what the chain recorded under it.
#[derive(Debug, Deserialize)]
pub struct Found {
    pub records: Vec<Order>,
    pub refunds: Vec<Refund>,
    pub redemptions: Vec<Redemption>,
}

/// An order, as far as the demo shows it.
#[derive(Debug, Deserialize)]
pub struct Order {
    /// Where its event stands in the journal.
    pub journal_index: u64,
    /// The chain's clock when it was recorded.
    #[serde(with = "time::serde::rfc3339")]
    pub recorded_at: OffsetDateTime,
    /// What every rule did.
    pub outcomes: Vec<Outcome>,
}

/// A refund.
#[derive(Debug, Deserialize)]
pub struct Refund {
    /// The chain's clock when it was recorded.
    #[serde(with = "time::serde::rfc3339")]
    pub recorded_at: OffsetDateTime,
    /// What every rule's grant lost.
    pub outcomes: Vec<Outcome>,
}

/// A redemption.
#[derive(Debug, Deserialize)]
pub struct Redemption {
    /// The chain's clock when it was recorded.
    #[serde(with = "time::serde::rfc3339")]
    pub recorded_at: OffsetDateTime,
    pub asset_name: String,
    pub amount: String,
    pub before: String,
    pub after: String,
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
    pub refunded: String,
    pub wallet: Option<Wallet>,
    pub balances: Vec<Balance>,
}

/// Whom a user's tokens go to.
#[derive(Debug, Deserialize)]
pub struct Wallet {
    pub address: String,
}

/// Of one asset.
#[derive(Debug, Deserialize)]
pub struct Balance {
    pub asset: usize,
    pub asset_name: String,
    pub balance: String,
    pub debt: String,
    pub entries: u64,
}

/// Changes of a user's balances, newest first.
#[derive(Debug, Deserialize)]
struct Entries {
    items: Vec<Entry>,
}

/// A change of a balance.
#[derive(Debug, Deserialize)]
pub struct Entry {
    pub operation: String,
    pub asset: u8,
    pub asset_name: String,
    pub change: String,
    pub before: String,
    pub after: String,
    pub journal_index: u64,
}

/// The platform.
#[derive(Debug, Deserialize)]
pub struct Platform {
    pub assets: Vec<Asset>,
}

/// What can be granted.
#[derive(Debug, Deserialize)]
pub struct Asset {
    pub asset: u8,
    pub name: String,
    pub liability: String,
    pub vault: Option<Vault>,
}

/// What is behind a token.
#[derive(Debug, Deserialize)]
pub struct Vault {
    pub funds: String,
}

/// Whether database and chain agree.
#[derive(Debug, Deserialize)]
pub struct Integrity {
    pub status: String,
    pub stored_count: u64,
    #[serde(flatten)]
    pub rest: serde_json::Map<String, serde_json::Value>,
}

impl Balances {
    /// Balance and debt of the asset at a slot; 0 for one the platform does not have.
    pub fn of_slot(&self, slot: usize) -> anyhow::Result<(u64, u64)> {
        let balance = self.balances.iter().find(|balance| balance.asset.checked_sub(1) == Some(slot));
        let Some(balance) = balance else { return Ok((0, 0)) };
        let number = |text: &str| text.parse().context("the API's balance is no number");
        Ok((number(&balance.balance)?, number(&balance.debt)?))
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

    /// What is recorded under an order number, once `which` of it is there.
    async fn found<T>(&self, order: &str, which: impl Fn(Found) -> Option<T>) -> anyhow::Result<T> {
        let begun = Instant::now();
        loop {
            let found: Option<Found> = self.get(&format!("/v1/orders/{order}?by=number")).await?;
            if let Some(found) = found.and_then(&which) {
                return Ok(found);
            }
            if begun.elapsed() > PATIENCE {
                bail!("order {order} was recorded on chain and did not appear in the API within {PATIENCE:?}");
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until the order is there.
    pub async fn order(&self, order: &str) -> anyhow::Result<Order> {
        self.found(order, |found| found.records.into_iter().next()).await
    }

    /// Waits until the refund with an order number of its own is there.
    pub async fn refund(&self, order: &str) -> anyhow::Result<Refund> {
        self.found(order, |found| found.refunds.into_iter().next()).await
    }

    /// Waits until the redemption is there.
    pub async fn redemption(&self, order: &str) -> anyhow::Result<Redemption> {
        self.found(order, |found| found.redemptions.into_iter().next()).await
    }

    /// Waits until there are `count` events.
    pub async fn reaches(&self, count: u64) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.integrity().await?.stored_count < count {
            if begun.elapsed() > PATIENCE {
                bail!("the chain has {count} events, and they did not appear in the API within {PATIENCE:?}");
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// The changes of a user's balances by events from index `since` on.
    pub async fn entries_since(&self, user: &UserKey, since: u64) -> anyhow::Result<Vec<Entry>> {
        let entries: Option<Entries> = self.get(&format!("/v1/users/{user}/entries?limit={ENTRIES}")).await?;
        let entries = entries.map(|entries| entries.items).unwrap_or_default();
        Ok(entries.into_iter().filter(|entry| entry.journal_index >= since).collect())
    }

    /// A user's balances; `None` for a user without payments.
    pub async fn balances(&self, user: &UserKey) -> anyhow::Result<Option<Balances>> {
        self.get(&format!("/v1/users/{user}/balances")).await
    }

    /// The platform.
    pub async fn platform(&self, platform: &Pubkey) -> anyhow::Result<Platform> {
        self.get(&format!("/v1/platforms/{platform}")).await?.context("the API knows no platform")
    }

    /// Whether the database is what the chain is.
    pub async fn integrity(&self) -> anyhow::Result<Integrity> {
        self.get("/v1/integrity").await?.context("the API knows no integrity")
    }
}
