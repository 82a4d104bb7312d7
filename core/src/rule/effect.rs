//! What a rule grants.

use super::InvalidRule;
use crate::units::{Amount, AssetId, BasisPoints};

/// The kinds of effect. The numbers are part of the interface: never renumber, only add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EffectKind {
    /// The same amount each time.
    Fixed = 1,
    /// A share of the payment.
    Ratio = 2,
}

impl EffectKind {
    /// The kind numbered `number`.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Fixed),
            2 => Some(Self::Ratio),
            _ => None,
        }
    }
}

/// What a rule grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
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
}

/// The reward is more than a `u64` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

impl Effect {
    /// The asset granted.
    pub fn asset(&self) -> AssetId {
        match *self {
            Self::Fixed { asset, .. } | Self::Ratio { asset, .. } => asset,
        }
    }

    /// Checks that the effect can grant something.
    pub(super) fn check(&self) -> Result<(), InvalidRule> {
        let sound = match *self {
            Self::Fixed { amount, .. } => amount.0 > 0,
            Self::Ratio { bps, min, max, .. } => (bps.0 > 0 || min.0 > 0) && (max.0 == 0 || min.0 <= max.0),
        };
        if sound { Ok(()) } else { Err(InvalidRule::Effect) }
    }

    /// The reward for a payment of `paid`, before any limit.
    ///
    /// # Errors
    /// [`Overflow`] if no maximum keeps it within a `u64`.
    pub fn raw_reward(&self, paid: Amount) -> Result<Amount, Overflow> {
        match *self {
            Self::Fixed { amount, .. } => Ok(amount),
            Self::Ratio { bps, min, max, .. } => {
                let share = match (bps.of(paid), max.0) {
                    (Some(share), _) => share,
                    (None, 0) => return Err(Overflow),
                    (None, _) => max,
                };
                let most = if max.0 == 0 { Amount(u64::MAX) } else { max };
                Ok(share.max(min).min(most))
            }
        }
    }
}
