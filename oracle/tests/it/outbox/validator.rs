//! The outbox on a real validator.

use super::{
    chaos::{encoded, insert},
    tables::{Process, pay},
};
use prometheus::Registry;
use rebate_client::{
    address::{Addresses, PROGRAM},
    block::Transaction,
    chain::{Commitment, ReadAccounts, ReadHistory, Submit, rpc::RpcChain},
    instruction, platform_id,
};
use rebate_core::{
    payment::Payment,
    refund::Refund,
    units::{Amount, OrderHash, Timestamp},
};
use rebate_local::validator::LocalValidator;
use rebate_oracle::{
    outbox::{Options, Outbox, metrics::Metrics, record::Record},
    signer::LocalKey,
};
use rebate_tests::{artifacts, database::TestDatabase, platform::settings};
use solana_keypair::Keypair;
use solana_signer::Signer;
use sqlx::PgPool;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(90);

/// A way to the validator that can be closed: what is under way breaks, what comes is turned away.
async fn way(to: &str) -> (String, Arc<AtomicBool>) {
    let to = to.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let closed = Arc::new(AtomicBool::new(false));
    let is_closed = Arc::clone(&closed);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (to, is_closed) = (to.clone(), Arc::clone(&is_closed));
            tokio::spawn(async move {
                let Ok(mut node) = TcpStream::connect(to).await else { return };
                let closing = async {
                    while !is_closed.load(Ordering::SeqCst) {
                        sleep(Duration::from_millis(5)).await;
                    }
                };
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut node) => {}
                    () = closing => {}
                }
            });
        }
    });
    (url, closed)
}

async fn open(pool: &PgPool) -> i64 {
    let count = "SELECT (SELECT count(*) FROM records WHERE state IN (1, 2)) + (SELECT count(*) FROM submissions)";
    sqlx::query_scalar(count).fetch_one(pool).await.unwrap()
}

async fn through(pool: &PgPool) {
    let begun = Instant::now();
    while open(pool).await > 0 {
        assert!(begun.elapsed() < PATIENCE, "not through: {} left", open(pool).await);
        sleep(Duration::from_millis(50)).await;
    }
}

/// A validator with a platform.
struct Stage {
    validator: LocalValidator,
    // Goes after the validator.
    _folder: tempfile::TempDir,
    chain: RpcChain,
    addresses: Addresses,
    payer: Keypair,
    oracle: Keypair,
}

