//! What a user has.

use anchor_lang::prelude::*;
use rebate_core::{
    evaluate::Balances,
    units::{Amount, MAX_ASSETS, PaymentNumber, UserKey},
};

/// Seeds: `user`, platform, user key.
#[account]
pub struct User {
    /// Whose user this is.
    pub platform: Address,
    /// HMAC-SHA256(platform secret, user id).
    pub key: [u8; 32],
    /// Per asset, in its smallest unit; asset `n` stands at `n - 1`.
    pub balances: [u64; MAX_ASSETS],
    /// How many payments of this user were accepted.
    pub payments: u64,
    /// Layout version.
    pub version: u8,
    /// Of the account's address.
    pub bump: u8,
    /// Zero.
    pub reserved: [u8; 62],
}

impl User {
    /// Whether this is the account of `key` with `platform`.
    pub fn is(&self, platform: &Address, key: &UserKey) -> bool {
        anchor_lang::address_eq(&self.platform, platform) && self.key == key.0
    }

    /// The balances, by asset slot.
    pub fn balances(&self) -> Balances {
        self.balances.map(Amount)
    }

    /// The number the next payment of this user has.
    pub fn next_payment(&self) -> PaymentNumber {
        PaymentNumber(self.payments.saturating_add(1))
    }

    /// Takes over what the evaluation of a payment came to.
    pub fn apply(&mut self, number: PaymentNumber, balances: &Balances) {
        self.payments = number.0;
        self.balances = balances.map(|balance| balance.0);
    }
}

/// The size of the account, discriminator included.
pub const SPACE: usize = 8 + size_of::<User>();
