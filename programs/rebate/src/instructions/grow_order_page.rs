//! Grows an order page that is still empty.

use crate::{
    error::RebateError,
    state::{OrderPage, Platform, order_page::slot_count},
};
use anchor_lang::{AccountRealloc, prelude::*};

/// The most slots a page can have: 8 MB, below what an account can have.
const MAX_SLOTS: u32 = 1 << 20;

#[derive(Accounts)]
pub struct GrowOrderPage {
    /// Pays the rent, and gets it back.
    #[account(mut, address = page.payer @ RebateError::NotPayer)]
    pub payer: Signer,
    pub platform: Account<Platform>,
    #[account(mut, constraint = anchor_lang::address_eq(&page.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub page: Account<OrderPage>,
    pub system_program: Program<System>,
}

/// - Signed by who opened it.
/// - The page must hold no orders, since their places follow from its size; it grows by at most 1 280 slots at a time.
pub fn handle(ctx: &mut Context<GrowOrderPage>, slots: u32) -> Result<()> {
    let payer = *ctx.accounts.payer.account();
    let page = &mut ctx.accounts.page;
    let grows = slots as usize > slot_count(page) && slots <= MAX_SLOTS;
    require!(grows && page.taken == 0 && page.sealed == 0, RebateError::OrderPageInUse);
    page.realloc_account(OrderPage::space(slots), payer, true)
}
