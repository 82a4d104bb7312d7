//! Users: the running sums of their payments.

use super::{WriteError, contradiction, payments::Paid};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use std::collections::{BTreeMap, HashSet};
use time::OffsetDateTime;

/// What a stretch adds to a user.
struct Sum<'a> {
    payments: i64,
    paid: Decimal,
    first_paid_at: OffsetDateTime,
    last_paid_at: OffsetDateTime,
    last: Paid<'a>,
}

impl Sum<'_> {
    fn payments(&self) -> u64 {
        self.payments.unsigned_abs()
    }

    /// Whether the first of its payments says that it is its user's first.
    fn is_of_a_new_user(&self) -> bool {
        self.last.payment.number <= self.payments()
    }
}

/// Adds the payments to their users' sums. A payment says the how-manieth of its user it is; the sums must agree.
pub(super) async fn add(connection: &mut PgConnection, paid: &[Paid<'_>]) -> Result<(), WriteError> {
    if paid.is_empty() {
        return Ok(());
    }
    let mut sums: BTreeMap<([u8; 32], [u8; 32]), Sum<'_>> = BTreeMap::new();
    for paid in paid {
        let amount = Decimal::from(paid.payment.amount);
        let sum = sums.entry((paid.payment.platform, paid.payment.user)).or_insert(Sum {
            payments: 0,
            paid: Decimal::ZERO,
            first_paid_at: paid.paid_at,
            last_paid_at: paid.paid_at,
            last: *paid,
        });
        if sum.payments > 0 && sum.last.payment.number.checked_add(1) != Some(paid.payment.number) {
            return Err(out_of_order(paid, sum.last.payment.number));
        }
        sum.payments = sum.payments.saturating_add(1);
        sum.paid = sum
            .paid
            .checked_add(amount)
            .ok_or_else(|| contradiction(paid.found, "its user paid more than there is"))?;
        sum.first_paid_at = sum.first_paid_at.min(paid.paid_at);
        sum.last_paid_at = sum.last_paid_at.max(paid.paid_at);
        sum.last = *paid;
    }
    let (new, known): (Vec<_>, Vec<_>) = sums.into_iter().partition(|(_, sum)| sum.is_of_a_new_user());
    add_to(connection, &known).await?;
    insert(connection, &new).await
}

/// Platform and user, and what is added.
type Added<'a> = (([u8; 32], [u8; 32]), Sum<'a>);

/// Adds to users that are there.
async fn add_to(connection: &mut PgConnection, known: &[Added<'_>]) -> Result<(), WriteError> {
    if known.is_empty() {
        return Ok(());
    }
    // An INSERT … ON CONFLICT would lock each row before it changes it: one more thing to write to the log.
    let moved = sqlx::query!(
        r#"WITH moved AS (
               UPDATE users SET
                   payments = users.payments + sum.payments,
                   paid = users.paid + sum.paid,
                   first_paid_at = LEAST(users.first_paid_at, sum.first_paid_at),
                   last_paid_at = GREATEST(users.last_paid_at, sum.last_paid_at)
               FROM UNNEST($1::bytea[], $2::bytea[], $3::bigint[], $4::numeric[], $5::timestamptz[], $6::timestamptz[],
                           $7::numeric[]) WITH ORDINALITY
                   AS sum (platform, user_key, payments, paid, first_paid_at, last_paid_at, number, place)
               WHERE users.platform = sum.platform AND users.user_key = sum.user_key
               RETURNING sum.place, users.payments, users.payments <> sum.number AS is_wrong
           )
           SELECT count(*) AS "count!", min(place) FILTER (WHERE is_wrong) AS wrong,
                  (array_agg(payments ORDER BY place) FILTER (WHERE is_wrong))[1] AS payments
           FROM moved"#,
        &known.iter().map(|((platform, _), _)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
        &known.iter().map(|((_, user), _)| *user).collect::<Vec<_>>() as &[[u8; 32]],
        &known.iter().map(|(_, sum)| sum.payments).collect::<Vec<_>>(),
        &known.iter().map(|(_, sum)| sum.paid).collect::<Vec<_>>(),
        &known.iter().map(|(_, sum)| sum.first_paid_at).collect::<Vec<_>>(),
        &known.iter().map(|(_, sum)| sum.last_paid_at).collect::<Vec<_>>(),
        &known.iter().map(|(_, sum)| Decimal::from(sum.last.payment.number)).collect::<Vec<_>>(),
    )
    .fetch_one(&mut *connection)
    .await?;
    if let (Some(place), Some(payments)) = (moved.wrong, moved.payments) {
        let wrong = usize::try_from(place).ok().and_then(|place| known.get(place.checked_sub(1)?));
        if let Some((_, sum)) = wrong {
            return Err(out_of_order(&sum.last, payments.unsigned_abs().saturating_sub(1)));
        }
    }
    if usize::try_from(moved.count).ok() == Some(known.len()) {
        return Ok(());
    }
    for ((platform, user), sum) in known {
        let is_there = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM users WHERE platform = $1 AND user_key = $2) AS "is_there!""#,
            platform.as_slice(),
            user.as_slice()
        )
        .fetch_one(&mut *connection)
        .await?;
        if !is_there {
            return Err(out_of_order(&sum.last, sum.payments().saturating_sub(1)));
        }
    }
    Err(sqlx::Error::Decode("users has two rows of one user".into()).into())
}

