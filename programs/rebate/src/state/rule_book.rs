//! The rule book: every rule version in force or scheduled, with its running totals. One account, always passed: a
//! submitter cannot leave a rule out.

use crate::error::RebateError;
use anchor_lang::{accounts::Slab, prelude::*};
use rebate_core::{
    rule::Rule,
    units::{RuleVersion, Timestamp},
};

/// How many rule versions a book can hold.
pub const MAX_RULES: usize = 128;

/// Seeds: `rules`, platform. The rules follow the header in order of evaluation: a count (4 bytes), padding to 8, then
/// 360 bytes each, as `rebate_core::rule::Rule` lays them out.
#[account]
pub struct RuleBook {
    /// Whose rules these are.
    pub platform: Address,
    /// How many payments were accepted under this book.
    pub payments: u64,
    /// Layout version.
    pub version: u8,
    /// Of the book's address.
    pub bump: u8,
    /// Zero.
    pub reserved: [u8; 62],
}

/// The account: the header and its rules.
pub type RuleBookAccount = Slab<RuleBook, Rule>;

/// Puts a new version of a rule into its place and ends the version before it.
///
/// # Errors
/// [`RebateError::RuleVersion`] unless it is the next one, [`RebateError::TooEarly`] unless it takes effect after the
/// one before, [`RebateError::RuleBookFull`] where the account has no room for it.
pub fn insert(book: &mut RuleBookAccount, rule: Rule) -> Result<()> {
    let last = book.iter_mut().filter(|other| other.id == rule.id).max_by_key(|other| other.version);
    let next = last.as_ref().map_or(Some(RuleVersion(1)), |last| last.version.0.checked_add(1).map(RuleVersion));
    require!(next == Some(rule.version), RebateError::RuleVersion);
    if let Some(last) = last {
        require!(rule.effective_at > last.effective_at, RebateError::TooEarly);
        last.superseded_at = rule.effective_at;
    }
    let place = book.iter().position(|other| other.order() > rule.order()).unwrap_or(book.len());
    book.try_push(rule).map_err(|_| RebateError::RuleBookFull)?;
    if let Some(behind) = book.as_mut_slice().get_mut(place..) {
        behind.rotate_right(1);
    }
    Ok(())
}

/// Whether a version may take effect at `effective_at`: after the timelock, or at any time while no payment was
/// accepted yet, since then nobody has paid under the rules.
pub fn may_take_effect(book: &RuleBook, effective_at: Timestamp, now: Timestamp, timelock: u32) -> bool {
    book.payments == 0 || effective_at.0 >= now.0.saturating_add(i64::from(timelock))
}
