//! Stops or resumes the recording of payments, at once.

use crate::{
    error::RebateError,
    events::PauseChanged,
    journal::Emitter,
    state::{Journal, Platform},
};
use anchor_lang::prelude::*;

#[event_cpi]
#[derive(Accounts)]
pub struct SetPaused {
    #[account(address = platform.pauser @ RebateError::NotPauser)]
    pub pauser: Signer,
    #[account(mut)]
    pub platform: Account<Platform>,
    #[account(mut, constraint = anchor_lang::address_eq(&journal.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub journal: Account<Journal>,
}

/// - Signed by the platform's pauser.
/// - Emits `PauseChanged`, also where nothing changed: somebody asked for it.
pub fn handle(ctx: &mut Context<SetPaused>, paused: bool) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let platform = ctx.accounts.platform.address().to_bytes();
    let by = ctx.accounts.pauser.account().address().to_bytes();
    ctx.accounts.platform.paused = u8::from(paused);

    let mut emitter = Emitter::new(&ctx.accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    emitter.emit(&mut ctx.accounts.journal, |index| PauseChanged {
        journal_index: index.0,
        at: now,
        platform,
        paused,
        by,
    })
}
