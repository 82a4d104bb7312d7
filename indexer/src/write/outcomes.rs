//! What rules did with payments, and what refunds took back.

use super::{Plan, WriteError, contradiction, copy::copy, decimal};
use crate::stretch::Found;
use rebate_client::event::{Event, OutcomeEntry};
use rebate_core::outcome::Reason;
use sqlx::PgConnection;

/// An outcome that is sound in itself.
#[derive(Clone, Copy)]
pub(super) struct Outcome<'a> {
    pub found: &'a Found,
    /// Place among its event's outcomes.
    pub position: i16,
    pub reason: Reason,
    pub entry: &'a OutcomeEntry,
}

/// The outcomes of an event; none where it is no payment and no refund.
pub(super) fn of<'a>(found: &'a Found) -> Result<Vec<Outcome<'a>>, WriteError> {
    let (outcomes, is_refund) = match &found.event {
        Event::PaymentRecorded(event) => (&event.outcomes, false),
        Event::RefundRecorded(event) => (&event.outcomes, true),
        _ => return Ok(Vec::new()),
    };
    // A payment meets at most 128 rules.
    (0_i16..)
        .zip(outcomes)
        .map(|(position, entry)| {
            let reason = require_sound(found, entry, is_refund)?;
            Ok(Outcome { found, position, reason, entry })
        })
        .collect()
}

/// A grant adds to a balance at most what it says, a reversal takes at most that, and all else leaves it alone. A refund has
/// reversals only.
fn require_sound(found: &Found, outcome: &OutcomeEntry, is_refund: bool) -> Result<Reason, WriteError> {
    let reason = Reason::from_number(outcome.reason).ok_or_else(|| {
        contradiction(found, format!("reason {} is none this software knows; update it", outcome.reason))
    })?;
    let moved = match reason {
        Reason::Reversed => outcome.before.checked_sub(outcome.after),
        _ => outcome.after.checked_sub(outcome.before),
    };
    let moves = matches!(reason, Reason::Granted | Reason::Reversed);
    let sound = is_refund == (reason == Reason::Reversed)
        && moves == (outcome.amount > 0)
        && moved.is_some_and(|moved| moved <= outcome.amount);
    if sound { Ok(reason) } else { Err(unsound(found, outcome, reason)) }
}

/// The error about an outcome that does not add up.
pub(super) fn unsound(found: &Found, outcome: &OutcomeEntry, reason: Reason) -> WriteError {
    contradiction(
        found,
        format!(
            "rule {} version {} says {reason} {}, and a balance of {} before and {} after",
            outcome.rule, outcome.version, outcome.amount, outcome.before, outcome.after
        ),
    )
}

pub(super) async fn add(
    connection: &mut PgConnection,
    outcomes: &[Outcome<'_>],
    plan: &Plan,
) -> Result<(), WriteError> {
    if plan.copies {
        return copy_rows(connection, outcomes, plan).await;
    }
    if outcomes.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO outcomes (platform, journal_index, position, rule, version, reason, clause, asset, amount,
                               balance_before, balance_after, month)
         SELECT * FROM UNNEST($1::bytea[], $2::bigint[], $3::smallint[], $4::integer[], $5::integer[], $6::smallint[],
                              $7::smallint[], $8::smallint[], $9::numeric[], $10::numeric[], $11::numeric[],
                              $12::date[])",
        &outcomes.iter().map(|outcome| outcome.found.event.platform()).collect::<Vec<_>>() as &[[u8; 32]],
        &outcomes.iter().map(|outcome| outcome.found.journal_index).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| outcome.position).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| i32::from(outcome.entry.rule)).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| i32::from(outcome.entry.version)).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| i16::from(outcome.entry.reason)).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| i16::from(outcome.entry.clause)).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| i16::from(outcome.entry.asset)).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| decimal(outcome.entry.amount)).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| decimal(outcome.entry.before)).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| decimal(outcome.entry.after)).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| plan.months.of_event(outcome.found).first_day()).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn copy_rows(connection: &mut PgConnection, outcomes: &[Outcome<'_>], plan: &Plan) -> Result<(), WriteError> {
    copy(
        connection,
        "COPY outcomes (journal_index, month, rule, version, position, reason, clause, asset, platform, amount,
                        balance_before, balance_after) FROM STDIN (FORMAT binary)",
        outcomes,
        |rows, Outcome { found, position, entry, .. }| {
            rows.row(12)
                .bigint(found.journal_index)
                .month(plan.months.of_event(found))
                .integer(i32::from(entry.rule))
                .integer(i32::from(entry.version))
                .smallint(*position)
                .smallint(i16::from(entry.reason))
                .smallint(i16::from(entry.clause))
                .smallint(i16::from(entry.asset))
                .bytes(&found.event.platform())
                .numeric(entry.amount.into())
                .numeric(entry.before.into())
                .numeric(entry.after.into());
        },
    )
    .await
}
