//! What a rule grants.

use super::InvalidRule;
use crate::units::{Amount, AssetId, BasisPoints};
use bytemuck::{Pod, Zeroable};

/// The kinds of effect. The numbers are part of the interface: never renumber, only add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EffectKind {
    /// The same amount each time.
    Fixed = 1,
    /// A share of the payment.
    Ratio = 2,
    /// More the more is spent.
    Tiers = 3,
    /// For paying day after day.
    Streak = 4,
    /// On top of what the other rules of its group granted.
    Multiplier = 5,
}

impl EffectKind {
    /// Every kind, by number.
    pub const ALL: [Self; 5] = [Self::Fixed, Self::Ratio, Self::Tiers, Self::Streak, Self::Multiplier];

    /// The kind numbered `number`.
    #[inline(always)]
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Fixed),
            2 => Some(Self::Ratio),
            3 => Some(Self::Tiers),
            4 => Some(Self::Streak),
            5 => Some(Self::Multiplier),
            _ => None,
        }
    }

    /// The name in rule files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Ratio => "ratio",
            Self::Tiers => "tiers",
            Self::Streak => "streak",
            Self::Multiplier => "multiplier",
        }
    }
}

/// What the values of a tier's steps mean. The numbers are part of the interface: never renumber, only add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TierMode {
    /// Amounts: the sum of those of all thresholds reached.
    Fixed = 1,
    /// Basis points: the whole spend at those of the highest threshold reached.
    Slab = 2,
    /// Basis points: each part of the spend at its own.
    Marginal = 3,
}

impl TierMode {
    /// Every mode, by number.
    pub const ALL: [Self; 3] = [Self::Fixed, Self::Slab, Self::Marginal];

    /// The mode numbered `number`.
    #[inline(always)]
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Fixed),
            2 => Some(Self::Slab),
            3 => Some(Self::Marginal),
            _ => None,
        }
    }

    /// The name in rule files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Slab => "slab",
            Self::Marginal => "marginal",
        }
    }
}

/// One step of tiers. 16 bytes, no padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Step {
    /// The spend from which on it counts.
    pub threshold: Amount,
    /// An amount of the asset, or basis points, as the [`TierMode`] says.
    pub value: u64,
}

/// How many steps tiers can have.
pub const MAX_STEPS: usize = 8;

/// What a rule grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect<'a> {
    /// `amount`, each time.
    Fixed {
        /// What is granted.
        asset: AssetId,
        /// How much.
        amount: Amount,
    },
    /// `payment × bps / 10 000`, rounded down, then clamped to `[min, max]`.
    Ratio {
        /// What is granted.
        asset: AssetId,
        /// The share.
        bps: BasisPoints,
        /// At least this.
        min: Amount,
        /// At most this; 0 for no limit.
        max: Amount,
    },
    /// What the spend in the rule's window entitles to, less what the rule granted in it already.
    Tiers {
        /// What is granted.
        asset: AssetId,
        /// What the values of the steps mean.
        mode: TierMode,
        /// 1 to 8, by ascending threshold.
        steps: &'a [Step],
    },
    /// `amount`, on the payment that makes the streak `days` long.
    Streak {
        /// What is granted.
        asset: AssetId,
        /// How long a streak; at least 1.
        days: u32,
        /// How much.
        amount: Amount,
        /// Whether every multiple of `days` counts.
        recurring: bool,
    },
    /// `sum × (bps − 10 000) / 10 000` on what the other rules of the group granted in the asset for this payment.
    Multiplier {
        /// What is granted, and on what.
        asset: AssetId,
        /// More than 10 000.
        bps: BasisPoints,
    },
}

/// The reward is more than a `u64` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