impl Stage {
    async fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (dir, program) = (folder.path().to_owned(), artifacts::program());
        let start = move || LocalValidator::start(&dir, &PROGRAM.to_string(), &program);
        let validator = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
        let chain = RpcChain::new(&validator.rpc_url(), Commitment::Confirmed);
        let (payer, admin, pauser, oracle) = (Keypair::new(), Keypair::new(), Keypair::new(), Keypair::new());
        for key in [&payer, &admin] {
            chain.airdrop(&key.pubkey(), 100_000_000_000).await.unwrap();
        }
        let addresses = Addresses::of(1);
        let settings = settings(1, &admin.pubkey(), &pauser.pubkey());
        let create = instruction::create_platform(&payer.pubkey(), &settings);
        chain.submit(&[create], &[&payer]).await.unwrap();
        let (always, key) = (Timestamp(0), oracle.pubkey());
        let register = instruction::register_oracle_key(&admin.pubkey(), &addresses, &key, always, always);
        chain.submit(&[register], &[&admin]).await.unwrap();
        Self { validator, _folder: folder, chain, addresses, payer, oracle }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_validator_every_order_is_recorded_once_though_it_is_down_the_oracle_killed_and_its_database_restored() {
    let Stage { validator, chain, addresses, payer, oracle, _folder } = Stage::set().await;
    let now = chain.now().await.unwrap();

    let database = TestDatabase::of_oracle().await.unwrap();
    let pool = database.pool();
    let mut records = Vec::new();
    for at in 0..24u64 {
        let number = format!("V{at}");
        let payment = Payment {
            order: OrderHash::of(&number),
            user: platform_id::unkeyed_user(&format!("user {}", at % 9)),
            amount: Amount(1_000 + at),
            paid_at: Timestamp(now),
            ..Payment::default()
        };
        records.push((number, Record::Payment(payment)));
    }
    let number = "V-refund".to_owned();
    let (order, of) = (OrderHash::of(&number), OrderHash::of("V3"));
    records.push((number, Record::Refund(Refund { order, of, amount: Amount(500), paid_at: Timestamp(now) })));
    for (number, record) in &records {
        assert!(!encoded(record).is_empty());
        insert(pool, &addresses.platform, number, record).await;
    }

    let (url, closed) = way(&validator.rpc_url()).await;
    let over = CancellationToken::new();
    let process = || -> JoinHandle<()> {
        let outbox = Outbox::new(
            sqlx::postgres::PgPoolOptions::new().max_connections(6).connect_lazy(&database.url()).unwrap(),
            RpcChain::new(&url, Commitment::Confirmed),
            Arc::new(LocalKey::new(oracle.insecure_clone())),
            Arc::new(LocalKey::new(payer.insecure_clone())),
            addresses.platform,
            Options { hold: Duration::from_millis(300), ..Options::default() },
            Metrics::new(&Registry::new()).unwrap(),
        );
        let over = over.clone();
        tokio::spawn(async move { outbox.run(over).await })
    };
    let killed = process();
    let begun = Instant::now();
    while sqlx::query_scalar::<_, i64>("SELECT count(*) FROM submissions").fetch_one(pool).await.unwrap() == 0 {
        assert!(begun.elapsed() < PATIENCE, "nothing is sent");
        sleep(Duration::from_millis(2)).await;
    }
    killed.abort();
    let killed = process();
    sleep(Duration::from_millis(400)).await;
    closed.store(true, Ordering::SeqCst);
    // ORACLE_AWAY=60 has the node away for a whole minute.
    let away = std::env::var("ORACLE_AWAY").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    sleep(Duration::from_secs(away)).await;
    killed.abort();
    let killed = process();
    closed.store(false, Ordering::SeqCst);
    through(pool).await;
    killed.abort();
    let _ = killed.await;

    // Yesterday's backup: everything came, nothing was sent yet.
    let restore = "BEGIN; TRUNCATE submissions;
        UPDATE records SET state = 1, reason = NULL, signature = NULL, slot = NULL, attempts = 0, not_before = NULL; COMMIT";
    sqlx::raw_sql(restore).execute(pool).await.unwrap();
    let last = process();
    through(pool).await;
    over.cancel();
    last.await.unwrap();

    let rows: Vec<(String, i16, Option<String>)> =
        sqlx::query_as("SELECT number, state, reason FROM records WHERE state <> 3").fetch_all(pool).await.unwrap();
    assert_eq!(rows, []);
    let mut events = Vec::new();
    let mut before = None;
    loop {
        let page = chain.mentions(&addresses.journal, before.as_ref()).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.signature);
        for mention in page.iter().filter(|mention| !mention.failed) {
            let transaction: Transaction = chain.transaction(&mention.signature).await.unwrap().unwrap();
            events.extend(transaction.events().unwrap());
        }
    }
    for (number, record) in &records {
        let times = events.iter().filter(|emitted| record.is_recorded_by(&emitted.event)).count();
        assert_eq!(times, 1, "{number} is on chain {times} times");
    }
}

