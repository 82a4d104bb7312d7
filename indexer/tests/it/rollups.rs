//! Roll-ups are what anybody would count who went through all payments, refunds and entries again.

use crate::{
    chain::{Chain, GRANTING, IDLE, key},
    database::Database,
    reading::Dice,
    source::{Script, index},
};
use rebate_client::{
    address::Addresses,
    chain::Commitment,
    event::{
        EffectEntry, Event, LimitsEntry, OffsetEntry, OutcomeEntry, PaymentRecorded, RuleDefinition, RulePublished,
    },
};
use rebate_core::{
    outcome::Reason,
    rule::GroupMode,
    window::{Scope, Window},
};
use rebate_indexer::{source::BlockRef, stretch::Stretch, write::Writer};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use time::{
    Date, Duration, OffsetDateTime,
    macros::{date, datetime},
};

const TABLES: [&str; 5] = ["rollups", "rollup_grants", "payers", "user_months", "exposures"];

/// Rules with their groups, effects and what they hold out.
const RULES: [(u16, u8, u8, u16); 4] = [(1, 0, 1, 0), (3, 1, 2, 0), (4, 1, 4, 3_000), (5, 2, 2, 10_000)];

/// Local time by offsets: a little before New Year of 2026 clocks are put back, around midnight, and forth again by an odd
/// number after it.
const BACK: i64 = datetime!(2025-12-30 16:10 UTC).unix_timestamp();
const FORTH: i64 = datetime!(2026-01-10 16:00 UTC).unix_timestamp();

fn offset(at: i64) -> i64 {
    match at {
        at if at >= FORTH => 12_345,
        at if at >= BACK => 25_200,
        _ => 28_800,
    }
}

/// The buckets of a moment, by somebody else's calendar.
fn buckets(at: i64) -> [i64; 5] {
    let local = OffsetDateTime::from_unix_timestamp(at + offset(at)).unwrap();
    let days = |date: Date| (date - date!(1970 - 01 - 01)).whole_days();
    let monday = local.date() - Duration::days(local.weekday().number_days_from_monday().into());
    // The first week began on 1969-12-29.
    let week = (days(monday) + 3) / 7;
    let month = i64::from(local.year() - 1970) * 12 + i64::from(u8::from(local.month())) - 1;
    [days(local.date()) * 24 + i64::from(local.hour()), days(local.date()), week, month, local.year().into()]
}

