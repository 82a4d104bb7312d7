//! How rule versions follow one another in a rule book.

use crate::{
    counters::Counters,
    rule::Rule,
    time::{DAY, LocalTime, MAX_OFFSET, UtcOffset},
    units::{Day, RuleId, RuleVersion, Timestamp},
    window::Window,
};

/// Why a version cannot be published into a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNext {
    /// The version is not one more than the last one, from 1.
    Version,
    /// It takes effect before the version before it, or for ever.
    TooEarly,
    /// The rules of its group in the book compete in another way.
    GroupMode,
}

/// Prepares `new` and the book for each other: the version before it ends where it takes effect, and it takes over budget
/// and counters. Returns the slot it belongs into.
///
/// # Errors
/// [`NotNext`]; nothing was changed.
pub fn succeed(rules: &mut [Rule], new: &mut Rule) -> Result<usize, NotNext> {
    let siblings = rules.iter().enumerate().filter(|(_, other)| other.id == new.id);
    let last = siblings.max_by_key(|(_, other)| other.version).map(|(slot, _)| slot);
    let last = last.and_then(|slot| rules.get(slot));
    let next = last.map_or(Some(1), |last| last.version.0.checked_add(1)).map(RuleVersion);
    if next != Some(new.version) {
        return Err(NotNext::Version);
    }
    // A version that is for ever leaves no time to the one before.
    if last.is_some_and(|last| new.effective_at.0 == 0 || new.effective_at < last.effective_at) {
        return Err(NotNext::TooEarly);
    }
    if rules.iter().any(|other| other.group == new.group && other.group_mode() != new.group_mode()) {
        return Err(NotNext::GroupMode);
    }
    if let Some(last) = last.map(|last| last.version)
        && let Some(last) = rules.iter_mut().find(|other| other.id == new.id && other.version == last)
    {
        new.follows(last);
    }
    Ok(rules.iter().position(|other| other.order() > new.order()).unwrap_or(rules.len()))
}

/// The book has no version of the rule, or the last one ends before by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NothingToEnd;

/// Ends the last version of a rule for payments from `ends_at` on, which is not 0, and returns it.
///
/// # Errors
/// [`NothingToEnd`]; nothing was changed.
pub fn end(rules: &mut [Rule], id: RuleId, ends_at: Timestamp) -> Result<RuleVersion, NothingToEnd> {
    let last = rules.iter_mut().filter(|rule| rule.id == id).max_by_key(|rule| rule.version).ok_or(NothingToEnd)?;
    // At 0 it would be open again.
    if ends_at.0 == 0 || last.end().is_some_and(|end| end <= ends_at) {
        return Err(NothingToEnd);
    }
    last.superseded_at = ends_at;
    Ok(last.version)
}

/// Whether no payment can come for the version any more: it ended before `open_from`, the first instant whose orders are
/// still taken.
pub fn is_over(rule: &Rule, open_from: Timestamp) -> bool {
    rule.end().is_some_and(|end| end <= open_from)
}

/// Whether counters can be given up: no payment can be counted into them any more that would find something there. `open_from`
/// is the first day whose orders are still taken, in UTC.
///
/// A window of the calendar is over where all of its days are; it and the day after a streak's last day must lie so far back
/// that they are over in every time zone. A window without an end is over where all versions of the rule are.
pub fn is_closable(counters: &Counters, rules: &[Rule], offsets: &[UtcOffset], open_from: Day) -> bool {
    let midnight = Timestamp(i64::from(open_from.0).saturating_mul(DAY));
    let mut versions = rules.iter().filter(|rule| rule.id == counters.rule).peekable();
    if counters.is_free() || versions.peek().is_none() {
        return true;
    }
    // The earliest that a payment can still be made at, by any clock the table knows.
    const AROUND: i64 = 2 * MAX_OFFSET as i64;
    let earliest = LocalTime::at(Timestamp(midnight.0.saturating_sub(AROUND)), offsets);
    let streak_is_over = counters.streak == 0 || counters.streak_day.0 < earliest.day().0.saturating_sub(1);
    versions.all(|rule| {
        let window_is_over = match rule.window() {
            Window::Lifetime | Window::Schedule => false,
            window => counters.epoch <= rule.epoch && counters.window < window.index(earliest),
        };
        is_over(rule, midnight) || window_is_over && streak_is_over
    })
}
