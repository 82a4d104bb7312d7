//! The journal's account; what it does with it is in [`crate::journal`].

use anchor_lang::prelude::*;
use rebate_core::journal::MAX_PEAKS;

/// Seeds: `journal`, platform.
#[account]
pub struct Journal {
    /// Whose events these are.
    pub platform: Address,
    /// How many events there were.
    pub count: u64,
    /// `peaks[h]` is the root of a complete tree of `2^h` events, meaningful where bit `h` of `count` is set.
    pub peaks: [[u8; 32]; MAX_PEAKS],
    /// Layout version.
    pub version: u8,
    /// Of the journal's address.
    pub bump: u8,
    /// Zero.
    pub reserved: [u8; 62],
}

/// The size of the account, discriminator included.
pub const SPACE: usize = 8 + size_of::<Journal>();
