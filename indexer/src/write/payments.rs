//! Payments.

use super::{Plan, WriteError, copy::copy, decimal, moment};
use crate::stretch::Found;
use rebate_client::event::{Event, PaymentRecorded};
use sqlx::PgConnection;
use time::OffsetDateTime;

/// A payment with a date.
#[derive(Clone, Copy)]
pub(super) struct Paid<'a> {
    pub found: &'a Found,
    pub payment: &'a PaymentRecorded,
    pub paid_at: OffsetDateTime,
}

/// The payments among `fresh`.
pub(super) fn of<'a>(fresh: &[&'a Found]) -> Result<Vec<Paid<'a>>, WriteError> {
    let mut paid = Vec::new();
    for found in fresh {
        let Event::PaymentRecorded(payment) = &found.event else { continue };
        paid.push(Paid { found, payment, paid_at: moment(found, "it was paid", payment.paid_at)? });
    }
    Ok(paid)
}

pub(super) async fn add(connection: &mut PgConnection, paid: &[Paid<'_>], plan: &Plan) -> Result<(), WriteError> {
    if plan.copies {
        return copy_rows(connection, paid, plan).await;
    }
    if paid.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO payments (platform, journal_index, order_hash, user_key, oracle, amount, paid_at, product,
                               streamer, session, tier, segments, number, month)
         SELECT * FROM UNNEST($1::bytea[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[], $6::numeric[],
                              $7::timestamptz[], $8::integer[], $9::numeric[], $10::numeric[], $11::smallint[],
                              $12::bigint[], $13::bigint[], $14::date[])",
        &paid.iter().map(|paid| paid.payment.platform).collect::<Vec<_>>() as &[[u8; 32]],
        &paid.iter().map(|paid| paid.found.journal_index).collect::<Vec<_>>(),
        &paid.iter().map(|paid| paid.payment.order).collect::<Vec<_>>() as &[[u8; 32]],
        &paid.iter().map(|paid| paid.payment.user).collect::<Vec<_>>() as &[[u8; 32]],
        &paid.iter().map(|paid| paid.payment.oracle).collect::<Vec<_>>() as &[[u8; 32]],
        &paid.iter().map(|paid| decimal(paid.payment.amount)).collect::<Vec<_>>(),
        &paid.iter().map(|paid| paid.paid_at).collect::<Vec<_>>(),
        &paid.iter().map(|paid| i32::from(paid.payment.product)).collect::<Vec<_>>(),
        &paid.iter().map(|paid| decimal(paid.payment.streamer)).collect::<Vec<_>>(),
        &paid.iter().map(|paid| decimal(paid.payment.session)).collect::<Vec<_>>(),
        &paid.iter().map(|paid| i16::from(paid.payment.tier)).collect::<Vec<_>>(),
        &paid.iter().map(|paid| i64::from(paid.payment.segments)).collect::<Vec<_>>(),
        &paid.iter().map(|paid| i64::try_from(paid.payment.number).unwrap_or(i64::MAX)).collect::<Vec<_>>(),
        &paid.iter().map(|paid| plan.months.of_event(paid.found).first_day()).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn copy_rows(connection: &mut PgConnection, paid: &[Paid<'_>], plan: &Plan) -> Result<(), WriteError> {
    copy(
        connection,
        "COPY payments (journal_index, paid_at, segments, number, product, month, tier, platform, order_hash, user_key,
                        oracle, amount, streamer, session) FROM STDIN (FORMAT binary)",
        paid,
        |rows, Paid { found, payment, paid_at }| {
            rows.row(14)
                .bigint(found.journal_index)
                .moment(*paid_at)
                .bigint(i64::from(payment.segments))
                .bigint(i64::try_from(payment.number).unwrap_or(i64::MAX))
                .integer(i32::from(payment.product))
                .month(plan.months.of_event(found))
                .smallint(i16::from(payment.tier))
                .bytes(&payment.platform)
                .bytes(&payment.order)
                .bytes(&payment.user)
                .bytes(&payment.oracle)
                .numeric(payment.amount.into())
                .numeric(payment.streamer.into())
                .numeric(payment.session.into());
        },
    )
    .await
}
