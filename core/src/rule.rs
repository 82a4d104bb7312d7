//! A rule version as the rule book keeps it.

pub(crate) mod condition;
pub(crate) mod effect;
mod group;
pub(crate) mod limits;

pub use condition::{Field, MAX_PREDICATES, Operator, Predicate};
pub use effect::{Effect, EffectKind, MAX_STEPS, Overflow, Step, TierMode, entitled, multiplied, share};
pub use group::GroupMode;
pub use limits::{Limits, OnLimit};

use crate::{
    counters::Counters,
    units::{Amount, AssetId, BasisPoints, GroupId, RuleId, RuleVersion, Tags, Timestamp},
    window::{Scope, Window},
};
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
    /// With which others it competes.
    pub group: GroupId,
    /// How; the same for all rules of the group.
    pub group_mode: GroupMode,
    /// What others can exclude it by.
    pub tags: Tags,
    /// It does not pay where a rule with one of these tags already paid on the same payment.
    pub excludes: Tags,
    /// The condition in conjunctive form, clause by clause. Empty: always.
    pub condition: &'a [Predicate],
    /// Over which time its counters run.
    pub window: Window,
    /// Whose counters it uses.
    pub scope: Scope,
    /// What it grants.
    pub effect: Effect<'a>,
    /// How much and how often at most.
    pub limits: Limits,
    /// What happens to a grant that passes a limit, or the vault's funds.
    pub on_limit: OnLimit,
    /// The share of users who are never granted, at most 10 000.
    pub holdout: BasisPoints,
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
    /// The reward can never be more than 0, its minimum is above its maximum, or its steps do not ascend.
    Effect,
    /// More than 10 000 basis points are held out.
    Holdout,
    /// A window, a scope, a mode or a way to treat limits that this code does not know.
    Unknown,
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
        if self.effect.asset().slot().is_none() {
            return Err(InvalidRule::Asset);
        }
        self.effect.check()?;
        if u64::from(self.holdout.0) > BasisPoints::WHOLE {
            return Err(InvalidRule::Holdout);
        }
        Ok(())
    }
}

/// A rule version in a rule book. 560 bytes, no padding: this is also its layout in the RuleBook account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Rule {
    /// The rule.
    pub id: RuleId,
    /// Its version.
    pub version: RuleVersion,
    /// Smaller is evaluated first.
    pub priority: u16,
    /// With which others it competes.
    pub group: GroupId,
    /// A [`GroupMode`].
    group_mode: u8,
    /// An [`EffectKind`].
    effect_kind: u8,
    /// The asset it grants.
    asset: AssetId,
    /// A [`Window`].
    window: u8,
    /// A [`Scope`].
    scope: u8,
    /// An [`OnLimit`].
    on_limit: u8,
    /// `tiers`: a [`TierMode`]; `streak`: 1 if recurring.
    effect_mode: u8,
    /// `tiers`: how many of `steps` there are.
    step_count: u8,
    /// How many of `predicates` there are.
    predicate_count: u8,
    /// How many bytes of `name` there are.
    name_length: u8,
    /// 1 if a predicate reads the rule's counters.
    reads_counters: u8,
    /// 1 while another version of the rule is in the book.
    pub has_siblings: u8,
    reserved: u8,
    /// The basis points of users held out.
    holdout: u16,
    /// The version since which its counters are counted this way; a version with another window or scope than the one
    /// before begins them anew.
    pub epoch: RuleVersion,
    /// What others can exclude it by.
    pub tags: Tags,
    /// By what others exclude it.
    pub excludes: Tags,
    /// The first `paid_at` this version is for, by its publication; 0 for open.
    pub effective_at: Timestamp,
    /// The first `paid_at` that a later version is for instead; 0 while there is none.
    pub superseded_at: Timestamp,
    /// The first `paid_at` it is for, by its own schedule; 0 for open.
    pub starts_at: Timestamp,
    /// The first `paid_at` it is no longer for, by its own schedule; 0 for open.
    pub ends_at: Timestamp,
    /// How much and how often at most.
    pub limits: Limits,
    /// `ratio` and `multiplier`: the basis points.
    effect_bps: BasisPoints,
    /// `streak`: the days.
    effect_days: u32,
    /// `fixed` and `streak`: the amount; `ratio`: the least reward.
    effect_low: Amount,
    /// `ratio`: the most it rewards, 0 for no limit.
    effect_high: Amount,
    /// `tiers`: the steps.
    steps: [Step; MAX_STEPS],
    predicates: [Predicate; MAX_PREDICATES],
    name: [u8; MAX_NAME],
    /// What this version granted so far, in the asset's smallest unit.
    pub granted: Amount,
    /// How often it granted.
    pub grants: u64,
    /// What of `granted` was reversed by refunds.
    pub reversed: Amount,
    /// What all versions of the rule granted so far, less what was reversed: what its budget is held against.
    pub budget_spent: Amount,
    /// How often all versions of the rule granted.
    pub budget_grants: u64,
    /// Zero.
    pub future: [u8; 48],
}