impl Effect<'_> {
    /// The asset granted.
    pub fn asset(&self) -> AssetId {
        match *self {
            Self::Fixed { asset, .. }
            | Self::Ratio { asset, .. }
            | Self::Tiers { asset, .. }
            | Self::Streak { asset, .. }
            | Self::Multiplier { asset, .. } => asset,
        }
    }

    /// Its kind.
    pub fn kind(&self) -> EffectKind {
        match self {
            Self::Fixed { .. } => EffectKind::Fixed,
            Self::Ratio { .. } => EffectKind::Ratio,
            Self::Tiers { .. } => EffectKind::Tiers,
            Self::Streak { .. } => EffectKind::Streak,
            Self::Multiplier { .. } => EffectKind::Multiplier,
        }
    }

    /// Checks that the effect can grant something.
    pub(super) fn check(&self) -> Result<(), InvalidRule> {
        let sound = match *self {
            Self::Fixed { amount, .. } => amount.0 > 0,
            Self::Ratio { bps, min, max, .. } => (bps.0 > 0 || min.0 > 0) && (max.0 == 0 || min.0 <= max.0),
            Self::Tiers { mode, steps, .. } => {
                let ascending =
                    steps.iter().zip(steps.iter().skip(1)).all(|(step, next)| step.threshold < next.threshold);
                let values = mode == TierMode::Fixed || steps.iter().all(|step| u32::try_from(step.value).is_ok());
                ascending && values && steps.len() <= MAX_STEPS && steps.iter().any(|step| step.value > 0)
            }
            Self::Streak { days, amount, .. } => days > 0 && amount.0 > 0,
            Self::Multiplier { bps, .. } => u64::from(bps.0) > BasisPoints::WHOLE,
        };
        if sound { Ok(()) } else { Err(InvalidRule::Effect) }
    }
}

/// `paid × bps / 10 000`, rounded down, then clamped to `[min, max]`; `max` 0 for no limit.
///
/// # Errors
/// [`Overflow`] if no maximum keeps it within a `u64`.
#[inline]
pub fn share(paid: Amount, bps: BasisPoints, min: Amount, max: Amount) -> Result<Amount, Overflow> {
    let share = match (bps.of(paid), max.0) {
        (Some(share), _) => share,
        (None, 0) => return Err(Overflow),
        (None, _) => max,
    };
    let most = if max.0 == 0 { Amount(u64::MAX) } else { max };
    Ok(share.max(min).min(most))
}

/// What a spend of `spend` entitles to, all in all.
///
/// # Errors
/// [`Overflow`] if that is more than a `u64` holds.
#[inline(always)]
pub fn entitled(mode: TierMode, steps: &[Step], spend: Amount) -> Result<Amount, Overflow> {
    match mode {
        TierMode::Fixed => {
            let mut sum = 0u64;
            for step in steps {
                if step.threshold > spend {
                    break;
                }
                sum = sum.checked_add(step.value).ok_or(Overflow)?;
            }
            Ok(Amount(sum))
        }
        TierMode::Slab => {
            let mut highest = None;
            for step in steps {
                if step.threshold > spend {
                    break;
                }
                highest = Some(step);
            }
            highest.map_or(Ok(Amount(0)), |step| bps(step).of(spend).ok_or(Overflow))
        }
        TierMode::Marginal => marginal(steps, spend).ok_or(Overflow),
    }
}

/// Each part of the spend at its own basis points, rounded down once: with each part as `q · 10 000 + r`, the sum is
/// `Σ q · bps + ⌊Σ r · bps / 10 000⌋`.
fn marginal(steps: &[Step], spend: Amount) -> Option<Amount> {
    let (mut whole, mut rest) = (0u64, 0u64);
    let mut steps = steps.iter().peekable();
    while let Some(step) = steps.next() {
        let Some(above) = spend.0.checked_sub(step.threshold.0) else { break };
        // Up to the next threshold, which lies behind this one.
        let part = steps.peek().map_or(above, |next| above.min(next.threshold.0.saturating_sub(step.threshold.0)));
        let bps = u64::from(bps(step).0);
        if part <= BOUNDED {
            // Below 2^29 · 2^32, and eight of them below 2^64.
            rest = rest.checked_add(part.checked_mul(bps)?)?;
            continue;
        }
        whole = whole.checked_add(part.checked_div(BasisPoints::WHOLE)?.checked_mul(bps)?)?;
        // Below 10 000 · 2^32.
        rest = rest.checked_add(part.checked_rem(BasisPoints::WHOLE)?.checked_mul(bps)?)?;
    }
    whole.checked_add(rest.checked_div(BasisPoints::WHOLE)?).map(Amount)
}

/// Parts of a spend up to this need no splitting: their products with basis points stay so small that eight add up to less
/// than 2^64.
const BOUNDED: u64 = (1 << 29) - 1;

/// The step's value where it is basis points; that it fits was checked when it was published.
fn bps(step: &Step) -> BasisPoints {
    BasisPoints(u32::try_from(step.value).unwrap_or(u32::MAX))
}

/// `sum × (bps − 10 000) / 10 000`, rounded down.
///
/// # Errors
/// [`Overflow`] if that is more than a `u64` holds.
pub fn multiplied(sum: Amount, bps: BasisPoints) -> Result<Amount, Overflow> {
    BasisPoints(bps.0.saturating_sub(BasisPoints::WHOLE as u32)).of(sum).ok_or(Overflow)
}
