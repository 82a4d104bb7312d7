//! How many payments go into a transaction: lookup tables, and one user's payments in order.

use super::{chain::FaultyChain, chaos::insert};
use prometheus::Registry;
use rebate_client::{
    Pubkey,
    chain::{Dispatch, ReadAccounts, embedded::EmbeddedChain},
    event::Event,
    instruction,
    lookup::TABLES,
};
use rebate_core::units::Timestamp;
use rebate_oracle::{
    outbox::{Options, Outbox, metrics::Metrics, record::Record},
    signer::LocalKey,
};
use rebate_tests::{
    database::TestDatabase,
    platform::{TestPlatform, payment},
};
use solana_address_lookup_table_interface::instruction::{close_lookup_table, deactivate_lookup_table};
use solana_keypair::Keypair;
use solana_signer::Signer;
use sqlx::PgPool;
use std::{sync::Arc, time::Duration};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

pub fn options(lookup_table: bool) -> Options {
    Options {
        gather: Duration::from_millis(2),
        look: Duration::from_millis(2),
        resend: Duration::from_millis(15),
        poll: Duration::from_millis(10),
        shortest_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(20),
        hold: Duration::from_millis(10),
        lookup_table,
        ..Options::default()
    }
}

/// A process that brings records onto the chain.
pub struct Process {
    pub metrics: Metrics,
    over: CancellationToken,
    running: JoinHandle<()>,
}

