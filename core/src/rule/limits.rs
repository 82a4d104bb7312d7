//! How much and how often a rule grants at most.

use crate::{outcome::Reason, units::Amount};
use bytemuck::{Pod, Zeroable};

/// A rule's limits; 0 for none. 32 bytes, no padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Limits {
    /// How much a user gets in one window, in the asset's smallest unit.
    pub user_amount: Amount,
    /// How often a user gets something in one window.
    pub user_count: u64,
    /// How much the rule grants in all: its budget.
    pub total_amount: Amount,
    /// How often it grants in all.
    pub total_count: u64,
}

/// What happens to a grant that passes a limit. The numbers are part of the interface: never renumber, only add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum OnLimit {
    /// What is left is granted.
    #[default]
    Clip = 1,
    /// Nothing is granted.
    Reject = 2,
}

impl OnLimit {
    /// Every way, by number.
    pub const ALL: [Self; 2] = [Self::Clip, Self::Reject];

    /// The way numbered `number`.
    #[inline(always)]
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Clip),
            2 => Some(Self::Reject),
            _ => None,
        }
    }

    /// The name in rule files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clip => "clip",
            Self::Reject => "reject",
        }
    }
}

/// What `on_limit` makes of `wanted` where `room` is left; `None` for nothing.
#[inline(always)]
pub(crate) fn within(wanted: Amount, room: Amount, on_limit: OnLimit) -> Option<Amount> {
    if wanted <= room {
        return Some(wanted);
    }
    (on_limit == OnLimit::Clip && room.0 > 0).then_some(room)
}

impl Limits {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// What is left of `wanted`: the user's window first, then the budget; within each the count, then the amount.
    ///
    /// # Errors
    /// [`Reason::UserLimit`] or [`Reason::BudgetSpent`] if that is nothing.
    #[inline]
    pub(crate) fn leave(
        &self,
        wanted: Amount,
        on_limit: OnLimit,
        (user_amount, user_count): (Amount, u64),
        (total_amount, total_count): (Amount, u64),
    ) -> Result<Amount, Reason> {
        let mut left = wanted;
        if self.user_count != 0 && user_count >= self.user_count {
            return Err(Reason::UserLimit);
        }
        if self.user_amount.0 != 0 {
            let room = Amount(self.user_amount.0.saturating_sub(user_amount.0));
            left = within(left, room, on_limit).ok_or(Reason::UserLimit)?;
        }
        if self.total_count != 0 && total_count >= self.total_count {
            return Err(Reason::BudgetSpent);
        }
        if self.total_amount.0 != 0 {
            let room = Amount(self.total_amount.0.saturating_sub(total_amount.0));
            left = within(left, room, on_limit).ok_or(Reason::BudgetSpent)?;
        }
        Ok(left)
    }
}
