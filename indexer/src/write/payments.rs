//! Payments, and what every rule did with each.

use super::{WriteError, contradiction, decimal};
use crate::stretch::Found;
use rebate_client::event::{Event, OutcomeEntry, PaymentRecorded};
use rebate_core::outcome::Reason;
use sqlx::PgConnection;
use time::OffsetDateTime;

/// A payment whose outcomes are sound in themselves.
#[derive(Clone, Copy)]
pub(super) struct Paid<'a> {
    pub found: &'a Found,
    pub payment: &'a PaymentRecorded,
    pub paid_at: OffsetDateTime,
}

impl<'a> Paid<'a> {
    /// Its outcomes with their positions.
    pub fn outcomes(&self) -> impl Iterator<Item = (i16, &'a OutcomeEntry)> + use<'a> {
        // A payment meets at most 128 rules.
        (0_i16..).zip(&self.payment.outcomes)
    }
}

/// The payments among `fresh`.
pub(super) fn of<'a>(fresh: &[&'a Found]) -> Result<Vec<Paid<'a>>, WriteError> {
    let mut paid = Vec::new();
    for found in fresh {
        let Event::PaymentRecorded(payment) = &found.event else { continue };
        for outcome in &payment.outcomes {
            require_sound(found, outcome)?;
        }
        let paid_at = OffsetDateTime::from_unix_timestamp(payment.paid_at)
            .map_err(|_| contradiction(found, format!("it was paid at {}, which is no date", payment.paid_at)))?;
        paid.push(Paid { found, payment, paid_at });
    }
    Ok(paid)
}

/// An outcome grants exactly what the balance grows by, and only if it says so.
fn require_sound(found: &Found, outcome: &OutcomeEntry) -> Result<(), WriteError> {
    let reason = Reason::from_number(outcome.reason).ok_or_else(|| {
        contradiction(found, format!("reason {} is none this software knows; update it", outcome.reason))
    })?;
    let granted = reason == Reason::Granted;
    if granted != (outcome.amount > 0) || outcome.before.checked_add(outcome.amount) != Some(outcome.after) {
        return Err(contradiction(
            found,
            format!(
                "rule {} version {} says {reason} {}, and a balance of {} before and {} after",
                outcome.rule, outcome.version, outcome.amount, outcome.before, outcome.after
            ),
        ));
    }
    Ok(())
}

/// Adds payments and outcomes.
pub(super) async fn add(connection: &mut PgConnection, paid: &[Paid<'_>]) -> Result<(), WriteError> {
    sqlx::query!(
        "INSERT INTO payments (platform, journal_index, order_hash, user_key, oracle, amount, paid_at, product,
                               streamer, session, tier, segments, number)
         SELECT * FROM UNNEST($1::bytea[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[], $6::numeric[],
                              $7::timestamptz[], $8::integer[], $9::numeric[], $10::numeric[], $11::smallint[],
                              $12::bigint[], $13::bigint[])",
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
    )
    .execute(&mut *connection)
    .await?;

    let outcomes: Vec<(&Paid<'_>, i16, &OutcomeEntry)> = paid
        .iter()
        .flat_map(|paid| paid.outcomes().map(move |(position, outcome)| (paid, position, outcome)))
        .collect();
    sqlx::query!(
        "INSERT INTO outcomes (platform, journal_index, position, rule, version, reason, clause, asset, amount,
                               balance_before, balance_after)
         SELECT * FROM UNNEST($1::bytea[], $2::bigint[], $3::smallint[], $4::integer[], $5::integer[], $6::smallint[],
                              $7::smallint[], $8::smallint[], $9::numeric[], $10::numeric[], $11::numeric[])",
        &outcomes.iter().map(|(paid, ..)| paid.payment.platform).collect::<Vec<_>>() as &[[u8; 32]],
        &outcomes.iter().map(|(paid, ..)| paid.found.journal_index).collect::<Vec<_>>(),
        &outcomes.iter().map(|(_, position, _)| *position).collect::<Vec<_>>(),
        &outcomes.iter().map(|(.., outcome)| i32::from(outcome.rule)).collect::<Vec<_>>(),
        &outcomes.iter().map(|(.., outcome)| i32::from(outcome.version)).collect::<Vec<_>>(),
        &outcomes.iter().map(|(.., outcome)| i16::from(outcome.reason)).collect::<Vec<_>>(),
        &outcomes.iter().map(|(.., outcome)| i16::from(outcome.clause)).collect::<Vec<_>>(),
        &outcomes.iter().map(|(.., outcome)| i16::from(outcome.asset)).collect::<Vec<_>>(),
        &outcomes.iter().map(|(.., outcome)| decimal(outcome.amount)).collect::<Vec<_>>(),
        &outcomes.iter().map(|(.., outcome)| decimal(outcome.before)).collect::<Vec<_>>(),
        &outcomes.iter().map(|(.., outcome)| decimal(outcome.after)).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
