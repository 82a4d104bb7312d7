//! What backs a token: how much its vault holds, and how much of that users have a claim to.

use rebate_core::units::Amount;

/// A token's vault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vault {
    /// What it holds, in the token's smallest unit.
    pub funds: Amount,
    /// What users have of it.
    pub liability: Amount,
}

impl Vault {
    /// What can still be granted.
    pub fn free(&self) -> Amount {
        Amount(self.funds.0.saturating_sub(self.liability.0))
    }

    /// Follows one user's balance from `before` to `after`.
    pub(super) fn moves(&mut self, before: Amount, after: Amount) {
        // The sum of all balances is no less than one of them.
        self.liability = Amount(self.liability.0.saturating_sub(before.0).saturating_add(after.0));
    }
}
