//! How many stored payments a second a back-test follows: read from Postgres, decoded, decided by the draft, and counted.
//!
//! `DATABASE_URL=… cargo bench -p rebate-backtest` prints one line of JSON per figure. The database it makes on that server goes
//! at the end. REBATE_BENCH_PAYMENTS says how many payments, REBATE_BENCH_USERS of how many users. Only the tables that a
//! back-test reads are filled.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench may fail by any panic")]

use rebate_backtest::{Draft, Progress, Range, Request, run};
use rebate_client::{
    event::{Event, OutcomeEntry, PaymentRecorded, PlatformCreated, RulePublished},
    replay::{Ledger, Terms, UserIndex},
};
use rebate_core::{
    payment::Payment,
    units::{Amount, OrderHash, Seconds, Timestamp, UserKey},
};
use rebate_local::LocalPostgres;
use rebate_rulefile::RuleFile;
use serde_json::json;
use solana_program::hash::hashv;
use sqlx::{
    Connection, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{
    fs,
    path::Path,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

const RATE: &str = "backtest.payments_per_second";
const MEMORY: &str = "backtest.peak_rss_mib";

/// The rules that the simulator's benchmark has: eight, of every kind.
const RULES: &str = include_str!("../../cli/src/bench/simulate.toml");

const PLATFORM: [u8; 32] = [7; 32];

/// 2026-10-01T00:00:00Z, and how long a month of it is.
const BEGIN: i64 = 1_790_812_800;
const MONTH: i64 = 30 * 86_400;

/// 2000-01-01, from where Postgres counts.
const EPOCH: i64 = 946_684_800;

/// How many rows are sent at once.
const CHUNK: u64 = 20_000;

fn main() {
    let wanted = std::env::var("REBATE_BENCH").ok();
    if wanted.is_some_and(|wanted| ![RATE, MEMORY].contains(&wanted.as_str())) {
        return;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let payments = number("REBATE_BENCH_PAYMENTS").unwrap_or(2_000_000);
    let users = number("REBATE_BENCH_USERS").unwrap_or(payments / 10).max(1);
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL names a Postgres");
    let postgres = LocalPostgres::named(&url).unwrap();
    let name = format!("bench_backtest_{}", std::process::id());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        postgres.create_database(&name).await.unwrap();
        let options = PgConnectOptions::from_str(&postgres.url(&name)).unwrap();
        let pool = PgPoolOptions::new().max_connections(4).connect_with(options.clone()).await.unwrap();
        Migrator::new(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations")))
            .await
            .unwrap()
            .run(&pool)
            .await
            .unwrap();
        let mut connection = PgConnection::connect_with(&options).await.unwrap();
        let begun = Instant::now();
        fill(&mut connection, payments, users).await;
        connection.close().await.unwrap();
        eprintln!("{payments} payments of {users} users in {:.1} s", begun.elapsed().as_secs_f64());
        let before = resident();
        let took = best(&pool, payments).await;
        let per_second = payments as f64 / took.as_secs_f64();
        let note = format!("{payments} payments of {users} users, eight rules, one platform, best of three");
        print(RATE, per_second.round(), "/s", &note);
        print(MEMORY, (resident().max(before) / 1_024) as f64, "MiB", &note);
        pool.close().await;
    });
    runtime.block_on(postgres.drop_database(&name)).unwrap();
}

fn print(name: &str, value: f64, unit: &str, note: &str) {
    println!("{}", json!({ "name": name, "value": value, "unit": unit, "note": note }));
}

/// The most memory that this process ever held, KiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

async fn best(pool: &PgPool, payments: u64) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        // A draft that is not what was published.
        let mut draft = RuleFile::parse("simulate.toml", RULES).unwrap();
        draft.rules.pop();
        let request = Request { platform: None, draft: Draft::File(Box::new(draft)), range: Range::default() };
        let begun = Instant::now();
        let report = run(pool, request, Arc::new(Progress::default()), &CancellationToken::new()).await.unwrap();
        best = best.min(begun.elapsed());
        assert_eq!(report.payments, payments);
    }
    best
}

fn user(number: u64) -> [u8; 32] {
    hashv(&[b"user", &number.to_le_bytes()]).to_bytes()
}

/// Rows of events as a binary copy takes them.
#[derive(Default)]
struct Rows {
    bytes: Vec<u8>,
}

impl Rows {
    fn begin() -> Self {
        let mut bytes = b"PGCOPY\n\xff\r\n\0".to_vec();
        bytes.extend([0; 8]);
        Self { bytes }
    }

    fn field(&mut self, value: &[u8]) {
        self.bytes.extend(i32::try_from(value.len()).unwrap().to_be_bytes());
        self.bytes.extend(value);
    }

    fn event(&mut self, event: &Event) {
        let days = i32::try_from((BEGIN - EPOCH) / 86_400).unwrap();
        let index = event.journal_index();
        let signature = [hashv(&[b"signature", &index.to_le_bytes()]).to_bytes(); 2].concat();
        self.bytes.extend(7i16.to_be_bytes());
        self.field(&index.to_be_bytes());
        self.field(&((event.at() - EPOCH) * 1_000_000).to_be_bytes());
        self.field(&days.to_be_bytes());
        self.field(&event.platform());
        self.field(&signature);
        self.field(event.name().as_bytes());
        self.field(&event.encode().unwrap());
    }
}

