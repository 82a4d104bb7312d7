//! What one rule counts of one user, in one scope.

use crate::units::{Amount, LocalDay, RuleId, RuleVersion, WindowIndex};
use bytemuck::{Pod, Zeroable};

/// The counters of one rule in one scope. 40 bytes, no padding; all zero where there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Counters {
    /// Whose these are.
    pub rule: RuleId,
    /// Since which version of the rule they are counted this way: its [`Rule::epoch`](crate::rule::Rule::epoch). 0 where
    /// nothing was counted yet.
    pub epoch: RuleVersion,
    /// The window they stand in.
    pub window: WindowIndex,
    /// What was paid in the window by payments that count.
    pub spend: Amount,
    /// What the rule granted in the window.
    pub granted: Amount,
    /// How many payments of the window count.
    pub payments: u32,
    /// How often the rule granted in the window.
    pub grants: u32,
    /// On how many days in a row there was a payment that counts; windows do not end it.
    pub streak: u32,
    /// The last of those days.
    pub streak_day: LocalDay,
}

/// The counters stand in a window later than the payment's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaterWindow;

/// A counter would pass its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterOverflow;

impl Counters {
    /// The counters of a rule that has counted nothing yet.
    pub fn of(rule: RuleId) -> Self {
        Self { rule, ..Self::default() }
    }

    /// Whether this is room for a rule's counters, and nobody's.
    pub fn is_free(&self) -> bool {
        self.epoch.0 == 0
    }

    /// Goes on to the window `window` of the epoch `epoch`: a later window begins at zero, but for the streak; a later epoch
    /// with everything at zero. Says whether that changed anything.
    ///
    /// # Errors
    /// [`LaterWindow`] if they stand in a later one; nothing was changed.
    #[inline(always)]
    pub fn roll(&mut self, epoch: RuleVersion, window: WindowIndex) -> Result<bool, LaterWindow> {
        if self.epoch == epoch {
            if self.window == window {
                return Ok(false);
            }
            if self.window > window {
                return Err(LaterWindow);
            }
        } else {
            if self.epoch > epoch {
                return Err(LaterWindow);
            }
            self.epoch = epoch;
            self.streak = 0;
            self.streak_day = LocalDay(0);
        }
        self.window = window;
        self.spend = Amount(0);
        self.granted = Amount(0);
        self.payments = 0;
        self.grants = 0;
        Ok(true)
    }

    /// Counts a payment of `amount` made on `day`, and says whether it lengthened the streak: a first day, the day after
    /// the last one, or a new beginning after a gap.
    ///
    /// # Errors
    /// [`CounterOverflow`], and nothing of use is counted.
    #[inline(always)]
    pub fn count(&mut self, amount: Amount, day: LocalDay) -> Result<bool, CounterOverflow> {
        self.spend = Amount(self.spend.0.checked_add(amount.0).ok_or(CounterOverflow)?);
        self.payments = self.payments.checked_add(1).ok_or(CounterOverflow)?;
        if self.streak != 0 && day <= self.streak_day {
            return Ok(false);
        }
        let next = self.streak != 0 && self.streak_day.0.checked_add(1) == Some(day.0);
        self.streak = if next { self.streak.checked_add(1).ok_or(CounterOverflow)? } else { 1 };
        self.streak_day = day;
        Ok(true)
    }
}
