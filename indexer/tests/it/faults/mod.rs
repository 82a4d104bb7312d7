//! Rounds of faults, each drawn from one number: whatever node, database and machine do, the database ends as the chain's
//! faithful mirror, and is that of a block of the chain, or of one of its
//! forks, at every moment before.
//!
//! `make simulate-faults SEED=… ROUNDS=…` plays as many as you like; a round that fails prints its number, which plays it
//! again. The faults are the same again; when exactly they strike is up to the machine.

mod node;
mod world;

use crate::database::Database;
use node::{Habits, Node};
use prometheus::Registry;
use rebate_client::chain::Commitment;
use rebate_indexer::{
    IndexError, Indexer, Options, database::DatabaseError, source::rpc::RpcSource, write::WriteError,
};
use rebate_tests::{
    draw::Draw,
    proxy::{Fate, Proxy},
};
use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use world::World;

/// Rounds at once. They mostly wait.
const AT_ONCE: usize = 8;

/// How often the database is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(100);

/// How long a round may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where the disk can be full.
const TABLES: [&str; 8] =
    ["cursor", "transactions", "events", "journals", "payments", "outcomes", "entries", "balances"];

/// What happened in all rounds together.
#[derive(Debug, Default)]
struct Tally {
    cuts: AtomicU32,
    kills: AtomicU32,
    full_disks: AtomicU32,
    stops: AtomicU32,
    absences: AtomicU32,
    reverts: AtomicU64,
    looks: AtomicU32,
}

fn count(of: &AtomicU32) {
    of.fetch_add(1, Ordering::Relaxed);
}

/// What happens to one writer's requests to Postgres.
#[derive(Clone, Debug)]
struct Blows {
    /// Number of the request, from 1, how its connection breaks, and whether the whole process goes with it.
    at: Vec<(u32, Fate, bool)>,
    /// The request at which Postgres goes away, and for how many milliseconds.
    away: Option<(u32, u64)>,
}

impl Blows {
    fn draw(draw: &mut Draw) -> Self {
        let blow = |draw: &mut Draw| {
            let last = draw.one(&[20, 150, 400]);
            let at = u32::try_from(draw.between(1, last)).unwrap();
            (at, draw.one(&[Fate::Unheard, Fate::Unanswered]), draw.once_in(2))
        };
        let at = (0..draw.below(6)).map(|_| blow(draw)).collect();
        let away = draw.once_in(4).then(|| (u32::try_from(draw.between(5, 200)).unwrap(), draw.between(20, 300)));
        Self { at, away }
    }
}

