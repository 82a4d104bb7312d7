//! Rounds of faults, each drawn from one number: whatever chain, database and machine do, every order ends once: on chain,
//! refused with its reason, or dead with its reason.
//!
//! `ORACLE_SEED=… ORACLE_ROUNDS=…` plays other rounds, or as many as you like; a round that fails prints its number. The
//! faults are the same again; when exactly they strike is up to the machine.

use super::chain::FaultyChain;
use prometheus::Registry;
use rebate_client::{
    Pubkey,
    address::Addresses,
    chain::{Submit, embedded::EmbeddedChain},
    event::Event,
    instruction, platform_id,
    recorder::Recorder,
};
use rebate_core::{
    message,
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    units::{Amount, AssetId, OrderHash, Timestamp},
    wallet::WalletLink,
};
use rebate_oracle::{
    outbox::{Options, Outbox, metrics::Metrics, record::Record},
    signer::LocalKey,
};
use rebate_tests::{
    database::TestDatabase,
    draw::Draw,
    platform::{NOON, TestPlatform, payment},
    proxy::{Fate, Proxy},
};
use solana_keypair::Keypair;
use solana_signer::Signer;
use sqlx::{PgExecutor, PgPool};
use std::{
    collections::HashMap,
    env,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Rounds at once. They mostly wait.
const AT_ONCE: u64 = 6;

/// How long a round may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// For how long there are faults.
const STORM: Duration = Duration::from_millis(350);

/// What a round's number decides.
#[derive(Clone, Debug)]
struct Plan {
    seed: u64,
    /// Of a hundred calls to the chain, how many go wrong, and how many kill the process.
    percent: u64,
    deadly: u64,
    /// Requests to Postgres: number, how the connection breaks, whether the process goes with it.
    cuts: Vec<(u32, Fate, bool)>,
    /// Blocks for which a transaction can land.
    lifetime: u64,
    /// Node or Postgres away from the beginning, for so many milliseconds.
    node_away: u64,
    postgres_away: u64,
    /// The payer has nothing for so many milliseconds.
    poor: u64,
    /// After so many milliseconds the oracle's key is revoked, and never valid again.
    revoked: Option<u64>,
    /// Once all is through, the database is restored from a backup of before.
    restored: bool,
    /// Somebody else recorded the first order with another amount before.
    forestalled: bool,
    batch: usize,
    payments: u64,
}

impl Plan {
    fn of(seed: u64) -> Self {
        let mut draw = Draw::of(seed);
        let cut = |draw: &mut Draw| {
            let last = draw.one(&[20, 80, 250]);
            let at = u32::try_from(draw.between(1, last)).unwrap();
            (at, draw.one(&[Fate::Unheard, Fate::Unanswered]), draw.once_in(2))
        };
        Self {
            seed,
            percent: draw.one(&[0, 1, 3, 8]),
            deadly: draw.one(&[0, 0, 1, 2]),
            cuts: (0..draw.below(6)).map(|_| cut(&mut draw)).collect(),
            lifetime: draw.one(&[10, 40, 150]),
            node_away: if draw.once_in(4) { draw.between(10, 200) } else { 0 },
            postgres_away: if draw.once_in(4) { draw.between(10, 150) } else { 0 },
            poor: if draw.once_in(5) { draw.between(10, 150) } else { 0 },
            revoked: draw.once_in(6).then(|| draw.between(0, 60)),
            restored: draw.once_in(3),
            forestalled: draw.once_in(5),
            batch: draw.one(&[1, 3, 4, 8]),
            payments: draw.between(4, 14),
        }
    }

    fn options(&self) -> Options {
        Options {
            batch: self.batch,
            gather: Duration::from_millis(2),
            under_way: 6,
            look: Duration::from_millis(2),
            resend: Duration::from_millis(15),
            poll: Duration::from_millis(10),
            attempts: 8,
            shortest_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(20),
            hold: Duration::from_millis(10),
            least_funds: 100_000_000,
            // What a revoked key keeps waiting ends with the round.
            key_patience: Duration::from_millis(500),
            ..Options::default()
        }
    }
}

/// A platform with rules; each round plays on a copy of its chain.
struct World {
    chain: EmbeddedChain,
    addresses: Addresses,
    admin: Keypair,
    oracle: Keypair,
}

/// What is to become of an order where no fault is in its way for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Recorded,
    Refused,
    Dead,
    /// Depends on which of two comes first.
    Either,
}

