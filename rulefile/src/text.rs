//! Parts of a rule, briefly.

use rebate_core::{
    rule::{Effect, Field, Operator, Predicate},
    units::Timestamp,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A moment in UTC; 0 is `ever`.
pub fn open_or(at: Timestamp) -> String {
    match at.0 {
        0 => "ever".to_owned(),
        seconds => OffsetDateTime::from_unix_timestamp(seconds)
            .ok()
            .and_then(|moment| moment.format(&Rfc3339).ok())
            .unwrap_or_else(|| seconds.to_string()),
    }
}

/// A condition, as rule files write it; clauses are joined by `and`.
pub fn condition_text(condition: &[Predicate]) -> String {
    if condition.is_empty() {
        return "always".to_owned();
    }
    let mut text = String::new();
    let mut clause = 0;
    for (at, predicate) in condition.iter().enumerate() {
        if at > 0 {
            text.push_str(if predicate.clause == clause { " or " } else { " and " });
        }
        clause = predicate.clause;
        text.push_str(&predicate_text(predicate));
    }
    text
}

/// A comparison, as rule files write it.
pub fn predicate_text(predicate: &Predicate) -> String {
    let not = if predicate.negated() { "not " } else { "" };
    let field = predicate.field().map_or("?", |field| field.name());
    match predicate.operator() {
        Some(Operator::Any) if predicate.field() == Some(Field::Segments) => {
            format!("{not}{field} any {}", predicate.value)
        }
        Some(Operator::Any) => {
            let members: Vec<_> =
                (0..64).filter(|bit| predicate.value >> bit & 1 == 1).map(|bit: u32| bit.to_string()).collect();
            format!("{not}{field} in [{}]", members.join(", "))
        }
        operator => format!("{not}{field} {} {}", operator.map_or("?", |operator| operator.sign()), predicate.value),
    }
}

/// What an effect grants.
pub fn effect_text(effect: Effect) -> String {
    match effect {
        Effect::Fixed { asset, amount } => format!("{amount} of asset {asset}"),
        Effect::Ratio { asset, bps, min, max } => {
            let least = if min.0 == 0 { String::new() } else { format!(", at least {min}") };
            let most = if max.0 == 0 { String::new() } else { format!(", at most {max}") };
            format!("{}.{:02} % of the payment in asset {asset}{least}{most}", bps.0 / 100, bps.0 % 100)
        }
        Effect::Tiers { asset, mode, steps } => {
            let steps: Vec<_> = steps.iter().map(|step| format!("{} from {}", step.value, step.threshold)).collect();
            format!("{} tiers in asset {asset}: {}", mode.name(), steps.join(", "))
        }
        Effect::Streak { asset, days, amount, recurring } => {
            let every = if recurring { "every" } else { "after" };
            format!("{amount} of asset {asset} {every} {days} days in a row")
        }
        Effect::Multiplier { asset, bps } => {
            format!("{}.{:04} times what the group grants in asset {asset}", bps.0 / 10_000, bps.0 % 10_000)
        }
    }
}
