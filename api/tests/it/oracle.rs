//! A real oracle of one test's own, whose outbox does not run: what it stores waits.

use crate::ledger::PLATFORM;
use rebate_client::{Pubkey, platform_id};
use rebate_oracle::{OracleState, Settings, api_key, database, http, intake::Writers};
use rebate_tests::database::TestDatabase;
use reqwest::Client;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::{fs, io};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

const SECRET: &str = "platform-secret";

pub struct OracleServer {
    database: TestDatabase,
    pub url: String,
    pub key: String,
    server: JoinHandle<io::Result<()>>,
    _writers: Writers,
    _files: TempDir,
}

/// The user's key, as the oracle makes it.
pub fn user_key(user: &str) -> [u8; 32] {
    platform_id::user(SECRET.as_bytes(), user).0
}

impl OracleServer {
    pub async fn new() -> Self {
        let database = TestDatabase::of_oracle().await.unwrap_or_else(|error| panic!("{error}"));
        let files = tempfile::tempdir().unwrap();
        let secret = files.path().join("secret");
        fs::write(&secret, SECRET).unwrap();
        let (key, sha256) = api_key::make().unwrap();
        let settings = format!(
            r#"
            platform = "{}"
            currency = "CNY"
            user_secrets = [{{ number = 1, secret = {{ file = "{}" }} }}]
            api_keys = [{{ name = "api", sha256 = "{sha256}" }}]
            "#,
            Pubkey::new_from_array(PLATFORM),
            secret.display(),
        );
        let settings = Settings::parse(&settings).unwrap_or_else(|error| panic!("{error}"));
        let pool = database::connect(&database.url(), 4).await.unwrap();
        let (state, writers) = OracleState::new(&settings, pool, prometheus::Registry::new()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(http::serve(listener, state, CancellationToken::new()));
        Self { database, url, key, server, _writers: writers, _files: files }
    }

    pub fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// Stores a record.
    pub async fn post(&self, record: Value) {
        let url = format!("{}/v1/records", self.url);
        let answer = Client::new().post(url).bearer_auth(&self.key).body(record.to_string()).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    pub async fn pay(&self, order: &str, user: &str) {
        let kind = "payment";
        self.post(json!({"kind": kind, "order": order, "user": user, "amount": 600, "currency": "CNY", "paid_at": 5}))
            .await;
    }

    /// Gives an order up, as the outbox would; returns the record's number.
    pub async fn give_up(&self, order: &str, reason: &str) -> i64 {
        let update = "UPDATE records SET state = 5, reason = $2, attempts = 30, changed_at = now() WHERE number = $1
                      RETURNING id";
        sqlx::query_scalar(update).bind(order).bind(reason).fetch_one(self.pool()).await.unwrap()
    }

    pub async fn state(&self, order: &str) -> i16 {
        sqlx::query_scalar("SELECT state FROM records WHERE number = $1")
            .bind(order)
            .fetch_one(self.pool())
            .await
            .unwrap()
    }
}

impl Drop for OracleServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}
