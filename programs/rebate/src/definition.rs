//! Rule definitions as they are published, and as the rules' evaluator has them.

use crate::events::{EffectEntry, LimitsEntry, PredicateEntry, RuleDefinition, StepEntry};
use alloc::vec::Vec;
use rebate_core::{
    rule::{
        Definition, Effect, Field, GroupMode, InvalidRule, Limits, OnLimit, Operator, Predicate, Rule, Step, TierMode,
    },
    units::{Amount, AssetId, BasisPoints, GroupId, RuleId, RuleVersion, Tags, Timestamp},
    window::{Scope, Window},
};

impl RuleDefinition {
    /// The rule version it defines, in effect for payments from `effective_at` on.
    ///
    /// # Errors
    /// The first thing wrong with it, apart from what depends on the platform.
    pub fn rule(&self, effective_at: Timestamp) -> Result<Rule, InvalidRule> {
        let condition = self.condition.iter().map(predicate).collect::<Result<Vec<_>, _>>()?;
        let steps = steps(&self.effect);
        let limits = &self.limits;
        let definition = Definition {
            id: RuleId(self.id),
            version: RuleVersion(self.version),
            name: &self.name,
            priority: self.priority,
            starts_at: Timestamp(self.starts_at),
            ends_at: Timestamp(self.ends_at),
            group: GroupId(self.group),
            group_mode: GroupMode::from_number(self.group_mode).ok_or(InvalidRule::Unknown)?,
            tags: Tags(self.tags),
            excludes: Tags(self.excludes),
            condition: &condition,
            window: Window::from_number(self.window).ok_or(InvalidRule::Unknown)?,
            scope: Scope::from_number(self.scope).ok_or(InvalidRule::Unknown)?,
            effect: effect(&self.effect, &steps)?,
            limits: self::limits(limits),
            on_limit: OnLimit::from_number(limits.on_limit).ok_or(InvalidRule::Unknown)?,
            holdout: BasisPoints(u32::from(self.holdout_bps)),
        };
        Rule::new(&definition, effective_at)
    }
}

fn limits(entry: &LimitsEntry) -> Limits {
    Limits {
        user_amount: Amount(entry.user_amount),
        user_count: entry.user_count,
        total_amount: Amount(entry.total_amount),
        total_count: entry.total_count,
    }
}

fn predicate(entry: &PredicateEntry) -> Result<Predicate, InvalidRule> {
    let field = Field::from_number(entry.field).ok_or(InvalidRule::Predicate)?;
    let operator = Operator::from_number(entry.operator).ok_or(InvalidRule::Predicate)?;
    Ok(Predicate::new(entry.clause, entry.negated, field, operator, entry.value))
}

fn steps(effect: &EffectEntry) -> Vec<Step> {
    let step = |step: &StepEntry| Step { threshold: Amount(step.threshold), value: step.value };
    match effect {
        EffectEntry::Tiers { steps, .. } => steps.iter().map(step).collect(),
        _ => Vec::new(),
    }
}

fn effect<'a>(entry: &EffectEntry, steps: &'a [Step]) -> Result<Effect<'a>, InvalidRule> {
    Ok(match *entry {
        EffectEntry::Fixed { asset, amount } => Effect::Fixed { asset: AssetId(asset), amount: Amount(amount) },
        EffectEntry::Ratio { asset, bps, min, max } => {
            Effect::Ratio { asset: AssetId(asset), bps: BasisPoints(bps), min: Amount(min), max: Amount(max) }
        }
        EffectEntry::Tiers { asset, mode, .. } => Effect::Tiers {
            asset: AssetId(asset),
            mode: TierMode::from_number(mode).ok_or(InvalidRule::Unknown)?,
            steps,
        },
        EffectEntry::Streak { asset, days, amount, recurring } => {
            Effect::Streak { asset: AssetId(asset), days, amount: Amount(amount), recurring }
        }
        EffectEntry::Multiplier { asset, bps } => Effect::Multiplier { asset: AssetId(asset), bps: BasisPoints(bps) },
    })
}
