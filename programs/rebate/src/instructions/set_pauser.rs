//! Gives the role of pauser to somebody.

use crate::{
    error::RebateError,
    events::RoleChanged,
    journal::Emitter,
    state::{Journal, Platform},
};
use anchor_lang::prelude::*;

/// The role of who may change rules, assets and oracle keys.
pub const ADMIN: u8 = 1;
/// The role of who may stop and resume recording and claiming.
pub const PAUSER: u8 = 2;

/// What the admin changes of the platform itself.
#[event_cpi]
#[derive(Accounts)]
pub struct SetPauser {
    #[account(address = platform.admin @ RebateError::NotAdmin)]
    pub admin: Signer,
    #[account(mut)]
    pub platform: Account<Platform>,
    #[account(mut, constraint = anchor_lang::address_eq(&journal.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub journal: Account<Journal>,
}

/// - Signed by the platform's admin.
/// - Counts at once: a pauser whose key was lost must be replaced before it is needed.
/// - Emits `RoleChanged`.
pub fn handle(ctx: &mut Context<SetPauser>, pauser: [u8; 32]) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let platform = &mut ctx.accounts.platform;
    platform.pauser = Address::new_from_array(pauser);
    let address = platform.address().to_bytes();

    let mut emitter = Emitter::new(&ctx.accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    emitter.emit(&mut ctx.accounts.journal, |index| RoleChanged {
        journal_index: index.0,
        at: now,
        platform: address,
        role: PAUSER,
        holder: pauser,
        effective_at: 0,
    })
}
