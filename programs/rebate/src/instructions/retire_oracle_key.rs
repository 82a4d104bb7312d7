//! Ends an oracle key's validity.

use super::SetPauser;
use crate::{error::RebateError, events::OracleKeyRetired, journal::Emitter};
use anchor_lang::prelude::*;

/// - Signed by the platform's admin.
/// - The validity becomes shorter, at the earliest now: taking a power away needs no timelock.
/// - Emits `OracleKeyRetired`.
pub fn handle(ctx: &mut Context<SetPauser>, key: [u8; 32], valid_until: i64) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let until = valid_until.max(now);
    let platform = &mut ctx.accounts.platform;
    let address = platform.address().to_bytes();
    let count = usize::from(platform.oracle_count);
    let known = platform.oracles.iter_mut().take(count).find(|known| known.key == key);
    let known = known.ok_or(RebateError::UnknownOracle)?;
    require!(known.valid_until == 0 || until < known.valid_until, RebateError::OracleNotValid);
    known.valid_until = until;

    let mut emitter = Emitter::new(&ctx.accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    emitter.emit(&mut ctx.accounts.journal, |index| OracleKeyRetired {
        journal_index: index.0,
        at: now,
        platform: address,
        key,
        valid_until: until,
    })
}
