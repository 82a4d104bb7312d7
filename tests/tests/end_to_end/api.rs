//! Reading the API, as anybody would.

use crate::deadline::until;
use rebate_core::units::UserKey;
use reqwest::{Client, StatusCode};
use serde_json::Value;
use std::time::Duration;

/// A client of the API.
pub struct Api {
    client: Client,
    base: String,
}

impl Api {
    pub fn new(base: &str) -> Self {
        let client = Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
        Self { client, base: base.to_owned() }
    }

    /// Status and body.
    pub async fn ask(&self, path: &str) -> (StatusCode, Value) {
        let url = format!("{}{path}", self.base);
        let answer = self.client.get(&url).send().await.unwrap_or_else(|error| panic!("{url}: {error}"));
        let status = answer.status();
        (status, answer.json().await.unwrap_or_else(|error| panic!("{url}: {status}, no JSON: {error}")))
    }

    /// What is there.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    /// Every item of a list, page by page.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = None;
        loop {
            let page = match &cursor {
                None => self.get(&format!("{path}?limit=7")).await,
                Some(cursor) => self.get(&format!("{path}?limit=7&cursor={cursor}")).await,
            };
            items.extend(
                page["items"].as_array().unwrap_or_else(|| panic!("{path} is no list: {page}")).iter().cloned(),
            );
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return items,
            }
        }
    }

    /// The order with this number, once it is there.
    pub async fn order(&self, number: &str) -> Value {
        until(&format!("order {number} is in the API"), async || {
            match self.ask(&format!("/v1/orders/{number}?by=number")).await {
                (StatusCode::OK, order) => Ok(order),
                (_, problem) => Err(problem),
            }
        })
        .await
    }

    /// The report, once the database holds what the chain holds.
    pub async fn integrity(&self) -> Value {
        until("the integrity check agrees with as many events as the chain has", async || {
            let (_, report) = self.ask("/v1/integrity").await;
            let is_whole = report["status"] == "agrees" && report["stored_count"] == report["chain_count"];
            assert_ne!(report["status"], "differs", "{report}");
            if is_whole { Ok(report) } else { Err(report) }
        })
        .await
    }

    /// A user's balance of asset 1, and the number of payments.
    pub async fn balance(&self, user: &UserKey) -> (u64, u64) {
        let answer = self.get(&format!("/v1/users/{user}/balances")).await;
        let balance = answer["balances"][0]["balance"].as_str().and_then(|balance| balance.parse().ok());
        (
            balance.unwrap_or_else(|| panic!("no balance: {answer}")),
            answer["payments"].as_u64().unwrap_or_else(|| panic!("no payments: {answer}")),
        )
    }
}
