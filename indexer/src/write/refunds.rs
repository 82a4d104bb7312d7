//! Refunds, and to which payments they belong.

use super::{Plan, WriteError, contradiction, decimal, moment, month::Month};
use crate::stretch::Found;
use rebate_client::event::{Event, RefundRecorded};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use sqlx::PgConnection;
use std::collections::{BTreeMap, HashMap};
use time::OffsetDateTime;

/// Platform, order, user.
type Key = ([u8; 32], [u8; 32], [u8; 32]);

/// A payment that can be refunded.
struct Payment {
    journal_index: i64,
    month: Month,
    amount: u64,
    /// What was refunded so far.
    refunded: u64,
}

/// A refund with the payment it belongs to.
struct Refund<'a> {
    found: &'a Found,
    event: &'a RefundRecorded,
    paid_at: OffsetDateTime,
    payment_index: i64,
    payment_month: Month,
}

/// Adds the refunds. What each says was refunded so far must follow from those before, of a payment of that user.
pub(super) async fn add(connection: &mut PgConnection, fresh: &[&Found], plan: &Plan) -> Result<(), WriteError> {
    let events: Vec<(&Found, &RefundRecorded)> = fresh
        .iter()
        .filter_map(|found| match &found.event {
            Event::RefundRecorded(event) => Some((*found, event)),
            _ => None,
        })
        .collect();
    if events.is_empty() {
        return Ok(());
    }
    let mut payments = read(connection, &events).await?;
    let mut refunds = Vec::new();
    for (found, event) in events {
        let candidates = payments.entry((event.platform, event.of, event.user)).or_default();
        let payment = candidates.iter_mut().find(|payment| {
            payment.refunded.checked_add(event.amount) == Some(event.refunded) && event.refunded <= payment.amount
        });
        let Some(payment) = payment else {
            let stored: Vec<_> =
                candidates.iter().map(|stored| format!("{} of {}", stored.refunded, stored.amount)).collect();
            let stored = if stored.is_empty() { "no such payment of this user".to_owned() } else { stored.join(", ") };
            return Err(contradiction(
                found,
                format!("it refunds {}, which makes {} of the order; stored: {stored}", event.amount, event.refunded),
            ));
        };
        payment.refunded = event.refunded;
        let paid_at = moment(found, "it was paid back", event.paid_at)?;
        let (payment_index, payment_month) = (payment.journal_index, payment.month);
        refunds.push(Refund { found, event, paid_at, payment_index, payment_month });
    }
    insert(connection, &refunds, plan).await?;
    count(connection, &refunds).await
}

async fn read(
    connection: &mut PgConnection,
    events: &[(&Found, &RefundRecorded)],
) -> Result<HashMap<Key, Vec<Payment>>, WriteError> {
    let rows = sqlx::query!(
        r#"SELECT payments.platform, payments.order_hash, payments.user_key, payments.journal_index, payments.month,
                  payments.amount,
                  coalesce(max(refunds.refunded), 0) AS "refunded!"
           FROM payments
           LEFT JOIN refunds
               ON refunds.platform = payments.platform AND refunds.payment_index = payments.journal_index
           WHERE (payments.platform, payments.order_hash) IN (SELECT * FROM UNNEST($1::bytea[], $2::bytea[]))
           GROUP BY payments.platform, payments.journal_index, payments.month
           ORDER BY payments.journal_index"#,
        &events.iter().map(|(_, event)| event.platform).collect::<Vec<_>>() as &[[u8; 32]],
        &events.iter().map(|(_, event)| event.of).collect::<Vec<_>>() as &[[u8; 32]],
    )
    .fetch_all(connection)
    .await?;
    let mut payments: HashMap<Key, Vec<Payment>> = HashMap::new();
    for row in rows {
        let broken = || sqlx::Error::Decode("a row of payments is not what this software writes".into());
        let bytes = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).map_err(|_| broken());
        let key = (bytes(&row.platform)?, bytes(&row.order_hash)?, bytes(&row.user_key)?);
        payments.entry(key).or_default().push(Payment {
            journal_index: row.journal_index,
            month: Month::starting(row.month),
            amount: row.amount.to_u64().ok_or_else(broken)?,
            refunded: row.refunded.to_u64().ok_or_else(broken)?,
        });
    }
    Ok(payments)
}

async fn insert(connection: &mut PgConnection, refunds: &[Refund<'_>], plan: &Plan) -> Result<(), WriteError> {
    sqlx::query!(
        "INSERT INTO refunds (platform, journal_index, order_hash, payment_index, user_key, oracle, amount, refunded,
                              paid_at, month, payment_month)
         SELECT * FROM UNNEST($1::bytea[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bytea[], $6::bytea[],
                              $7::numeric[], $8::numeric[], $9::timestamptz[], $10::date[], $11::date[])",
        &refunds.iter().map(|refund| refund.event.platform).collect::<Vec<_>>() as &[[u8; 32]],
        &refunds.iter().map(|refund| refund.found.journal_index).collect::<Vec<_>>(),
        &refunds.iter().map(|refund| refund.event.order).collect::<Vec<_>>() as &[[u8; 32]],
        &refunds.iter().map(|refund| refund.payment_index).collect::<Vec<_>>(),
        &refunds.iter().map(|refund| refund.event.user).collect::<Vec<_>>() as &[[u8; 32]],
        &refunds.iter().map(|refund| refund.event.oracle).collect::<Vec<_>>() as &[[u8; 32]],
        &refunds.iter().map(|refund| decimal(refund.event.amount)).collect::<Vec<_>>(),
        &refunds.iter().map(|refund| decimal(refund.event.refunded)).collect::<Vec<_>>(),
        &refunds.iter().map(|refund| refund.paid_at).collect::<Vec<_>>(),
        &refunds.iter().map(|refund| plan.months.of_event(refund.found).first_day()).collect::<Vec<_>>(),
        &refunds.iter().map(|refund| refund.payment_month.first_day()).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds to what users were paid back.
async fn count(connection: &mut PgConnection, refunds: &[Refund<'_>]) -> Result<(), WriteError> {
    let mut sums: BTreeMap<([u8; 32], [u8; 32]), Decimal> = BTreeMap::new();
    for refund in refunds {
        let sum = sums.entry((refund.event.platform, refund.event.user)).or_default();
        *sum = sum.saturating_add(decimal(refund.event.amount));
    }
    sqlx::query!(
        "UPDATE users SET refunded = users.refunded + sum.refunded
         FROM UNNEST($1::bytea[], $2::bytea[], $3::numeric[]) AS sum (platform, user_key, refunded)
         WHERE users.platform = sum.platform AND users.user_key = sum.user_key",
        &sums.keys().map(|(platform, _)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
        &sums.keys().map(|(_, user)| *user).collect::<Vec<_>>() as &[[u8; 32]],
        &sums.values().copied().collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
