//! From a provider's notice, by HTTP, to a confirmed grant on `solana-test-validator`: prints a figure a line, as JSON. Needs
//! `DATABASE_URL`. With REBATE_BENCH set to a figure's name, nothing is measured unless it is one of these.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what cannot be measured is not measured")]

use prometheus::Registry;
use rebate_client::{
    Pubkey,
    address::{Addresses, PROGRAM},
    chain::{Commitment, Submit, rpc::RpcChain},
    instruction::{self, PlatformSettings},
};
use rebate_core::units::Timestamp;
use rebate_local::{postgres::LocalPostgres, validator::LocalValidator};
use rebate_oracle::{
    OracleState, Settings, database, http,
    load::{self, Load, Measured, Times},
    outbox::{Options, Outbox, metrics::Metrics},
    signer::LocalKey,
};
use rebate_tests::{
    artifacts,
    platform::{settings, weekend_bonus},
};
use serde_json::json;
use solana_keypair::Keypair;
use solana_signer::Signer;
use sqlx::PgPool;
use std::{env, fs, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const PACED: &str = "oracle.callback_to_confirmed_ms";
const MOST: &str = "oracle.confirmed_per_second";

/// The goal's rate.
const RATE: u32 = 50;
const SECONDS: u32 = 20;
const USERS: u32 = 400;

/// More than the chain takes: what is confirmed in a second is then up to the chain.
const BURST_RATE: u32 = 1_000;
const BURST_SECONDS: u32 = 4;
const BURST_USERS: u32 = 2_000;

/// No shard's page is full before the end.
const SHARDS: u16 = 8;

const SECRET: &str = "a secret of the bench";
const PATIENCE: Duration = Duration::from_secs(120);

fn main() {
    let wanted = env::var("REBATE_BENCH").ok();
    if wanted.is_some_and(|wanted| !wanted.starts_with(PACED) && wanted != MOST) {
        return;
    }
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_default();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let validator = LocalValidator::start(folder.path(), &PROGRAM.to_string(), &artifacts::program()).unwrap();
    let (addresses, oracle, payer) = platform(&validator).await;
    let postgres = LocalPostgres::named(&env::var("DATABASE_URL").expect("DATABASE_URL names a Postgres")).unwrap();
    let name = format!("bench_outbox_{}", std::process::id());
    postgres.create_database(&name).await.unwrap();
    let over = CancellationToken::new();
    let pool = database::connect(&postgres.url(&name), 8).await.unwrap();
    let url = intake(&postgres.url(&name), &addresses.platform, folder.path(), over.clone()).await;
    let metrics = Metrics::new(&Registry::new()).unwrap();
    let outbox = Outbox::new(
        database::connect(&postgres.url(&name), 8).await.unwrap(),
        RpcChain::new(&validator.rpc_url(), Commitment::Confirmed),
        Arc::new(LocalKey::new(oracle)),
        Arc::new(LocalKey::new(payer)),
        addresses.platform,
        Options::default(),
        metrics.clone(),
    );
    let running = tokio::spawn({
        let over = over.clone();
        async move { outbox.run(over).await }
    });
    let load = |prefix: &str, rate, seconds, users| Load {
        url: url.clone(),
        secret: SECRET.as_bytes().to_vec(),
        currency: "CNY".to_owned(),
        prefix: prefix.to_owned(),
        rate,
        seconds,
        users,
    };

    let (measured, times) = play(&pool, &load("steady", RATE, SECONDS, USERS)).await;
    let transactions = metrics.transactions.get();
    for (percent, name) in [(50, format!("{PACED}.p50")), (90, format!("{PACED}.p90")), (99, format!("{PACED}.p99"))] {
        print(
            &name,
            times.percentile(percent),
            "ms",
            &format!(
                "{RATE} payments a second for {SECONDS} s of {USERS} users, by HTTP, from when each notice was due to the \
                 database's saying that its grant is confirmed; {transactions} transactions; the first payments open \
                 {SHARDS} pages and every user's account; the notices were answered in {:.0} ms (p99); the slot of 400 ms \
                 and the vote on it bound it",
                measured.answers.percentile(99)
            ),
        );
    }
    let (_, times) = play(&pool, &load("burst", BURST_RATE, BURST_SECONDS, BURST_USERS)).await;
    let transactions = metrics.transactions.get() - transactions;
    let span = span(&pool).await;
    print(
        MOST,
        times.count() as f64 / span,
        "/s",
        &format!(
            "{} payments of {BURST_USERS} users, {BURST_RATE} a second by HTTP, from the first notice to the last confirmed \
             grant; {:.1} in a transaction; validator, Postgres, sender and oracle share two cores, which bound it",
            times.count(),
            times.count() as f64 / transactions.max(1) as f64
        ),
    );
    over.cancel();
    running.await.unwrap();
    pool.close().await;
    postgres.drop_database(&name).await.unwrap();
}

/// From the first order's coming to the last one's being confirmed, in seconds.
async fn span(pool: &PgPool) -> f64 {
    let span = "SELECT extract(epoch FROM max(changed_at) - min(received_at))::float8 FROM records WHERE number LIKE 'burst-%'";
    sqlx::query_scalar(span).fetch_one(pool).await.unwrap()
}

async fn play(pool: &PgPool, load: &Load) -> (Measured, Times) {
    let measured = load::play(load).await.unwrap();
    assert_eq!(measured.answers.count(), (load.rate * load.seconds) as usize, "{:?}", measured.statuses);
    let times = load::ended(pool, load, &measured, PATIENCE).await.unwrap().confirmed;
    assert_eq!(times.count(), measured.answers.count(), "some were refused or died");
    (measured, times)
}

fn print(name: &str, value: f64, unit: &str, note: &str) {
    println!("{}", json!({ "name": name, "value": value.round(), "unit": unit, "note": note }));
}

/// A platform with a rule that grants something for every payment.
async fn platform(validator: &LocalValidator) -> (Addresses, Keypair, Keypair) {
    let chain = RpcChain::new(&validator.rpc_url(), Commitment::Confirmed);
    let (payer, admin, oracle) = (Keypair::new(), Keypair::new(), Keypair::new());
    for key in [&payer, &admin] {
        chain.airdrop(&key.pubkey(), 100_000_000_000).await.unwrap();
    }
    let (addresses, always) = (Addresses::of(1), Timestamp(0));
    let settings = PlatformSettings { order_shards: SHARDS, ..settings(1, &admin.pubkey(), &admin.pubkey()) };
    chain.submit(&[instruction::create_platform(&payer.pubkey(), &settings)], &[&payer]).await.unwrap();
    let register = instruction::register_oracle_key(&admin.pubkey(), &addresses, &oracle.pubkey(), always, always);
    let publish = instruction::publish_rule(&admin.pubkey(), &addresses, &weekend_bonus_always(), always);
    chain.submit(&[register, publish], &[&admin]).await.unwrap();
    (addresses, oracle, payer)
}

/// The intake as the process has it, and where a provider of the kind `hmac` sends its notices.
async fn intake(url: &str, platform: &Pubkey, files: &std::path::Path, over: CancellationToken) -> String {
    let secret = files.join("secret");
    fs::write(&secret, SECRET).unwrap();
    let place = format!("{{ file = \"{}\" }}", secret.display());
    let settings = Settings::parse(&format!(
        "platform = \"{platform}\"\ncurrency = \"CNY\"\nuser_secrets = [{{ number = 1, secret = {place} }}]\n\
         [providers.shop]\nkind = \"hmac\"\nsecrets = [{place}]\n"
    ))
    .unwrap();
    let pool = database::connect(url, settings.limits.connections).await.unwrap();
    let (state, writers) = OracleState::new(&settings, pool, Registry::new()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        http::serve(listener, state, over).await.unwrap();
        writers.finish().await;
    });
    format!("http://{address}/v1/callbacks/shop")
}

/// A rule that grants on every payment, so that nothing depends on the day.
fn weekend_bonus_always() -> rebate_client::event::RuleDefinition {
    rebate_client::event::RuleDefinition { condition: Vec::new(), ..weekend_bonus() }
}