impl Rule {
    /// The rule version that `definition` describes, in effect for payments from `effective_at` on, as the first of its
    /// rule; [`follows`](Self::follows) makes it the successor of another.
    ///
    /// # Errors
    /// What [`Definition::check`] finds.
    pub fn new(definition: &Definition<'_>, effective_at: Timestamp) -> Result<Self, InvalidRule> {
        definition.check()?;
        let mut rule = Self::zeroed();
        rule.id = definition.id;
        rule.version = definition.version;
        rule.epoch = definition.version;
        rule.priority = definition.priority;
        rule.effective_at = effective_at;
        rule.starts_at = definition.starts_at;
        rule.ends_at = definition.ends_at;
        rule.group = definition.group;
        rule.group_mode = definition.group_mode as u8;
        rule.tags = definition.tags;
        rule.excludes = definition.excludes;
        rule.window = definition.window as u8;
        rule.scope = definition.scope as u8;
        rule.limits = definition.limits;
        rule.on_limit = definition.on_limit as u8;
        // Checked above: at most 10 000.
        rule.holdout = definition.holdout.0 as u16;
        rule.asset = definition.effect.asset();
        rule.effect_kind = definition.effect.kind() as u8;
        match definition.effect {
            Effect::Fixed { amount, .. } => rule.effect_low = amount,
            Effect::Ratio { bps, min, max, .. } => {
                rule.effect_bps = bps;
                rule.effect_low = min;
                rule.effect_high = max;
            }
            Effect::Tiers { mode, steps, .. } => {
                rule.effect_mode = mode as u8;
                // Checked above: at most 8.
                rule.step_count = steps.len() as u8;
                for (slot, step) in rule.steps.iter_mut().zip(steps) {
                    *slot = *step;
                }
            }
            Effect::Streak { days, amount, recurring, .. } => {
                rule.effect_days = days;
                rule.effect_low = amount;
                rule.effect_mode = u8::from(recurring);
            }
            Effect::Multiplier { bps, .. } => rule.effect_bps = bps,
        }
        for (slot, predicate) in rule.predicates.iter_mut().zip(definition.condition) {
            *slot = *predicate;
        }
        rule.reads_counters = u8::from(definition.condition.iter().any(|predicate| !predicate.is_base()));
        for (slot, byte) in rule.name.iter_mut().zip(definition.name.bytes()) {
            *slot = byte;
        }
        // Both checked above: at most 12 and at most 32.
        rule.predicate_count = definition.condition.len() as u8;
        rule.name_length = definition.name.len() as u8;
        Ok(rule)
    }

    /// Makes this version the successor of `last`, which ends where this one takes effect. The budget goes on, and so do
    /// the counters where window and scope are those of `last`; a schedule that begins at another time is another window.
    pub fn follows(&mut self, last: &mut Self) {
        // A version that was to end before ends there.
        if last.superseded_at.0 == 0 || last.superseded_at > self.effective_at {
            last.superseded_at = self.effective_at;
        }
        last.has_siblings = 1;
        self.has_siblings = 1;
        self.budget_spent = last.budget_spent;
        self.budget_grants = last.budget_grants;
        let moved = self.window == Window::Schedule as u8 && self.starts_at != last.starts_at;
        if self.window == last.window && self.scope == last.scope && !moved {
            self.epoch = last.epoch;
        }
    }

    /// Where it stands among others: evaluation goes by priority, then id, then version.
    pub fn order(&self) -> (u16, RuleId, RuleVersion) {
        (self.priority, self.id, self.version)
    }

    /// Whether this version is the one for a payment made at `paid_at`.
    #[inline]
    pub fn in_force(&self, paid_at: Timestamp) -> bool {
        let begun = |at: Timestamp| at.0 == 0 || at <= paid_at;
        let over = |at: Timestamp| at.0 != 0 && at <= paid_at;
        begun(self.effective_at) && begun(self.starts_at) && !over(self.superseded_at) && !over(self.ends_at)
    }

    /// The first `paid_at` that it is not for any more; `None` while no end is set.
    pub fn end(&self) -> Option<Timestamp> {
        [self.superseded_at, self.ends_at].into_iter().filter(|at| at.0 != 0).min()
    }

