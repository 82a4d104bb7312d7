//! How many notices a second are accepted, each durable before its answer: commits wait for the disk, and the provider that
//! sends them is beside, on the same cores.
//!
//! `DATABASE_URL=… cargo bench -p rebate-oracle` prints one line of JSON per figure. The database it makes on that server goes at
//! the end. With REBATE_BENCH set to a figure's name, only what that takes is measured; REBATE_BENCH_SECONDS says for how long,
//! REBATE_BENCH_WRITERS how many transactions at once.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench may fail by any panic")]

use rebate_local::LocalPostgres;
use rebate_oracle::{OracleState, Settings, database, http, intake::Writers};
use serde_json::json;
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use time::OffsetDateTime;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Builder,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

const MOST: &str = "oracle.callbacks_per_second";
const PACED: &str = "oracle.callback_ms.p99";

/// The goal for the paced run.
const RATE: u64 = 1_500;

/// Connections of the provider.
const CONNECTIONS: u64 = 48;

const SECRET: &str = "a secret of the bench";

fn main() {
    let wanted = std::env::var("REBATE_BENCH").ok();
    let is_wanted = |name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
    if !is_wanted(MOST) && !is_wanted(PACED) {
        return;
    }
    let seconds = std::env::var("REBATE_BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL names a Postgres");
    let postgres = LocalPostgres::named(&url).unwrap();
    let name = format!("bench_oracle_{}", std::process::id());
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(postgres.create_database(&name)).unwrap();
    let files = tempfile::tempdir().unwrap();
    let (address, fsync, _writers) = runtime.block_on(serve(&postgres.url(&name), files.path()));
    // The provider has a thread of its own, as another process would.
    let provider = Builder::new_current_thread().enable_all().build().unwrap();
    provider.block_on(send(address, 0, Duration::from_secs(2), None));
    if is_wanted(MOST) {
        let run = provider.block_on(send(address, 1, Duration::from_secs(seconds), None));
        run.print(MOST, run.per_second(), "/s", &fsync, "as fast as they are answered");
        run.print("oracle.callback_ms.p99_at_most", run.percentile(99.0), "ms", &fsync, "as fast as they are answered");
    }
    if is_wanted(PACED) {
        let run = provider.block_on(send(address, 2, Duration::from_secs(seconds), Some(RATE)));
        let how = format!("{RATE} a second, from when each was due");
        run.print("oracle.callback_ms.p50", run.percentile(50.0), "ms", &fsync, &how);
        run.print(PACED, run.percentile(99.0), "ms", &fsync, &how);
        run.print("oracle.callbacks_per_second_paced", run.per_second(), "/s", &fsync, &how);
    }
    runtime.block_on(postgres.drop_database(&name)).unwrap();
}

/// An oracle as the process has it. Returns where it listens and what Postgres says of fsync.
async fn serve(url: &str, files: &std::path::Path) -> (std::net::SocketAddr, String, Writers) {
    let secret = files.join("secret");
    fs::write(&secret, SECRET).unwrap();
    let place = format!("{{ file = \"{}\" }}", secret.display());
    let mut settings = Settings::parse(&format!(
        "platform = \"ReBo6PHCPNUAdG9RMgkdmMmoW6gDbtJ8aMVU7AJgm5u\"\ncurrency = \"CNY\"\n\
         user_secrets = [{{ number = 1, secret = {place} }}]\n         [providers.stripe]\nkind = \"stripe\"\nsecrets = [{place}]\n"
    ))
    .unwrap();
    if let Some(writers) = std::env::var("REBATE_BENCH_WRITERS").ok().and_then(|text| text.parse().ok()) {
        settings.limits.writers = writers;
    }
    let pool = database::connect(url, settings.limits.connections).await.unwrap();
    let fsync: String = sqlx::query_scalar(
        "SELECT current_setting('fsync') || ', synchronous_commit ' || current_setting('synchronous_commit')",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    let (state, writers) = OracleState::new(&settings, pool, prometheus::Registry::new()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(http::serve(listener, state, CancellationToken::new()));
    (address, fsync, writers)
}

/// What came of a run.
struct Run {
    latencies: Vec<Duration>,
    took: Duration,
}

impl Run {
    fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    fn percentile(&self, percent: f64) -> f64 {
        let at = (self.latencies.len() as f64 * percent / 100.0).ceil() as usize;
        self.latencies[at.saturating_sub(1)].as_secs_f64() * 1_000.0
    }

    fn print(&self, name: &str, value: f64, unit: &str, fsync: &str, how: &str) {
        let value = if value < 100.0 { (value * 10.0).round() / 10.0 } else { value.round() };
        println!(
            "{}",
            json!({
                "name": name, "value": value, "unit": unit,
                "note": format!(
                    "{} Stripe notices of new orders over {CONNECTIONS} connections, {how}; signature, record, one transaction \
                     shared by those that come together; fsync {fsync}; Postgres and the sender on the same cores, which bound it",
                    self.latencies.len()
                ),
            })
        );
    }
}

/// Sends new orders for `span`, as fast as they are answered or `rate` a second in all.
async fn send(address: std::net::SocketAddr, run: u64, span: Duration, rate: Option<u64>) -> Run {
    let next = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut senders = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let next = Arc::clone(&next);
        senders.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
            let (mut latencies, mut answer) = (Vec::new(), [0; 1_024]);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let mut due = Instant::now();
                if let Some(rate) = rate {
                    // When it is due, not when there is time for it: a slow answer delays nobody's clock.
                    due = begun + Duration::from_micros(number * 1_000_000 / rate);
                    tokio::time::sleep_until(due.into()).await;
                }
                if begun.elapsed() >= span {
                    return latencies;
                }
                stream.write_all(&request(&key, run, number)).await.unwrap();
                let read = stream.read(&mut answer).await.unwrap();
                assert!(answer[..read].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..read]));
                latencies.push(due.elapsed());
            }
        });
    }
    let mut latencies: Vec<Duration> = senders.join_all().await.into_iter().flatten().collect();
    let took = begun.elapsed();
    latencies.sort_unstable();
    Run { latencies, took }
}

/// A `payment_intent.succeeded` as long as real ones are.
fn request(key: &ring::hmac::Key, run: u64, number: u64) -> Vec<u8> {
    let at = OffsetDateTime::now_utc().unix_timestamp();
    let body = json!({
        "id": format!("evt_{run}_{number}"), "object": "event", "api_version": "2024-06-20", "created": at,
        "type": "payment_intent.succeeded", "livemode": true, "pending_webhooks": 1,
        "request": { "id": "req_0123456789", "idempotency_key": "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9" },
        "data": { "object": {
            "id": format!("pi_{run}_{number}"), "object": "payment_intent", "amount": 600 + number % 9_000,
            "amount_received": 600 + number % 9_000, "amount_capturable": 0, "currency": "cny", "status": "succeeded",
            "capture_method": "automatic", "confirmation_method": "automatic", "created": at, "livemode": true,
            "client_secret": "pi_0123456789_secret_0123456789", "description": "x".repeat(600),
            "metadata": { "user": format!("user-{}", number * 7_919 % 20_000), "product": "7", "streamer": "s-17" },
        } },
    })
    .to_string();
    let signature = hex::encode(ring::hmac::sign(key, format!("{at}.{body}").as_bytes()));
    format!(
        "POST /v1/callbacks/stripe HTTP/1.1\r\nhost: oracle\r\nstripe-signature: t={at},v1={signature}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
