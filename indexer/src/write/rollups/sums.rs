//! What a stretch adds to the roll-ups, and how it is written.

use super::{
    super::WriteError,
    calendar::{Buckets, Every},
    visit::{Dimension, Visit},
};
use foldhash::fast::RandomState;
use rust_decimal::{Decimal, prelude::FromPrimitive};
use sqlx::PgConnection;
use std::collections::HashMap;

/// A dimension and a value of it.
pub(super) type Value = (Dimension, u64);

/// A row of `rollups`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    platform: [u8; 32],
    every: Every,
    dimension: Dimension,
    bucket: i32,
    value: u64,
}

/// What is added to a row of `rollups`.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    payments: i64,
    paid: u128,
    refunds: i64,
    refunded: u128,
    payers: i64,
    granted_payers: i64,
    granted_spent: u128,
    new_payers: i64,
    converted: i64,
}

/// What is added to a row of `rollup_grants`.
#[derive(Clone, Copy, Debug, Default)]
struct GrantSum {
    grants: i64,
    granted: u128,
    reversals: i64,
    reversed: u128,
    expiries: i64,
    expired: u128,
    paid: u128,
    refunded: u128,
}

/// Payments that are counted under the same rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Alike {
    platform: [u8; 32],
    at: Buckets,
    newness: Newness,
    visit: Visit,
}

/// What there is of them.
#[derive(Clone, Debug, Default)]
struct Payments {
    payments: i64,
    paid: u128,
    firsts: i64,
    /// In the order of the visit's rules.
    granted: Vec<u128>,
}

/// Whether a payment is in the same bucket as its user's first, for buckets of every length: a bit set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Newness(u8);

impl Newness {
    /// Of a payment in the buckets of `at`, by a user whose first is in those of `joined`.
    pub fn of(at: Buckets, joined: Buckets) -> Self {
        let bit = |every: Every| u8::from(at.get(every) == joined.get(every)) << every as u8;
        Self(Every::ALL.into_iter().map(bit).fold(0, |bits, bit| bits | bit))
    }

    pub fn key(self, every: Every) -> Value {
        (Dimension::Newness, u64::from(self.0 >> every as u8 & 1))
    }
}

/// What a payment means for the users of a bucket, beyond what all payments like it mean.
pub(super) struct Counted {
    pub every: Every,
    pub dimension: Dimension,
    pub value: u64,
    /// Whether its user was not counted there before.
    pub is_payer: bool,
    /// Whether the user was not counted there as granted before.
    pub is_granted: bool,
    /// What is added to the spending of those granted.
    pub spent: u128,
}

/// What a stretch adds.
#[derive(Default)]
pub(super) struct Sums {
    alike: HashMap<Alike, Payments, RandomState>,
    rows: HashMap<Key, Sum, RandomState>,
    grants: HashMap<(Key, u8), GrantSum, RandomState>,
}

impl Sums {
    /// Adds a payment of `amount`; `granted` is in the order of the visit's rules.
    pub fn pay(
        &mut self,
        platform: [u8; 32],
        at: Buckets,
        newness: Newness,
        visit: Visit,
        (amount, granted): (u64, &[u64]),
        is_first: bool,
    ) {
        let payments = self.alike.entry(Alike { platform, at, newness, visit }).or_default();
        payments.payments += 1;
        payments.paid = payments.paid.saturating_add(amount.into());
        payments.firsts += i64::from(is_first);
        payments.granted.resize(granted.len(), 0);
        for (sum, amount) in payments.granted.iter_mut().zip(granted) {
            *sum = sum.saturating_add((*amount).into());
        }
    }

    /// Adds what a payment in the buckets of `at` means for the users there.
    pub fn count(&mut self, platform: [u8; 32], at: Buckets, counted: Counted) {
        let Counted { every, dimension, value, is_payer, is_granted, spent } = counted;
        if !is_payer && !is_granted && spent == 0 {
            return;
        }
        let row = self.row(platform, every, at, (dimension, value));
        row.payers += i64::from(is_payer);
        row.granted_payers += i64::from(is_granted);
        row.granted_spent = row.granted_spent.saturating_add(spent);
    }

