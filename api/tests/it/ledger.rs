//! Writes what the indexer would have written.

use crate::chain::{Chain, GENESIS};
use rebate_client::{
    account::Journal,
    event::{Event, OutcomeEntry, PauseChanged, PaymentRecorded},
    platform_id::unkeyed_user,
};
use rebate_core::{journal, outcome::Reason, units::OrderHash};
use serde_json::{Value, json};
use sqlx::PgPool;

/// The platform that tests are about.
pub const PLATFORM: [u8; 32] = [1; 32];

/// Saturday, 2026-10-03, 04:00 UTC.
pub const NOON: i64 = 1_791_000_000;

/// A user's key in a path.
pub fn user(id: &str) -> String {
    unkeyed_user(id).to_string()
}

/// An order's hash in a path.
pub fn order(number: &str) -> String {
    OrderHash::of(number).to_string()
}

/// What a rule did, and what of.
#[derive(Clone, Copy)]
pub struct Did {
    pub rule: u16,
    pub version: u16,
    pub reason: Reason,
    pub clause: u8,
    pub asset: u8,
    pub amount: u64,
}

impl Did {
    pub fn granted(rule: u16, amount: u64) -> Self {
        Self { rule, version: 1, reason: Reason::Granted, clause: 0, asset: 1, amount }
    }

    pub fn not_matched(rule: u16, clause: u8) -> Self {
        Self { reason: Reason::NotMatched, clause, ..Self::granted(rule, 0) }
    }
}

/// The rows of one platform, and the journal that belongs to them.
pub struct Ledger {
    pool: PgPool,
    pub journal: Journal,
    pub slot: i64,
}

impl Ledger {
    /// A platform with assets `coins` and `stars` and an oracle key, and a cursor at slot 100.
    pub async fn new(pool: &PgPool) -> Self {
        let mut ledger = Self::of(pool, PLATFORM, 1).await;
        ledger.move_cursor(100).await;
        ledger
    }

    /// A platform at `platform`.
    pub async fn of(pool: &PgPool, platform: [u8; 32], id: i64) -> Self {
        let mut journal: Journal = bytemuck::Zeroable::zeroed();
        journal.platform = platform;
        journal.version = 1;
        let mut ledger = Self { pool: pool.clone(), journal, slot: 100 };
        sqlx::query("INSERT INTO platforms VALUES ($1, $2, $3, $3, 604800, 0, 4, false, to_timestamp($4::bigint))")
            .bind(platform)
            .bind(id)
            .bind([3u8; 32])
            .bind(NOON)
            .execute(pool)
            .await
            .unwrap();
        for (asset, name) in [(1i16, "coins"), (2, "stars")] {
            sqlx::query("INSERT INTO assets VALUES ($1, $2, $3, 'points')")
                .bind(platform)
                .bind(asset)
                .bind(name)
                .execute(pool)
                .await
                .unwrap();
        }
        sqlx::query("INSERT INTO utc_offsets VALUES ($1, 0, 28800)").bind(platform).execute(pool).await.unwrap();
        sqlx::query("INSERT INTO oracle_keys VALUES ($1, $2, 0, $3)")
            .bind(platform)
            .bind([4u8; 32])
            .bind(NOON)
            .execute(pool)
            .await
            .unwrap();
        ledger.filler().await;
        ledger
    }

    /// Says that the indexer has read up to `slot`, just now.
    pub async fn move_cursor(&mut self, slot: i64) {
        self.slot = slot;
        sqlx::query(
            "INSERT INTO cursor VALUES (true, $1, 'finalized', $2, $3, now(), now())
             ON CONFLICT (one) DO UPDATE SET slot = excluded.slot, blockhash = excluded.blockhash,
                 block_time = excluded.block_time, written_at = excluded.written_at",
        )
        .bind(GENESIS)
        .bind(slot)
        .bind(journal::leaf(&slot.to_le_bytes()))
        .execute(&self.pool)
        .await
        .unwrap();
    }

    /// Shows the journal on `chain` as of the ledger's slot.
    pub fn show(&self, chain: &Chain) {
        chain.hold_journal(u64::try_from(self.slot).unwrap(), &self.journal);
    }