/// A chain with late payments and refunds over the turn of a year, on two platforms.
fn chain_of_a_winter(dice: &mut Dice) -> Chain {
    let mut chain = Chain::new();
    let mut platforms = Vec::new();
    for id in 1..3 {
        let platform = Addresses::of(id).platform.to_bytes();
        let mut created = chain.platform_created(id, platform);
        created.assets.push(created.assets[0]);
        created.offsets = vec![
            OffsetEntry { from: 0, seconds: 28_800 },
            OffsetEntry { from: BACK, seconds: 25_200 },
            OffsetEntry { from: FORTH, seconds: 12_345 },
        ];
        chain.emit(&[Event::PlatformCreated(created)]);
        chain.publish(platform, IDLE, 1, 0);
        for (id, group, effect, holdout_bps) in RULES {
            publish(&mut chain, platform, id, 1, group, effect, holdout_bps);
        }
        // The same rule in another group.
        publish(&mut chain, platform, GRANTING, 2, 3, 2, 0);
        platforms.push(platform);
    }
    chain.seal();
    let mut paid: Vec<PaymentRecorded> = Vec::new();
    let mut held: HashMap<[u8; 32], u64> = HashMap::new();
    let begin = datetime!(2025-11-20 00:00 UTC).unix_timestamp();
    for block in 0..30_i64 {
        for _ in 0..dice.below(9) {
            let platform = platforms[dice.size(2)];
            // Some two months and a half, and up to four weeks late. A year earlier now and then.
            let now = begin + block * 2 * 86_400 + i64::try_from(dice.below(2 * 86_400)).unwrap();
            let late = [0, 0, 3_600, 86_400, 28 * 86_400][dice.size(5)];
            let late = if late == 0 { 0 } else { i64::try_from(dice.below(late)).unwrap() };
            let year = if dice.below(30) == 0 { 366 * 86_400 } else { 0 };
            let paid_at = now - late - year;
            match dice.below(10) {
                0 if !paid.is_empty() => {
                    let payment = &paid[dice.size(paid.len() as u64)];
                    let refunded = held.entry(payment.order).or_default();
                    let amount = payment.amount.saturating_sub(*refunded).min(1 + dice.below(payment.amount));
                    if amount > 0 {
                        *refunded += amount;
                        let mut refund = chain.refund(payment, amount);
                        refund.paid_at = now;
                        chain.emit(&[Event::RefundRecorded(refund)]);
                    }
                }
                _ => {
                    let user = dice.below(7);
                    let mut granting = Vec::new();
                    for (id, version, asset) in
                        [(1, 1 + u16::try_from(dice.below(2)).unwrap(), 1), (3, 1, 2), (4, 1, 1)]
                    {
                        if dice.below(3) == 0 {
                            granting.push((id, version, asset));
                        }
                    }
                    let mut payment = chain.payment_under(platform, user, 1 + dice.below(1_000), &granting);
                    payment.paid_at = paid_at;
                    payment.product = u16::try_from(dice.below(3)).unwrap();
                    payment.streamer = [0, 7, u64::MAX][dice.size(3)];
                    payment.tier = u8::try_from(dice.below(2)).unwrap();
                    payment.segments = [0, 1, 0x8000_0003][dice.size(3)];
                    // Rule 4 looks at some, and holds out those with an odd key.
                    if !granting.iter().any(|(id, ..)| *id == 4) {
                        let reason = [Reason::Holdout, Reason::NotMatched, Reason::UserLimit, Reason::LateForWindow]
                            [dice.size(4)];
                        not_granted(&mut payment, 4, reason);
                    }
                    not_granted(&mut payment, 5, [Reason::Holdout, Reason::NotMatched][dice.size(2)]);
                    chain.emit(&[Event::PaymentRecorded(payment.clone())]);
                    paid.push(payment);
                }
            }
        }
        if block % 7 == 6 {
            for payment in paid.iter().rev().take(3).cloned().collect::<Vec<_>>() {
                if let Some(user) = (0..7).find(|user| key(*user) == payment.user)
                    && payment
                        .outcomes
                        .iter()
                        .any(|outcome| outcome.asset == 2 && outcome.amount > 0 && outcome.after > 1)
                    && !held.contains_key(&payment.order)
                    && dice.below(2) == 0
                {
                    let expired = chain.expiry(payment.platform, user, 2, 1);
                    chain.emit(&[Event::BalanceExpired(expired)]);
                    break;
                }
            }
        }
        chain.seal();
    }
    chain
}

fn not_granted(payment: &mut PaymentRecorded, rule: u16, reason: Reason) {
    let last = *payment.outcomes.last().unwrap();
    let reason = reason as u8;
    payment.outcomes.push(OutcomeEntry { rule, version: 1, reason, amount: 0, ..last });
}

fn publish(chain: &mut Chain, platform: [u8; 32], id: u16, version: u16, group: u8, effect: u8, holdout_bps: u16) {
    let asset = if id == 3 { 2 } else { 1 };
    let effect = match effect {
        1 => EffectEntry::Fixed { asset, amount: 1 },
        2 => EffectEntry::Ratio { asset, bps: 1, min: 0, max: 0 },
        _ => EffectEntry::Streak { asset, days: 2, amount: 1, recurring: false },
    };
    let rule = RuleDefinition {
        id,
        version,
        name: format!("rule {id}"),
        priority: id,
        starts_at: 0,
        ends_at: 0,
        group,
        group_mode: GroupMode::Stackable as u8,
        tags: 0,
        excludes: 0,
        condition: Vec::new(),
        window: Window::Lifetime as u8,
        scope: Scope::User as u8,
        effect,
        limits: LimitsEntry::none(),
        holdout_bps,
    };
    chain.decide(platform, |journal_index, at| {
        Event::RulePublished(RulePublished { journal_index, at, platform, effective_at: 0, rule })
    });
}

/// A payment, as the tables have it.
#[derive(sqlx::FromRow, Clone)]
struct Paid {
    platform: Vec<u8>,
    journal_index: i64,
    user_key: Vec<u8>,
    amount: Decimal,
    paid_at: OffsetDateTime,
    product: i32,
    streamer: Decimal,
    tier: i16,
    segments: i64,
    number: i64,
}

#[derive(sqlx::FromRow)]
struct Outcome {
    platform: Vec<u8>,
    journal_index: i64,
    rule: i32,
    asset: i16,
    reason: i16,
    amount: Decimal,
    group_number: i16,
    effect: String,
    holdout_bps: i32,
}