/// All that a round's number decides.
#[derive(Clone, Debug)]
struct Plan {
    seed: u64,
    world: usize,
    habits: Habits,
    commitment: Commitment,
    writers: Vec<Blows>,
    options: Options,
    /// A table that cannot be written for want of disk, and how often.
    full_disk: Option<(&'static str, u64)>,
}

impl Plan {
    fn of(seed: u64, worlds: usize) -> Self {
        let mut draw = Draw::of(seed);
        let habits = Habits { seed, percent: draw.one(&[0, 3, 10, 25]), stopping: draw.once_in(2) };
        let writers = if draw.once_in(3) { 2 } else { 1 };
        Self {
            seed,
            world: usize::try_from(draw.below(worlds as u64)).unwrap(),
            habits,
            commitment: draw.one(&[Commitment::Confirmed, Commitment::Finalized]),
            writers: (0..writers).map(|_| Blows::draw(&mut draw)).collect(),
            options: Options {
                blocks_at_once: draw.one(&[1, 2, 256]),
                events_at_once: draw.one(&[1, 5, 2_000]),
                provisional_at_most: draw.one(&[2, 5, 1_000]),
                audit_every: Duration::from_millis(5),
                ..Options::default()
            },
            full_disk: draw.once_in(4).then(|| (draw.one(&TABLES), draw.between(1, 3))),
        }
    }
}

/// One process after the other, until it is over.
async fn write(
    database: &Database,
    url: &str,
    plan: &Plan,
    blows: &Blows,
    tally: &Arc<Tally>,
    over: &CancellationToken,
) {
    let killed = Arc::new(Notify::new());
    let going = Arc::new(Notify::new());
    let judge = {
        let (blows, killed, going, tally) = (blows.clone(), Arc::clone(&killed), Arc::clone(&going), Arc::clone(tally));
        move |request| {
            if blows.away.is_some_and(|(at, _)| at == request) {
                going.notify_one();
            }
            let Some((_, fate, kills)) = blows.at.iter().find(|(at, ..)| *at == request) else { return Fate::Answered };
            if *kills {
                killed.notify_one();
            }
            count(if *kills { &tally.kills } else { &tally.cuts });
            *fate
        }
    };
    let proxy = Proxy::new(database.options(), judge).await;
    let away = proxy.away();
    let absence = async {
        going.notified().await;
        count(&tally.absences);
        away.store(true, Ordering::SeqCst);
        sleep(Duration::from_millis(blows.away.map_or(0, |(_, time)| time))).await;
        away.store(false, Ordering::SeqCst);
        std::future::pending::<()>().await;
    };
    let processes = async {
        while !over.is_cancelled() {
            let source = RpcSource::new(url, plan.commitment, Duration::from_millis(5)).unwrap();
            let pool = proxy.pool(2);
            let indexer = Indexer::new(pool, Arc::new(source), plan.options, &Registry::new()).unwrap();
            let reverts = indexer.metrics().reverts.clone();
            tokio::select! {
                ended = indexer.run(over.clone()) => if let Err(error) = ended {
                    count(&tally.stops);
                    require_expected(&error, plan);
                    sleep(Duration::from_millis(1)).await;
                },
                () = killed.notified() => {}
            }
            tally.reverts.fetch_add(reverts.get(), Ordering::Relaxed);
        }
    };
    tokio::select! {
        () = processes => {}
        () = absence => {}
    }
}

/// Whether an indexer may stop for this: what a node that lies, or a full disk, brings about.
fn require_expected(error: &IndexError, plan: &Plan) {
    let expected = match error {
        IndexError::Source(_) | IndexError::Stretch(_) => plan.habits.stopping,
        IndexError::Write(WriteError::Database(DatabaseError::Full(_))) => plan.full_disk.is_some(),
        IndexError::Database(DatabaseError::Unreachable(_)) => true,
        _ => false,
    };
    assert!(expected, "round {}: an indexer stopped: {error}\n{plan:#?}", plan.seed);
}

/// Makes a table fail as a full disk does.
async fn fill_disk(database: &Database, full: Option<(&str, u64)>) {
    database.execute("DROP FUNCTION IF EXISTS full_disk() CASCADE; DROP SEQUENCE IF EXISTS writes").await;
    if let Some((table, times)) = full {
        database
            .execute(&format!(
                "CREATE SEQUENCE writes;
                 CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                     IF nextval('writes') <= {times} THEN
                         RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
                     END IF;
                     RETURN NULL;
                 END $$;
                 CREATE TRIGGER full_disk AFTER INSERT OR UPDATE ON {table}
                     FOR EACH STATEMENT EXECUTE FUNCTION full_disk()"
            ))
            .await;
    }
}

async fn play(database: &Arc<Database>, worlds: &[World], seed: u64, tally: &Arc<Tally>) {
    let plan = Arc::new(Plan::of(seed, worlds.len()));
    let world = &worlds[plan.world];
    database.clear().await;
    fill_disk(database, plan.full_disk).await;
    let node = Node::serve(world, plan.habits).await;
    let over = CancellationToken::new();
    let writers: Vec<_> = plan
        .writers
        .iter()
        .map(|blows| {
            let (database, url, plan, blows) =
                (Arc::clone(database), node.url.clone(), Arc::clone(&plan), blows.clone());
            let (tally, over) = (Arc::clone(tally), over.clone());
            tokio::spawn(async move { write(&database, &url, &plan, &blows, &tally, &over).await })
        })
        .collect();
    let begun = Instant::now();
    loop {
        let (at, content) = database.content_at_once().await;
        count(&tally.looks);
        match &at {
            None => assert!(content.lines().all(|line| !line.starts_with('{')), "round {seed}: {content}"),
            Some(at) => {
                let expected = world.contents.get(&at.hash).expect("a block of the chain or a fork");
                assert_eq!(content, *expected, "round {seed}, slot {}\n{plan:#?}", at.slot);
                if at.hash == world.end().hash.to_bytes() && at.final_slot == Some(at.slot) {
                    break;
                }
            }
        }
        assert!(
            writers.iter().all(|writer| !writer.is_finished()),
            "round {seed}: a writer ended by itself: {plan:#?}"
        );
        assert!(begun.elapsed() < PATIENCE, "round {seed} does not come to an end: {plan:#?}");
        sleep(LOOK).await;
    }
    over.cancel();
    for writer in writers {
        timeout(PATIENCE, writer).await.expect("a writer that is told to stop does").unwrap();
    }
    count_full(database, &plan, tally).await;
}

async fn count_full(database: &Database, plan: &Plan, tally: &Tally) {
    if plan.full_disk.is_some() && database.count("writes WHERE is_called").await > 0 {
        count(&tally.full_disks);
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name)
        .ok()
        .filter(|text| !text.is_empty())
        .map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}; expected a number")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rounds_of_faults_end_with_the_chains_own_tables_and_tree_heads() {
    let (seed, rounds) = (number("REBATE_FAULTS_SEED", 1), number("REBATE_FAULTS_ROUNDS", 250));
    println!("seed {seed}, {rounds} rounds; again with: make simulate-faults SEED={seed} ROUNDS={rounds}");
    let mut worlds = Vec::new();
    for number in 0..4 {
        worlds.push(World::of(number).await);
    }
    let (worlds, tally, next) = (Arc::new(worlds), Arc::new(Tally::default()), Arc::new(AtomicU64::new(0)));
    let begun = Instant::now();
    let workers: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (worlds, tally, next) = (Arc::clone(&worlds), Arc::clone(&tally), Arc::clone(&next));
            tokio::spawn(async move {
                let database = Arc::new(Database::new().await);
                loop {
                    let round = next.fetch_add(1, Ordering::SeqCst);
                    if round >= rounds {
                        break;
                    }
                    let seed = seed.wrapping_add(round);
                    let played = tokio::spawn({
                        let (database, worlds, tally) =
                            (Arc::clone(&database), Arc::clone(&worlds), Arc::clone(&tally));
                        async move { play(&database, &worlds, seed, &tally).await }
                    });
                    if let Err(why) = played.await {
                        panic!("round {seed} failed; again with: make simulate-faults SEED={seed} ROUNDS=1: {why}");
                    }
                    if (round + 1) % 50 == 0 {
                        println!("{} rounds begun in {} s: {tally:?}", round + 1, begun.elapsed().as_secs());
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    println!("{rounds} rounds in {} s: {tally:?}", begun.elapsed().as_secs());
    if rounds >= 50 {
        assert!(tally.reverts.load(Ordering::Relaxed) > 0, "nothing was taken back: {tally:?}");
        let Tally { cuts, kills, full_disks, stops, absences, looks, .. } = &*tally;
        for happened in [cuts, kills, full_disks, stops, absences, looks] {
            assert!(happened.load(Ordering::Relaxed) > 0, "something never happened: {tally:?}");
        }
    }
}
