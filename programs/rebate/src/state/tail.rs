//! What stands behind an account's header.

use anchor_lang::prelude::*;
use bytemuck::{AnyBitPattern, NoUninit};

/// The bytes behind the header `H` of an account.
///
/// # Safety
/// The account was loaded to be written to, and no other slice of its tail is alive while this one is.
#[inline(always)]
pub unsafe fn tail<'a, H>(account: &AccountView) -> &'a mut [u8] {
    let mut view = *account;
    // SAFETY: the data lives as long as the instruction; the caller promises that nothing else refers to the tail, and the
    // loaded account itself only ever touches the header.
    let data = unsafe { core::slice::from_raw_parts_mut(view.data_mut_ptr(), view.data_len()) };
    data.get_mut(8usize.saturating_add(size_of::<H>())..).unwrap_or_default()
}

/// The first `count` items of `bytes`, and the bytes behind them.
///
/// # Errors
/// [`ProgramError::AccountDataTooSmall`] if there are fewer.
#[inline(always)]
pub fn items<T: AnyBitPattern + NoUninit>(bytes: &mut [u8], count: usize) -> Result<(&mut [T], &mut [u8])> {
    let length = count.saturating_mul(size_of::<T>());
    let (items, rest) = bytes.split_at_mut_checked(length).ok_or(ProgramError::AccountDataTooSmall)?;
    Ok((bytemuck::try_cast_slice_mut(items).map_err(|_| ProgramError::InvalidAccountData)?, rest))
}
