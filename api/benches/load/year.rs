//! A year of a platform, written straight into the tables of the migrations: what the indexer would have written, but for the
//! journal's hashes and the events' bytes, which nothing that is measured reads.
//!
//! Payment `i` of `payments` is the event after those that set the platform up, `i` steps after the year's beginning. Its user
//! is `i * STEP` modulo the number of users, so that in each round every user pays once. One of the rules 1, 3, 4, 5 and 6 and one
//! of 7, 8, 9 and 10 grant a thousand each; rule 2 never matches.

use crate::chain::{Chain, GRANT, GRANTING, IDLE};
use rebate_client::chain::Commitment;
use rebate_indexer::{database, stretch::Stretch, write::Writer};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Executor, PgPool, postgres::PgPoolOptions};
use time::{Date, Duration, Month, OffsetDateTime, Time};
use tokio::task::JoinSet;

/// Payments of each user.
const EACH: u64 = 5;

/// From one payment's user to the next one's; no number of users that is taken has a part of it.
const STEP: u64 = 7_919;

/// Partitions that are filled at once: one for each core.
const AT_ONCE: usize = 2;

/// What is in the database.
#[derive(Clone, Copy)]
pub struct Year {
    pub users: u64,
    pub payments: u64,
}

impl Year {
    /// The number of an order.
    pub fn number(payment: u64) -> String {
        format!("L{payment}")
    }

    /// A user's key.
    pub fn user(&self, user: u64) -> [u8; 32] {
        Sha256::digest(user.to_be_bytes()).into()
    }

    /// Two of each payment.
    pub fn entries(&self) -> u64 {
        2 * self.payments
    }

    /// Fills an empty database with so many users, rounded to hundreds.
    pub async fn fill(database_url: &str, users: u64) -> Self {
        let users = users.next_multiple_of(100);
        assert!(!users.is_multiple_of(STEP), "choose another number of users");
        let payments = EACH * users;
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    let settings =
                        "SET synchronous_commit = off; SET maintenance_work_mem = '512MB'; SET timezone = 'UTC'";
                    connection.execute(settings).await.map(|_| ())
                })
            })
            .connect(database_url)
            .await
            .unwrap();
        database::migrate(&pool).await.unwrap();
        let (platform, set_up) = platform(&pool).await;
        let begin = Date::from_calendar_date(2025, Month::June, 2).unwrap().with_time(Time::MIDNIGHT).assume_utc();
        let made = Make { pool, platform, set_up, users, payments, begin };
        made.months().await;
        made.sums().await;
        made.rollups().await;
        made.pool.execute("VACUUM ANALYZE").await.unwrap();
        made.pool.close().await;
        Self { users, payments }
    }
}

/// A platform with ten rules, as the indexer writes it: its address and how many events that is.
async fn platform(pool: &PgPool) -> ([u8; 32], u64) {
    let (mut chain, platform) = Chain::with_platform();
    assert_eq!((GRANTING, IDLE), (1, 2));
    for rule in 3..=10 {
        chain.publish(platform, rule, 1, 0);
    }
    chain.seal();
    let writer = Writer::new(pool.clone(), chain.genesis_hash(), Commitment::Finalized);
    writer.write(&Stretch::of(None, &chain.blocks).unwrap()).await.unwrap();
    let events: i64 = sqlx::query_scalar("SELECT leaf_count FROM journals").fetch_one(pool).await.unwrap();
    (platform, u64::try_from(events).unwrap())
}

struct Make {
    pool: PgPool,
    platform: [u8; 32],
    set_up: u64,
    users: u64,
    payments: u64,
    begin: OffsetDateTime,
}

impl Make {
    /// From one payment to the next, in microseconds.
    fn step(&self) -> u64 {
        364 * 86_400_000_000 / self.payments
    }

    /// The first payment at `at` or later.
    fn first_at(&self, at: OffsetDateTime) -> u64 {
        let after = u64::try_from((at - self.begin).whole_microseconds().max(0)).unwrap();
        after.div_ceil(self.step()).min(self.payments)
    }

    /// What every statement says: the payments from the first to before the last, each with what follows from its place.
    fn payments(&self, first: u64, last: u64) -> String {
        let Self { set_up, users, .. } = self;
        format!(
            "SELECT i, i + {set_up} AS journal_index, {platform} AS platform, {at} AS at, sha256(int8send(u)) AS user_key,
                    u, i / {users} AS round, sha256(convert_to('L' || i, 'UTF8')) AS order_hash, 100 + u % 9900 AS amount,
                    i / 4 AS place, sha256(int8send(i / 4)) || sha256(int8send(-1 - i / 4)) AS signature,
                    (ARRAY[1, 3, 4, 5, 6])[i % 5 + 1] AS a, (ARRAY[7, 8, 9, 10])[i % 4 + 1] AS b
             FROM (SELECT i, i * {STEP} % {users} AS u FROM generate_series({first}::bigint, {last}::bigint - 1) AS i) AS drawn",
            platform = self.platform(),
            at = self.at("i"),
        )
    }

