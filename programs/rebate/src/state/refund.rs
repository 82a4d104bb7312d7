//! The proof that an order is in the journal, and afterwards what was refunded of it.

use super::tail::{items, tail};
use anchor_lang::prelude::*;
use rebate_core::refund::Grant;

/// Seeds: `refund`, platform, SHA-256 of the order number. Behind the header stands the order's event until it is proved,
/// then its grants as `rebate_core::refund` lays them out, 24 bytes each.
#[account]
pub struct Refund {
    /// Whose order this is.
    pub platform: Address,
    /// SHA-256 of the order number.
    pub order: [u8; 32],
    /// Who paid the rent.
    pub payer: Address,
    /// The node of the journal that the proof has reached.
    pub node: [u8; 32],
    /// Who paid the order; zero until it is proved.
    pub user: [u8; 32],
    /// The event's position in the journal.
    pub journal_index: u64,
    /// What was paid.
    pub paid: u64,
    /// When, Unix seconds.
    pub paid_at: i64,
    /// To whom.
    pub streamer: u64,
    /// In which session.
    pub session: u64,
    /// What of the order was refunded so far.
    pub refunded: u64,
    /// When the account was opened, Unix seconds.
    pub opened_at: i64,
    /// How many bytes of the event there are.
    pub event_length: u32,
    /// How many of them were written.
    pub written: u32,
    /// How many grants there are.
    pub grants: u16,
    /// [`WRITING`], [`CLIMBING`] or [`PROVED`].
    pub stage: u8,
    /// How high `node` stands over the leaves.
    pub height: u8,
    /// Layout version.
    pub version: u8,
    /// Of the account's address.
    pub bump: u8,
    /// Zero.
    pub reserved: [u8; 2],
}

/// The event is being written.
pub const WRITING: u8 = 0;
/// The event is whole; the path is being followed.
pub const CLIMBING: u8 = 1;
/// The order is in the journal.
pub const PROVED: u8 = 2;

impl Refund {
    /// The size of an account for an event of `event_length` bytes, discriminator included: its grants need no more.
    pub const fn space(event_length: u32) -> usize {
        // At most 8 + 232 + 2^32.
        #[allow(clippy::arithmetic_side_effects, reason = "bounded")]
        {
            8 + size_of::<Self>() + event_length as usize
        }
    }
}

/// The bytes behind the header of a loaded account.
///
/// # Safety
/// The account was loaded to be written to, and no other slice of them is alive.
pub unsafe fn event<'a>(refund: &Account<Refund>) -> &'a mut [u8] {
    // SAFETY: as the caller promises.
    unsafe { tail::<Refund>(refund.account()) }
}

/// The grants of a proved order.
///
/// # Safety
/// As of [`event`].
pub unsafe fn grants<'a>(refund: &Account<Refund>) -> Result<&'a mut [Grant]> {
    // SAFETY: as the caller promises.
    let bytes: &'a mut [u8] = unsafe { tail::<Refund>(refund.account()) };
    Ok(items(bytes, usize::from(refund.grants))?.0)
}