impl Process {
    pub fn start<C: Dispatch + Clone + 'static>(
        pool: &PgPool,
        chain: C,
        platform: Pubkey,
        [oracle, payer]: [&Keypair; 2],
        options: Options,
    ) -> Self {
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let [oracle, payer] = [oracle, payer].map(|key| Arc::new(LocalKey::new(key.insecure_clone())));
        let outbox = Outbox::new(pool.clone(), chain, oracle, payer, platform, options, metrics.clone());
        let over = CancellationToken::new();
        let token = over.clone();
        let running = tokio::spawn(async move { outbox.run(token).await });
        Self { metrics, over, running }
    }

    pub async fn end(self) {
        self.over.cancel();
        self.running.await.unwrap();
    }

    /// Waits until transactions name accounts by a table.
    pub async fn has_table(&self, pass: impl Fn()) {
        let begun = Instant::now();
        while self.metrics.lookup_table.get() == 0 {
            assert!(begun.elapsed() < PATIENCE, "no table");
            pass();
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Stores payments all at once, and waits until they are through. How many transactions that took.
pub async fn pay(pool: &PgPool, platform: &Pubkey, process: &Process, records: &[(String, Record)]) -> u64 {
    let before = process.metrics.transactions.get();
    let mut stored = pool.begin().await.unwrap();
    for (number, record) in records {
        insert(&mut *stored, platform, number, record).await;
    }
    stored.commit().await.unwrap();
    through(pool).await;
    process.metrics.transactions.get() - before
}

pub async fn through(pool: &PgPool) {
    let begun = Instant::now();
    let open = "SELECT (SELECT count(*) FROM records WHERE state IN (1, 2)) + (SELECT count(*) FROM submissions)";
    while sqlx::query_scalar::<_, i64>(open).fetch_one(pool).await.unwrap() > 0 {
        assert!(begun.elapsed() < PATIENCE, "not through");
        sleep(Duration::from_millis(5)).await;
    }
}

/// A payment each of so many users.
fn payments(wave: &str, users: u64) -> Vec<(String, Record)> {
    let number = |at| format!("{wave}-{at}");
    (0..users)
        .map(|at| (number(at), Record::Payment(payment(&number(at), &format!("user {at}"), 1_000 + at))))
        .collect()
}

async fn address(pool: &PgPool) -> Pubkey {
    let address: Vec<u8> = sqlx::query_scalar("SELECT address FROM lookup_tables").fetch_one(pool).await.unwrap();
    Pubkey::try_from(address).unwrap()
}

/// The payments that the chain recorded, in order.
fn recorded(chain: &EmbeddedChain) -> Vec<[u8; 32]> {
    let blocks = (0..=chain.tip()).filter_map(|slot| chain.block(slot));
    let events = blocks.flat_map(|block| block.transactions).flat_map(|transaction| transaction.events().unwrap());
    let orders = events.filter_map(|emitted| match emitted.event {
        Event::PaymentRecorded(event) => Some(event.order),
        _ => None,
    });
    orders.collect()
}

fn orders(records: &[(String, Record)]) -> Vec<[u8; 32]> {
    let order = |record: &Record| match record {
        Record::Payment(payment) => payment.order.0,
        _ => [0; 32],
    };
    records.iter().map(|(_, record)| order(record)).collect()
}

async fn stage() -> (TestPlatform, TestDatabase) {
    let platform = tokio::task::spawn_blocking(TestPlatform::with_sample_rules).await.unwrap();
    (platform, TestDatabase::of_oracle().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_lookup_table_more_payments_fit_and_each_is_recorded_once() {
    let (platform, database) = stage().await;
    let (pool, at) = (database.pool(), platform.addresses.platform);
    let mut took = Vec::new();
    for lookup_table in [false, true] {
        sqlx::raw_sql("TRUNCATE records, submissions CASCADE").execute(pool).await.unwrap();
        let chain = platform.chain.fork();
        let keys = [&platform.oracle, &platform.payer];
        let process = Process::start(pool, chain.clone(), at, keys, options(lookup_table));
        let mut all = payments("opening", 40);
        pay(pool, &at, &process, &all).await;
        if lookup_table {
            process.has_table(|| chain.pass()).await;
        }
        let wave = payments("wave", 40);
        took.push(pay(pool, &at, &process, &wave).await);
        assert_eq!(process.metrics.lookup_table.get(), i64::from(lookup_table));
        process.end().await;
        all.extend(wave);
        let (mut on_chain, mut stored) = (recorded(&chain), orders(&all));
        on_chain.sort_unstable();
        stored.sort_unstable();
        assert_eq!(on_chain, stored);
    }
    println!("40 payments: {took:?} transactions without and with a table");
    assert_eq!(took, [10, 8]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lookup_table_is_found_again_and_made_anew_where_it_is_gone_and_nothing_waits_for_it() {
    let (platform, database) = stage().await;
    let (pool, at, chain) = (database.pool(), platform.addresses.platform, &platform.chain);
    let keys = [&platform.oracle, &platform.payer];
    let start = || Process::start(pool, chain.clone(), at, keys, options(true));
    let process = start();
    process.has_table(|| chain.pass()).await;
    let first = address(pool).await;
    let mut all = payments("first", 10);
    pay(pool, &at, &process, &all).await;
    process.end().await;
    let process = start();
    process.has_table(|| chain.pass()).await;
    assert_eq!(address(pool).await, first);
    // Who paid for it closes it, while the process has it in use.
    let payer = platform.payer.pubkey();
    let mine = [&platform.payer];
    chain.execute(&[deactivate_lookup_table(first, payer)], &mine).unwrap();
    (0..40).for_each(|_| chain.pass());
    chain.execute(&[close_lookup_table(first, payer, payer)], &mine).unwrap();
    assert_eq!(chain.account(&first).await.unwrap(), None);
    for wave in ["second", "third"] {
        let wave = payments(wave, 10);
        pay(pool, &at, &process, &wave).await;
        all.extend(wave);
        process.has_table(|| chain.pass()).await;
    }
    assert_ne!(address(pool).await, first);
    process.end().await;
    // One that is not this platform's.
    sqlx::query("UPDATE lookup_tables SET address = $1").bind(payer.as_ref()).execute(pool).await.unwrap();
    let process = start();
    process.has_table(|| chain.pass()).await;
    assert_ne!(address(pool).await, payer);
    let wave = payments("fourth", 10);
    pay(pool, &at, &process, &wave).await;
    all.extend(wave);
    process.end().await;
    let (mut on_chain, mut stored) = (recorded(chain), orders(&all));
    on_chain.sort_unstable();
    stored.sort_unstable();
    assert_eq!(on_chain, stored);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_chain_has_no_lookup_tables_payments_go_without() {
    let (platform, database) = stage().await;
    let (pool, at) = (database.pool(), platform.addresses.platform);
    let mut chain = FaultyChain::new(platform.chain.clone(), 0, 0, 0);
    chain.hidden = Some(TABLES);
    let process = Process::start(pool, chain, at, [&platform.oracle, &platform.payer], options(true));
    let all = payments("one", 10);
    pay(pool, &at, &process, &all).await;
    assert_eq!(process.metrics.lookup_table.get(), 0);
    process.end().await;
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM lookup_tables").fetch_one(pool).await.unwrap();
    assert_eq!((recorded(&platform.chain).len(), tables), (10, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_of_one_user_go_several_in_a_transaction_and_in_order() {
    let (platform, database) = stage().await;
    let (pool, at) = (database.pool(), platform.addresses.platform);
    let process = Process::start(pool, platform.chain.clone(), at, [&platform.oracle, &platform.payer], options(true));
    let mut all = Vec::new();
    for at in 0..20u64 {
        let (number, user) = (format!("P{at}"), ["ann", "ann", "ben"][at as usize % 3]);
        // One in the middle is refused; what follows it is not.
        let amount = if at == 7 { 0 } else { 1_000 + at };
        all.push((number.clone(), Record::Payment(payment(&number, user, amount))));
    }
    let took = pay(pool, &at, &process, &all).await;
    process.end().await;
    let refused = all.remove(7);
    let states: Vec<(String, i16)> =
        sqlx::query_as("SELECT number, state FROM records WHERE state <> 3").fetch_all(pool).await.unwrap();
    assert_eq!(states, [(refused.0, 4)]);
    let on_chain = recorded(&platform.chain);
    for user in ["ann", "ben"] {
        let key = rebate_client::platform_id::unkeyed_user(user);
        let own: Vec<_> = all.iter().filter(|(_, record)| record.user() == Some(key)).cloned().collect();
        let own = orders(&own);
        let landed: Vec<_> = on_chain.iter().copied().filter(|order| own.contains(order)).collect();
        assert_eq!(landed, own, "{user}");
    }
    println!("20 payments of two users: {took} transactions");
    assert!(took <= 8, "{took} transactions");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_program_does_not_take_the_oracles_key_payments_wait_and_go_once_it_does() {
    let (platform, database) = stage().await;
    let (pool, at, chain) = (database.pool(), platform.addresses.platform, &platform.chain);
    let fresh = Keypair::new();
    let options = Options { attempts: 2, ..options(true) };
    let process = Process::start(pool, chain.clone(), at, [&fresh, &platform.payer], options);
    for (number, record) in payments("waiting", 6) {
        insert(pool, &at, &number, &record).await;
    }
    let begun = Instant::now();
    while process.metrics.key_refused.get() == 0 {
        assert!(begun.elapsed() < PATIENCE, "the key is taken");
        sleep(Duration::from_millis(5)).await;
    }
    // Longer than two attempts last.
    sleep(Duration::from_millis(700)).await;
    let waiting = "SELECT count(*) FROM records WHERE state = 1 AND attempts = 0 AND reason LIKE '%add-oracle%'";
    assert_eq!(sqlx::query_scalar::<_, i64>(waiting).fetch_one(pool).await.unwrap(), 6);
    let (admin, always) = (&platform.admin, Timestamp(0));
    let addresses = &platform.addresses;
    let register = instruction::register_oracle_key(&admin.pubkey(), addresses, &fresh.pubkey(), always, always);
    chain.execute(&[register], &[admin]).unwrap();
    through(pool).await;
    assert_eq!(process.metrics.key_refused.get(), 0);
    process.end().await;
    assert_eq!(recorded(chain).len(), 6);
}