    fn platform(&self) -> String {
        format!("'\\x{}'::bytea", hex::encode(self.platform))
    }

    fn at(&self, payment: &str) -> String {
        let (begin, step) = (self.begin.unix_timestamp(), self.step());
        format!("to_timestamp({begin}) + ({payment})::bigint * {step}::bigint * interval '1 microsecond'")
    }

    async fn run(&self, statement: String) {
        self.pool.execute(AssertSqlSafe(statement)).await.unwrap();
    }

    /// What is kept by month, two months at a time.
    async fn months(&self) {
        let mut months = Vec::new();
        let mut month = self.begin.date().replace_day(1).unwrap();
        while self.first_at(month.midnight().assume_utc()) < self.payments {
            let next = (month + Duration::days(31)).replace_day(1).unwrap();
            let (first, last) =
                (self.first_at(month.midnight().assume_utc()), self.first_at(next.midnight().assume_utc()));
            months.push((month, next, first, last));
            month = next;
        }
        for (month, _, first, last) in &months {
            if first < last {
                let (platform, first) = (self.platform(), first + self.set_up);
                self.run(format!(
                    "INSERT INTO journal_months VALUES ({platform}, '{month}', {first}) ON CONFLICT DO NOTHING"
                ))
                .await;
            }
        }
        let mut filling = JoinSet::new();
        for (month, next, first, last) in months {
            if filling.len() >= AT_ONCE {
                filling.join_next().await.unwrap().unwrap();
            }
            let (pool, statements) = (self.pool.clone(), self.month(month, next, first, last));
            filling.spawn(async move {
                let mut connection = pool.acquire().await.unwrap();
                for statement in statements {
                    connection.execute(AssertSqlSafe(statement)).await.unwrap();
                }
            });
        }
        filling.join_all().await;
    }

    /// What fills a month. A partition that is not there yet is filled before it gets its indexes, which is faster.
    fn month(&self, month: Date, next: Date, first: u64, last: u64) -> Vec<String> {
        let (of, month_of) = (self.payments(first, last), format!("'{month}'::date"));
        let fill = [
            (
                "transactions",
                "slot, block_time, position, month, signature",
                format!("SELECT place + 1000, min(at), 0, {month_of}, signature FROM ({of}) AS p GROUP BY place, signature"),
            ),
            (
                "events",
                "journal_index, at, month, platform, signature, kind, bytes",
                format!(
                    "SELECT journal_index, at, {month_of}, platform, signature, 'PaymentRecorded', order_hash || user_key || signature
                     FROM ({of}) AS p"
                ),
            ),
            (
                "payments",
                "journal_index, paid_at, segments, number, product, month, tier, platform, order_hash, user_key, oracle, amount,
                 streamer, session",
                format!(
                    "SELECT journal_index, at - interval '30 seconds', u % 8, round + 1, u % 20, {month_of}, u % 5, platform,
                            order_hash, user_key, sha256('oracle'), amount, u % 1000, i % 5000 FROM ({of}) AS p"
                ),
            ),
            (
                "outcomes",
                "journal_index, month, rule, version, position, reason, clause, asset, platform, amount, balance_before,
                 balance_after",
                format!(
                    "SELECT journal_index, {month_of}, rule, 1, position, reason, 0, 1, platform, granted,
                            round * 2 * {GRANT} + before, round * 2 * {GRANT} + before + granted
                     FROM ({of}) AS p, LATERAL (VALUES
                         (0, a, 0, {GRANT}, 0), (1, 2, 1, 0, {GRANT}), (2, b, 0, {GRANT}, {GRANT})
                     ) AS outcome (position, rule, reason, granted, before)"
                ),
            ),
            (
                "entries",
                "journal_index, at, month, rule, version, position, asset, platform, user_key, order_hash, operation, change,
                 balance_before, balance_after, debt_before, debt_after",
                format!(
                    "SELECT journal_index, at, {month_of}, rule, 1, position, 1, platform, user_key, order_hash, 'grant', {GRANT},
                            round * 2 * {GRANT} + before, round * 2 * {GRANT} + before + {GRANT}, 0, 0
                     FROM ({of}) AS p, LATERAL (VALUES (0, a, 0), (2, b, {GRANT})) AS outcome (position, rule, before)"
                ),
            ),
        ];
        let suffix = format!("_{}_{:02}", month.year(), u8::from(month.month()));
        fill.into_iter()
            .map(|(table, columns, rows)| {
                format!(
                    "DO $fill$ BEGIN
                         IF to_regclass('{table}{suffix}') IS NOT NULL THEN
                             INSERT INTO {table} ({columns}) {rows};
                         ELSE
                             CREATE TABLE {table}{suffix} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
                             INSERT INTO {table}{suffix} ({columns}) {rows};
                             ALTER TABLE {table} ATTACH PARTITION {table}{suffix} FOR VALUES FROM ('{month}') TO ('{next}');
                         END IF;
                     END $fill$"
                )
            })
            .collect()
    }

