//! Users: the running sums of their payments.

use super::{WriteError, contradiction, payments::Paid};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// What a stretch adds to a user.
struct Sum<'a> {
    payments: i64,
    paid: Decimal,
    first_paid_at: OffsetDateTime,
    last_paid_at: OffsetDateTime,
    last: Paid<'a>,
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
    let stored = sqlx::query!(
        "INSERT INTO users (platform, user_key, payments, paid, first_paid_at, last_paid_at)
         SELECT * FROM UNNEST($1::bytea[], $2::bytea[], $3::bigint[], $4::numeric[], $5::timestamptz[],
                              $6::timestamptz[])
         ON CONFLICT (platform, user_key) DO UPDATE SET
             payments = users.payments + EXCLUDED.payments,
             paid = users.paid + EXCLUDED.paid,
             first_paid_at = LEAST(users.first_paid_at, EXCLUDED.first_paid_at),
             last_paid_at = GREATEST(users.last_paid_at, EXCLUDED.last_paid_at)
         RETURNING platform, user_key, payments",
        &sums.keys().map(|(platform, _)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
        &sums.keys().map(|(_, user)| *user).collect::<Vec<_>>() as &[[u8; 32]],
        &sums.values().map(|sum| sum.payments).collect::<Vec<_>>(),
        &sums.values().map(|sum| sum.paid).collect::<Vec<_>>(),
        &sums.values().map(|sum| sum.first_paid_at).collect::<Vec<_>>(),
        &sums.values().map(|sum| sum.last_paid_at).collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await?;
    for row in stored {
        let key = (<[u8; 32]>::try_from(row.platform.as_slice()), <[u8; 32]>::try_from(row.user_key.as_slice()));
        let (Ok(platform), Ok(user)) = key else { continue };
        let Some(sum) = sums.get(&(platform, user)) else { continue };
        let count = u64::try_from(row.payments).unwrap_or_default();
        if count != sum.last.payment.number {
            return Err(out_of_order(&sum.last, count.saturating_sub(1)));
        }
    }
    Ok(())
}

fn out_of_order(paid: &Paid<'_>, before: u64) -> WriteError {
    contradiction(paid.found, format!("it is payment {} of its user, who has {before} before it", paid.payment.number))
}
