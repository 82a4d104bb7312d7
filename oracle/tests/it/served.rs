//! An oracle of one test's own, asked over HTTP.

use rebate_oracle::{OracleState, Settings, api_key, database, deliveries::Deliveries, http, intake::Writers};
use rebate_tests::database::TestDatabase;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::{fs, io};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub const PLATFORM: &str = "ReBo6PHCPNUAdG9RMgkdmMmoW6gDbtJ8aMVU7AJgm5u";
const SECRET: &str = "a secret of the generic provider";

pub struct Served {
    _database: Option<TestDatabase>,
    pub pool: PgPool,
    pub url: String,
    pub key: String,
    pub client: Client,
    pub state: OracleState,
    pub settings: Settings,
    token: CancellationToken,
    server: JoinHandle<io::Result<()>>,
    writers: Option<Writers>,
    _files: TempDir,
}

/// What differs between tests.
#[derive(Default)]
pub struct Options {
    /// More user secrets, after number 1.
    pub user_secrets: Vec<(i16, &'static str)>,
    pub webhook: Option<String>,
    /// More lines at the end.
    pub more: &'static str,
}

impl Served {
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let database = TestDatabase::of_oracle().await.unwrap();
        let mut served = Self::over(&database.url(), options).await;
        served._database = Some(database);
        served
    }

    /// Over a database that is somebody else's.
    pub async fn over(url: &str, options: Options) -> Self {
        let files = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = files.path().join(name);
            fs::write(&path, content).unwrap();
            path.display().to_string()
        };
        let (key, sha256) = api_key::make().unwrap();
        let fixtures = crate::fixtures::fixtures();
        let mut text = format!(
            r#"
            platform = "{PLATFORM}"
            currency = "CNY"
            user_secrets = [{{ number = 1, secret = {{ file = "{}" }} }}"#,
            file("user", "platform-secret\n")
        );
        for (number, secret) in &options.user_secrets {
            let file = file(&format!("user{number}"), secret);
            text.push_str(&format!(r#", {{ number = {number}, secret = {{ file = "{file}" }} }}"#));
        }
        text.push_str(&format!(
            r#"]
            api_keys = [{{ name = "shop", sha256 = "{sha256}" }}]
            {more}
            [providers.shop]
            kind = "hmac"
            secrets = [{{ file = "{hmac}" }}]
            [providers.stripe]
            kind = "stripe"
            secrets = [{{ file = "{hmac}" }}]
            [providers.alipay]
            kind = "alipay"
            public_keys = [{{ file = "{alipay}" }}]
            app_id = "2014072300007148"
            [providers.wechat]
            kind = "wechat_pay"
            public_keys = [{{ key = {{ file = "{wechat}" }} }}]
            mchid = "1900000109"
            api_v3_key = {{ file = "{api_v3}" }}
            tolerance = 4000000000
            "#,
            more = options.more,
            hmac = file("hmac", SECRET),
            alipay = file("alipay", &fixtures.alipay_public_key),
            wechat = file("wechat", &fixtures.wechat_certificate),
            api_v3 = file("api_v3", "0123456789abcdef0123456789abcdef"),
        ));
        if let Some(url) = &options.webhook {
            let key = file("webhook", &"k".repeat(32));
            text.push_str(&format!(
                "[webhook]\nurl = \"{url}\"\nkey = {{ file = \"{key}\" }}\nfirst_pause_ms = 20\nattempts = 3\n"
            ));
        }
        let settings = Settings::parse(&text).unwrap();
        let pool = database::connect(url, 12).await.unwrap();
        let (state, writers) = OracleState::new(&settings, pool.clone(), prometheus::Registry::new()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let token = CancellationToken::new();
        if let Some(webhook) = &settings.webhook {
            let deliveries = Deliveries::new(webhook, pool.clone(), state.metrics().clone()).unwrap();
            tokio::spawn({
                let token = token.clone();
                async move { deliveries.run(token).await }
            });
        }
        let server = tokio::spawn(http::serve(listener, state.clone(), token.clone()));
        Self {
            _database: None,
            pool,
            url,
            key,
            client: Client::new(),
            state,
            settings,
            token,
            server,
            writers: Some(writers),
            _files: files,
        }
    }

    /// Sends a notice of the generic provider, signed now.
    pub async fn notify(&self, body: &Value) -> StatusCode {
        self.notify_signed(body.to_string(), now()).await.status()
    }

    /// The same, signed at `at`.
    pub async fn notify_signed(&self, body: impl Into<Vec<u8>>, at: i64) -> Response {
        let body = body.into();
        let request = self
            .client
            .post(format!("{}/v1/callbacks/shop", self.url))
            .header("x-timestamp", at)
            .header("x-signature", sign(at, &body))
            .body(body);
        request.send().await.unwrap()
    }

    /// Sends one of the fixtures to a provider.
    pub async fn send(&self, provider: &str, name: &str) -> Response {
        let notice = crate::fixtures::notice(name);
        let url = format!("{}/v1/callbacks/{provider}", self.url);
        self.client.post(url).headers(notice.header_map()).body(notice.body).send().await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.key).send().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: &Value) -> Response {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.key);
        request.body(body.to_string()).send().await.unwrap()
    }

    pub async fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&self.pool).await.unwrap()
    }

    /// A metric's line in what Prometheus reads.
    pub async fn metric(&self, line: &str) -> Option<f64> {
        let text = self.get("/metrics").await.text().await.unwrap();
        text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
    }

    /// Ends it as a signal would.
    pub async fn stop(self) {
        let Self { token, server, writers, state, .. } = self;
        token.cancel();
        server.await.unwrap().unwrap();
        drop(state);
        writers.unwrap().finish().await;
    }
}

pub fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

pub fn sign(at: i64, body: &[u8]) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    let mut message = format!("{at}.").into_bytes();
    message.extend_from_slice(body);
    hex::encode(ring::hmac::sign(&key, &message))
}

/// A paid order's notice.
pub fn payment(number: &str, amount: u64) -> Value {
    json!({
        "event": format!("event-{number}"), "kind": "payment", "order": number, "user": "u1", "amount": amount,
        "currency": "CNY", "paid_at": 1_790_784_000, "product": 7,
    })
}
