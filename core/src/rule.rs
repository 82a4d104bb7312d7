//! A rule version as the rule book keeps it.

pub(crate) mod condition;
mod effect;

pub use condition::{Field, MAX_PREDICATES, Operator, Predicate};
pub use effect::{Effect, EffectKind, Overflow};

use crate::units::{Amount, AssetId, BasisPoints, MAX_ASSETS, RuleId, RuleVersion, Timestamp};
use bytemuck::{Pod, Zeroable};

/// How long a rule's name can be, in bytes of UTF-8.
pub const MAX_NAME: usize = 32;

/// What an operator publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition<'a> {
    /// The rule.
    pub id: RuleId,
    /// Its version: one more than the last one published, from 1.
    pub version: RuleVersion,
    /// What people call it, 1 to 32 bytes without ASCII control characters.
    pub name: &'a str,
    /// Smaller is evaluated first; ties by id.
    pub priority: u16,
    /// The first `paid_at` it is for; 0 for open.
    pub starts_at: Timestamp,
    /// The first `paid_at` it is no longer for; 0 for open.
    pub ends_at: Timestamp,
    /// The condition in conjunctive form, clause by clause. Empty: always.
    pub condition: &'a [Predicate],
    /// What it grants.
    pub effect: Effect,
}

/// Why a definition is no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidRule {
    /// The name is empty, over 32 bytes, or holds ASCII control characters.
    Name,
    /// The version is 0.
    Version,
    /// `ends_at` is not after `starts_at`.
    Schedule,
    /// More than 12 predicates.
    TooManyPredicates,
    /// The clauses are not numbered 0, 1, 2 … in order.
    ClauseOrder,
    /// An operator that the field does not have, or a value outside the field's range.
    Predicate,
    /// The asset is outside `1..=8`.
    Asset,
    /// The reward can never be more than 0, or its minimum is above its maximum.
    Effect,
}

impl Definition<'_> {
    /// Checks everything about the definition that does not depend on the platform it is for.
    ///
    /// # Errors
    /// The first thing wrong with it.
    pub fn check(&self) -> Result<(), InvalidRule> {
        if self.name.is_empty() || self.name.len() > MAX_NAME || self.name.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(InvalidRule::Name);
        }
        if self.version.0 == 0 {
            return Err(InvalidRule::Version);
        }
        if self.ends_at.0 != 0 && self.ends_at <= self.starts_at {
            return Err(InvalidRule::Schedule);
        }
        if self.condition.len() > MAX_PREDICATES {
            return Err(InvalidRule::TooManyPredicates);
        }
        condition::check(self.condition)?;
        if self.effect.asset().slot().is_none_or(|slot| slot >= MAX_ASSETS) {
            return Err(InvalidRule::Asset);
        }
        self.effect.check()
    }
}

/// A rule version in the rule book: its definition and its running totals. 360 bytes, no padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Rule {
    /// The rule.
    pub id: RuleId,
    /// Its version, from 1.
    pub version: RuleVersion,
    /// Smaller is evaluated first; ties by id.
    pub priority: u16,
    /// An [`EffectKind`].
    effect_kind: u8,
    /// The asset it grants.
    asset: AssetId,
    /// The first `paid_at` this version is for, by its publication; 0 for open.
    pub effective_at: Timestamp,
    /// The first `paid_at` that a later version is for instead; 0 while there is none.
    pub superseded_at: Timestamp,
    /// The first `paid_at` it is for, by its own schedule; 0 for open.
    pub starts_at: Timestamp,
    /// The first `paid_at` it is no longer for, by its own schedule; 0 for open.
    pub ends_at: Timestamp,
    /// `fixed`: the amount; `ratio`: the least reward.
    effect_low: Amount,
    /// `ratio`: the most it rewards, 0 for no limit.
    effect_high: Amount,
    /// `ratio`: its basis points.
    effect_bps: BasisPoints,
    /// How many of `predicates` there are.
    predicate_count: u8,
    /// How many bytes of `name` there are.
    name_length: u8,
    reserved: [u8; 2],
    predicates: [Predicate; MAX_PREDICATES],
    name: [u8; MAX_NAME],
    /// What this version granted so far, in the asset's smallest unit.
    pub granted: Amount,
    /// How often it granted.
    pub grants: u64,
    /// Room for what later versions of the program count.
    pub future: [u8; 56],
}

impl Rule {
    /// The rule version that `definition` describes, in effect for payments from `effective_at` on.
    ///
    /// # Errors
    /// What [`Definition::check`] finds.
    pub fn new(definition: &Definition<'_>, effective_at: Timestamp) -> Result<Self, InvalidRule> {
        definition.check()?;
        let mut rule = Self::zeroed();
        rule.id = definition.id;
        rule.version = definition.version;
        rule.priority = definition.priority;
        rule.effective_at = effective_at;
        rule.starts_at = definition.starts_at;
        rule.ends_at = definition.ends_at;
        rule.asset = definition.effect.asset();
        match definition.effect {
            Effect::Fixed { amount, .. } => {
                rule.effect_kind = EffectKind::Fixed as u8;
                rule.effect_low = amount;
            }
            Effect::Ratio { bps, min, max, .. } => {
                rule.effect_kind = EffectKind::Ratio as u8;
                rule.effect_bps = bps;
                rule.effect_low = min;
                rule.effect_high = max;
            }
        }
        for (slot, predicate) in rule.predicates.iter_mut().zip(definition.condition) {
            *slot = *predicate;
        }
        for (slot, byte) in rule.name.iter_mut().zip(definition.name.bytes()) {
            *slot = byte;
        }
        // Both checked above: at most 12 and at most 32.
        rule.predicate_count = definition.condition.len() as u8;
        rule.name_length = definition.name.len() as u8;
        Ok(rule)
    }

    /// Where it stands among others: evaluation goes by priority, then id, then version.
    pub fn order(&self) -> (u16, RuleId, RuleVersion) {
        (self.priority, self.id, self.version)
    }

    /// Whether this version is the one for a payment made at `paid_at`.
    pub fn in_force(&self, paid_at: Timestamp) -> bool {
        let begun = |at: Timestamp| at.0 == 0 || at <= paid_at;
        let over = |at: Timestamp| at.0 != 0 && at <= paid_at;
        begun(self.effective_at) && begun(self.starts_at) && !over(self.superseded_at) && !over(self.ends_at)
    }

    /// The asset it grants.
    pub fn asset(&self) -> AssetId {
        self.asset
    }

    /// What it grants; `None` if a program newer than this code wrote an effect this code does not know.
    pub fn effect(&self) -> Option<Effect> {
        match EffectKind::from_number(self.effect_kind)? {
            EffectKind::Fixed => Some(Effect::Fixed { asset: self.asset, amount: self.effect_low }),
            EffectKind::Ratio => Some(Effect::Ratio {
                asset: self.asset,
                bps: self.effect_bps,
                min: self.effect_low,
                max: self.effect_high,
            }),
        }
    }

    /// Its condition, clause by clause.
    pub fn condition(&self) -> &[Predicate] {
        self.predicates.get(..usize::from(self.predicate_count)).unwrap_or(&self.predicates)
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        self.name.get(..usize::from(self.name_length)).and_then(|name| str::from_utf8(name).ok()).unwrap_or("")
    }
}
