//! Opens the page that remembers the orders of one day and shard.
#![allow(unused_variables, reason = "the framework binds every argument that `#[instruction]` names")]

use crate::{
    error::RebateError,
    state::{OrderPage, Platform, VERSION},
};
use anchor_lang::prelude::*;
use rebate_core::time::DAY;

/// The fewest and the most slots a page can have: an account can be created with 10 kB at most.
const SLOTS: core::ops::RangeInclusive<u16> = 8..=1_024;

#[derive(Accounts)]
#[instruction(day: u32, shard: u16, slots: u16)]
pub struct OpenOrderPage {
    /// Pays the rent. Anybody may open a page: it is empty, and only signed records fill it.
    #[account(mut)]
    pub payer: Signer,
    pub platform: Account<Platform>,
    #[account(init, payer = payer, space = OrderPage::space(slots), seeds = [b"orders", platform.address().as_ref(), &day.to_le_bytes(), &shard.to_le_bytes()], bump)]
    pub page: Account<OrderPage>,
    pub system_program: Program<System>,
}

/// - The page must not exist yet, and its day must be one that a record can still come for: no earlier than
///   `max_lateness` ago, no later than tomorrow.
pub fn handle(ctx: &mut Context<OpenOrderPage>, day: u32, shard: u16, slots: u16) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let platform = &ctx.accounts.platform;
    let first = now.saturating_sub(i64::from(platform.max_lateness)).div_euclid(DAY);
    let last = now.div_euclid(DAY).saturating_add(1);
    let sound = SLOTS.contains(&slots) && shard < platform.order_shards && (first..=last).contains(&i64::from(day));
    require!(sound, RebateError::InvalidOrderPage);

    let address = *platform.address();
    let page = &mut ctx.accounts.page;
    page.platform = address;
    page.day = day;
    page.shard = shard;
    page.version = VERSION;
    page.bump = ctx.bumps.page;
    Ok(())
}
