//! What rules did with a payment, and what a refund took back.

use crate::{
    book::{Book, Facts},
    problem::Problem,
    snapshot::Snapshot,
    value::{Address, Amount},
    words::{self, Words},
};
use rebate_client::event::OutcomeEntry;
use rebate_core::{counters::Counters, outcome::Reason, rule::Rule, units};
use serde::Serialize;
use std::collections::HashMap;
use time::Date;
use utoipa::ToSchema;

/// What one rule did with a payment, or what a refund took back of what it did.
#[derive(Serialize, ToSchema)]
pub(crate) struct Outcome {
    /// The rule.
    #[schema(minimum = 0, maximum = 65_535, example = 1)]
    rule: i32,
    /// Its version.
    #[schema(minimum = 1, maximum = 65_535, example = 1)]
    version: i32,
    /// Its name in that version.
    #[schema(example = "first recharge 20%")]
    rule_name: String,
    /// What it did, or why it did nothing; `Reversed` with a refund.
    #[schema(example = "NotMatched")]
    reason: String,
    /// With `NotMatched`, the first clause of the condition that fails, from 0.
    #[schema(minimum = 0, maximum = 255, example = 0)]
    #[schema(required)]
    clause: Option<i16>,
    /// With `NotMatched`, that clause in the words of rule files.
    #[schema(example = "payment_number == 1")]
    #[schema(required)]
    failing: Option<String>,
    /// What it did and why, for people, in the language that `Accept-Language` asks for.
    #[schema(example = "not granted: ‘first recharge 20%’ is for payments where it is your first")]
    text: String,
    /// The asset it grants.
    #[schema(minimum = 1, maximum = 8, example = 1)]
    asset: i16,
    /// The asset's name.
    #[schema(example = "coins")]
    asset_name: String,
    /// How much it granted, or how much of that was reversed. What the balance does not change by pays a debt or becomes one.
    amount: Amount,
    /// The user's balance before.
    before: Amount,
    /// The user's balance after.
    after: Amount,
}

/// A payment or a refund whose outcomes are wanted.
#[derive(Clone, Copy, Debug)]
pub(in crate::routes) struct Wanted {
    /// Its place in the journal.
    pub journal_index: i64,
    /// The month it is in.
    pub month: Date,
    /// When it was paid or paid back, Unix seconds.
    pub paid_at: i64,
}

struct Row {
    journal_index: i64,
    rule: i32,
    version: i32,
    reason: i16,
    clause: i16,
    asset: i16,
    amount: Amount,
    before: Amount,
    after: Amount,
}

/// The outcomes of payments and refunds, by their journal indices, each in order.
pub(in crate::routes) async fn of(
    snapshot: &mut Snapshot,
    platform: Address,
    book: &Book,
    wanted: &[Wanted],
) -> Result<HashMap<i64, Vec<Outcome>>, Problem> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT o.journal_index, o.rule, o.version, o.reason, o.clause, o.asset, o.amount AS "amount: Amount",
                  o.balance_before AS "before: Amount", o.balance_after AS "after: Amount"
           FROM UNNEST($2::bigint[], $3::date[]) AS asked (journal_index, month)
           JOIN LATERAL (
               SELECT * FROM outcomes o
               WHERE o.platform = $1 AND o.journal_index = asked.journal_index AND o.month = asked.month OFFSET 0
           ) AS o ON true
           ORDER BY o.journal_index, o.position"#,
        &platform.0,
        &wanted.iter().map(|wanted| wanted.journal_index).collect::<Vec<_>>(),
        &wanted.iter().map(|wanted| wanted.month).collect::<Vec<_>>()
    )
    .fetch_all(snapshot.connection())
    .await?;
    let now = snapshot.position().time.0.unix_timestamp();
    let words = snapshot.language().words();
    let paid_at: HashMap<i64, i64> = wanted.iter().map(|wanted| (wanted.journal_index, wanted.paid_at)).collect();
    let mut outcomes = HashMap::new();
    for of_record in rows.chunk_by(|one, next| one.journal_index == next.journal_index) {
        let Some(Row { journal_index, .. }) = of_record.first() else { continue };
        let granted = of_record.iter().filter(|row| row.reason == GRANTED);
        let paid: Vec<&Rule> =
            granted.filter_map(|row| book.version(row.rule, row.version)).map(|version| &version.rule).collect();
        let facts =
            Facts { paid_at: paid_at.get(journal_index).copied().unwrap_or(now), now, counters: None, paid: &paid };
        let shown = of_record.iter().map(|row| row.shown(book, words, facts)).collect::<Result<Vec<_>, _>>()?;
        outcomes.insert(*journal_index, shown);
    }
    Ok(outcomes)
}

