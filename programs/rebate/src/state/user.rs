//! What a user has, and what rules count of a user.

use super::tail::{items, tail};
use anchor_lang::prelude::*;
use rebate_core::{
    balance::{Balance, Balances},
    counters::Counters,
    units::{MAX_ASSETS, PaymentNumber, UserKey},
};

/// Seeds: `user`, platform, user key. Behind the header stand `balance_slots` balances as `rebate_core::balance` lays them
/// out, 32 bytes each, then `counter_slots` counters as `rebate_core::counters` does, 40 bytes each.
#[account]
pub struct User {
    /// Whose user this is.
    pub platform: Address,
    /// HMAC-SHA256(platform secret, user id).
    pub key: [u8; 32],
    /// Who may claim the user's tokens; zero for nobody yet.
    pub wallet: Address,
    /// When the wallet was linked, Unix seconds.
    pub wallet_linked_at: i64,
    /// How many payments of this user were accepted.
    pub payments: u64,
    /// How many balances there is room for; asset `n` stands at `n - 1`.
    pub balance_slots: u8,
    /// For the counters of how many rules there is room.
    pub counter_slots: u8,
    /// Layout version.
    pub version: u8,
    /// Of the account's address.
    pub bump: u8,
    /// Zero.
    pub reserved: [u8; 4],
}

/// What stands behind a user's header.
pub struct Holdings<'a> {
    /// By asset slot.
    pub balances: &'a mut [Balance],
    /// Of the rules the user has met, and free room.
    pub counters: &'a mut [Counters],
}

impl User {
    /// Whether this is the account of `key` with `platform`.
    #[inline(always)]
    pub fn is(&self, platform: &Address, key: &UserKey) -> bool {
        anchor_lang::address_eq(&self.platform, platform) && self.key == key.0
    }

    /// The number the next payment of this user has.
    pub fn next_payment(&self) -> PaymentNumber {
        PaymentNumber(self.payments.saturating_add(1))
    }

    /// The size of an account with room for so many, discriminator included.
    pub const fn space(balances: u8, counters: u8) -> usize {
        // At most 128 + 255 · 72.
        #[allow(clippy::arithmetic_side_effects, reason = "bounded")]
        {
            8 + size_of::<Self>() + size_of::<Balance>() * balances as usize + size_of::<Counters>() * counters as usize
        }
    }
}

/// What stands behind the header of a loaded user.
///
/// # Safety
/// The account was loaded to be written to, and no other holdings of it are alive.
#[inline(always)]
pub unsafe fn holdings<'a>(user: &Account<User>) -> Result<Holdings<'a>> {
    // SAFETY: as the caller promises.
    let bytes: &'a mut [u8] = unsafe { tail::<User>(user.account()) };
    let (balances, bytes) = items(bytes, usize::from(user.balance_slots))?;
    let (counters, _) = items(bytes, usize::from(user.counter_slots))?;
    Ok(Holdings { balances, counters })
}

impl Holdings<'_> {
    /// The balances of all assets; none of those there is no room for.
    #[inline(always)]
    pub fn balances(&self) -> Balances {
        let mut all = [Balance::default(); MAX_ASSETS];
        for (balance, stored) in all.iter_mut().zip(self.balances.iter()) {
            *balance = *stored;
        }
        all
    }

    /// Whether there is room for all of `balances`.
    #[inline(always)]
    pub fn has_room_for(&self, balances: &Balances) -> bool {
        balances.iter().skip(self.balances.len()).all(|balance| balance.total().0 == 0 && balance.debt.0 == 0)
    }

    /// Writes the balances there is room for.
    #[inline(always)]
    pub fn store(&mut self, balances: &Balances) {
        for (stored, balance) in self.balances.iter_mut().zip(balances) {
            *stored = *balance;
        }
    }
}
