//! Rule versions and what each granted.

use super::{WriteError, contradiction, ledger::Entry};
use crate::stretch::Found;
use rebate_client::event::{EffectEntry, Event, RuleDefinition, RulePublished};
use rebate_core::rule::{Field, Operator, TierMode};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// Platform, rule, version.
type Version = ([u8; 32], u16, u16);

/// Adds new versions, and ends the version before each where the new one begins.
pub(super) async fn add(connection: &mut PgConnection, fresh: &[&Found]) -> Result<(), WriteError> {
    let published: Vec<(&Found, &RulePublished)> = fresh
        .iter()
        .filter_map(|found| match &found.event {
            Event::RulePublished(event) => Some((*found, event)),
            _ => None,
        })
        .collect();
    if published.is_empty() {
        return Ok(());
    }
    let platforms: Vec<[u8; 32]> = published.iter().map(|(_, event)| event.platform).collect();
    let ids: Vec<i32> = published.iter().map(|(_, event)| i32::from(event.rule.id)).collect();
    let versions: Vec<i32> = published.iter().map(|(_, event)| i32::from(event.rule.version)).collect();
    let effective_at: Vec<i64> = published.iter().map(|(_, event)| event.effective_at).collect();
    let definitions =
        published.iter().map(|(found, event)| definition(found, &event.rule)).collect::<Result<Vec<_>, _>>()?;
    sqlx::query!(
        "INSERT INTO rules (platform, rule, version, effective_at, name, priority, asset, starts_at, ends_at,
                            definition, published_at, journal_index)
         SELECT * FROM UNNEST($1::bytea[], $2::integer[], $3::integer[], $4::bigint[], $5::text[], $6::integer[],
                              $7::smallint[], $8::bigint[], $9::bigint[], $10::jsonb[], $11::timestamptz[],
                              $12::bigint[])",
        &platforms as &[[u8; 32]],
        &ids,
        &versions,
        &effective_at,
        // The program takes any UTF-8; Postgres takes no zeros.
        &published.iter().map(|(_, event)| event.rule.name.replace('\0', "\u{fffd}")).collect::<Vec<_>>(),
        &published.iter().map(|(_, event)| i32::from(event.rule.priority)).collect::<Vec<_>>(),
        &published.iter().map(|(_, event)| i16::from(event.rule.effect.asset().0)).collect::<Vec<_>>(),
        &published.iter().map(|(_, event)| event.rule.starts_at).collect::<Vec<_>>(),
        &published.iter().map(|(_, event)| event.rule.ends_at).collect::<Vec<_>>(),
        &definitions,
        &published.iter().map(|(found, _)| found.at).collect::<Vec<_>>(),
        &published.iter().map(|(found, _)| found.journal_index).collect::<Vec<_>>(),
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE rules SET superseded_at = next.effective_at
         FROM UNNEST($1::bytea[], $2::integer[], $3::integer[], $4::bigint[])
              AS next (platform, rule, version, effective_at)
         WHERE rules.platform = next.platform AND rules.rule = next.rule AND rules.version = next.version - 1",
        &platforms as &[[u8; 32]],
        &ids,
        &versions,
        &effective_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn unknown(found: &Found, what: &str, number: u8) -> WriteError {
    contradiction(found, format!("{what} {number} is none this software knows; update it"))
}

/// Condition and effect in the form that the schema's comment on `rules.definition` gives.
fn definition(found: &Found, rule: &RuleDefinition) -> Result<Value, WriteError> {
    let condition = rule
        .condition
        .iter()
        .map(|predicate| {
            let field = Field::from_number(predicate.field).ok_or_else(|| unknown(found, "field", predicate.field))?;
            let operator = Operator::from_number(predicate.operator)
                .ok_or_else(|| unknown(found, "operator", predicate.operator))?;
            Ok(json!({
                "clause": predicate.clause,
                "negated": predicate.negated,
                "field": field.name(),
                "operator": operator.sign(),
                "value": predicate.value.to_string(),
            }))
        })
        .collect::<Result<Vec<_>, WriteError>>()?;
    let effect = match &rule.effect {
        EffectEntry::Fixed { asset, amount } => json!({"kind": "fixed", "asset": asset, "amount": amount.to_string()}),
        EffectEntry::Ratio { asset, bps, min, max } => json!({
            "kind": "ratio", "asset": asset, "bps": bps, "min": min.to_string(), "max": max.to_string(),
        }),
        EffectEntry::Tiers { asset, mode, steps } => {
            let mode = TierMode::from_number(*mode).ok_or_else(|| unknown(found, "tier mode", *mode))?;
            let steps: Vec<_> = steps.iter().map(|step| [step.threshold.to_string(), step.value.to_string()]).collect();
            json!({"kind": "tiers", "asset": asset, "mode": mode.name(), "steps": steps})
        }
        EffectEntry::Streak { asset, days, amount, recurring } => json!({
            "kind": "streak", "asset": asset, "days": days, "amount": amount.to_string(), "recurring": recurring,
        }),
        EffectEntry::Multiplier { asset, bps } => json!({"kind": "multiplier", "asset": asset, "bps": bps}),
    };
    Ok(json!({"condition": condition, "effect": effect}))
}

/// Adds what was granted to the totals of the rule versions that granted it.
pub(super) async fn count(connection: &mut PgConnection, entries: &[Entry<'_>]) -> Result<(), WriteError> {
    let mut totals: BTreeMap<Version, (Decimal, i64, &Found)> = BTreeMap::new();
    for entry in entries {
        let key = (entry.paid.payment.platform, entry.outcome.rule, entry.outcome.version);
        let total = totals.entry(key).or_insert((Decimal::ZERO, 0, entry.paid.found));
        total.0 = total
            .0
            .checked_add(Decimal::from(entry.outcome.amount))
            .ok_or_else(|| contradiction(entry.paid.found, "a rule granted more than there is"))?;
        total.1 = total.1.saturating_add(1);
    }
    let Some((_, _, last)) = totals.values().last().copied() else { return Ok(()) };
    let updated = sqlx::query!(
        "UPDATE rules SET granted = rules.granted + total.granted, grants = rules.grants + total.grants
         FROM UNNEST($1::bytea[], $2::integer[], $3::integer[], $4::numeric[], $5::bigint[])
              AS total (platform, rule, version, granted, grants)
         WHERE rules.platform = total.platform AND rules.rule = total.rule AND rules.version = total.version",
        &totals.keys().map(|(platform, ..)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
        &totals.keys().map(|(_, rule, _)| i32::from(*rule)).collect::<Vec<_>>(),
        &totals.keys().map(|(.., version)| i32::from(*version)).collect::<Vec<_>>(),
        &totals.values().map(|(granted, ..)| *granted).collect::<Vec<_>>(),
        &totals.values().map(|(_, grants, _)| *grants).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    if usize::try_from(updated.rows_affected()).ok() != Some(totals.len()) {
        return Err(contradiction(last, "a rule version that granted is not stored"));
    }
    Ok(())
}
