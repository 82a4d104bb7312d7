//! From the queue to a confirmed grant on `solana-test-validator`: prints a figure a line, as JSON. Needs `DATABASE_URL`.
#![expect(clippy::unwrap_used, reason = "what cannot be measured is not measured")]

use prometheus::Registry;
use rebate_client::{
    address::{Addresses, PROGRAM},
    chain::{Commitment, ReadAccounts, Submit, rpc::RpcChain},
    instruction, platform_id,
};
use rebate_core::{
    message::Record,
    payment::Payment,
    units::{Amount, OrderHash, Timestamp},
};
use rebate_local::validator::LocalValidator;
use rebate_oracle::{
    load,
    outbox::{Options, Outbox, metrics::Metrics},
    signer::LocalKey,
};
use rebate_tests::{
    artifacts,
    database::TestDatabase,
    platform::{settings, weekend_bonus},
};
use solana_keypair::Keypair;
use solana_signer::Signer;
use sqlx::PgPool;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

const RATE: u64 = 50;
const SECONDS: u64 = 15;
const USERS: u64 = 400;
const AT_ONCE: u64 = 1_200;
const PATIENCE: Duration = Duration::from_secs(100);

async fn queue(pool: &PgPool, platform: &[u8], number: &str, user: u64, paid_at: i64) {
    let payment = Payment {
        order: OrderHash::of(number),
        user: platform_id::unkeyed_user(&user.to_string()),
        amount: Amount(5_000),
        paid_at: Timestamp(paid_at),
        ..Payment::default()
    };
    let mut bytes = Vec::new();
    payment.encode(&mut bytes);
    let insert = "WITH new AS (INSERT INTO records (platform, kind, number, order_hash, record, provider)
        VALUES ($1, 1, $2, $3, $4, 'bench')) SELECT pg_notify('oracle_queued', '')";
    let insert = sqlx::query(insert).bind(platform).bind(number).bind(payment.order.0.as_slice()).bind(bytes);
    insert.execute(pool).await.unwrap();
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let validator = LocalValidator::start(folder.path(), &PROGRAM.to_string(), &artifacts::program()).unwrap();
    let chain = RpcChain::new(&validator.rpc_url(), Commitment::Confirmed);
    let (payer, admin, oracle) = (Keypair::new(), Keypair::new(), Keypair::new());
    for key in [&payer, &admin] {
        chain.airdrop(&key.pubkey(), 100_000_000_000).await.unwrap();
    }
    let (addresses, always) = (Addresses::of(1), Timestamp(0));
    let create = instruction::create_platform(&payer.pubkey(), &settings(1, &admin.pubkey(), &admin.pubkey()));
    chain.submit(&[create], &[&payer]).await.unwrap();
    let register = instruction::register_oracle_key(&admin.pubkey(), &addresses, &oracle.pubkey(), always, always);
    let publish = instruction::publish_rule(&admin.pubkey(), &addresses, &weekend_bonus_always(), always);
    chain.submit(&[register, publish], &[&admin]).await.unwrap();
    let now = chain.now().await.unwrap();

    let database = TestDatabase::of_oracle().await.unwrap();
    let (pool, platform) = (database.pool(), addresses.platform.to_bytes());
    let outbox = Outbox::new(
        sqlx::postgres::PgPoolOptions::new().max_connections(8).connect_lazy(&database.url()).unwrap(),
        RpcChain::new(&validator.rpc_url(), Commitment::Confirmed),
        Arc::new(LocalKey::new(oracle)),
        Arc::new(LocalKey::new(payer)),
        addresses.platform,
        Options::default(),
        Metrics::new(&Registry::new()).unwrap(),
    );
    let over = CancellationToken::new();
    let running = tokio::spawn({
        let over = over.clone();
        async move { outbox.run(over).await }
    });

    let begun = Instant::now();
    for at in 0..RATE * SECONDS {
        sleep_until(begun + Duration::from_millis(1_000 / RATE) * u32::try_from(at).unwrap()).await;
        queue(pool, &platform, &format!("steady-{at}"), at % USERS, now).await;
    }
    let times = load::confirmed(pool, "steady", PATIENCE).await.unwrap();
    let note =
        format!("{RATE} payments a second for {SECONDS} s of {USERS} users, the first of each opens its account");
    for (name, percent) in [("oracle.callback_to_confirmed_ms.p50", 50), ("oracle.callback_to_confirmed_ms.p99", 99)] {
        let value = times.percentile(percent).round();
        println!(r#"{{"name": "{name}", "value": {value}, "unit": "ms", "note": "{note}, from storing"}}"#);
    }
    let begun = Instant::now();
    for at in 0..AT_ONCE {
        queue(pool, &platform, &format!("burst-{at}"), at % USERS, now).await;
    }
    let times = load::confirmed(pool, "burst", PATIENCE).await.unwrap();
    let value = (times.count() as f64 / begun.elapsed().as_secs_f64()).round();
    let note = format!("{AT_ONCE} payments queued at once, of {USERS} users with open accounts");
    println!(r#"{{"name": "oracle.confirmed_per_second", "value": {value}, "unit": "/s", "note": "{note}"}}"#);
    over.cancel();
    running.await.unwrap();
}

/// A rule that grants on every payment, so that nothing depends on the day.
fn weekend_bonus_always() -> rebate_client::event::RuleDefinition {
    rebate_client::event::RuleDefinition { condition: Vec::new(), ..weekend_bonus() }
}