fn records(plan: &Plan) -> Vec<(String, Record, Expected)> {
    let mut draw = Draw::of(plan.seed ^ 0x5eed);
    let mut all: Vec<(String, Record, Expected)> = Vec::new();
    let numbered = |what: &str, at: u64| format!("{what}-{}-{at}", plan.seed);
    for at in 0..plan.payments {
        let number = numbered("pay", at);
        let user = draw.one(&["ann", "ben", "cai", "dee", "eve", "fay", "gus"]);
        let paid = payment(&number, user, draw.between(1, 50_000));
        let (paid, expected) = match draw.below(12) {
            0 => (Payment { amount: Amount(0), ..paid }, Expected::Refused),
            1 => (Payment { paid_at: Timestamp(NOON - 30 * 86_400), ..paid }, Expected::Refused),
            2 => (Payment { streamer: 9, session: 4, tier: 2, segments: 5, ..paid }, Expected::Recorded),
            _ => (paid, Expected::Recorded),
        };
        let is_forestalled = at == 0 && plan.forestalled && expected == Expected::Recorded;
        all.push((number.clone(), Record::Payment(paid), if is_forestalled { Expected::Dead } else { expected }));
        if draw.once_in(5) {
            let number = number_of_refund(&number);
            let over = draw.once_in(4);
            let amount = if over { paid.amount.0 + 1 } else { paid.amount.0.div_ceil(2).max(1) };
            let (order, of) = (OrderHash::of(&number), paid.order);
            let refund = Refund { order, of, amount: Amount(amount), paid_at: Timestamp(NOON) };
            let expected = match expected {
                Expected::Recorded if is_forestalled => Expected::Either,
                Expected::Recorded if !over => Expected::Recorded,
                _ => Expected::Refused,
            };
            all.push((number, Record::Refund(refund), expected));
        }
        if draw.once_in(6) {
            let number = numbered("redeem", at);
            let redemption = Redemption {
                order: OrderHash::of(&number),
                user: platform_id::unkeyed_user(user),
                asset: AssetId(1),
                amount: Amount(draw.one(&[1, 1_000_000_000])),
                redeemed_at: Timestamp(NOON),
            };
            all.push((number, Record::Redemption(redemption), Expected::Either));
        }
        if draw.once_in(8) {
            let (user, linked_at) = (platform_id::unkeyed_user(user), Timestamp(NOON - 100 + at as i64));
            let link = WalletLink { user, wallet: [7; 32], linked_at };
            all.push((number_of_link(plan.seed, at), Record::Link(link), Expected::Recorded));
        }
    }
    let unknown = numbered("refund-of-nothing", 0);
    let (order, of) = (OrderHash::of(&unknown), OrderHash::of("nothing"));
    let refund = Refund { order, of, amount: Amount(1), paid_at: Timestamp(NOON) };
    all.push((unknown, Record::Refund(refund), Expected::Refused));
    all
}

fn number_of_refund(number: &str) -> String {
    format!("refund-of-{number}")
}

fn number_of_link(seed: u64, at: u64) -> String {
    format!("link/{seed}/{at}")
}

pub fn encoded(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    match record {
        Record::Payment(record) => message::Record::encode(record, &mut bytes),
        Record::Refund(record) => message::Record::encode(record, &mut bytes),
        Record::Redemption(record) => message::Record::encode(record, &mut bytes),
        Record::Link(record) => message::Record::encode(record, &mut bytes),
    }
    bytes
}

pub async fn insert(database: impl PgExecutor<'_>, platform: &Pubkey, number: &str, record: &Record) {
    let bytes = encoded(record);
    sqlx::query(
        "INSERT INTO records (platform, kind, number, order_hash, record, provider) VALUES ($1, $2, $3, $4, $5, 'test')",
    )
    .bind(platform.as_ref())
    .bind(i16::from(bytes[0]))
    .bind(number)
    .bind(OrderHash::of(number).0.as_slice())
    .bind(&bytes)
    .execute(database)
    .await
    .unwrap();
}

/// What happened in all rounds together.
#[derive(Debug, Default)]
struct Tally {
    kills: AtomicU32,
    cuts: AtomicU32,
    unheard: AtomicU32,
    unanswered: AtomicU32,
    dropped: AtomicU32,
    expired: AtomicU32,
    recorded: AtomicU32,
    refused: AtomicU32,
    dead: AtomicU32,
}

fn add(to: &AtomicU32, count: u32) {
    to.fetch_add(count, Ordering::Relaxed);
}

