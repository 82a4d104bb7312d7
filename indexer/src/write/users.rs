//! Users: the running sums of their payments.

use super::{WriteError, contradiction, payments::Paid};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use std::collections::{BTreeMap, HashMap};
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
    let mut stored = add_to(connection, &known).await?;
    stored.extend(insert(connection, &new).await?);
    for ((platform, user), sum) in known.iter().chain(&new) {
        let count = match stored.get(&(platform.to_vec(), user.to_vec())) {
            Some(count) => u64::try_from(*count).unwrap_or_default(),
            None => sum.payments().saturating_add(count(connection, platform, user).await?),
        };
        if count != sum.last.payment.number {
            return Err(out_of_order(&sum.last, count.saturating_sub(1)));
        }
    }
    Ok(())
}

/// Platform and user, and what is added.
type Added<'a> = (([u8; 32], [u8; 32]), Sum<'a>);

/// How many payments users have, by platform and user.
type Counts = HashMap<(Vec<u8>, Vec<u8>), i64>;

/// Adds to users that are there. Those that are not are not in what it returns.
async fn add_to(connection: &mut PgConnection, known: &[Added<'_>]) -> Result<Counts, WriteError> {
    if known.is_empty() {
        return Ok(Counts::new());
    }
    // An INSERT … ON CONFLICT would lock each row before it changes it: one more thing to write to the log.
    let stored = sqlx::query!(
        r#"UPDATE users SET
               payments = users.payments + sum.payments,
               paid = users.paid + sum.paid,
               first_paid_at = LEAST(users.first_paid_at, sum.first_paid_at),
               last_paid_at = GREATEST(users.last_paid_at, sum.last_paid_at)
           FROM UNNEST($1::bytea[], $2::bytea[], $3::bigint[], $4::numeric[], $5::timestamptz[], $6::timestamptz[])
               AS sum (platform, user_key, payments, paid, first_paid_at, last_paid_at)
           WHERE users.platform = sum.platform AND users.user_key = sum.user_key
           RETURNING users.platform, users.user_key, users.payments"#,
        &known.iter().map(|((platform, _), _)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
        &known.iter().map(|((_, user), _)| *user).collect::<Vec<_>>() as &[[u8; 32]],
        &known.iter().map(|(_, sum)| sum.payments).collect::<Vec<_>>(),
        &known.iter().map(|(_, sum)| sum.paid).collect::<Vec<_>>(),
        &known.iter().map(|(_, sum)| sum.first_paid_at).collect::<Vec<_>>(),
        &known.iter().map(|(_, sum)| sum.last_paid_at).collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await?;
    Ok(stored.into_iter().map(|row| ((row.platform, row.user_key), row.payments)).collect())
}

/// Adds users that are not there yet. Those that are are not in what it returns.
async fn insert(connection: &mut PgConnection, new: &[Added<'_>]) -> Result<Counts, WriteError> {
    if new.is_empty() {
        return Ok(Counts::new());
    }
    let stored = sqlx::query!(
        "INSERT INTO users (platform, user_key, payments, paid, first_paid_at, last_paid_at)
         SELECT * FROM UNNEST($1::bytea[], $2::bytea[], $3::bigint[], $4::numeric[], $5::timestamptz[],
                              $6::timestamptz[])
         ON CONFLICT DO NOTHING
         RETURNING platform, user_key, payments",
        &new.iter().map(|((platform, _), _)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
        &new.iter().map(|((_, user), _)| *user).collect::<Vec<_>>() as &[[u8; 32]],
        &new.iter().map(|(_, sum)| sum.payments).collect::<Vec<_>>(),
        &new.iter().map(|(_, sum)| sum.paid).collect::<Vec<_>>(),
        &new.iter().map(|(_, sum)| sum.first_paid_at).collect::<Vec<_>>(),
        &new.iter().map(|(_, sum)| sum.last_paid_at).collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await?;
    Ok(stored.into_iter().map(|row| ((row.platform, row.user_key), row.payments)).collect())
}

/// How many payments a user has.
async fn count(connection: &mut PgConnection, platform: &[u8; 32], user: &[u8; 32]) -> Result<u64, WriteError> {
    let count = sqlx::query_scalar!(
        "SELECT payments FROM users WHERE platform = $1 AND user_key = $2",
        platform.as_slice(),
        user.as_slice()
    )
    .fetch_optional(connection)
    .await?;
    Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
}

fn out_of_order(paid: &Paid<'_>, before: u64) -> WriteError {
    contradiction(paid.found, format!("it is payment {} of its user, who has {before} before it", paid.payment.number))
}
