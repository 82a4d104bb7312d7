//! Rule versions, their ends, and what each granted.

use super::{
    WriteError, contradiction, decimal,
    ledger::{Entry, Operation},
    outcomes::Outcome,
};
use crate::stretch::Found;
use foldhash::fast::RandomState;
use rebate_client::event::{EffectEntry, Event, RuleDefinition, RuleDropped, RuleEnded, RulePublished};
use rebate_core::{
    rule::{Field, GroupMode, OnLimit, Operator, TierMode},
    window::{Scope, Window},
};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Platform, rule, version.
pub(super) type Version = ([u8; 32], u16, u16);

/// Adds a new version, and ends the one before it where this one begins.
pub(super) async fn publish(
    connection: &mut PgConnection,
    found: &Found,
    event: &RulePublished,
) -> Result<(), WriteError> {
    let rule = &event.rule;
    let group_mode =
        GroupMode::from_number(rule.group_mode).ok_or_else(|| unknown(found, "group mode", rule.group_mode))?;
    let window = Window::from_number(rule.window).ok_or_else(|| unknown(found, "window", rule.window))?;
    let scope = Scope::from_number(rule.scope).ok_or_else(|| unknown(found, "scope", rule.scope))?;
    let on_limit = OnLimit::from_number(rule.limits.on_limit)
        .ok_or_else(|| unknown(found, "way to treat limits", rule.limits.on_limit))?;
    sqlx::query!(
        "INSERT INTO rules (platform, rule, version, effective_at, name, priority, asset, starts_at, ends_at,
                            definition, published_at, journal_index, group_number, group_mode, tags, excludes,
                            counter_window, counter_scope, user_amount, user_count, total_amount, total_count, on_limit,
                            holdout_bps)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
                 $24)",
        &event.platform,
        i32::from(rule.id),
        i32::from(rule.version),
        event.effective_at,
        // The program takes any UTF-8; Postgres takes no zeros.
        rule.name.replace('\0', "\u{fffd}"),
        i32::from(rule.priority),
        i16::from(rule.effect.asset().0),
        rule.starts_at,
        rule.ends_at,
        definition(found, rule)?,
        found.at,
        found.journal_index,
        i16::from(rule.group),
        group_mode.name(),
        i64::from(rule.tags),
        i64::from(rule.excludes),
        window.name(),
        scope.name(),
        decimal(rule.limits.user_amount),
        decimal(rule.limits.user_count),
        decimal(rule.limits.total_amount),
        decimal(rule.limits.total_count),
        on_limit.name(),
        i32::from(rule.holdout_bps),
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        // A version that was to end before ends there.
        "UPDATE rules
         SET superseded_at = CASE WHEN superseded_at <> 0 AND superseded_at < $4 THEN superseded_at ELSE $4 END,
             ended_at = CASE WHEN superseded_at <> 0 AND superseded_at < $4 THEN ended_at END
         WHERE platform = $1 AND rule = $2 AND version = $3 - 1",
        &event.platform,
        i32::from(rule.id),
        i32::from(rule.version),
        event.effective_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn end(connection: &mut PgConnection, found: &Found, event: &RuleEnded) -> Result<(), WriteError> {
    let ended = sqlx::query!(
        "UPDATE rules SET superseded_at = $4, ended_at = $5 WHERE platform = $1 AND rule = $2 AND version = $3",
        &event.platform,
        i32::from(event.rule),
        i32::from(event.version),
        event.ends_at,
        found.at,
    )
    .execute(connection)
    .await?;
    require_stored(found, ended.rows_affected())
}

/// Notes that a version left the book. What it says it granted is checked by [`require_totals`].
pub(super) async fn drop_version(
    connection: &mut PgConnection,
    found: &Found,
    event: &RuleDropped,
) -> Result<(), WriteError> {
    let dropped = sqlx::query!(
        "UPDATE rules SET dropped_at = $4, dropped_index = $5 WHERE platform = $1 AND rule = $2 AND version = $3",
        &event.platform,
        i32::from(event.rule),
        i32::from(event.version),
        found.at,
        found.journal_index,
    )
    .execute(connection)
    .await?;
    require_stored(found, dropped.rows_affected())
}

fn require_stored(found: &Found, rows: u64) -> Result<(), WriteError> {
    match rows {
        1 => Ok(()),
        _ => Err(contradiction(found, "it is about a rule version that is not stored")),
    }
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

/// What a version granted and what refunds took back of it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Totals {
    granted: Decimal,
    grants: i64,
    reversed: Decimal,
}

impl Totals {
    fn add(&mut self, entry: &Entry<'_>) {
        let amount = decimal(entry.step.amount);
        // The column holds a u64, and refuses what is more.
        match entry.operation {
            Operation::Grant => {
                self.granted = self.granted.saturating_add(amount);
                self.grants = self.grants.saturating_add(1);
            }
            Operation::Reversal => self.reversed = self.reversed.saturating_add(amount),
            Operation::Redemption | Operation::Claim | Operation::Expiry => {}
        }
    }
}

/// What roll-ups need to know of a rule version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fact {
    pub group: u8,
    /// 1 fixed, 2 ratio, 3 tiers, 4 streak, 5 multiplier.
    pub effect: u8,
    pub holdout_bps: u16,
}

/// Facts of rule versions.
pub(super) type Facts = HashMap<Version, Fact, RandomState>;