/// Platform, every, dimension, bucket, value.
type Key = (Vec<u8>, i16, i16, i64, u64);

/// A row of `rollups`: payments, paid, refunds, refunded, payers, granted payers, what these spent, new payers, converted.
type Row = [u64; 9];

/// A row of `rollup_grants`: grants, granted, reversals, reversed, expiries, expired, paid, refunded.
type Grants = [u64; 8];

fn u64_of(number: Decimal) -> u64 {
    number.to_u64().unwrap()
}

/// Platform, rule and user.
type Exposed = (Vec<u8>, i32, Vec<u8>);

/// As they are stored: the parts of a key, and all sums.
type StoredRow = (Vec<u8>, i16, i16, i32, Decimal, Vec<Decimal>);
type StoredGrants = (Vec<u8>, i16, i16, i32, Decimal, i16, Vec<Decimal>);
type StoredExposure = (Vec<u8>, i32, Vec<u8>, bool, i64, Decimal);

/// What the tables should be, counted again from the ledger.
struct Recount {
    rows: BTreeMap<Key, Row>,
    grants: BTreeMap<(Key, i16), Grants>,
    /// Whether held out, at which event, and what was spent before.
    exposures: BTreeMap<Exposed, (bool, i64, u64)>,
}

async fn recount(database: &Database) -> Recount {
    let pool = database.pool();
    let paid: Vec<Paid> = sqlx::query_as(
        "SELECT platform, journal_index, user_key, amount, paid_at, product, streamer, tier, segments, number FROM payments
         ORDER BY platform, journal_index",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let outcomes: Vec<Outcome> = sqlx::query_as(
        "SELECT platform, outcomes.journal_index, rule, outcomes.asset, reason, amount, group_number,
                definition -> 'effect' ->> 'kind' AS effect, holdout_bps
         FROM outcomes JOIN rules USING (platform, rule, version)
         ORDER BY platform, outcomes.journal_index, position",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut outcomes_of: HashMap<(Vec<u8>, i64), Vec<Outcome>> = HashMap::new();
    for outcome in outcomes {
        outcomes_of.entry((outcome.platform.clone(), outcome.journal_index)).or_default().push(outcome);
    }
    let refunds: Vec<(Vec<u8>, i64, i64, Decimal, OffsetDateTime)> =
        sqlx::query_as("SELECT platform, journal_index, payment_index, amount, paid_at FROM refunds")
            .fetch_all(pool)
            .await
            .unwrap();
    let expired: Vec<(Vec<u8>, i16, Decimal, OffsetDateTime)> =
        sqlx::query_as("SELECT platform, asset, -change, at FROM entries WHERE operation = 'expiry'")
            .fetch_all(pool)
            .await
            .unwrap();
    let none = Vec::new();
    let granted = |payment: &Paid| -> Vec<&Outcome> {
        let outcomes = outcomes_of.get(&(payment.platform.clone(), payment.journal_index)).unwrap_or(&none);
        outcomes.iter().filter(|outcome| outcome.reason == 0).collect()
    };
    let first: HashMap<(Vec<u8>, Vec<u8>), &Paid> = paid
        .iter()
        .filter(|payment| payment.number == 1)
        .map(|payment| ((payment.platform.clone(), payment.user_key.clone()), payment))
        .collect();
    let effect = |name: &str| match name {
        "fixed" => 1,
        "ratio" => 2,
        "tiers" => 3,
        "streak" => 4,
        _ => 5,
    };
    // What an outcome is under, and what a payment is.
    let own = |outcome: &Outcome| -> Vec<(i16, u64)> {
        vec![
            (1, u64::try_from(outcome.rule).unwrap()),
            (2, u64::try_from(outcome.group_number).unwrap()),
            (3, effect(&outcome.effect)),
        ]
    };
    let shared = |payment: &Paid, every: usize| -> Vec<(i16, u64)> {
        let first = first[&(payment.platform.clone(), payment.user_key.clone())];
        let bucket = |payment: &Paid| buckets(payment.paid_at.unix_timestamp())[every];
        let mut keys = vec![
            (0, 0),
            (4, u64::try_from(payment.product).unwrap()),
            (5, u64_of(payment.streamer)),
            (6, u64::try_from(payment.tier).unwrap()),
            (8, u64::from(bucket(payment) == bucket(first))),
        ];
        keys.extend((0..32).filter(|bit| payment.segments >> bit & 1 == 1).map(|bit| (7, bit)));
        keys
    };
    let keys = |payment: &Paid, every: usize| -> BTreeSet<(i16, u64)> {
        let mut keys: BTreeSet<_> = shared(payment, every).into_iter().collect();
        keys.extend(granted(payment).into_iter().flat_map(own));
        keys
    };

    let mut rows: BTreeMap<Key, Row> = BTreeMap::new();
    let mut grants: BTreeMap<(Key, i16), Grants> = BTreeMap::new();
    let key_of = |platform: &[u8], every: usize, at: OffsetDateTime, (dimension, value): (i16, u64)| -> Key {
        let bucket = buckets(at.unix_timestamp())[every];
        (platform.to_vec(), i16::try_from(every + 1).unwrap(), dimension, bucket, value)
    };
    for every in 0..5 {
        let mut payers: BTreeMap<Key, BTreeSet<Vec<u8>>> = BTreeMap::new();
        let mut granted_payers: BTreeMap<Key, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for payment in &paid {
            for key in keys(payment, every) {
                let place = key_of(&payment.platform, every, payment.paid_at, key);
                let row = rows.entry(place.clone()).or_default();
                row[0] += 1;
                row[1] += u64_of(payment.amount);
                if payment.number == 1 {
                    row[7] += 1;
                    let again = paid.iter().any(|other| {
                        (&other.platform, &other.user_key, other.number) == (&payment.platform, &payment.user_key, 2)
                    });
                    row[8] += u64::from(again);
                }
                payers.entry(place.clone()).or_default().insert(payment.user_key.clone());
                if !granted(payment).is_empty() {
                    granted_payers.entry(place).or_default().insert(payment.user_key.clone());
                }
            }
        }
        for (place, users) in payers {
            rows.get_mut(&place).unwrap()[4] = users.len() as u64;
        }
        for (place, users) in granted_payers {
            let row = rows.get_mut(&place).unwrap();
            row[5] = users.len() as u64;
            let (platform, _, dimension, bucket, value) = &place;
            row[6] = paid
                .iter()
                .filter(|payment| payment.platform == *platform && users.contains(&payment.user_key))
                .filter(|payment| buckets(payment.paid_at.unix_timestamp())[every] == *bucket)
                .filter(|payment| (1..=3).contains(dimension) || keys(payment, every).contains(&(*dimension, *value)))
                .map(|payment| u64_of(payment.amount))
                .sum();
        }
        for (platform, index, payment_index, amount, at) in &refunds {
            let payment =
                paid.iter().find(|payment| payment.platform == *platform && payment.journal_index == *payment_index);
            for key in keys(payment.unwrap(), every) {
                let row = rows.entry(key_of(platform, every, *at, key)).or_default();
                row[2] += 1;
                row[3] += u64_of(*amount);
            }
            let _ = index;
        }
        // By asset; weeks and years by newness only.
        let kept = |dimension: i16| ![2, 4].contains(&every) || dimension == 8;
        let mut add = |key: Key, asset: i16, column: usize, amount: u64| {
            if kept(key.2) {
                grants.entry((key, asset)).or_default()[column] += amount;
            }
        };
        for payment in &paid {
            let at = payment.paid_at;
            let mut touched: BTreeSet<((i16, u64), i16)> = BTreeSet::new();
            for outcome in granted(payment) {
                for key in shared(payment, every).into_iter().chain(own(outcome)) {
                    add(key_of(&payment.platform, every, at, key), outcome.asset, 0, 1);
                    add(key_of(&payment.platform, every, at, key), outcome.asset, 1, u64_of(outcome.amount));
                    touched.insert((key, outcome.asset));
                }
            }
            for (key, asset) in touched {
                add(key_of(&payment.platform, every, at, key), asset, 6, u64_of(payment.amount));
            }
        }
        for (platform, index, payment_index, amount, at) in &refunds {
            let payment =
                paid.iter().find(|payment| payment.platform == *platform && payment.journal_index == *payment_index);
            let payment = payment.unwrap();
            let lost = outcomes_of.get(&(platform.clone(), *index)).unwrap_or(&none);
            let mut touched: BTreeSet<((i16, u64), i16)> = BTreeSet::new();
            for outcome in granted(payment) {
                for key in shared(payment, every).into_iter().chain(own(outcome)) {
                    touched.insert((key, outcome.asset));
                    if let Some(lost) = lost.iter().find(|lost| lost.rule == outcome.rule) {
                        add(key_of(platform, every, *at, key), outcome.asset, 2, 1);
                        add(key_of(platform, every, *at, key), outcome.asset, 3, u64_of(lost.amount));
                    }
                }
            }
            for (key, asset) in touched {
                add(key_of(platform, every, *at, key), asset, 7, u64_of(*amount));
            }
        }
        for (platform, asset, amount, at) in &expired {
            add(key_of(platform, every, *at, (0, 0)), *asset, 4, 1);
            add(key_of(platform, every, *at, (0, 0)), *asset, 5, u64_of(*amount));
        }
    }

    let mut exposures = BTreeMap::new();
    for payment in &paid {
        let outcomes = outcomes_of.get(&(payment.platform.clone(), payment.journal_index)).unwrap_or(&none);
        for outcome in
            outcomes.iter().filter(|outcome| outcome.holdout_bps > 0 && ![1, 3, 10].contains(&outcome.reason))
        {
            let spent: Decimal = paid
                .iter()
                .filter(|other| (&other.platform, &other.user_key) == (&payment.platform, &payment.user_key))
                .filter(|other| other.journal_index < payment.journal_index)
                .map(|other| {
                    let refunded: Decimal = refunds
                        .iter()
                        .filter(|(platform, index, of, ..)| {
                            *platform == other.platform && *of == other.journal_index && *index < payment.journal_index
                        })
                        .map(|(.., amount, _)| *amount)
                        .sum();
                    other.amount - refunded
                })
                .sum();
            exposures.entry((payment.platform.clone(), outcome.rule, payment.user_key.clone())).or_insert((
                outcome.reason == 4,
                payment.journal_index,
                u64_of(spent),
            ));
        }
    }
    Recount { rows, grants, exposures }
}

/// That the tables are what they should be.
async fn require_recounted(database: &Database) -> usize {
    let recount = recount(database).await;
    let rows: Vec<StoredRow> = sqlx::query_as(
        "SELECT platform, every, dimension, bucket, value,
                ARRAY[payments, paid, refunds, refunded, payers, granted_payers, granted_spent, new_payers, converted]
         FROM rollups",
    )
    .fetch_all(database.pool())
    .await
    .unwrap();
    let numbers = |numbers: &[Decimal]| -> Vec<u64> { numbers.iter().map(|number| u64_of(*number)).collect() };
    let rows: BTreeMap<Key, Vec<u64>> = rows
        .into_iter()
        .map(|(platform, every, dimension, bucket, value, sums)| {
            ((platform, every, dimension, bucket.into(), u64_of(value)), numbers(&sums))
        })
        .collect();
    for (key, row) in &recount.rows {
        assert_eq!(rows.get(key).map(Vec::as_slice), Some(row.as_slice()), "{key:?}");
    }
    assert_eq!(rows.len(), recount.rows.len(), "there are rows of nothing");

    let grants: Vec<StoredGrants> = sqlx::query_as(
        "SELECT platform, every, dimension, bucket, value, asset,
                ARRAY[grants, granted, reversals, reversed, expiries, expired, paid, refunded]
         FROM rollup_grants",
    )
    .fetch_all(database.pool())
    .await
    .unwrap();
    let grants: BTreeMap<(Key, i16), Vec<u64>> = grants
        .into_iter()
        .map(|(platform, every, dimension, bucket, value, asset, sums)| {
            (((platform, every, dimension, bucket.into(), u64_of(value)), asset), numbers(&sums))
        })
        .collect();
    for (key, row) in &recount.grants {
        assert_eq!(grants.get(key).map(Vec::as_slice), Some(row.as_slice()), "{key:?}");
    }
    assert_eq!(grants.len(), recount.grants.len(), "there are rows of no grants");

    let exposures: Vec<StoredExposure> =
        sqlx::query_as("SELECT platform, rule, user_key, held_out, journal_index, spent_before FROM exposures")
            .fetch_all(database.pool())
            .await
            .unwrap();
    let exposures: BTreeMap<_, _> = exposures
        .into_iter()
        .map(|(platform, rule, user, held_out, index, spent)| {
            ((platform, rule, user), (held_out, index, u64_of(spent)))
        })
        .collect();
    assert_eq!(exposures, recount.exposures);
    recount.rows.len()
}

fn stretch(chain: &Chain, from: usize, to: usize) -> Stretch {
    let after = from.checked_sub(1).map(|last| BlockRef::of(&chain.blocks[last]));
    Stretch::of(after, &chain.blocks[from..to]).unwrap()
}

#[tokio::test]
async fn whatever_comes_late_or_is_refunded_or_taken_back_roll_ups_are_what_a_recount_says() {
    let mut dice = Dice::new();
    let chain = chain_of_a_winter(&mut dice);
    let database = Database::new().await;
    let writer = Writer::new(database.pool().clone(), chain.genesis_hash(), Commitment::Confirmed);
    let (mut blocks, mut provisional) = (0, Vec::new());
    while blocks < chain.blocks.len() {
        let next = (blocks + 1 + dice.size(6)).min(chain.blocks.len());
        match dice.below(5) {
            0 => {
                writer.write(&stretch(&chain, blocks, next)).await.unwrap();
                provisional.clear();
                blocks = next;
            }
            1 if !provisional.is_empty() => {
                let first = dice.size(provisional.len() as u64);
                let (from, to): (usize, usize) = provisional[first];
                provisional.truncate(first);
                writer.revert(&BlockRef::of(&chain.blocks[to - 1])).await.unwrap();
                require_recounted(&database).await;
                blocks = from;
            }
            _ => {
                writer.write_provisional(&stretch(&chain, blocks, next)).await.unwrap();
                provisional.push((blocks, next));
                blocks = next;
            }
        }
    }
    assert!(require_recounted(&database).await > 500);
}

#[tokio::test]
async fn a_database_of_a_version_without_roll_ups_ends_as_one_that_always_had_them() {
    let mut dice = Dice::new();
    let mut chain = chain_of_a_winter(&mut dice);
    let database = Database::new().await;
    let half = chain.blocks.len() / 2;
    index(&database, Script::of(&chain.up_to(half))).await.unwrap();
    let writer = || Writer::new(database.pool().clone(), chain.genesis_hash(), Commitment::Confirmed);
    let last = chain.blocks.len() - 3;
    writer().write(&stretch(&chain, half, last)).await.unwrap();
    let before = database.rows().await;
    // The last blocks are not final.
    for block in last..chain.blocks.len() {
        writer().write_provisional(&stretch(&chain, block, block + 1)).await.unwrap();
    }
    let content = database.content().await;
    // As the version before left it.
    for table in TABLES {
        database.execute(&format!("DELETE FROM undo WHERE relation = 'public.{table}'; TRUNCATE {table}")).await;
    }
    database.execute("INSERT INTO rollups_due SELECT platform, 0 FROM journals").await;

    let at = chain.tip();
    let end = chain.seal().clone();
    let writer = Writer::new(database.pool().clone(), chain.genesis_hash(), Commitment::Confirmed);
    writer.write_provisional(&Stretch::of(Some(at), [&end]).unwrap()).await.unwrap();
    assert_eq!(database.count("rollups_due").await, 0);
    require_recounted(&database).await;
    writer.revert(&BlockRef::of(&end)).await.unwrap();
    assert_eq!(database.content().await, content);
    // What was added to the roll-ups of blocks that are not final goes with them.
    writer.revert(&BlockRef::of(&chain.blocks[last])).await.unwrap();
    assert!(database.rows().await == before, "something is not as it was before");
}

#[tokio::test]
async fn many_payments_alike_take_as_many_rows_as_one() {
    let (mut chain, platform) = Chain::with_platform();
    for _ in 0..200 {
        let mut payment = chain.payment(platform, 1, 5);
        (payment.segments, payment.tier, payment.streamer) = (1, 0, 0);
        chain.emit(&[Event::PaymentRecorded(payment)]);
    }
    chain.seal();
    let database = Database::new().await;
    index(&database, Script::of(&chain)).await.unwrap();
    // Nine keys (none, rule, group, effect, product, streamer, tier, segment, newness) of five lengths; by asset, of three, and
    // of five by newness.
    assert_eq!(database.count("rollups").await, 45);
    assert_eq!(database.count("rollup_grants").await, 8 * 3 + 5);
    assert_eq!(database.count("user_months").await, 1);
    let log: i32 = sqlx::query_scalar("SELECT length(log) FROM user_months").fetch_one(database.pool()).await.unwrap();
    assert!(log < 30, "200 payments alike take {log} bytes");
}
