//! Takes up the role of admin.

use super::set_pauser::ADMIN;
use crate::{
    error::RebateError,
    events::RoleChanged,
    journal::Emitter,
    state::{Journal, Platform},
};
use anchor_lang::prelude::*;

#[event_cpi]
#[derive(Accounts)]
pub struct AcceptAdmin {
    #[account(address = platform.next_admin @ RebateError::NotNextAdmin)]
    pub next_admin: Signer,
    #[account(mut)]
    pub platform: Account<Platform>,
    #[account(mut, constraint = anchor_lang::address_eq(&journal.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub journal: Account<Journal>,
}

/// - Signed by who was proposed, after the timelock.
/// - Emits `RoleChanged`.
pub fn handle(ctx: &mut Context<AcceptAdmin>) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let platform = &mut ctx.accounts.platform;
    require!(now >= platform.next_admin_from, RebateError::NotNextAdmin);
    platform.admin = platform.next_admin;
    platform.next_admin = Address::default();
    platform.next_admin_from = 0;
    let (address, admin) = (platform.address().to_bytes(), platform.admin.to_bytes());

    let mut emitter = Emitter::new(&ctx.accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    emitter.emit(&mut ctx.accounts.journal, |index| RoleChanged {
        journal_index: index.0,
        at: now,
        platform: address,
        role: ADMIN,
        holder: admin,
        effective_at: 0,
    })
}
