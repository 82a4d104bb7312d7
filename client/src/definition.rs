//! Rule definitions as they are published, and as the rules' evaluator has them.

use crate::event::{EffectEntry, LimitsEntry, PredicateEntry, RuleDefinition, StepEntry};
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
        let condition: Vec<_> = self.condition.iter().map(Predicate::try_from).collect::<Result<_, _>>()?;
        let steps = self.effect.steps();
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
            effect: self.effect.over(&steps)?,
            limits: self.limits.into(),
            on_limit: OnLimit::from_number(self.limits.on_limit).ok_or(InvalidRule::Unknown)?,
            holdout: BasisPoints(u32::from(self.holdout_bps)),
        };
        Rule::new(&definition, effective_at)
    }

    /// Checks that the program would take the definition, apart from what depends on the platform.
    ///
    /// # Errors
    /// The first thing wrong with it.
    pub fn check(&self) -> Result<(), InvalidRule> {
        self.rule(Timestamp(0)).map(drop)
    }

    /// Whether a version in a rule book says the same, whatever its number and however far it came.
    pub fn says_the_same(&self, published: &Rule) -> bool {
        self.rule(published.effective_at).is_ok_and(|mut rule| {
            // What is no part of a definition is as with the published one.
            (rule.version, rule.epoch, rule.has_siblings) =
                (published.version, published.epoch, published.has_siblings);
            rule.superseded_at = published.superseded_at;
            (rule.granted, rule.grants, rule.reversed) = (published.granted, published.grants, published.reversed);
            (rule.budget_spent, rule.budget_grants) = (published.budget_spent, published.budget_grants);
            rule == *published
        })
    }

    /// The definition as the version after the last one of `published`, or `None` if that one says the same.
    pub fn next_version(self, published: &[Rule]) -> Option<Self> {
        let last = published.iter().filter(|rule| rule.id == RuleId(self.id)).max_by_key(|rule| rule.version);
        match last {
            None => Some(self),
            Some(last) if self.says_the_same(last) => None,
            Some(last) => Some(Self { version: last.version.0.saturating_add(1), ..self }),
        }
    }
}

impl EffectEntry {
    /// What it grants.
    pub fn asset(&self) -> AssetId {
        match *self {
            Self::Fixed { asset, .. }
            | Self::Ratio { asset, .. }
            | Self::Tiers { asset, .. }
            | Self::Streak { asset, .. }
            | Self::Multiplier { asset, .. } => AssetId(asset),
        }
    }

    /// The steps of tiers, as the rules' evaluator has them; none of other effects.
    fn steps(&self) -> Vec<Step> {
        match self {
            Self::Tiers { steps, .. } => {
                steps.iter().map(|step| Step { threshold: Amount(step.threshold), value: step.value }).collect()
            }
            _ => Vec::new(),
        }
    }

    fn over<'a>(&self, steps: &'a [Step]) -> Result<Effect<'a>, InvalidRule> {
        let asset = self.asset();
        Ok(match *self {
            Self::Fixed { amount, .. } => Effect::Fixed { asset, amount: Amount(amount) },
            Self::Ratio { bps, min, max, .. } => {
                Effect::Ratio { asset, bps: BasisPoints(bps), min: Amount(min), max: Amount(max) }
            }
            Self::Tiers { mode, .. } => {
                Effect::Tiers { asset, mode: TierMode::from_number(mode).ok_or(InvalidRule::Unknown)?, steps }
            }
            Self::Streak { days, amount, recurring, .. } => {
                Effect::Streak { asset, days, amount: Amount(amount), recurring }
            }
            Self::Multiplier { bps, .. } => Effect::Multiplier { asset, bps: BasisPoints(bps) },
        })
    }
}

impl From<Effect<'_>> for EffectEntry {
    fn from(effect: Effect<'_>) -> Self {
        let AssetId(asset) = effect.asset();
        match effect {
            Effect::Fixed { amount, .. } => Self::Fixed { asset, amount: amount.0 },
            Effect::Ratio { bps, min, max, .. } => Self::Ratio { asset, bps: bps.0, min: min.0, max: max.0 },
            Effect::Tiers { mode, steps, .. } => Self::Tiers {
                asset,
                mode: mode as u8,
                steps: steps.iter().map(|step| StepEntry { threshold: step.threshold.0, value: step.value }).collect(),
            },
            Effect::Streak { days, amount, recurring, .. } => Self::Streak { asset, days, amount: amount.0, recurring },
            Effect::Multiplier { bps, .. } => Self::Multiplier { asset, bps: bps.0 },
        }
    }
}

impl From<LimitsEntry> for Limits {
    fn from(entry: LimitsEntry) -> Self {
        Self {
            user_amount: Amount(entry.user_amount),
            user_count: entry.user_count,
            total_amount: Amount(entry.total_amount),
            total_count: entry.total_count,
        }
    }
}

impl LimitsEntry {
    /// These limits, passed in this way.
    pub fn new(limits: Limits, on_limit: OnLimit) -> Self {
        Self {
            user_amount: limits.user_amount.0,
            user_count: limits.user_count,
            total_amount: limits.total_amount.0,
            total_count: limits.total_count,
            on_limit: on_limit as u8,
        }
    }

    /// No limits.
    pub fn none() -> Self {
        Self::new(Limits::default(), OnLimit::Clip)
    }
}

impl TryFrom<&PredicateEntry> for Predicate {
    type Error = InvalidRule;

    /// [`InvalidRule::Predicate`] for a field or an operator this code does not know.
    fn try_from(entry: &PredicateEntry) -> Result<Self, InvalidRule> {
        let field = Field::from_number(entry.field).ok_or(InvalidRule::Predicate)?;
        let operator = Operator::from_number(entry.operator).ok_or(InvalidRule::Predicate)?;
        Ok(Self::new(entry.clause, entry.negated, field, operator, entry.value))
    }
}

impl From<Predicate> for PredicateEntry {
    fn from(predicate: Predicate) -> Self {
        Self {
            clause: predicate.clause,
            negated: predicate.negated(),
            field: predicate.field().map_or(0, |field| field as u8),
            operator: predicate.operator().map_or(0, |operator| operator as u8),
            value: predicate.value,
        }
    }
}
