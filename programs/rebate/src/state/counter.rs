//! What rules count of a user towards one streamer or in one session.

use super::tail::{items, tail};
use anchor_lang::prelude::*;
use rebate_core::{
    counters::Counters,
    units::{ScopeId, UserKey},
    window::Scope,
};

/// Seeds: `counter`, platform, user key, scope (1 byte), scope id (8 bytes, little-endian). Behind the header stand `slots`
/// counters as `rebate_core::counters` lays them out, 40 bytes each.
#[account]
pub struct Counter {
    /// Whose these are.
    pub platform: Address,
    /// The user's key.
    pub user: [u8; 32],
    /// Who opened them, and gets the rent back.
    pub payer: Address,
    /// The streamer's or the session's number.
    pub scope_id: u64,
    /// 2 user_streamer, 3 user_session.
    pub scope: u8,
    /// For the counters of how many rules there is room.
    pub slots: u8,
    /// Layout version.
    pub version: u8,
    /// Of the account's address.
    pub bump: u8,
    /// Zero.
    pub reserved: [u8; 12],
}

impl Counter {
    /// Whether these are the counters of a user in a scope.
    pub fn is(&self, platform: &Address, user: &UserKey, scope: Scope, id: ScopeId) -> bool {
        anchor_lang::address_eq(&self.platform, platform)
            && self.user == user.0
            && self.scope == scope as u8
            && self.scope_id == id.0
    }

    /// The size of an account with room for `slots` rules, discriminator included.
    pub const fn space(slots: u8) -> usize {
        // At most 128 + 255 · 40.
        #[allow(clippy::arithmetic_side_effects, reason = "bounded")]
        {
            8 + size_of::<Self>() + size_of::<Counters>() * slots as usize
        }
    }
}

/// The counters behind the header of a loaded account.
///
/// # Safety
/// The account was loaded to be written to, and no other slice of them is alive.
pub unsafe fn counters<'a>(counter: &Account<Counter>) -> Result<&'a mut [Counters]> {
    // SAFETY: as the caller promises.
    let bytes: &'a mut [u8] = unsafe { tail::<Counter>(counter.account()) };
    Ok(items(bytes, usize::from(counter.slots))?.0)
}