/// What this process has in memory, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_validator_neither_memory_nor_what_is_under_way_grows_with_the_orders_that_are_through() {
    const ROUNDS: u64 = 12;
    const ORDERS: u64 = 80;
    let Stage { validator, chain, addresses, payer, oracle, _folder } = Stage::set().await;
    let database = TestDatabase::of_oracle().await.unwrap();
    let pool = database.pool();
    let over = CancellationToken::new();
    let options = Options::default();
    let outbox = Outbox::new(
        sqlx::postgres::PgPoolOptions::new().max_connections(6).connect_lazy(&database.url()).unwrap(),
        RpcChain::new(&validator.rpc_url(), Commitment::Confirmed),
        Arc::new(LocalKey::new(oracle)),
        Arc::new(LocalKey::new(payer)),
        addresses.platform,
        options,
        Metrics::new(&Registry::new()).unwrap(),
    );
    let token = over.clone();
    let running = tokio::spawn(async move { outbox.run(token).await });
    let mut settled = 0;
    for round in 0..ROUNDS {
        let now = chain.now().await.unwrap();
        for at in 0..ORDERS {
            let number = format!("soak-{round}-{at}");
            let payment = Payment {
                order: OrderHash::of(&number),
                user: platform_id::unkeyed_user(&format!("user {round} {}", at % 60)),
                amount: Amount(1_000),
                paid_at: Timestamp(now),
                ..Payment::default()
            };
            insert(pool, &addresses.platform, &number, &Record::Payment(payment)).await;
        }
        let under_way: i64 = sqlx::query_scalar("SELECT count(*) FROM submissions").fetch_one(pool).await.unwrap();
        assert!(under_way <= i64::try_from(options.under_way).unwrap());
        through(pool).await;
        // What allocators and connections keep is there after a few.
        if round == ROUNDS / 3 {
            settled = resident();
        }
    }
    let after = resident();
    over.cancel();
    running.await.unwrap();
    println!("{settled} KiB after a third of {} orders, {after} KiB after all", ROUNDS * ORDERS);
    assert!(after < settled + 8 * 1_024, "{settled} KiB after a third, {after} KiB after all");
    assert_eq!(open(pool).await, 0);
    let recorded: i64 =
        sqlx::query_scalar("SELECT count(*) FROM records WHERE state = 3").fetch_one(pool).await.unwrap();
    assert_eq!(recorded, i64::try_from(ROUNDS * ORDERS).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_validator_a_lookup_table_lets_more_payments_into_a_transaction_and_each_is_granted_once() {
    const USERS: usize = 40;
    let Stage { validator, chain, addresses, payer, oracle, _folder } = Stage::set().await;
    let (database, at) = (TestDatabase::of_oracle().await.unwrap(), addresses.platform);
    let pool = database.pool();
    let wave = |wave: &str, now| -> Vec<_> {
        let paid = |at: usize| {
            let number = format!("{wave}-{at}");
            let payment = Payment {
                order: OrderHash::of(&number),
                user: platform_id::unkeyed_user(&format!("user {at}")),
                amount: Amount(1_000),
                paid_at: Timestamp(now),
                ..Payment::default()
            };
            (number, Record::Payment(payment))
        };
        (0..USERS).map(paid).collect()
    };
    let start = |lookup_table| {
        let chain = RpcChain::new(&validator.rpc_url(), Commitment::Confirmed);
        Process::start(pool, chain, at, [&oracle, &payer], Options { lookup_table, ..Options::default() })
    };
    let now = chain.now().await.unwrap();
    let without = start(false);
    let mut all = wave("opening", now);
    pay(pool, &at, &without, &all).await;
    let legacy = wave("legacy", now);
    let by_legacy = pay(pool, &at, &without, &legacy).await;
    without.end().await;
    let with = start(true);
    with.has_table(|| {}).await;
    let version_0 = wave("version-0", now);
    let by_version_0 = pay(pool, &at, &with, &version_0).await;
    with.end().await;
    // Found again, and one that is none is replaced.
    let known = || async { sqlx::query_scalar("SELECT address FROM lookup_tables").fetch_one(pool).await.unwrap() };
    let first: Vec<u8> = known().await;
    let again = start(true);
    again.has_table(|| {}).await;
    again.end().await;
    assert_eq!(first, known().await);
    sqlx::query("UPDATE lookup_tables SET address = $1").bind(at.as_ref()).execute(pool).await.unwrap();
    let anew = start(true);
    anew.has_table(|| {}).await;
    let last = wave("last", now);
    pay(pool, &at, &anew, &last).await;
    anew.end().await;
    let second: Vec<u8> = known().await;
    assert!(second != first && second != at.as_ref());

    for more in [legacy, version_0, last] {
        all.extend(more);
    }
    let (mut events, mut before) = (Vec::new(), None);
    loop {
        // A transaction that names the journal by the table is found by it all the same.
        let page = chain.mentions(&addresses.journal, before.as_ref()).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.signature);
        for mention in page.iter().filter(|mention| !mention.failed) {
            let transaction = chain.transaction(&mention.signature).await.unwrap().unwrap();
            events.extend(transaction.events().unwrap());
        }
    }
    for (number, record) in &all {
        let times = events.iter().filter(|emitted| record.is_recorded_by(&emitted.event)).count();
        assert_eq!(times, 1, "{number} is on chain {times} times");
    }
    println!("{USERS} payments: {by_legacy} legacy transactions, {by_version_0} of version 0");
    assert!(by_version_0 < by_legacy, "{by_version_0} of version 0, {by_legacy} legacy ones");
}
