//! Conditions and effects of rules: as the database keeps them, and in the words of rule files.

use rebate_core::{
    rule::{self, Field, Operator, TierMode},
    units::{Amount, AssetId, BasisPoints},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A rule version's condition and effect, as the indexer writes them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Definition {
    /// In order of clauses.
    pub condition: Vec<Predicate>,
    /// What it grants.
    pub effect: Effect,
}

/// One comparison of a condition.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Predicate {
    clause: u8,
    negated: bool,
    field: String,
    operator: String,
    value: String,
}

/// What a rule grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Effect {
    /// The same amount each time.
    #[schema(title = "FixedEffect")]
    Fixed {
        /// What is granted.
        #[schema(minimum = 1, maximum = 8, example = 1)]
        asset: u8,
        /// How much, in the asset's smallest unit.
        #[schema(pattern = "^[0-9]{1,20}$", example = "1000")]
        amount: String,
    },
    /// A share of the payment, rounded down, then clamped.
    #[schema(title = "RatioEffect")]
    Ratio {
        /// What is granted.
        #[schema(minimum = 1, maximum = 8, example = 1)]
        asset: u8,
        /// The share, of 10 000.
        #[schema(example = 2000)]
        bps: u32,
        /// At least this.
        #[schema(pattern = "^[0-9]{1,20}$", example = "0")]
        min: String,
        /// At most this; 0 for no limit.
        #[schema(pattern = "^[0-9]{1,20}$", example = "100000")]
        max: String,
    },
    /// What the spend in the rule's window entitles to, less what was granted in it already.
    #[schema(title = "TiersEffect")]
    Tiers {
        /// What is granted.
        #[schema(minimum = 1, maximum = 8, example = 1)]
        asset: u8,
        /// What the values of the steps mean. `fixed`: the sum of those of all thresholds reached; `slab`: basis points of the
        /// whole spend; `marginal`: basis points of each part of the spend.
        #[schema(example = "slab")]
        mode: String,
        /// Threshold and value, by ascending threshold.
        #[schema(value_type = Vec<Vec<String>>, example = json!([["10000", "500"], ["50000", "800"]]))]
        steps: Vec<[String; 2]>,
    },
    /// The amount, on the payment that makes the streak this long.
    #[schema(title = "StreakEffect")]
    Streak {
        /// What is granted.
        #[schema(minimum = 1, maximum = 8, example = 1)]
        asset: u8,
        /// On how many days in a row there must be a payment that counts.
        #[schema(minimum = 1, example = 7)]
        days: u32,
        /// How much, in the asset's smallest unit.
        #[schema(pattern = "^[0-9]{1,20}$", example = "1000")]
        amount: String,
        /// Whether every multiple of `days` counts.
        recurring: bool,
    },
    /// On top of what the other rules of the group granted in the asset for the same payment.
    #[schema(title = "MultiplierEffect")]
    Multiplier {
        /// What is granted, and on what.
        #[schema(minimum = 1, maximum = 8, example = 1)]
        asset: u8,
        /// What comes of the sum, of 10 000: 15 000 adds a half.
        #[schema(minimum = 10_001, example = 15_000)]
        bps: u32,
    },
}

impl Definition {
    /// The condition as the evaluator has it; `None` where a newer indexer wrote what this server cannot read.
    pub fn condition(&self) -> Option<Vec<rule::Predicate>> {
        self.condition.iter().map(Predicate::evaluated).collect()
    }
}

impl Effect {
    /// The steps of tiers as the evaluator has them, none of other effects; `None` where they cannot be read.
    pub fn steps(&self) -> Option<Vec<rule::Step>> {
        let Self::Tiers { steps, .. } = self else { return Some(Vec::new()) };
        let step = |[threshold, value]: &[String; 2]| {
            Some(rule::Step { threshold: Amount(threshold.parse().ok()?), value: value.parse().ok()? })
        };
        steps.iter().map(step).collect()
    }

    /// The effect as the evaluator has it, over those steps; `None` where it cannot be read.
    pub fn over<'a>(&self, steps: &'a [rule::Step]) -> Option<rule::Effect<'a>> {
        let amount = |text: &str| text.parse().ok().map(Amount);
        Some(match self {
            Self::Fixed { asset, amount: fixed } => {
                rule::Effect::Fixed { asset: AssetId(*asset), amount: amount(fixed)? }
            }
            Self::Ratio { asset, bps, min, max } => rule::Effect::Ratio {
                asset: AssetId(*asset),
                bps: BasisPoints(*bps),
                min: amount(min)?,
                max: amount(max)?,
            },
            Self::Tiers { asset, mode, .. } => rule::Effect::Tiers {
                asset: AssetId(*asset),
                mode: TierMode::ALL.into_iter().find(|known| known.name() == mode)?,
                steps,
            },
            Self::Streak { asset, days, amount: fixed, recurring } => rule::Effect::Streak {
                asset: AssetId(*asset),
                days: *days,
                amount: amount(fixed)?,
                recurring: *recurring,
            },
            Self::Multiplier { asset, bps } => {
                rule::Effect::Multiplier { asset: AssetId(*asset), bps: BasisPoints(*bps) }
            }
        })
    }
}

impl Predicate {
    fn evaluated(&self) -> Option<rule::Predicate> {
        let field = Field::ALL.into_iter().find(|field| field.name() == self.field)?;
        let operator = Operator::ALL.into_iter().find(|operator| operator.sign() == self.operator)?;
        Some(rule::Predicate::new(self.clause, self.negated, field, operator, self.value.parse().ok()?))
    }

    fn text(&self) -> String {
        let Self { field, operator, value, .. } = self;
        let not = if self.negated { "not " } else { "" };
        match (field.as_str(), operator.as_str(), value.parse::<u64>()) {
            // A bit set, which rule files write as a list.
            ("weekday" | "hour", "any", Ok(set)) => {
                let members: Vec<String> = (0..u64::BITS)
                    .filter(|bit| set.checked_shr(*bit).is_some_and(|rest| rest & 1 == 1))
                    .map(|bit| bit.to_string())
                    .collect();
                format!("{not}{field} in [{}]", members.join(", "))
            }
            _ => format!("{not}{field} {operator} {value}"),
        }
    }
}

/// The condition as rule files have it under `when`: one text a clause, all of which must hold.
pub fn clauses(condition: &[Predicate]) -> Vec<String> {
    condition
        .chunk_by(|one, other| one.clause == other.clause)
        .map(|clause| {
            let predicates: Vec<String> = clause.iter().map(Predicate::text).collect();
            predicates.join(" or ")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_reads_as_in_a_rule_file() {
        let definition: Definition = serde_json::from_value(serde_json::json!({
            "condition": [
                {"clause": 0, "negated": false, "field": "payment_number", "operator": "==", "value": "1"},
                {"clause": 1, "negated": false, "field": "product", "operator": "==", "value": "1"},
                {"clause": 1, "negated": true, "field": "product", "operator": "<", "value": "7"},
                {"clause": 2, "negated": true, "field": "weekday", "operator": "any", "value": "192"},
            ],
            "effect": {"kind": "ratio", "asset": 1, "bps": 2000, "min": "0", "max": "18446744073709551615"},
        }))
        .unwrap();
        let expected = ["payment_number == 1", "product == 1 or not product < 7", "not weekday in [6, 7]"];
        assert_eq!(clauses(&definition.condition), expected);
        assert_eq!(definition.condition().unwrap().len(), 4);
    }
}
