//! What a user has of one asset, what of it is about to expire, and what the user owes.

use crate::units::{Amount, MAX_ASSETS, PeriodIndex};
use bytemuck::{Pod, Zeroable};

/// A user's balance of one asset. 32 bytes, no padding.
///
/// Who owes has nothing: where `debt` is more than 0, both parts are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Balance {
    /// What was granted in the period `period`; everything, where the asset does not expire.
    pub current: Amount,
    /// What is left of the period before.
    pub previous: Amount,
    /// What the user owes: reversed grants that were spent already.
    pub debt: Amount,
    /// The period the two parts are of.
    pub period: PeriodIndex,
    /// Zero.
    pub reserved: [u8; 4],
}

/// A user's balances, by asset slot.
pub type Balances = [Balance; MAX_ASSETS];

/// The balance would pass 2^64 − 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceOverflow;

impl Balance {
    /// A balance of `amount` of an asset that does not expire.
    pub fn of(amount: Amount) -> Self {
        Self { current: amount, ..Self::default() }
    }

    /// What the user has.
    #[inline(always)]
    pub fn total(&self) -> Amount {
        // No more than a u64 holds, by `credit`.
        Amount(self.current.0.wrapping_add(self.previous.0))
    }

    /// Pays what is owed out of `amount` and adds the rest. Returns what was added.
    ///
    /// # Errors
    /// [`BalanceOverflow`]; nothing was changed.
    #[inline]
    pub fn credit(&mut self, amount: Amount) -> Result<Amount, BalanceOverflow> {
        let repaid = amount.0.min(self.debt.0);
        let added = amount.0.wrapping_sub(repaid);
        self.total().0.checked_add(added).ok_or(BalanceOverflow)?;
        self.debt = Amount(self.debt.0.wrapping_sub(repaid));
        self.current = Amount(self.current.0.wrapping_add(added));
        Ok(Amount(added))
    }

    /// Takes up to `amount`, the older part first. Returns what was taken.
    pub fn debit(&mut self, amount: Amount) -> Amount {
        let older = amount.0.min(self.previous.0);
        let newer = amount.0.wrapping_sub(older).min(self.current.0);
        self.previous = Amount(self.previous.0.wrapping_sub(older));
        self.current = Amount(self.current.0.wrapping_sub(newer));
        Amount(older.wrapping_add(newer))
    }

    /// Takes `amount`; what the balance does not have becomes a debt. Returns what was taken.
    ///
    /// # Errors
    /// [`BalanceOverflow`] if the debt would pass 2^64 − 1; nothing was changed.
    pub fn reverse(&mut self, amount: Amount) -> Result<Amount, BalanceOverflow> {
        let owed = amount.0.saturating_sub(self.total().0);
        let debt = self.debt.0.checked_add(owed).ok_or(BalanceOverflow)?;
        let taken = self.debit(amount);
        self.debt = Amount(debt);
        Ok(taken)
    }

    /// Closes the periods before `period` and returns what expires: what is left of the last period when this one
    /// closes, and of both when one more has gone by.
    pub fn expire(&mut self, period: PeriodIndex) -> Amount {
        let expired = match period.0.checked_sub(self.period.0) {
            Some(..=0) => return Amount(0),
            Some(1) => {
                let expired = self.previous;
                self.previous = self.current;
                expired
            }
            _ => {
                let expired = self.total();
                self.previous = Amount(0);
                expired
            }
        };
        self.current = Amount(0);
        self.period = period;
        expired
    }
}
