//! What one rule did with one payment.

use crate::units::{Amount, AssetId, RuleId, RuleVersion};
use core::fmt;

/// Why an outcome is what it is. The numbers are part of the interface: never renumber, only add.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// The rule paid.
    Granted = 0,
    /// The condition does not hold; the outcome names the first clause that fails.
    NotMatched = 1,
    /// The condition holds, and the reward comes to nothing.
    NothingDue = 2,
}

impl Reason {
    /// Every reason, by number.
    pub const ALL: [Self; 3] = [Self::Granted, Self::NotMatched, Self::NothingDue];

    /// The reason numbered `number`.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The name used in logs, in JSON and by the specification.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Granted => "Granted",
            Self::NotMatched => "NotMatched",
            Self::NothingDue => "NothingDue",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One rule's outcome on one payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The rule's slot in the book that was evaluated.
    pub slot: usize,
    /// The rule.
    pub rule: RuleId,
    /// Its version.
    pub version: RuleVersion,
    /// What happened.
    pub reason: Reason,
    /// With [`Reason::NotMatched`], the first clause that fails; else 0.
    pub clause: u8,
    /// The asset the rule grants.
    pub asset: AssetId,
    /// What was granted, in the asset's smallest unit; 0 unless [`Reason::Granted`].
    pub amount: Amount,
    /// The user's balance of that asset before.
    pub before: Amount,
    /// And after.
    pub after: Amount,
}
