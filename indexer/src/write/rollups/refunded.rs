//! The payments that a stretch refunds: under what the refunds are counted.

use super::{
    super::{WriteError, contradiction, rules},
    visit::{Visit, versions_of},
};
use crate::stretch::Found;
use rebate_client::event::{Event, PaymentRecorded};
use sqlx::PgConnection;
use std::collections::HashMap;

/// A payment that is refunded.
pub(super) struct Refunded {
    pub visit: Visit,
    /// When it was paid, Unix seconds.
    pub paid_at: i64,
}

/// Of each refund among `fresh`, by platform and journal index, the payment. They are stored by now.
pub(super) async fn read(
    connection: &mut PgConnection,
    fresh: &[&Found],
) -> Result<HashMap<([u8; 32], i64), Refunded>, WriteError> {
    let refunds: Vec<&Found> =
        fresh.iter().copied().filter(|found| matches!(found.event, Event::RefundRecorded(_))).collect();
    if refunds.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"SELECT asked.place AS "place!", events.bytes
           FROM UNNEST($1::bytea[], $2::bigint[]) WITH ORDINALITY AS asked (platform, journal_index, place)
           JOIN refunds ON refunds.platform = asked.platform AND refunds.journal_index = asked.journal_index
           JOIN events ON events.platform = refunds.platform AND events.journal_index = refunds.payment_index
               AND events.month = refunds.payment_month"#,
        &refunds.iter().map(|found| found.event.platform()).collect::<Vec<_>>() as &[[u8; 32]],
        &refunds.iter().map(|found| found.journal_index).collect::<Vec<_>>(),
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut payments: Vec<(&Found, PaymentRecorded)> = Vec::new();
    for row in rows {
        let broken = || sqlx::Error::Decode("the event of a payment is not what this software writes".into());
        let place = usize::try_from(row.place - 1).map_err(|_| broken())?;
        let found = *refunds.get(place).ok_or_else(broken)?;
        match Event::decode(&row.bytes) {
            Ok(Event::PaymentRecorded(payment)) => payments.push((found, payment)),
            _ => return Err(broken().into()),
        }
    }
    if payments.len() != refunds.len() {
        let last = refunds.last().map(|found| contradiction(found, "the payment that it refunds is not stored"));
        return Err(last.unwrap_or_else(|| sqlx::Error::RowNotFound.into()));
    }
    let versions = payments.iter().flat_map(|(_, payment)| versions_of(payment)).collect();
    let facts = rules::facts(connection, versions).await?;
    payments
        .into_iter()
        .map(|(found, payment)| {
            let (visit, _) = Visit::of(found, &payment, &facts)?;
            let key = (found.event.platform(), found.journal_index);
            Ok((key, Refunded { visit, paid_at: payment.paid_at }))
        })
        .collect()
}