/// Those of these versions, as far as they are stored.
pub(super) async fn facts(connection: &mut PgConnection, versions: BTreeSet<Version>) -> Result<Facts, WriteError> {
    if versions.is_empty() {
        return Ok(Facts::default());
    }
    let rows = sqlx::query!(
        r#"SELECT said.place AS "place!", group_number, holdout_bps,
                  coalesce(array_position(ARRAY['fixed', 'ratio', 'tiers', 'streak', 'multiplier'],
                                          definition -> 'effect' ->> 'kind'), 0) AS "effect!"
           FROM UNNEST($1::bytea[], $2::integer[], $3::integer[]) WITH ORDINALITY AS said (platform, rule, version, place)
           JOIN rules USING (platform, rule, version)
           ORDER BY said.place"#,
        &versions.iter().map(|(platform, ..)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
        &versions.iter().map(|(_, rule, _)| i32::from(*rule)).collect::<Vec<_>>(),
        &versions.iter().map(|(.., version)| i32::from(*version)).collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await?;
    let mut rows = rows.into_iter().peekable();
    let mut facts = Facts::default();
    for (version, place) in versions.into_iter().zip(1_i64..) {
        let Some(row) = rows.next_if(|row| row.place == place) else { continue };
        let broken = || sqlx::Error::Decode("a row of rules is not what this software writes".into());
        let fact = Fact {
            group: u8::try_from(row.group_number).map_err(|_| broken())?,
            effect: u8::try_from(row.effect).map_err(|_| broken())?,
            holdout_bps: u16::try_from(row.holdout_bps).map_err(|_| broken())?,
        };
        facts.insert(version, fact);
    }
    Ok(facts)
}

/// Checks that there is every rule version that an outcome names, and returns what roll-ups need to know of them.
pub(super) async fn require(connection: &mut PgConnection, outcomes: &[Outcome<'_>]) -> Result<Facts, WriteError> {
    let mut said: HashMap<Version, &Outcome<'_>, RandomState> = HashMap::default();
    for outcome in outcomes {
        said.entry((outcome.found.event.platform(), outcome.entry.rule, outcome.entry.version)).or_insert(outcome);
    }
    let facts = facts(connection, said.keys().copied().collect()).await?;
    match said.iter().filter(|(version, _)| !facts.contains_key(*version)).min_by_key(|(version, _)| **version) {
        None => Ok(facts),
        Some(((_, rule, version), outcome)) => {
            Err(contradiction(outcome.found, format!("it names rule {rule} version {version}, which is not stored")))
        }
    }
}

/// The rule version an entry is of.
fn version(entry: &Entry<'_>) -> Option<Version> {
    entry.step.outcome.map(|outcome| (entry.step.platform(), outcome.entry.rule, outcome.entry.version))
}

/// Adds what was granted and reversed to the totals of the rule versions.
pub(super) async fn count(
    connection: &mut PgConnection,
    fresh: &[&Found],
    entries: &[Entry<'_>],
) -> Result<(), WriteError> {
    let mut totals: BTreeMap<Version, Totals> = BTreeMap::new();
    for entry in entries {
        if let Some(version) = version(entry) {
            totals.entry(version).or_default().add(entry);
        }
    }
    if !totals.is_empty() {
        let updated = sqlx::query!(
            "UPDATE rules SET granted = rules.granted + total.granted, grants = rules.grants + total.grants,
                              reversed = rules.reversed + total.reversed
             FROM UNNEST($1::bytea[], $2::integer[], $3::integer[], $4::numeric[], $5::bigint[], $6::numeric[])
                  AS total (platform, rule, version, granted, grants, reversed)
             WHERE rules.platform = total.platform AND rules.rule = total.rule AND rules.version = total.version",
            &totals.keys().map(|(platform, ..)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
            &totals.keys().map(|(_, rule, _)| i32::from(*rule)).collect::<Vec<_>>(),
            &totals.keys().map(|(.., version)| i32::from(*version)).collect::<Vec<_>>(),
            &totals.values().map(|total| total.granted).collect::<Vec<_>>(),
            &totals.values().map(|total| total.grants).collect::<Vec<_>>(),
            &totals.values().map(|total| total.reversed).collect::<Vec<_>>(),
        )
        .execute(&mut *connection)
        .await?;
        let last = entries.last().filter(|_| usize::try_from(updated.rows_affected()).ok() != Some(totals.len()));
        if let Some(last) = last {
            return Err(contradiction(last.step.found, "a rule version that granted is not stored"));
        }
    }
    for found in fresh {
        if let Event::RuleDropped(event) = &found.event {
            require_totals(connection, found, event, entries).await?;
        }
    }
    Ok(())
}

/// What a version that left the book had granted is what is stored, less what was reversed since.
async fn require_totals(
    connection: &mut PgConnection,
    found: &Found,
    event: &RuleDropped,
    entries: &[Entry<'_>],
) -> Result<(), WriteError> {
    let stored = sqlx::query_as!(
        Totals,
        "SELECT granted, grants, reversed FROM rules WHERE platform = $1 AND rule = $2 AND version = $3",
        &event.platform,
        i32::from(event.rule),
        i32::from(event.version),
    )
    .fetch_one(connection)
    .await?;
    let mut said = Totals {
        granted: decimal(event.granted),
        grants: i64::try_from(event.grants).unwrap_or(i64::MAX),
        reversed: decimal(event.reversed),
    };
    let of_it = |entry: &&Entry<'_>| version(entry) == Some((event.platform, event.rule, event.version));
    for entry in entries.iter().filter(of_it).filter(|entry| entry.step.found.journal_index > found.journal_index) {
        said.add(entry);
    }
    if said == stored {
        return Ok(());
    }
    Err(contradiction(
        found,
        format!(
            "rule {} version {} says it granted {} in {} grants, {} of it reversed, and it is {} in {}, {} reversed",
            event.rule,
            event.version,
            said.granted,
            said.grants,
            said.reversed,
            stored.granted,
            stored.grants,
            stored.reversed
        ),
    ))
}
