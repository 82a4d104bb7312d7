//! The rule book: every rule version in force or scheduled, with its running totals. One account, always passed: a
//! submitter cannot leave a rule out.

use super::Platform;
use crate::error::RebateError;
use anchor_lang::{accounts::Slab, prelude::*};
use rebate_core::{book, rule::Rule, units::Timestamp};

/// How many rule versions a book can hold.
pub const MAX_RULES: usize = 128;

/// Seeds: `rules`, platform. The rules follow the header in order of evaluation: a count (4 bytes), padding to 8, then
/// 560 bytes each, as `rebate_core::rule::Rule` lays them out.
#[account]
pub struct RuleBook {
    /// Whose rules these are.
    pub platform: Address,
    /// How many payments were accepted under this book.
    pub payments: u64,
    /// The least id a new rule may have: those of rules whose last version was dropped are not given again.
    pub first_new_id: u32,
    /// Layout version.
    pub version: u8,
    /// Of the book's address.
    pub bump: u8,
    /// Zero.
    pub reserved: [u8; 58],
}

/// The account: the header and its rules.
pub type RuleBookAccount = Slab<RuleBook, Rule>;

/// Puts a new version of a rule into its place and ends the version before it.
///
/// # Errors
/// What [`rebate_core::book::succeed`] finds; [`RebateError::RuleIdUsed`] for a rule whose last version was dropped;
/// [`RebateError::RuleBookFull`] where the account has no room for it.
pub fn insert(book: &mut RuleBookAccount, mut rule: Rule) -> Result<()> {
    let is_known = book.iter().any(|other| other.id == rule.id);
    require!(is_known || u32::from(rule.id.0) >= book.first_new_id, RebateError::RuleIdUsed);
    let place = book::succeed(book.as_mut_slice(), &mut rule).map_err(RebateError::from)?;
    book.try_push(rule).map_err(|_| RebateError::RuleBookFull)?;
    if let Some(behind) = book.as_mut_slice().get_mut(place..) {
        behind.rotate_right(1);
    }
    Ok(())
}

/// Takes the version in slot `slot` out of the book. The id of a rule without versions is not given again.
pub fn remove(book: &mut RuleBookAccount, slot: usize) {
    let Some(rule) = book.get(slot).copied() else { return };
    if let Some(behind) = book.as_mut_slice().get_mut(slot..) {
        behind.rotate_left(1);
    }
    book.pop();
    let left = book.iter().filter(|other| other.id == rule.id).count();
    if left == 0 {
        book.first_new_id = book.first_new_id.max(u32::from(rule.id.0).saturating_add(1));
    } else if left == 1 {
        book.iter_mut().filter(|other| other.id == rule.id).for_each(|last| last.has_siblings = 0);
    }
}

/// Whether a change may count from `effective_at` on: after the timelock, or at any time while no payment was accepted
/// yet, since then nobody has paid under the rules.
pub fn may_take_effect(book: &RuleBook, effective_at: Timestamp, platform: &Platform, now: Timestamp) -> bool {
    book.payments == 0 || effective_at >= platform.earliest_change(now)
}
