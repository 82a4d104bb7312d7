//! The orders of one day and shard.

use crate::error::RebateError;
use anchor_lang::prelude::*;
use rebate_core::{
    order::{self, Fingerprint, Place},
    payment::Payment,
    refusal::Refusal,
    time,
};

/// Seeds: `orders`, platform, day (4 bytes, little-endian), shard (2 bytes, little-endian). The header is followed by
/// the slots, 8 bytes each, as `rebate_core::order` describes them.
#[account]
pub struct OrderPage {
    /// Whose orders these are.
    pub platform: Address,
    /// Days since 1970-01-01, UTC, of the orders' `paid_at`.
    pub day: u32,
    /// How many orders were taken.
    pub taken: u32,
    /// Which of the platform's shards.
    pub shard: u16,
    /// Layout version.
    pub version: u8,
    /// Of the page's address.
    pub bump: u8,
    /// Zero.
    pub reserved: [u8; 20],
}

impl OrderPage {
    /// The size of the account with `slots` slots, discriminator included.
    pub const fn space(slots: u16) -> usize {
        // At most 8 + 64 + 8 · 65535.
        #[allow(clippy::arithmetic_side_effects, reason = "bounded")]
        {
            8 + size_of::<Self>() + 8 * slots as usize
        }
    }

    /// Whether this is the page of a payment.
    pub fn is_for(&self, platform: &Address, shards: u16, payment: &Payment) -> bool {
        anchor_lang::address_eq(&self.platform, platform)
            && time::utc_day(payment.paid_at).is_some_and(|day| day.0 == self.day)
            && order::shard(&payment.order, shards) == self.shard
    }
}

/// The slots of a loaded page.
///
/// # Safety
/// No other reference into the account's data beyond its header may be alive while the slice is.
unsafe fn slots<'a>(page: &Account<OrderPage>) -> Result<&'a mut [u64]> {
    let mut view = *page.account();
    // SAFETY: the data lives as long as the instruction; the caller promises that nothing else refers to the slots,
    // and `page` itself only ever touches the header.
    let data = unsafe { core::slice::from_raw_parts_mut(view.data_mut_ptr(), view.data_len()) };
    let bytes = data.get_mut(OrderPage::space(0)..).ok_or(ProgramError::AccountDataTooSmall)?;
    bytemuck::try_cast_slice_mut(bytes).map_err(|_| ProgramError::InvalidAccountData)
}

/// Where an order stands in the page.
///
/// # Errors
/// [`Refusal::DuplicateOrder`] inside if it was taken before; [`RebateError::OrderPageFull`] if there is no room.
pub fn look_up(page: &Account<OrderPage>, payment: &Payment) -> Result<core::result::Result<usize, Refusal>> {
    // SAFETY: the slice ends with this call, and nothing else looks at the slots meanwhile.
    let slots = unsafe { slots(page)? };
    match order::find(slots, page.taken as usize, Fingerprint::of(&payment.order)) {
        Place::Free(place) => Ok(Ok(place)),
        Place::Taken => Ok(Err(Refusal::DuplicateOrder)),
        Place::Full => Err(RebateError::OrderPageFull.into()),
    }
}

/// Takes the order at the place that [`look_up`] named.
pub fn take(page: &mut Account<OrderPage>, place: usize, payment: &Payment) -> Result<()> {
    // SAFETY: as in `look_up`.
    order::take(unsafe { slots(page)? }, place, Fingerprint::of(&payment.order));
    page.taken = page.taken.saturating_add(1);
    Ok(())
}