/// The number of [`Reason::Granted`] in the database.
const GRANTED: i16 = Reason::Granted as i16;

/// What rules did with a payment made at `paid_at`, or what a refund took back, as the event has it.
///
/// # Errors
/// Where a rule is not in the book.
pub(crate) fn said(
    book: &Book,
    words: &dyn Words,
    (paid_at, now): (i64, i64),
    entries: &[OutcomeEntry],
) -> Result<Vec<Outcome>, Problem> {
    let granted = entries.iter().filter(|entry| entry.reason == Reason::Granted as u8);
    let paid: Vec<&Rule> = granted
        .filter_map(|entry| book.version(i32::from(entry.rule), i32::from(entry.version)))
        .map(|version| &version.rule)
        .collect();
    let facts = Facts { paid_at, now, counters: None, paid: &paid };
    let row = |entry: &OutcomeEntry| Row {
        journal_index: 0,
        rule: i32::from(entry.rule),
        version: i32::from(entry.version),
        reason: i16::from(entry.reason),
        clause: i16::from(entry.clause),
        asset: i16::from(entry.asset),
        amount: Amount(entry.amount.into()),
        before: Amount(entry.before.into()),
        after: Amount(entry.after.into()),
    };
    entries.iter().map(|entry| row(entry).shown(book, words, facts)).collect()
}

/// What rules would do with a payment made at `paid_at`, of which `counters` gives what each counts then.
///
/// # Errors
/// Where a rule is not in the book.
pub(in crate::routes) fn decided<'a>(
    book: &Book,
    words: &dyn Words,
    (paid_at, now): (i64, i64),
    outcomes: &[rebate_core::outcome::Outcome],
    counters: impl Fn(&Rule) -> Option<&'a Counters>,
) -> Result<Vec<Outcome>, Problem> {
    let version = |outcome: &rebate_core::outcome::Outcome| {
        book.version(i32::from(outcome.rule.0), i32::from(outcome.version.0)).map(|version| &version.rule)
    };
    let granted = outcomes.iter().filter(|outcome| outcome.reason == Reason::Granted);
    let paid: Vec<&Rule> = granted.filter_map(version).collect();
    let facts = Facts { paid_at, now, counters: None, paid: &paid };
    let amount = |amount: units::Amount| Amount(amount.0.into());
    let shown = |outcome: &rebate_core::outcome::Outcome| {
        let row = Row {
            journal_index: 0,
            rule: i32::from(outcome.rule.0),
            version: i32::from(outcome.version.0),
            reason: i16::from(outcome.reason as u8),
            clause: i16::from(outcome.clause),
            asset: i16::from(outcome.asset.0),
            amount: amount(outcome.amount),
            before: amount(outcome.before),
            after: amount(outcome.after),
        };
        row.shown(book, words, Facts { counters: version(outcome).and_then(&counters), ..facts })
    };
    outcomes.iter().map(shown).collect()
}

impl Row {
    fn shown(&self, book: &Book, words: &dyn Words, facts: Facts<'_>) -> Result<Outcome, Problem> {
        let version = book.version(self.rule, self.version).ok_or_else(|| {
            Problem::internal(&format_args!("an outcome names version {} of rule {}", self.version, self.rule))
        })?;
        let rule = &version.rule;
        let reason = u8::try_from(self.reason).ok().and_then(Reason::from_number);
        let not_matched = reason == Some(Reason::NotMatched);
        let clause = u8::try_from(self.clause).unwrap_or(u8::MAX);
        let asset_name = book.asset(rule.asset());
        let changed = self.after.0.saturating_sub(self.before.0).abs();
        let amounts = (self.amount.0, self.amount.0.saturating_sub(changed));
        // A newer program may have reasons that this server has no name for.
        let did =
            reason.map_or(words::Did::Unknown(self.reason), |reason| book.did(rule, reason, clause, amounts, &facts));
        Ok(Outcome {
            rule: self.rule,
            version: self.version,
            rule_name: rule.name().to_owned(),
            reason: reason.map_or_else(|| format!("Reason{}", self.reason), |reason| reason.name().to_owned()),
            clause: not_matched.then_some(self.clause),
            failing: not_matched.then(|| version.when.get(usize::from(clause)).cloned()).flatten(),
            text: words.outcome(&words::Outcome { rule: rule.name(), asset: asset_name, did }),
            asset: self.asset,
            asset_name: asset_name.to_owned(),
            amount: self.amount,
            before: self.before,
            after: self.after,
        })
    }
}
