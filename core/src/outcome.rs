//! What one rule did with one payment.

use crate::units::{Amount, AssetId, RuleId, RuleVersion};
use bytemuck::Zeroable;
use core::fmt;

/// Why an outcome is what it is. The numbers are part of the interface: never renumber, only add.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Zeroable)]
#[repr(u8)]
pub enum Reason {
    /// The rule paid.
    Granted = 0,
    /// The condition does not hold; the outcome names the first clause that fails.
    NotMatched = 1,
    /// The condition holds, and the reward comes to nothing.
    NothingDue = 2,
    /// The rule counted a payment of a later window before this one came.
    LateForWindow = 3,
    /// The user is in the rule's control group.
    Holdout = 4,
    /// The user got as much or as often in this window as the rule allows.
    UserLimit = 5,
    /// The rule granted as much or as often as it may.
    BudgetSpent = 6,
    /// Another rule of the group pays.
    GroupTaken = 7,
    /// A rule that paid on this payment excludes this one.
    Excluded = 8,
    /// The vault does not hold enough for it.
    VaultShort = 9,
    /// A refund took back what the rule had granted.
    Reversed = 10,
}

impl Reason {
    /// Every reason, by number.
    pub const ALL: [Self; 11] = [
        Self::Granted,
        Self::NotMatched,
        Self::NothingDue,
        Self::LateForWindow,
        Self::Holdout,
        Self::UserLimit,
        Self::BudgetSpent,
        Self::GroupTaken,
        Self::Excluded,
        Self::VaultShort,
        Self::Reversed,
    ];

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
            Self::LateForWindow => "LateForWindow",
            Self::Holdout => "Holdout",
            Self::UserLimit => "UserLimit",
            Self::BudgetSpent => "BudgetSpent",
            Self::GroupTaken => "GroupTaken",
            Self::Excluded => "Excluded",
            Self::VaultShort => "VaultShort",
            Self::Reversed => "Reversed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One rule's outcome on one payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Zeroable)]
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
    /// What was granted or reversed, in the asset's smallest unit; 0 with every other reason.
    pub amount: Amount,
    /// The user's balance of that asset before.
    pub before: Amount,
    /// And after.
    pub after: Amount,
}
