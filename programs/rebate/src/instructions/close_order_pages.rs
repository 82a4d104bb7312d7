//! Closes order pages of days that are over, and these days for good.

use crate::{
    error::RebateError,
    events::DayClosed,
    journal::Emitter,
    state::{Journal, OrderPage, Platform},
};
use anchor_lang::{AccountClose, prelude::*};
use rebate_core::{time::DAY, units::Timestamp};

/// Behind these come, in pairs, a page and who opened it. Anybody may: the rent goes back to who paid it.
#[event_cpi]
#[derive(Accounts)]
pub struct CloseOrderPages {
    pub closer: Signer,
    #[account(mut)]
    pub platform: Account<Platform>,
    #[account(mut, constraint = anchor_lang::address_eq(&journal.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub journal: Account<Journal>,
}

/// - A page's day must be beyond `max_lateness`, as a whole.
/// - The platform refuses records of these days and of all before from then on, whatever `max_lateness` says later.
/// - The rent goes back to who paid it.
/// - Emits `DayClosed` where a later day than before was closed.
pub fn handle(ctx: &mut Context<CloseOrderPages>) -> Result<()> {
    let passed = ctx.remaining_accounts()?;
    let now = Timestamp(Clock::get()?.unix_timestamp);
    let platform = &mut ctx.accounts.platform;
    let address = *platform.address();
    let lateness = i64::from(platform.max_lateness.at(now).0);
    let mut open_from = platform.open_from;
    require!(passed.len() % 2 == 0 && !passed.is_empty(), RebateError::WrongAccounts);
    for pair in passed.chunks_exact(2) {
        let [page, payer] = pair else { return Err(RebateError::WrongAccounts.into()) };
        // SAFETY: no declared account can be passed again, and a page that is passed twice is closed the second time.
        let mut page = unsafe { Account::<OrderPage>::load_mut(*page)? };
        require!(anchor_lang::address_eq(&page.platform, &address), RebateError::WrongPlatform);
        require!(anchor_lang::address_eq(&page.payer, payer.address()), RebateError::NotPayer);
        let next = page.day.saturating_add(1);
        let end = i64::from(next).saturating_mul(DAY);
        require!(end.saturating_add(lateness) <= now.0, RebateError::OrderPageInUse);
        open_from = open_from.max(next);
        page.close(*payer)?;
    }
    if open_from == platform.open_from {
        return Ok(());
    }
    platform.open_from = open_from;
    let mut emitter = Emitter::new(&ctx.accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    emitter.emit(&mut ctx.accounts.journal, |index| DayClosed {
        journal_index: index.0,
        at: now.0,
        platform: address.to_bytes(),
        day: open_from.saturating_sub(1),
    })
}
