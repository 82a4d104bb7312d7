//! A server of one test's own.

use crate::chain::Chain;
use rebate_api::{ApiState, Settings, access::Access};
use rebate_client::explorer::Cluster;
use rebate_operators::{
    audit::Actor,
    keys::{self, Draft},
    role::Role,
};
use rebate_tests::database::TestDatabase;
use reqwest::{Client, Method, Response, StatusCode, header};
use serde_json::Value;
use sqlx::PgPool;
use std::{io, sync::Arc};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub struct Served {
    database: TestDatabase,
    operators: Option<TestDatabase>,
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
        Self::over(TestDatabase::new().await, None, settings, Access::default()).await
    }

    pub async fn without_migrations() -> Self {
        let settings = Settings::new(Cluster::Devnet);
        Self::over(TestDatabase::without_migrations().await, None, settings, Access::default()).await
    }

    /// A server that has operators.
    pub async fn with_operators() -> Self {
        Self::with_access(Settings::new(Cluster::Devnet), Access::default()).await
    }

    /// A server that has operators, and whatever else `access` has.
    pub async fn with_access(settings: Settings, access: Access) -> Self {
        let operators = TestDatabase::of_operators().await.unwrap_or_else(|error| panic!("{error}"));
        let access = Access { operators: Some(operators.pool().clone()), ..access };
        Self::over(TestDatabase::new().await, Some(operators), settings, access).await
    }

    async fn over<E: std::fmt::Display>(
        database: Result<TestDatabase, E>,
        operators: Option<TestDatabase>,
        settings: Settings,
        access: Access,
    ) -> Self {
        let database = database.unwrap_or_else(|error| panic!("{error}"));
        let chain = Arc::new(Chain::default());
        let pool = rebate_api::database::connect(&database.url(), 8, settings.request_timeout).await.unwrap();
        let registry = prometheus::Registry::new();
        let state = ApiState::new(pool, Arc::clone(&chain) as _, settings, registry).unwrap().with_access(access);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let token = CancellationToken::new();
        let server = tokio::spawn(rebate_api::serve(listener, state, token.clone()));
        Self { database, operators, chain, url, token, server, client: Client::new() }
    }

    /// The operators' database.
    pub fn operators(&self) -> &PgPool {
        self.operators.as_ref().unwrap().pool()
    }

    /// A new operator's key.
    pub async fn key(&self, role: Role) -> String {
        let draft = Draft { name: role.name(), role, expires_at: None };
        keys::create(self.operators(), &Actor::CommandLine, None, &draft).await.unwrap().0.reveal()
    }

    /// Asks with a key or token, and with a body that is not null.
    pub async fn ask(&self, method: Method, path: &str, key: &str, body: Value) -> Response {
        let request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(key);
        if body.is_null() { request } else { request.json(&body) }.send().await.unwrap()
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