    /// The signature of the transaction with event `index`.
    pub fn signature(index: u64) -> [u8; 64] {
        let half = journal::leaf(&index.to_le_bytes());
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&half);
        signature[32..].copy_from_slice(&half);
        signature
    }

    /// Appends `event` to the journal, and writes it.
    pub async fn append(&mut self, event: &Event) -> i64 {
        let index = self.append_only(event);
        self.write(event).await;
        index
    }

    /// Appends `event` to the journal; the indexer has not seen it.
    pub fn append_only(&mut self, event: &Event) -> i64 {
        let bytes = event.encode().unwrap();
        let Journal { count, peaks, .. } = &mut self.journal;
        let index = journal::append(count, peaks, journal::leaf(&bytes)).unwrap();
        i64::try_from(index.0).unwrap()
    }

    /// Writes `event`, whatever the journal says.
    pub async fn write(&self, event: &Event) {
        let index = event.journal_index();
        let signature = Self::signature(index ^ u64::from(event.platform()[0]) << 32);
        sqlx::query("INSERT INTO transactions VALUES ($1, $2, 0, to_timestamp($3::bigint))")
            .bind(signature)
            .bind(self.slot)
            .bind(NOON)
            .execute(&self.pool)
            .await
            .unwrap();
        sqlx::query("INSERT INTO events VALUES ($1, $2, $3, to_timestamp($4::bigint), $5, $6)")
            .bind(event.platform())
            .bind(i64::try_from(index).unwrap())
            .bind(event.name())
            .bind(event.at())
            .bind(signature)
            .bind(event.encode().unwrap())
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// The next event, of the shortest kind.
    pub fn next_filler(&self) -> Event {
        Event::PauseChanged(PauseChanged {
            journal_index: self.journal.count,
            at: NOON,
            platform: self.journal.platform,
            paused: false,
            by: [3; 32],
        })
    }

    /// Appends and writes an event of the shortest kind.
    pub async fn filler(&mut self) -> i64 {
        let event = self.next_filler();
        self.append(&event).await
    }

    /// A rule version with `definition`, open at both ends.
    pub async fn rule(&mut self, rule: u16, version: u16, name: &str, definition: Value) {
        let journal_index = self.filler().await;
        let asset = definition["effect"]["asset"].as_i64().unwrap();
        sqlx::query(
            "INSERT INTO rules VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0, $7, to_timestamp($8::bigint), $9, 0, 0)",
        )
        .bind(self.journal.platform)
        .bind(i32::from(rule))
        .bind(i32::from(version))
        .bind(name)
        .bind(i32::from(rule) * 10)
        .bind(i16::try_from(asset).unwrap())
        .bind(definition)
        .bind(NOON)
        .bind(journal_index)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    /// Rule 1: a fifth of the first payment; rule 2: 30 for every other.
    pub async fn two_rules(&mut self) {
        self.rule(
            1,
            1,
            "first recharge 20%",
            json!({
                "condition": [
                    {"clause": 0, "negated": false, "field": "payment_number", "operator": "==", "value": "1"},
                    {"clause": 1, "negated": false, "field": "product", "operator": "==", "value": "1"},
                    {"clause": 1, "negated": false, "field": "product", "operator": "==", "value": "2"},
                ],
                "effect": {"kind": "ratio", "asset": 1, "bps": 2000, "min": "0", "max": "18446744073709551615"},
            }),
        )
        .await;
        self.rule(
            2,
            1,
            "weekend",
            json!({
                "condition": [{"clause": 0, "negated": false, "field": "weekday", "operator": "any", "value": "192"}],
                "effect": {"kind": "fixed", "asset": 1, "amount": "30"},
            }),
        )
        .await;
    }

    /// A payment with what the rules did, at 04:00 UTC.
    pub async fn pay(&mut self, number: &str, user: &str, amount: u64, did: &[Did]) -> i64 {
        let (order, user) = (OrderHash::of(number).0, unkeyed_user(user).0);
        let platform = self.journal.platform;
        let nth: i64 = sqlx::query_scalar("SELECT 1 + count(*) FROM payments WHERE platform = $1 AND user_key = $2")
            .bind(platform)
            .bind(user)
            .fetch_one(&self.pool)
            .await
            .unwrap();
        let mut outcomes = Vec::new();
        for did in did {
            let granted: u64 = outcomes
                .iter()
                .filter(|outcome: &&OutcomeEntry| outcome.asset == did.asset)
                .map(|outcome| outcome.amount)
                .sum();
            let before = granted + self.balance(&user, did.asset).await;
            outcomes.push(OutcomeEntry {
                rule: did.rule,
                version: did.version,
                reason: did.reason as u8,
                clause: did.clause,
                asset: did.asset,
                amount: did.amount,
                before,
                after: before + did.amount,
            });
        }
        let index = self
            .append(&Event::PaymentRecorded(PaymentRecorded {
                journal_index: self.journal.count,
                at: NOON,
                platform,
                oracle: [4; 32],
                order,
                user,
                amount,
                paid_at: NOON,
                product: 1,
                streamer: u64::MAX,
                session: 0,
                tier: 0,
                segments: 0,
                number: nth.unsigned_abs(),
                outcomes: outcomes.clone(),
            }))
            .await;
        sqlx::query(
            "INSERT INTO payments VALUES ($1, $2, $3, $4, $5, $6::numeric, to_timestamp($7::bigint), 1,
                 18446744073709551615, 0, 0, 0, $8)",
        )
        .bind(platform)
        .bind(index)
        .bind(order)
        .bind(user)
        .bind([4u8; 32])
        .bind(amount.to_string())
        .bind(NOON)
        .bind(nth)
        .execute(&self.pool)
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO users VALUES ($1, $2, 1, $3::numeric, to_timestamp($4::bigint), to_timestamp($4::bigint))
             ON CONFLICT (platform, user_key) DO UPDATE
                 SET payments = users.payments + 1, paid = users.paid + excluded.paid",
        )
        .bind(platform)
        .bind(user)
        .bind(amount.to_string())
        .bind(NOON)
        .execute(&self.pool)
        .await
        .unwrap();
        for (position, outcome) in (0i16..).zip(&outcomes) {
            self.outcome(index, position, outcome, &order, &user).await;
        }
        index
    }

    async fn balance(&self, user: &[u8; 32], asset: u8) -> u64 {
        let balance: Option<String> = sqlx::query_scalar(
            "SELECT balance::text FROM balances WHERE platform = $1 AND user_key = $2 AND asset = $3",
        )
        .bind(self.journal.platform)
        .bind(user)
        .bind(i16::from(asset))
        .fetch_optional(&self.pool)
        .await
        .unwrap();
        balance.map_or(0, |balance| balance.parse().unwrap())
    }

    async fn outcome(&self, index: i64, position: i16, outcome: &OutcomeEntry, order: &[u8; 32], user: &[u8; 32]) {
        let platform = self.journal.platform;
        sqlx::query(
            "INSERT INTO outcomes VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::numeric, $10::numeric, $11::numeric)",
        )
        .bind(platform)
        .bind(index)
        .bind(position)
        .bind(i32::from(outcome.rule))
        .bind(i32::from(outcome.version))
        .bind(i16::from(outcome.reason))
        .bind(i16::from(outcome.clause))
        .bind(i16::from(outcome.asset))
        .bind(outcome.amount.to_string())
        .bind(outcome.before.to_string())
        .bind(outcome.after.to_string())
        .execute(&self.pool)
        .await
        .unwrap();
        if outcome.amount == 0 {
            return;
        }
        sqlx::query(
            "INSERT INTO entries VALUES ($1, $2, $3, $4, 'grant', $5, $6::numeric, $7::numeric, $8::numeric, $9, $10, $11,
                 to_timestamp($12::bigint))",
        )
        .bind(platform)
        .bind(index)
        .bind(position)
        .bind(user)
        .bind(i16::from(outcome.asset))
        .bind(outcome.amount.to_string())
        .bind(outcome.before.to_string())
        .bind(outcome.after.to_string())
        .bind(order)
        .bind(i32::from(outcome.rule))
        .bind(i32::from(outcome.version))
        .bind(NOON)
        .execute(&self.pool)
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO balances VALUES ($1, $2, $3, $4::numeric, 1, $5)
             ON CONFLICT (platform, user_key, asset) DO UPDATE
                 SET balance = excluded.balance, entries = balances.entries + 1, journal_index = excluded.journal_index",
        )
        .bind(platform)
        .bind(user)
        .bind(i16::from(outcome.asset))
        .bind(outcome.after.to_string())
        .bind(index)
        .execute(&self.pool)
        .await
        .unwrap();
        sqlx::query(
            "UPDATE rules SET granted = granted + $4::numeric, grants = grants + 1
             WHERE platform = $1 AND rule = $2 AND version = $3",
        )
        .bind(platform)
        .bind(i32::from(outcome.rule))
        .bind(i32::from(outcome.version))
        .bind(outcome.amount.to_string())
        .execute(&self.pool)
        .await
        .unwrap();
    }
}