/// Decides payments as the program would have, and stores their events.
async fn fill(connection: &mut PgConnection, payments: u64, users: u64) {
    let file = RuleFile::parse("simulate.toml", RULES).unwrap();
    sqlx::raw_sql("SELECT make_months(ARRAY['2026-10-01'::date])").execute(&mut *connection).await.unwrap();
    sqlx::query(
        "INSERT INTO platforms (address, id, admin, pauser, max_lateness, timelock, created_at)
         VALUES ($1, 1, $1, $1, $2, 0, now())",
    )
    .bind(PLATFORM.as_slice())
    .bind(i64::from(file.max_lateness))
    .execute(&mut *connection)
    .await
    .unwrap();
    for (id, asset) in (1i16..).zip(&file.assets) {
        sqlx::query("INSERT INTO assets (platform, asset, name, kind, expiry_months) VALUES ($1, $2, $3, $5, $4)")
            .bind(PLATFORM.as_slice())
            .bind(id)
            .bind(asset.name())
            .bind(i16::from(asset.expiry_months))
            .bind(if asset.kind == 1 { "points" } else { "voucher" })
            .execute(&mut *connection)
            .await
            .unwrap();
    }
    let mut ledger = Ledger::new(Terms::new(&file.offsets, Seconds(file.max_lateness), &file.assets));
    let mut next = 0u64;
    let mut index = || {
        next += 1;
        next - 1
    };
    let mut rows = Rows::begin();
    rows.event(&Event::PlatformCreated(PlatformCreated {
        journal_index: index(),
        at: BEGIN,
        platform: PLATFORM,
        id: 1,
        admin: PLATFORM,
        pauser: PLATFORM,
        max_lateness: file.max_lateness,
        timelock: 0,
        order_shards: 1,
        page_slots: 256,
        offsets: file.offsets.clone(),
        assets: file.assets.clone(),
    }));
    for rule in &file.rules {
        ledger.publish(rule, Timestamp(0)).unwrap();
        let published = RulePublished {
            journal_index: index(),
            at: BEGIN,
            platform: PLATFORM,
            effective_at: 0,
            rule: rule.clone(),
        };
        rows.event(&Event::RulePublished(published));
    }
    let mut copy = connection
        .copy_in_raw(
            "COPY events (journal_index, at, month, platform, signature, kind, bytes) FROM STDIN (FORMAT binary)",
        )
        .await
        .unwrap();
    for number in 0..payments {
        // Steps over the users in an order that is not the index's.
        let who = number.wrapping_mul(7_919) % users;
        let at = BEGIN + i64::try_from(u128::from(number) * MONTH as u128 / u128::from(payments)).unwrap();
        let payment = Payment {
            order: OrderHash(hashv(&[b"order", &number.to_le_bytes()]).to_bytes()),
            user: UserKey(user(who)),
            amount: Amount(100 + number.wrapping_mul(2_654_435_761) % 100_000),
            paid_at: Timestamp(at),
            product: u16::try_from(number % 5).unwrap(),
            streamer: number % 1_000,
            session: number % 5_000,
            tier: u8::try_from(who % 4).unwrap(),
            segments: u32::try_from(who % 16).unwrap(),
        };
        let index = index();
        let who = UserIndex(usize::try_from(who).unwrap());
        let decided = ledger.pay_taken(None, who, &payment, Timestamp(at)).unwrap();
        let outcomes = decided.outcomes.iter().map(|outcome| OutcomeEntry {
            rule: outcome.rule.0,
            version: outcome.version.0,
            reason: outcome.reason as u8,
            clause: outcome.clause,
            asset: outcome.asset.0,
            amount: outcome.amount.0,
            before: outcome.before.0,
            after: outcome.after.0,
        });
        let outcomes = outcomes.collect();
        rows.event(&Event::PaymentRecorded(PaymentRecorded {
            journal_index: index,
            at,
            platform: PLATFORM,
            oracle: [1; 32],
            order: payment.order.0,
            user: payment.user.0,
            amount: payment.amount.0,
            paid_at: at,
            product: payment.product,
            streamer: payment.streamer,
            session: payment.session,
            tier: payment.tier,
            segments: payment.segments,
            number: ledger.payments_of(who).0,
            outcomes,
        }));
        if number % CHUNK == CHUNK - 1 {
            copy.send(std::mem::take(&mut rows.bytes)).await.unwrap();
        }
    }
    rows.bytes.extend((-1i16).to_be_bytes());
    copy.send(rows.bytes).await.unwrap();
    copy.finish().await.unwrap();
    let count = i64::try_from(next).unwrap();
    sqlx::query("INSERT INTO journals (platform, leaf_count, peaks, month) VALUES ($1, $2, '{}', '2026-10-01')")
        .bind(PLATFORM.as_slice())
        .bind(count)
        .execute(&mut *connection)
        .await
        .unwrap();
    sqlx::query("INSERT INTO journal_months (platform, month, first_index) VALUES ($1, '2026-10-01', 0)")
        .bind(PLATFORM.as_slice())
        .execute(&mut *connection)
        .await
        .unwrap();
    // As the database does by itself in time.
    sqlx::raw_sql("VACUUM (ANALYZE) events").execute(&mut *connection).await.unwrap();
}
