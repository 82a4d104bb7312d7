//! Names who may take up the role of admin.

use super::{SetPauser, set_pauser::ADMIN};
use crate::{events::RoleChanged, journal::Emitter};
use anchor_lang::prelude::*;
use rebate_core::units::Timestamp;

/// - Signed by the platform's admin.
/// - The role can be taken up after the timelock; the zero address takes the proposal back.
/// - Emits `RoleChanged`.
pub fn handle(ctx: &mut Context<SetPauser>, next: [u8; 32]) -> Result<()> {
    let now = Timestamp(Clock::get()?.unix_timestamp);
    let platform = &mut ctx.accounts.platform;
    let from = platform.earliest_change(now);
    platform.next_admin = Address::new_from_array(next);
    platform.next_admin_from = from.0;
    let address = platform.address().to_bytes();

    let mut emitter = Emitter::new(&ctx.accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    emitter.emit(&mut ctx.accounts.journal, |index| RoleChanged {
        journal_index: index.0,
        at: now.0,
        platform: address,
        role: ADMIN,
        holder: next,
        // 0 says that somebody has the role now.
        effective_at: from.0.max(1),
    })
}
