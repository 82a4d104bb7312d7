//! The roll-ups, as they are read for an answer.

use super::{By, Every};
use crate::{
    problem::{Kind, Problem},
    value::Address,
};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use std::collections::HashMap;

/// How many rows an answer has at most.
pub(crate) const MOST: usize = 25_000;

/// Which rows are asked for.
pub(crate) struct Wanted<'a> {
    pub platform: &'a Address,
    pub every: Every,
    pub by: By,
    /// The first bucket and the last.
    pub buckets: (i32, i32),
    /// Only this value.
    pub value: Option<Decimal>,
    /// Only this asset.
    pub asset: Option<i16>,
}

/// A row of `rollups`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub bucket: i32,
    pub value: Decimal,
    pub payments: i64,
    pub paid: Decimal,
    pub refunds: i64,
    pub refunded: Decimal,
    pub payers: i64,
    pub granted_payers: i64,
    pub granted_spent: Decimal,
    pub new_payers: i64,
    pub converted: i64,
}

/// A row of `rollup_grants`, or several of them together.
#[derive(Clone, Debug)]
pub(crate) struct Grants {
    pub bucket: i32,
    pub value: Decimal,
    pub asset: i16,
    pub grants: Decimal,
    pub granted: Decimal,
    pub reversals: Decimal,
    pub reversed: Decimal,
    pub expiries: Decimal,
    pub expired: Decimal,
    pub paid: Decimal,
    pub refunded: Decimal,
}

/// Refuses to answer while an upgrade is not over.
pub(crate) async fn require_filled(connection: &mut PgConnection, platform: &Address) -> Result<(), Problem> {
    let due = sqlx::query!(
        r#"SELECT next_index, coalesce(leaf_count, 0) AS "leaf_count!"
           FROM rollups_due LEFT JOIN journals USING (platform) WHERE platform = $1"#,
        &platform.0
    )
    .fetch_optional(connection)
    .await?;
    due.map_or(Ok(()), |due| {
        Err(Problem::not_ready(vec![format!(
            "analytics are being made from what an older version stored: {} of {} events are done; the indexer does it \
             before it goes on",
            due.next_index, due.leaf_count
        )]))
    })
}

fn bounded<T>(rows: Vec<T>) -> Result<Vec<T>, Problem> {
    if rows.len() <= MOST {
        return Ok(rows);
    }
    Err(Problem::new(
        Kind::InvalidParameter,
        format!(
            "in the query: the answer has more than {MOST} rows; ask for a shorter time with `from` and `to`, for longer \
             buckets with `every`, or for one `key`"
        ),
    ))
}

/// The rows that are wanted, by bucket and value.
pub(crate) async fn payments(connection: &mut PgConnection, wanted: &Wanted<'_>) -> Result<Vec<Row>, Problem> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT bucket, value, payments, paid, refunds, refunded, payers, granted_payers, granted_spent, new_payers,
                converted
         FROM rollups
         WHERE platform = $1 AND every = $2 AND dimension = $3 AND bucket BETWEEN $4 AND $5
             AND ($6::numeric IS NULL OR value = $6)
         ORDER BY bucket, value LIMIT $7",
        &wanted.platform.0,
        wanted.every.number(),
        wanted.by.number(),
        wanted.buckets.0,
        wanted.buckets.1,
        wanted.value,
        limit(),
    )
    .fetch_all(connection)
    .await?;
    bounded(rows)
}

/// The rows by asset that are wanted, by bucket, value and asset.
pub(crate) async fn grants(connection: &mut PgConnection, wanted: &Wanted<'_>) -> Result<Vec<Grants>, Problem> {
    // Weeks are kept as days and years as months, but by newness.
    let (stored, (first, last)) = match wanted.every {
        Every::Week if wanted.by != By::Newness => {
            let day = |week: i32| week.saturating_mul(7).saturating_sub(3);
            (Every::Day, (day(wanted.buckets.0), day(wanted.buckets.1).saturating_add(6)))
        }
        Every::Year if wanted.by != By::Newness => {
            let month = |year: i32| year.saturating_sub(1970).saturating_mul(12);
            (Every::Month, (month(wanted.buckets.0), month(wanted.buckets.1).saturating_add(11)))
        }
        every => (every, wanted.buckets),
    };
    let is_summed = stored != wanted.every;
    let rows = sqlx::query_as!(
        Grants,
        r#"SELECT bucket AS "bucket!", value, asset, sum(grants) AS "grants!", sum(granted) AS "granted!",
                  sum(reversals) AS "reversals!", sum(reversed) AS "reversed!", sum(expiries) AS "expiries!",
                  sum(expired) AS "expired!", sum(paid) AS "paid!", sum(refunded) AS "refunded!"
           FROM (
               SELECT CASE
                          WHEN NOT $9 THEN rollup_grants.bucket
                          WHEN every = 2 THEN floor((rollup_grants.bucket + 3) / 7.0)::integer
                          ELSE 1970 + floor(rollup_grants.bucket / 12.0)::integer
                      END AS bucket, value, asset, grants, granted, reversals, reversed, expiries, expired, paid, refunded
               FROM rollup_grants
               WHERE platform = $1 AND every = $2 AND dimension = $3 AND rollup_grants.bucket BETWEEN $4 AND $5
                   AND ($6::numeric IS NULL OR value = $6) AND ($7::smallint IS NULL OR asset = $7)
           ) AS rows
           GROUP BY bucket, value, asset ORDER BY bucket, value, asset LIMIT $8"#,
        &wanted.platform.0,
        stored.number(),
        wanted.by.number(),
        first,
        last,
        wanted.value,
        wanted.asset,
        limit(),
        is_summed,
    )
    .fetch_all(connection)
    .await?;
    bounded(rows)
}

/// The rows of all payments together, by bucket.
pub(crate) async fn totals(connection: &mut PgConnection, wanted: &Wanted<'_>) -> Result<HashMap<i32, Row>, Problem> {
    let wanted = Wanted { by: By::None, value: None, ..*wanted };
    Ok(payments(connection, &wanted).await?.into_iter().map(|row| (row.bucket, row)).collect())
}

/// How many users had paid by the end of each bucket.
pub(crate) struct Seen {
    /// Before the first bucket.
    before: i64,
    /// By bucket, how many at its end.
    after: Vec<(i32, i64)>,
}

impl Seen {
    pub async fn read(connection: &mut PgConnection, wanted: &Wanted<'_>) -> Result<Self, Problem> {
        let before = sqlx::query_scalar!(
            r#"SELECT coalesce(sum(new_payers), 0)::bigint AS "before!" FROM rollups
               WHERE platform = $1 AND every = $2 AND dimension = 0 AND bucket < $3"#,
            &wanted.platform.0,
            wanted.every.number(),
            wanted.buckets.0,
        )
        .fetch_one(&mut *connection)
        .await?;
        let wanted = Wanted { by: By::None, value: None, ..*wanted };
        let mut sum = before;
        let after = payments(connection, &wanted)
            .await?
            .into_iter()
            .map(|row| {
                sum = sum.saturating_add(row.new_payers);
                (row.bucket, sum)
            })
            .collect();
        Ok(Self { before, after })
    }

    /// How many had paid by the end of a bucket.
    pub fn by_the_end_of(&self, bucket: i32) -> i64 {
        let place = self.after.partition_point(|(known, _)| *known <= bucket);
        place.checked_sub(1).and_then(|place| self.after.get(place)).map_or(self.before, |(_, count)| *count)
    }
}

fn limit() -> i64 {
    i64::try_from(MOST).unwrap_or(i64::MAX).saturating_add(1)
}