    /// Notes that a user whose first payment was `visit` in the buckets of `joined` has paid again.
    pub fn convert(&mut self, platform: [u8; 32], joined: Buckets, visit: &Visit) {
        let keys = keys(visit);
        for every in Every::ALL {
            let newness = Newness::of(joined, joined).key(every);
            for key in keys.iter().copied().chain([newness]) {
                self.row(platform, every, joined, key).converted += 1;
            }
        }
    }

    /// Adds a refund of `amount` in the buckets of `at`, of a payment; `reversed` is in the order of the visit's rules,
    /// `None` for one that lost nothing.
    pub fn refund(
        &mut self,
        platform: [u8; 32],
        at: Buckets,
        newness: Newness,
        visit: &Visit,
        amount: u64,
        reversed: &[Option<u64>],
    ) {
        let keys = keys(visit);
        for every in Every::ALL {
            for key in keys.iter().copied().chain([newness.key(every)]) {
                let row = self.row(platform, every, at, key);
                row.refunds += 1;
                row.refunded = row.refunded.saturating_add(amount.into());
            }
        }
        let lost: Vec<(i64, u128)> = reversed
            .iter()
            .map(|reversed| (i64::from(reversed.is_some()), u128::from(reversed.unwrap_or_default())))
            .collect();
        self.each_grant(platform, at, newness, visit, &lost, |sum, (reversals, reversed)| {
            sum.reversals += reversals;
            sum.reversed = sum.reversed.saturating_add(reversed);
            sum.refunded = sum.refunded.saturating_add(amount.into());
        });
    }

    /// Adds what expired.
    pub fn expire(&mut self, platform: [u8; 32], at: Buckets, asset: u8, amount: u64) {
        for every in [Every::Hour, Every::Day, Every::Month] {
            let sum = self.grant(platform, every, at, (Dimension::None, 0), asset);
            sum.expiries += 1;
            sum.expired = sum.expired.saturating_add(amount.into());
        }
    }

    fn row(&mut self, platform: [u8; 32], every: Every, at: Buckets, (dimension, value): Value) -> &mut Sum {
        self.rows.entry(Key { platform, every, dimension, bucket: at.get(every), value }).or_default()
    }

    fn grant(
        &mut self,
        platform: [u8; 32],
        every: Every,
        at: Buckets,
        (dimension, value): Value,
        asset: u8,
    ) -> &mut GrantSum {
        self.grants.entry((Key { platform, every, dimension, bucket: at.get(every), value }, asset)).or_default()
    }

    /// Calls `add` with each row that what a visit was granted is counted under, and what of `parts` belongs there: how often and
    /// how much, in the order of the visit's rules.
    fn each_grant(
        &mut self,
        platform: [u8; 32],
        at: Buckets,
        newness: Newness,
        visit: &Visit,
        parts: &[(i64, u128)],
        add: impl Fn(&mut GrantSum, (i64, u128)),
    ) {
        if !visit.is_granted() {
            return;
        }
        // By what every payment has, each asset once; by what granted it, each of these and asset once.
        let mut shared: Vec<(u8, (i64, u128))> = Vec::new();
        let mut own: Vec<((Value, u8), (i64, u128))> = Vec::new();
        for (granted, part) in visit.granted.iter().zip(parts) {
            merge(&mut shared, granted.asset, *part);
            for key in granted.keys() {
                merge(&mut own, (key, granted.asset), *part);
            }
        }
        let all: Vec<Value> = visit.single().into_iter().chain(segments(visit)).collect();
        for every in Every::ALL {
            let summed = matches!(every, Every::Week | Every::Year);
            for (asset, part) in &shared {
                let kept = all.iter().copied().filter(|_| !summed);
                for key in kept.chain([newness.key(every)]) {
                    add(self.grant(platform, every, at, key, *asset), *part);
                }
            }
            for ((key, asset), part) in own.iter().filter(|_| !summed) {
                add(self.grant(platform, every, at, *key, *asset), *part);
            }
        }
    }

