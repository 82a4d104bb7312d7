//! The orders of one day and shard.

use super::tail::tail;
use crate::error::RebateError;
use anchor_lang::{pinocchio::account::MAX_PERMITTED_DATA_INCREASE, prelude::*};
use rebate_core::{
    order::{self, Fingerprint, MAX_OPENED_SLOTS, Place},
    units::{Day, OrderHash},
};

/// Seeds: `orders`, platform, day (4 bytes, little-endian), shard (2 bytes, little-endian), number (2 bytes, little-endian).
/// The header is followed by the slots, 8 bytes each, as `rebate_core::order` describes them.
#[account]
pub struct OrderPage {
    /// Whose orders these are.
    pub platform: Address,
    /// Who paid the rent and gets it back.
    pub payer: Address,
    /// Days since 1970-01-01, UTC, of the orders' time.
    pub day: u32,
    /// How many orders were taken.
    pub taken: u32,
    /// Which of the day's shards.
    pub shard: u16,
    /// The how-manieth page of its day and shard, from 0.
    pub number: u16,
    /// 1 once another page follows and this one takes no more.
    pub sealed: u8,
    /// Layout version.
    pub version: u8,
    /// Of the page's address.
    pub bump: u8,
    /// Zero.
    pub reserved: [u8; 17],
}

const _: () = assert!(OrderPage::space(MAX_OPENED_SLOTS as u32) <= MAX_PERMITTED_DATA_INCREASE);
const _: () = assert!(OrderPage::space(MAX_OPENED_SLOTS as u32 + 1) > MAX_PERMITTED_DATA_INCREASE);

impl OrderPage {
    /// The size of the account with `slots` slots, discriminator included.
    pub const fn space(slots: u32) -> usize {
        // At most 8 + 96 + 8 · (2^32 − 1).
        #[allow(clippy::arithmetic_side_effects, reason = "bounded")]
        {
            8 + size_of::<Self>() + 8 * slots as usize
        }
    }

    /// Whether this is the page `number` of a day and a shard.
    #[inline(always)]
    pub fn is(&self, platform: &Address, day: Day, shard: u16, number: u16) -> bool {
        anchor_lang::address_eq(&self.platform, platform)
            && self.day == day.0
            && self.shard == shard
            && self.number == number
    }
}

/// The slots of a loaded page.
///
/// # Safety
/// No other slice of the slots is alive.
unsafe fn slots<'a>(page: &Account<OrderPage>) -> Result<&'a mut [u64]> {
    // SAFETY: as the caller promises.
    let bytes: &'a mut [u8] = unsafe { tail::<OrderPage>(page.account()) };
    bytemuck::try_cast_slice_mut(bytes).map_err(|_| ProgramError::InvalidAccountData)
}

/// How many slots the page has.
pub fn slot_count(page: &Account<OrderPage>) -> usize {
    page.current_space().saturating_sub(OrderPage::space(0)).div_euclid(size_of::<u64>())
}

/// Where an order stands in the page.
pub fn look_up(page: &Account<OrderPage>, order: &OrderHash) -> Result<Place> {
    // SAFETY: the slice ends with this call, and nothing else looks at the slots meanwhile.
    let slots = unsafe { slots(page)? };
    Ok(order::find(slots, page.taken as usize, Fingerprint::of(order)))
}

/// Takes the order at the place that [`look_up`] named.
pub fn take(page: &mut Account<OrderPage>, place: usize, order: &OrderHash) -> Result<()> {
    require!(page.sealed == 0, RebateError::OrderPageFull);
    // SAFETY: as in `look_up`.
    order::take(unsafe { slots(page)? }, place, Fingerprint::of(order));
    page.taken = page.taken.saturating_add(1);
    Ok(())
}
