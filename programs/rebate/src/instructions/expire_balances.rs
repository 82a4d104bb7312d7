//! Lets what is left of a user's closed periods expire.

use crate::{
    error::RebateError,
    events::BalanceExpired,
    journal::Emitter,
    state::{Journal, Platform, User, user::holdings},
};
use alloc::vec::Vec;
use anchor_lang::prelude::*;
use rebate_core::{
    balance::Balances,
    expiry::{Expired, expire},
    time::LocalTime,
    units::Timestamp,
};

/// Anybody may: what expires is decided by the calendar.
#[event_cpi]
#[derive(Accounts)]
pub struct ExpireBalances {
    #[account(mut)]
    pub platform: Account<Platform>,
    #[account(mut, constraint = anchor_lang::address_eq(&user.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub user: Account<User>,
    #[account(mut, constraint = anchor_lang::address_eq(&journal.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub journal: Account<Journal>,
}

/// - Emits `BalanceExpired` for every asset of which something expired.
pub fn handle(ctx: &mut Context<ExpireBalances>) -> Result<()> {
    let now = Timestamp(Clock::get()?.unix_timestamp);
    let platform = &mut ctx.accounts.platform;
    // SAFETY: the only holdings of the user.
    let mut holdings = unsafe { holdings(&ctx.accounts.user)? };
    let before = holdings.balances();
    let mut balances = before;
    let expired = expire_balances(platform, &mut balances, now);
    holdings.store(&balances);
    platform.account_for(&before, &balances);

    let (address, user) = (platform.address().to_bytes(), ctx.accounts.user.key);
    let mut emitter = Emitter::new(&ctx.accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    emit_expired(&mut emitter, &mut ctx.accounts.journal, now, address, user, &expired)
}

/// The balances without what expired by `now`, and what expired. Nothing is written.
pub fn expire_balances(platform: &Platform, balances: &mut Balances, now: Timestamp) -> Vec<Expired> {
    let mut expired = Vec::new();
    if let Some(periods) = platform.periods() {
        expire(balances, &periods, LocalTime::at(now, platform.offsets()), |asset| expired.push(asset));
    }
    expired
}

/// Emits what expired of a user's balances.
pub fn emit_expired(
    emitter: &mut Emitter<'_>,
    journal: &mut Journal,
    now: Timestamp,
    platform: [u8; 32],
    user: [u8; 32],
    expired: &[Expired],
) -> Result<()> {
    for expired in expired {
        emitter.emit(journal, |index| BalanceExpired {
            journal_index: index.0,
            at: now.0,
            platform,
            user,
            asset: expired.asset.0,
            amount: expired.amount.0,
            before: expired.before.0,
            after: expired.after.0,
        })?;
    }
    Ok(())
}