    /// The asset it grants.
    #[inline(always)]
    pub fn asset(&self) -> AssetId {
        self.asset
    }

    /// Over which time its counters run.
    #[inline(always)]
    pub fn window(&self) -> Window {
        Window::from_number(self.window).unwrap_or(Window::Lifetime)
    }

    /// Whose counters it uses.
    #[inline(always)]
    pub fn scope(&self) -> Scope {
        Scope::from_number(self.scope).unwrap_or(Scope::User)
    }

    /// How it competes with the other rules of its group.
    #[inline(always)]
    pub fn group_mode(&self) -> GroupMode {
        GroupMode::from_number(self.group_mode).unwrap_or_default()
    }

    /// What happens to a grant that passes a limit.
    #[inline(always)]
    pub fn on_limit(&self) -> OnLimit {
        OnLimit::from_number(self.on_limit).unwrap_or_default()
    }

    /// The share of users who are never granted.
    pub fn holdout(&self) -> BasisPoints {
        BasisPoints(u32::from(self.holdout))
    }

    /// Whether it grants on top of what others grant.
    #[inline(always)]
    pub fn is_multiplier(&self) -> bool {
        self.effect_kind == EffectKind::Multiplier as u8
    }

    /// Whether a predicate reads the rule's counters.
    #[inline(always)]
    pub(crate) fn reads_counters(&self) -> bool {
        self.reads_counters != 0
    }

    /// What it grants; `None` if a program newer than this code wrote an effect this code does not know.
    pub fn effect(&self) -> Option<Effect<'_>> {
        let asset = self.asset;
        Some(match EffectKind::from_number(self.effect_kind)? {
            EffectKind::Fixed => Effect::Fixed { asset, amount: self.effect_low },
            EffectKind::Ratio => {
                Effect::Ratio { asset, bps: self.effect_bps, min: self.effect_low, max: self.effect_high }
            }
            EffectKind::Tiers => {
                Effect::Tiers { asset, mode: TierMode::from_number(self.effect_mode)?, steps: self.steps() }
            }
            EffectKind::Streak => Effect::Streak {
                asset,
                days: self.effect_days,
                amount: self.effect_low,
                recurring: self.effect_mode != 0,
            },
            EffectKind::Multiplier => Effect::Multiplier { asset, bps: self.effect_bps },
        })
    }

    /// The steps of tiers; none of other effects.
    fn steps(&self) -> &[Step] {
        self.steps.get(..usize::from(self.step_count)).unwrap_or(&self.steps)
    }

    /// The reward for a payment of `paid`, before any limit, with the rule's counters after it was counted; `lengthened` if
    /// it lengthened the streak. A multiplier's is 0 here.
    ///
    /// # Errors
    /// [`Overflow`] if it is more than a `u64` holds.
    #[inline(always)]
    pub(crate) fn raw_reward(&self, paid: Amount, counters: &Counters, lengthened: bool) -> Result<Amount, Overflow> {
        match EffectKind::from_number(self.effect_kind) {
            Some(EffectKind::Fixed) => Ok(self.effect_low),
            Some(EffectKind::Ratio) => share(paid, self.effect_bps, self.effect_low, self.effect_high),
            Some(EffectKind::Tiers) => match TierMode::from_number(self.effect_mode) {
                Some(mode) => {
                    let entitled = entitled(mode, self.steps(), counters.spend)?;
                    Ok(Amount(entitled.0.saturating_sub(counters.granted.0)))
                }
                None => Ok(Amount(0)),
            },
            Some(EffectKind::Streak) => {
                let (days, recurring) = (self.effect_days, self.effect_mode != 0);
                let reached = counters.streak == days
                    || recurring && counters.streak.checked_rem(days).is_some_and(|rest| rest == 0);
                Ok(if lengthened && reached { self.effect_low } else { Amount(0) })
            }
            Some(EffectKind::Multiplier) | None => Ok(Amount(0)),
        }
    }

    /// The reward of a multiplier on a sum of grants, before any limit.
    ///
    /// # Errors
    /// [`Overflow`] if it is more than a `u64` holds.
    pub(crate) fn multiplied(&self, sum: Amount) -> Result<Amount, Overflow> {
        multiplied(sum, self.effect_bps)
    }

    /// Its condition, clause by clause.
    #[inline(always)]
    pub fn condition(&self) -> &[Predicate] {
        self.predicates.get(..usize::from(self.predicate_count)).unwrap_or(&self.predicates)
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        self.name.get(..usize::from(self.name_length)).and_then(|name| str::from_utf8(name).ok()).unwrap_or("")
    }
}
