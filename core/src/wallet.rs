//! Wallet links: to whom a user's tokens go.

use crate::{
    refusal::Refusal,
    units::{Timestamp, UserKey},
};

/// One link, as the oracle signs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalletLink {
    /// Whose wallet.
    pub user: UserKey,
    /// Its address.
    pub wallet: [u8; 32],
    /// When it was linked. A link counts only where it is newer than the one in effect, so that an old message cannot be
    /// used again.
    pub linked_at: Timestamp,
}

impl WalletLink {
    /// Checks that the link is newer than the one in effect; `linked_at` of a user without a wallet is 0.
    ///
    /// # Errors
    /// [`Refusal::StaleLink`].
    pub fn check_newer(&self, linked_at: Timestamp) -> Result<(), Refusal> {
        if self.linked_at <= linked_at { Err(Refusal::StaleLink) } else { Ok(()) }
    }
}
