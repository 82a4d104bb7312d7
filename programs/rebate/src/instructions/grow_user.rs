//! Makes room in a user's account.

use crate::{
    error::RebateError,
    state::{Platform, User, user::holdings},
};
use alloc::vec::Vec;
use anchor_lang::{AccountRealloc, prelude::*};

#[derive(Accounts)]
pub struct GrowUser {
    /// Pays the rent; anybody may.
    #[account(mut)]
    pub payer: Signer,
    pub platform: Account<Platform>,
    #[account(mut, constraint = anchor_lang::address_eq(&user.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub user: Account<User>,
    pub system_program: Program<System>,
}

/// - Room is made for every asset of the platform and for the counters of `counter_slots` rules, no fewer than there are.
pub fn handle(ctx: &mut Context<GrowUser>, counter_slots: u8) -> Result<()> {
    let balance_slots = ctx.accounts.platform.asset_count;
    let payer = *ctx.accounts.payer.account();
    let user = &mut ctx.accounts.user;
    require!(counter_slots >= user.counter_slots, RebateError::NoRoom);
    // SAFETY: the only holdings of the user until the account has grown; what is kept of them is copied.
    let held = unsafe { holdings(user)? };
    let (balances, counters): (Vec<_>, Vec<_>) = (held.balances.to_vec(), held.counters.to_vec());

    user.realloc_account(User::space(balance_slots, counter_slots), payer, true)?;
    user.balance_slots = balance_slots;
    user.counter_slots = counter_slots;
    // SAFETY: those from before are gone.
    let room = unsafe { holdings(user)? };
    room.counters.fill(Default::default());
    for (place, balance) in room.balances.iter_mut().zip(&balances) {
        *place = *balance;
    }
    for balance in room.balances.iter_mut().skip(balances.len()) {
        *balance = Default::default();
    }
    for (place, counters) in room.counters.iter_mut().zip(counters) {
        *place = counters;
    }
    Ok(())
}