    /// What follows from all of it: users, balances, rules, and how far it was read.
    async fn sums(&self) {
        let Self { users, payments, .. } = self;
        let (first_round, all) = (self.payments(0, *users), EACH);
        let last = self.at(&format!("(i + {})", (EACH - 1) * users));
        self.run(format!(
            "INSERT INTO users (platform, user_key, payments, paid, first_paid_at, last_paid_at)
             SELECT platform, user_key, {all}, {all} * amount, at - interval '30 seconds', {last} - interval '30 seconds'
             FROM ({first_round}) AS p"
        ))
        .await;
        self.run(format!(
            "INSERT INTO balances (platform, user_key, asset, balance, entries, journal_index, debt)
             SELECT platform, user_key, 1, {granted}, {entries}, journal_index + {later}, 0 FROM ({first_round}) AS p",
            granted = 2 * GRANT * EACH,
            entries = 2 * EACH,
            later = (EACH - 1) * users,
        ))
        .await;
        let share = format!(
            "CASE WHEN rule = 2 THEN 0 WHEN rule <= 6 THEN {payments}::bigint / 5 ELSE {payments}::bigint / 4 END"
        );
        self.run(format!("UPDATE rules SET grants = {share}, granted = {GRANT} * ({share})")).await;
        self.run(format!(
            "UPDATE journals SET leaf_count = leaf_count + {payments}, month = (SELECT max(month) FROM journal_months)"
        ))
        .await;
        let end = self.at(&payments.to_string());
        self.run(format!(
            "UPDATE cursor SET slot = 1000 + {payments} / 4, final_slot = 1000 + {payments} / 4, final_hash = blockhash,
                 block_time = {end}, month = (SELECT max(month) FROM journal_months)"
        ))
        .await;
    }

    /// The roll-ups by rule and by nothing, by day, month and year, where the schema has them. Fewer payments than there are
    /// users follow one another within a month, so that in a day or a month nobody is counted twice.
    async fn rollups(&self) {
        let is_there: bool =
            sqlx::query_scalar("SELECT to_regclass('rollups') IS NOT NULL").fetch_one(&self.pool).await.unwrap();
        if !is_there {
            return;
        }
        let (of, users) = (self.payments(0, self.payments), self.users);
        // On the platform's calendar, eight hours ahead.
        self.run(format!(
            "CREATE TABLE bench_days AS
             SELECT (local AT TIME ZONE 'UTC')::date AS day, a, b, count(*) AS payments, sum(amount) AS paid,
                    count(*) FILTER (WHERE round = 0) AS new_payers
             FROM (SELECT *, at - interval '30 seconds' + interval '8 hours' AS local FROM ({of}) AS p) AS p GROUP BY 1, 2, 3"
        ))
        .await;
        let months = "(extract(year FROM day) * 12 + extract(month FROM day) - 23641)";
        let buckets = [
            (2, "(day - DATE '1970-01-01')".to_owned(), "sum(payments)".to_owned()),
            (4, months.to_owned(), "sum(payments)".to_owned()),
            // In a year everybody comes back.
            (5, "extract(year FROM day)".to_owned(), format!("least(sum(payments), {users})")),
        ];
        for (every, bucket, payers) in buckets {
            for (dimension, values) in [(0, "(VALUES (0)) AS of (value)"), (1, "(VALUES (a), (b)) AS of (value)")] {
                self.run(format!(
                    "INSERT INTO rollups (platform, every, dimension, bucket, value, payments, paid, refunds, refunded, payers,
                                          granted_payers, granted_spent, new_payers, converted)
                     SELECT {platform}, {every}, {dimension}, {bucket}::integer, value, sum(payments), sum(paid), 0, 0, {payers},
                            {payers}, sum(paid), sum(new_payers), sum(new_payers)
                     FROM bench_days, LATERAL {values} GROUP BY {bucket}, value",
                    platform = self.platform(),
                ))
                .await;
                let grants = if dimension == 0 { "2 * sum(payments)" } else { "sum(payments)" };
                if every != 5 {
                    self.run(format!(
                        "INSERT INTO rollup_grants (platform, every, dimension, bucket, value, asset, grants, granted, reversals,
                                                    reversed, expiries, expired, paid, refunded)
                         SELECT {platform}, {every}, {dimension}, {bucket}::integer, value, 1, {grants}, {GRANT} * {grants}, 0, 0, 0,
                                0, sum(paid), 0
                         FROM bench_days, LATERAL {values} GROUP BY {bucket}, value",
                        platform = self.platform(),
                    ))
                    .await;
                }
            }
        }
        self.run("DROP TABLE bench_days; DELETE FROM rollups_due".to_owned()).await;
    }
}
