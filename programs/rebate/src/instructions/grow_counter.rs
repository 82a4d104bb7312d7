//! Makes room in counters towards one streamer or in one session.

use crate::{
    error::RebateError,
    state::{Counter, Platform, counter::counters},
};
use anchor_lang::{AccountRealloc, prelude::*};

#[derive(Accounts)]
pub struct GrowCounter {
    /// Pays the rent. Anybody may, or who opened the counters could keep others from using them.
    #[account(mut)]
    pub payer: Signer,
    pub platform: Account<Platform>,
    #[account(mut, constraint = anchor_lang::address_eq(&counter.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub counter: Account<Counter>,
    pub system_program: Program<System>,
}

/// - Room is made for `slots` rules, no fewer than there are. The rent goes to who opened them once they close.
pub fn handle(ctx: &mut Context<GrowCounter>, slots: u8) -> Result<()> {
    let payer = *ctx.accounts.payer.account();
    let counter = &mut ctx.accounts.counter;
    let before = counter.slots;
    require!(slots >= before, RebateError::NoRoom);
    counter.realloc_account(Counter::space(slots), payer, true)?;
    counter.slots = slots;
    // SAFETY: the only slice of the counters.
    unsafe { counters(counter)? }.iter_mut().skip(usize::from(before)).for_each(|place| *place = Default::default());
    Ok(())
}
