//! What rules did with a payment, and what a refund took back.

use crate::{
    definition::{self, Predicate},
    problem::Problem,
    snapshot::Snapshot,
    value::{Address, Amount},
};
use rebate_core::outcome::Reason;
use serde::Serialize;
use sqlx::types::Json;
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

/// The outcomes of payments and refunds, by their journal indices, each in order. Every one is in the month at its
/// place in `months`.
pub(super) async fn of(
    snapshot: &mut Snapshot,
    platform: Address,
    indices: &[i64],
    months: &[Date],
) -> Result<HashMap<i64, Vec<Outcome>>, Problem> {
    let not_matched = i16::from(Reason::NotMatched as u8);
    let mut outcomes: HashMap<i64, Vec<Outcome>> = HashMap::new();
    for row in sqlx::query!(
        r#"SELECT o.journal_index, o.rule, o.version, r.name AS rule_name, o.reason, o.clause, o.asset,
                  a.name AS asset_name, o.amount AS "amount: Amount", o.balance_before AS "before: Amount",
                  o.balance_after AS "after: Amount",
                  CASE o.reason WHEN $3 THEN r.definition -> 'condition' END AS "condition: Json<Vec<Predicate>>"
           FROM UNNEST($2::bigint[], $4::date[]) AS asked (journal_index, month)
           JOIN LATERAL (
               SELECT * FROM outcomes o
               WHERE o.platform = $1 AND o.journal_index = asked.journal_index AND o.month = asked.month OFFSET 0
           ) AS o ON true
           JOIN rules r ON r.platform = o.platform AND r.rule = o.rule AND r.version = o.version
           JOIN assets a ON a.platform = o.platform AND a.asset = o.asset
           ORDER BY o.journal_index, o.position"#,
        &platform.0,
        indices,
        not_matched,
        months
    )
    .fetch_all(snapshot.connection())
    .await?
    {
        let number = u8::try_from(row.clause).ok();
        let failing =
            row.condition.zip(number).and_then(|(Json(condition), number)| definition::clause(&condition, number));
        outcomes.entry(row.journal_index).or_default().push(Outcome {
            rule: row.rule,
            version: row.version,
            rule_name: row.rule_name,
            // A newer program may have reasons that this server has no name for.
            reason: u8::try_from(row.reason)
                .ok()
                .and_then(Reason::from_number)
                .map_or_else(|| format!("Reason{}", row.reason), |reason| reason.name().to_owned()),
            clause: (row.reason == not_matched).then_some(row.clause),
            failing,
            asset: row.asset,
            asset_name: row.asset_name,
            amount: row.amount,
            before: row.before,
            after: row.after,
        });
    }
    Ok(outcomes)
}