/// Adds users that are not there yet.
async fn insert(connection: &mut PgConnection, new: &[Added<'_>]) -> Result<(), WriteError> {
    if new.is_empty() {
        return Ok(());
    }
    let inserted = sqlx::query!(
        "INSERT INTO users (platform, user_key, payments, paid, first_paid_at, last_paid_at)
         SELECT * FROM UNNEST($1::bytea[], $2::bytea[], $3::bigint[], $4::numeric[], $5::timestamptz[],
                              $6::timestamptz[])
         ON CONFLICT DO NOTHING
         RETURNING platform, user_key",
        &new.iter().map(|((platform, _), _)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
        &new.iter().map(|((_, user), _)| *user).collect::<Vec<_>>() as &[[u8; 32]],
        &new.iter().map(|(_, sum)| sum.payments).collect::<Vec<_>>(),
        &new.iter().map(|(_, sum)| sum.paid).collect::<Vec<_>>(),
        &new.iter().map(|(_, sum)| sum.first_paid_at).collect::<Vec<_>>(),
        &new.iter().map(|(_, sum)| sum.last_paid_at).collect::<Vec<_>>(),
    )
    .fetch_all(&mut *connection)
    .await?;
    if let Some((_, sum)) = new.iter().find(|(_, sum)| sum.last.payment.number != sum.payments()) {
        return Err(out_of_order(&sum.last, sum.payments().saturating_sub(1)));
    }
    if inserted.len() == new.len() {
        return Ok(());
    }
    let inserted: HashSet<(&[u8], &[u8])> =
        inserted.iter().map(|row| (row.platform.as_slice(), row.user_key.as_slice())).collect();
    let is_inserted = |platform: &[u8; 32], user: &[u8; 32]| inserted.contains(&(platform.as_slice(), user.as_slice()));
    for ((platform, user), sum) in new.iter().filter(|((platform, user), _)| !is_inserted(platform, user)) {
        let before = sqlx::query_scalar!(
            "SELECT payments FROM users WHERE platform = $1 AND user_key = $2",
            platform.as_slice(),
            user.as_slice()
        )
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(before) = before {
            let before = before.unsigned_abs().saturating_add(sum.payments()).saturating_sub(1);
            return Err(out_of_order(&sum.last, before));
        }
    }
    Err(sqlx::Error::Decode("users were not added, and are not there".into()).into())
}

fn out_of_order(paid: &Paid<'_>, before: u64) -> WriteError {
    contradiction(paid.found, format!("it is payment {} of its user, who has {before} before it", paid.payment.number))
}
