//! Opens a page that remembers the orders of one day and shard.
#![allow(unused_variables, reason = "the framework binds every argument that `#[instruction]` names")]

use crate::{
    error::RebateError,
    state::{OrderPage, Platform, VERSION, order_page::slot_count},
};
use anchor_lang::prelude::*;
use rebate_core::{order::page_limit, time::DAY, units::Day};

/// So many slots a successor can always have: pages double until there.
const ENOUGH_SLOTS: usize = 1_024;

/// How many days ahead pages can be opened.
pub const DAYS_AHEAD: i64 = 32;

/// Behind these comes, for every page but the first, the page before it.
#[derive(Accounts)]
#[instruction(day: u32, shard: u16, number: u16, slots: u16)]
pub struct OpenOrderPage {
    /// Pays the rent, and gets it back. Anybody may open a page: it is empty, and only signed records fill it.
    #[account(mut)]
    pub payer: Signer,
    #[account(mut)]
    pub platform: Account<Platform>,
    #[account(init, payer = payer, space = OrderPage::space(u32::from(slots)), seeds = [b"orders", platform.address().as_ref(), &day.to_le_bytes(), &shard.to_le_bytes(), &number.to_le_bytes()], bump)]
    pub page: Account<OrderPage>,
    pub system_program: Program<System>,
}

/// - The page must not exist yet, and its day must be one that a record can still come for: not closed, no earlier than
///   `max_lateness` ago, and at most 32 days ahead.
/// - The first page of a day and shard has at least as many slots as the platform says.
/// - A page but the first seals the one before it, which must be three quarters full: records then go into this one. It has
///   twice as many slots, up to 1 024.
/// - Without a least size for either, anybody could make a day's pages so many that no record could bring them all.
pub fn handle(ctx: &mut Context<OpenOrderPage>, day: u32, shard: u16, number: u16, slots: u16) -> Result<()> {
    let before = ctx.remaining_accounts()?;
    let now = rebate_core::units::Timestamp(Clock::get()?.unix_timestamp);
    let (address, payer) = (*ctx.accounts.platform.address(), *ctx.accounts.payer.account().address());
    let platform = &mut ctx.accounts.platform;
    let first = now.0.saturating_sub(i64::from(platform.max_lateness.at(now).0)).div_euclid(DAY);
    let last = now.0.div_euclid(DAY).saturating_add(DAYS_AHEAD);
    let is_open = (first..=last).contains(&i64::from(day)) && day >= platform.open_from;
    require!(is_open && shard < platform.order_shards(Day(day)), RebateError::InvalidOrderPage);
    platform.last_opened = platform.last_opened.max(day);

    match (number.checked_sub(1), before.as_slice()) {
        (None, []) => {
            require!(slots >= platform.page_slots(Day(day)), RebateError::InvalidOrderPage);
        }
        (Some(number), [before]) => {
            // SAFETY: the page is none of the declared accounts, or the framework would have refused it.
            let mut before = unsafe { Account::<OrderPage>::load_mut(*before)? };
            require!(before.is(&address, Day(day), shard, number), RebateError::WrongOrderPage);
            let limit = page_limit(slot_count(&before));
            let nearly = limit.saturating_sub(limit / 4);
            require!(before.sealed == 0 && before.taken as usize >= nearly, RebateError::OrderPageInUse);
            let least = slot_count(&before).saturating_mul(2).min(ENOUGH_SLOTS);
            require!(usize::from(slots) >= least, RebateError::InvalidOrderPage);
            before.sealed = 1;
        }
        _ => return Err(RebateError::WrongAccounts.into()),
    }
    let page = &mut ctx.accounts.page;
    page.platform = address;
    page.payer = payer;
    page.day = day;
    page.shard = shard;
    page.number = number;
    page.version = VERSION;
    page.bump = ctx.bumps.page;
    Ok(())
}
