//! What differs between two versions of a rule, field by field and in the words of rule files.

use crate::text::{condition_text, effect_text, open_or};
use rebate_client::event::RuleDefinition;
use rebate_core::{rule::Rule, units::Timestamp};

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its key in a rule file; a key of the limits is `limits.KEY`.
    pub field: &'static str,
    /// What it was.
    pub from: String,
    /// What it is.
    pub to: String,
}

/// Every field of a rule but number and version, as a text. A definition that is no sound rule has none.
fn fields(definition: &RuleDefinition) -> Vec<(&'static str, String)> {
    let Ok(rule) = definition.rule(Timestamp(0)) else { return Vec::new() };
    let bound = |at: i64| if at == 0 { "open".to_owned() } else { open_or(Timestamp(at)) };
    let limit = |most: u64| if most == 0 { "none".to_owned() } else { most.to_string() };
    let limits = &definition.limits;
    vec![
        ("name", definition.name.clone()),
        ("priority", definition.priority.to_string()),
        ("starts_at", bound(definition.starts_at)),
        ("ends_at", bound(definition.ends_at)),
        ("group", definition.group.to_string()),
        ("mode", rule.group_mode().name().to_owned()),
        ("when", condition_text(rule.condition())),
        ("window", rule.window().name().to_owned()),
        ("scope", rule.scope().name().to_owned()),
        ("effect", effect(&rule)),
        ("limits.user_amount", limit(limits.user_amount)),
        ("limits.user_count", limit(limits.user_count)),
        ("limits.total_amount", limit(limits.total_amount)),
        ("limits.total_count", limit(limits.total_count)),
        ("limits.on_limit", rule.on_limit().name().to_owned()),
        ("tags", set(definition.tags)),
        ("excludes", set(definition.excludes)),
        ("holdout_bps", definition.holdout_bps.to_string()),
    ]
}

fn effect(rule: &Rule) -> String {
    rule.effect().map_or_else(|| "?".to_owned(), effect_text)
}

/// The numbers in a bit set.
fn set(bits: u32) -> String {
    let numbers: Vec<_> = crate::export::members(bits.into()).map(|bit| bit.to_string()).collect();
    if numbers.is_empty() { "none".to_owned() } else { numbers.join(", ") }
}

/// What differs between two definitions, whatever their numbers and versions.
pub fn differences(from: &RuleDefinition, to: &RuleDefinition) -> Vec<Difference> {
    let pairs = fields(from).into_iter().zip(fields(to));
    pairs.filter(|(from, to)| from.1 != to.1).map(|((field, from), (_, to))| Difference { field, from, to }).collect()
}