async fn play(world: &World, database: &TestDatabase, seed: u64, tally: &Arc<Tally>) {
    let plan = Plan::of(seed);
    let pool = database.pool();
    sqlx::raw_sql("TRUNCATE records, submissions RESTART IDENTITY CASCADE").execute(pool).await.unwrap();
    let chain = world.chain.fork();
    let payer = Keypair::new();
    let platform = world.addresses.platform;
    let records = records(&plan);
    if plan.forestalled
        && let Some((_, Record::Payment(first), Expected::Dead)) = records.first()
    {
        let other = Payment { amount: Amount(first.amount.0 + 1), ..*first };
        let somebody = Keypair::new();
        chain.airdrop(&somebody.pubkey(), 100_000_000_000).await.unwrap();
        let mut recorder = Recorder::new(&chain, platform, &somebody).await.unwrap();
        let signed = rebate_client::oracle::sign(&world.oracle, &platform, &[other]).unwrap();
        recorder.record(&[other], &signed).await.unwrap();
    }
    if plan.poor == 0 {
        chain.airdrop(&payer.pubkey(), 100_000_000_000).await.unwrap();
    }
    chain.set_lifetime(plan.lifetime);
    for (number, record, _) in &records {
        insert(pool, &platform, number, record).await;
    }

    let faulty = FaultyChain::new(chain.clone(), seed, plan.percent, plan.deadly);
    let killed = Arc::clone(&faulty.killed);
    let calm = Arc::clone(&faulty.calm);
    let judge = {
        let (plan, killed, tally, calm) = (plan.clone(), Arc::clone(&killed), Arc::clone(tally), Arc::clone(&calm));
        move |request| {
            let Some((_, fate, kills)) = plan.cuts.iter().find(|(at, ..)| *at == request) else {
                return Fate::Answered;
            };
            if calm.load(Ordering::SeqCst) {
                return Fate::Answered;
            }
            add(&tally.cuts, 1);
            if *kills {
                killed.notify_one();
            }
            *fate
        }
    };
    let proxy = Proxy::new((*pool.connect_options()).clone(), judge).await;
    let postgres_away = proxy.away();
    faulty.away.store(plan.node_away > 0, Ordering::SeqCst);
    postgres_away.store(plan.postgres_away > 0, Ordering::SeqCst);

    let over = CancellationToken::new();
    let weather = {
        let (plan, chain, faulty, payer) = (plan.clone(), chain.clone(), faulty.clone(), payer.pubkey());
        let (admin, addresses, oracle) = (world.admin.insecure_clone(), world.addresses, world.oracle.pubkey());
        async move {
            let begun = Instant::now();
            let is_past = |milliseconds: u64| begun.elapsed() >= Duration::from_millis(milliseconds);
            let (mut funded, mut revoked) = (plan.poor == 0, plan.revoked.is_none());
            loop {
                chain.pass();
                if is_past(plan.node_away) {
                    faulty.away.store(false, Ordering::SeqCst);
                }
                if is_past(plan.postgres_away) {
                    postgres_away.store(false, Ordering::SeqCst);
                }
                if !funded && is_past(plan.poor) {
                    funded = true;
                    chain.airdrop(&payer, 100_000_000_000).await.unwrap();
                }
                if let (false, Some(at)) = (revoked, plan.revoked)
                    && is_past(at)
                {
                    revoked = true;
                    let retire = instruction::retire_oracle_key(&admin.pubkey(), &addresses, &oracle, Timestamp(NOON));
                    chain.execute(&[retire], &[&admin]).unwrap();
                }
                // Once it is calm, also a machine that is busy otherwise sends a transaction while it can land.
                let is_calm = begun.elapsed() >= STORM;
                if is_calm {
                    calm.store(true, Ordering::SeqCst);
                }
                sleep(Duration::from_millis(if is_calm { 20 } else { 2 })).await;
            }
        }
    };
    let processes = async {
        let metrics = Metrics::new(&Registry::new()).unwrap();
        while !over.is_cancelled() {
            let outbox = Outbox::new(
                proxy.pool(6),
                faulty.clone(),
                Arc::new(LocalKey::new(world.oracle.insecure_clone())),
                Arc::new(LocalKey::new(payer.insecure_clone())),
                platform,
                plan.options(),
                metrics.clone(),
            );
            tokio::select! {
                () = outbox.run(over.clone()) => {}
                () = killed.notified() => add(&tally.kills, 1),
            }
        }
        add(&tally.expired, u32::try_from(metrics.expired.get()).unwrap());
    };
    let judging = async {
        through(pool, &plan).await;
        if plan.restored {
            // Yesterday's backup: everything came, nothing was sent yet.
            sqlx::raw_sql(
                "BEGIN; TRUNCATE submissions;
                 UPDATE records SET state = 1, reason = NULL, signature = NULL, slot = NULL, attempts = 0, not_before = NULL;
                 COMMIT",
            )
            .execute(pool)
            .await
            .unwrap();
            killed.notify_one();
            through(pool, &plan).await;
        }
        over.cancel();
    };
    tokio::select! {
        ((), ()) = async { tokio::join!(processes, judging) } => {}
        () = weather => {}
    }
    let blows = &faulty.blows;
    for (to, from) in
        [(&tally.unheard, &blows.unheard), (&tally.unanswered, &blows.unanswered), (&tally.dropped, &blows.dropped)]
    {
        add(to, from.load(Ordering::Relaxed));
    }
    check(pool, &chain, world, &plan, &records, tally).await;
}