    /// Writes what was added.
    pub async fn write(mut self, connection: &mut PgConnection) -> Result<(), WriteError> {
        for (Alike { platform, at, newness, visit }, payments) in std::mem::take(&mut self.alike) {
            let keys = keys(&visit);
            for every in Every::ALL {
                for key in keys.iter().copied().chain([newness.key(every)]) {
                    let row = self.row(platform, every, at, key);
                    row.payments += payments.payments;
                    row.paid = row.paid.saturating_add(payments.paid);
                    row.new_payers += payments.firsts;
                    if visit.is_granted() {
                        row.granted_spent = row.granted_spent.saturating_add(payments.paid);
                    }
                }
            }
            let parts: Vec<_> = payments.granted.iter().map(|amount| (payments.payments, *amount)).collect();
            self.each_grant(platform, at, newness, &visit, &parts, |sum, (grants, granted)| {
                sum.grants += grants;
                sum.granted = sum.granted.saturating_add(granted);
                sum.paid = sum.paid.saturating_add(payments.paid);
            });
        }
        self.write_rows(connection).await?;
        self.write_grants(connection).await
    }

    async fn write_rows(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut rows: Vec<(&Key, &Sum)> = self.rows.iter().collect();
        rows.sort_unstable_by_key(|(key, _)| **key);
        sqlx::query!(
            "INSERT INTO rollups (platform, every, dimension, bucket, value, payments, paid, refunds, refunded, payers,
                                  granted_payers, granted_spent, new_payers, converted)
             SELECT * FROM UNNEST($1::bytea[], $2::smallint[], $3::smallint[], $4::integer[], $5::numeric[], $6::bigint[],
                                  $7::numeric[], $8::bigint[], $9::numeric[], $10::bigint[], $11::bigint[],
                                  $12::numeric[], $13::bigint[], $14::bigint[])
             ON CONFLICT (platform, every, dimension, bucket, value) DO UPDATE SET
                 payments = rollups.payments + EXCLUDED.payments,
                 paid = rollups.paid + EXCLUDED.paid,
                 refunds = rollups.refunds + EXCLUDED.refunds,
                 refunded = rollups.refunded + EXCLUDED.refunded,
                 payers = rollups.payers + EXCLUDED.payers,
                 granted_payers = rollups.granted_payers + EXCLUDED.granted_payers,
                 granted_spent = rollups.granted_spent + EXCLUDED.granted_spent,
                 new_payers = rollups.new_payers + EXCLUDED.new_payers,
                 converted = rollups.converted + EXCLUDED.converted",
            &rows.iter().map(|(key, _)| key.platform).collect::<Vec<_>>() as &[[u8; 32]],
            &rows.iter().map(|(key, _)| key.every as i16).collect::<Vec<_>>(),
            &rows.iter().map(|(key, _)| key.dimension as i16).collect::<Vec<_>>(),
            &rows.iter().map(|(key, _)| key.bucket).collect::<Vec<_>>(),
            &rows.iter().map(|(key, _)| Decimal::from(key.value)).collect::<Vec<_>>(),
            &rows.iter().map(|(_, sum)| sum.payments).collect::<Vec<_>>(),
            &numbers(&rows, |sum| sum.paid)?,
            &rows.iter().map(|(_, sum)| sum.refunds).collect::<Vec<_>>(),
            &numbers(&rows, |sum| sum.refunded)?,
            &rows.iter().map(|(_, sum)| sum.payers).collect::<Vec<_>>(),
            &rows.iter().map(|(_, sum)| sum.granted_payers).collect::<Vec<_>>(),
            &numbers(&rows, |sum| sum.granted_spent)?,
            &rows.iter().map(|(_, sum)| sum.new_payers).collect::<Vec<_>>(),
            &rows.iter().map(|(_, sum)| sum.converted).collect::<Vec<_>>(),
        )
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn write_grants(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        if self.grants.is_empty() {
            return Ok(());
        }
        let mut rows: Vec<(&(Key, u8), &GrantSum)> = self.grants.iter().collect();
        rows.sort_unstable_by_key(|(key, _)| **key);
        sqlx::query!(
            "INSERT INTO rollup_grants (platform, every, dimension, bucket, value, asset, grants, granted, reversals,
                                        reversed, expiries, expired, paid, refunded)
             SELECT * FROM UNNEST($1::bytea[], $2::smallint[], $3::smallint[], $4::integer[], $5::numeric[],
                                  $6::smallint[], $7::bigint[], $8::numeric[], $9::bigint[], $10::numeric[],
                                  $11::bigint[], $12::numeric[], $13::numeric[], $14::numeric[])
             ON CONFLICT (platform, every, dimension, bucket, value, asset) DO UPDATE SET
                 grants = rollup_grants.grants + EXCLUDED.grants,
                 granted = rollup_grants.granted + EXCLUDED.granted,
                 reversals = rollup_grants.reversals + EXCLUDED.reversals,
                 reversed = rollup_grants.reversed + EXCLUDED.reversed,
                 expiries = rollup_grants.expiries + EXCLUDED.expiries,
                 expired = rollup_grants.expired + EXCLUDED.expired,
                 paid = rollup_grants.paid + EXCLUDED.paid,
                 refunded = rollup_grants.refunded + EXCLUDED.refunded",
            &rows.iter().map(|((key, _), _)| key.platform).collect::<Vec<_>>() as &[[u8; 32]],
            &rows.iter().map(|((key, _), _)| key.every as i16).collect::<Vec<_>>(),
            &rows.iter().map(|((key, _), _)| key.dimension as i16).collect::<Vec<_>>(),
            &rows.iter().map(|((key, _), _)| key.bucket).collect::<Vec<_>>(),
            &rows.iter().map(|((key, _), _)| Decimal::from(key.value)).collect::<Vec<_>>(),
            &rows.iter().map(|((_, asset), _)| i16::from(*asset)).collect::<Vec<_>>(),
            &rows.iter().map(|(_, sum)| sum.grants).collect::<Vec<_>>(),
            &numbers(&rows, |sum| sum.granted)?,
            &rows.iter().map(|(_, sum)| sum.reversals).collect::<Vec<_>>(),
            &numbers(&rows, |sum| sum.reversed)?,
            &rows.iter().map(|(_, sum)| sum.expiries).collect::<Vec<_>>(),
            &numbers(&rows, |sum| sum.expired)?,
            &numbers(&rows, |sum| sum.paid)?,
            &numbers(&rows, |sum| sum.refunded)?,
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// What a visit is under, apart from newness.
fn keys(visit: &Visit) -> Vec<Value> {
    visit.single().into_iter().chain(segments(visit)).chain(visit.granting()).collect()
}

fn segments(visit: &Visit) -> impl Iterator<Item = Value> + use<> {
    visit.segments().map(|segment| (Dimension::Segment, segment.into()))
}

fn merge<K: PartialEq>(list: &mut Vec<(K, (i64, u128))>, key: K, (count, amount): (i64, u128)) {
    match list.iter_mut().find(|(known, _)| *known == key) {
        Some((_, (counts, amounts))) => {
            // Of as many payments; each is counted once for each rule.
            *counts += count;
            *amounts = amounts.saturating_add(amount);
        }
        None => list.push((key, (count, amount))),
    }
}

fn numbers<K, S>(rows: &[(&K, &S)], of: impl Fn(&S) -> u128) -> Result<Vec<Decimal>, WriteError> {
    rows.iter().map(|(_, sum)| number(of(sum))).collect()
}

/// A sum of amounts as the database takes it.
pub(super) fn number(sum: u128) -> Result<Decimal, WriteError> {
    // 2^96: four thousand million times the greatest amount.
    Decimal::from_u128(sum).ok_or_else(|| sqlx::Error::Encode(format!("a sum of {sum} is too large").into()).into())
}
