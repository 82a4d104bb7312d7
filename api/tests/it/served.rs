//! A server of one test's own.

use crate::chain::Chain;
use rebate_api::{ApiState, Settings};
use rebate_client::explorer::Cluster;
use rebate_tests::database::TestDatabase;
use reqwest::{Client, Response, StatusCode, header};
use serde_json::Value;
use sqlx::PgPool;
use std::{io, sync::Arc};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub struct Served {
    database: TestDatabase,
    pub chain: Arc<Chain>,
    pub url: String,
    pub token: CancellationToken,
    pub server: JoinHandle<io::Result<()>>,
    pub client: Client,
}

impl Served {
    /// A server over an empty, migrated database.
    pub async fn new() -> Self {
        Self::with(Settings::new(Cluster::Devnet)).await
    }

    pub async fn with(settings: Settings) -> Self {
        Self::over(TestDatabase::new().await, settings).await
    }

    pub async fn without_migrations() -> Self {
        Self::over(TestDatabase::without_migrations().await, Settings::new(Cluster::Devnet)).await
    }

    async fn over<E: std::fmt::Display>(database: Result<TestDatabase, E>, settings: Settings) -> Self {
        let database = database.unwrap_or_else(|error| panic!("{error}"));
        let chain = Arc::new(Chain::default());
        let pool = rebate_api::database::connect(&database.url(), 8, settings.request_timeout).await.unwrap();
        let registry = prometheus::Registry::new();
        let state = ApiState::new(pool, Arc::clone(&chain) as _, settings, registry).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let token = CancellationToken::new();
        let server = tokio::spawn(rebate_api::serve(listener, state, token.clone()));
        Self { database, chain, url, token, server, client: Client::new() }
    }

    pub fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// Runs a statement on the database.
    pub async fn sql(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(self.pool()).await.unwrap();
    }

    pub async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.url)).send().await.unwrap()
    }

    /// The JSON of a good answer.
    pub async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {body:#}");
        body
    }

    /// The problem document that `path` is answered with.
    pub async fn problem(&self, path: &str) -> Value {
        problem(self.get(path).await).await
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Checks that `response` is a problem document, and returns it.
pub async fn problem(response: Response) -> Value {
    let status = response.status();
    let headers = response.headers().clone();
    let text = response.text().await.unwrap();
    assert!(status.is_client_error() || status.is_server_error(), "{status}: {text}");
    assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json", "{status}: {text}");
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["status"], status.as_u16());
    for member in ["type", "title", "detail", "instance"] {
        let text = document[member].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "no {member} in {document:#}");
    }
    document
}