/// Waits until nothing is queued and nothing may land.
async fn through(pool: &PgPool, plan: &Plan) {
    let begun = Instant::now();
    loop {
        let open: i64 = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM records WHERE state IN (1, 2)) + (SELECT count(*) FROM submissions)",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        if open == 0 {
            return;
        }
        if begun.elapsed() > PATIENCE {
            let rows: Vec<(String, i16, i32, Option<String>)> =
                sqlx::query_as("SELECT number, state, attempts, reason FROM records WHERE state IN (1, 2)")
                    .fetch_all(pool)
                    .await
                    .unwrap();
            panic!("round {}: not through: {rows:#?}\n{plan:#?}", plan.seed);
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// That every order ended once, and the chain says the same as the database.
async fn check(
    pool: &PgPool,
    chain: &EmbeddedChain,
    world: &World,
    plan: &Plan,
    records: &[(String, Record, Expected)],
    tally: &Tally,
) {
    let events: Vec<Event> = (0..=chain.tip())
        .filter_map(|slot| chain.block(slot))
        .flat_map(|block| block.transactions)
        .flat_map(|transaction| transaction.events().unwrap())
        .map(|emitted| emitted.event)
        .filter(|event| event.platform() == world.addresses.platform.to_bytes())
        .collect();
    let rows: Vec<(String, i16, Option<String>)> =
        sqlx::query_as("SELECT number, state, reason FROM records").fetch_all(pool).await.unwrap();
    assert_eq!(rows.len(), records.len());
    let rows: HashMap<_, _> = rows.into_iter().map(|row| (row.0.clone(), row)).collect();
    for (number, record, expected) in records {
        let seed = plan.seed;
        let (_, state, reason) = &rows[number];
        let about =
            format!("round {seed}: {number} is in state {state} ({reason:?}), expected {expected:?}\n{plan:#?}");
        let meant = events.iter().filter(|event| record.is_meant_by(event)).count();
        let same = events.iter().filter(|event| record.is_recorded_by(event)).count();
        assert!(meant <= 1, "{meant} times on chain: {about}");
        assert_eq!(same == 1, *state == 3, "on chain {same} times: {about}");
        match state {
            3 => add(&tally.recorded, 1),
            4 => add(&tally.refused, 1),
            5 => add(&tally.dead, 1),
            _ => panic!("not through: {about}"),
        }
        assert!(*state == 3 || reason.is_some(), "without a reason: {about}");
        let is_expected = match expected {
            Expected::Recorded => *state == 3,
            Expected::Refused => *state == 4,
            Expected::Dead => *state == 5,
            Expected::Either => true,
        };
        // With a revoked key, what was not on chain in time is dead of that, and a refund of such a payment refused.
        let reason = reason.as_deref().unwrap_or_default();
        let is_late = plan.revoked.is_some()
            && match (state, record) {
                (5, _) => reason.contains("OracleNotValid"),
                (4, Record::Refund(refund)) => !events
                    .iter()
                    .any(|event| matches!(event, Event::PaymentRecorded(paid) if paid.order == refund.of.0)),
                _ => false,
            };
        assert!(is_expected || is_late, "{about}");
    }
}

async fn rounds(first: u64, count: u64) {
    let platform = tokio::task::spawn_blocking(TestPlatform::with_sample_rules).await.unwrap();
    let TestPlatform { chain, addresses, admin, oracle, .. } = platform;
    let world = Arc::new(World { chain, addresses, admin, oracle });
    let tally = Arc::new(Tally::default());
    let next = Arc::new(AtomicU64::new(first));
    let workers: Vec<_> = (0..AT_ONCE.min(count))
        .map(|_| {
            let (world, tally, next) = (Arc::clone(&world), Arc::clone(&tally), Arc::clone(&next));
            tokio::spawn(async move {
                let database = TestDatabase::of_oracle().await.unwrap();
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= first + count {
                        return;
                    }
                    play(&world, &database, seed, &tally).await;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    println!("{count} rounds from {first}: {tally:#?}");
    if count >= 200 {
        for (what, happened) in [
            ("kills", &tally.kills),
            ("cuts", &tally.cuts),
            ("unheard", &tally.unheard),
            ("unanswered", &tally.unanswered),
            ("dropped", &tally.dropped),
            ("expired", &tally.expired),
            ("refused", &tally.refused),
            ("dead", &tally.dead),
        ] {
            assert!(happened.load(Ordering::Relaxed) > 0, "no {what} in {count} rounds");
        }
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_every_order_ends_once_on_chain_or_refused_or_dead() {
    rounds(number("ORACLE_SEED", 1), number("ORACLE_ROUNDS", 200)).await;
}
