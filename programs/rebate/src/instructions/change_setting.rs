//! Changes a setting of a platform that is a span of time.

use super::SetPauser;
use crate::{error::RebateError, events::SettingChanged, journal::Emitter};
use anchor_lang::prelude::*;
use rebate_core::units::Timestamp;

/// How far back a record may lie.
pub const MAX_LATENESS: u8 = 1;
/// How far ahead changes must be announced.
pub const TIMELOCK: u8 = 2;

/// - Signed by the platform's admin.
/// - Making it longer counts at once or at a given time, making it shorter no earlier than the timelock allows.
/// - Emits `SettingChanged`.
pub fn handle(ctx: &mut Context<SetPauser>, setting: u8, value: u32, effective_at: i64) -> Result<()> {
    let now = Timestamp(Clock::get()?.unix_timestamp);
    let platform = &mut ctx.accounts.platform;
    let address = platform.address().to_bytes();
    let timelock = platform.timelock.at(now);
    let changed = match setting {
        MAX_LATENESS => &mut platform.max_lateness,
        TIMELOCK => &mut platform.timelock,
        _ => return Err(RebateError::InvalidSettings.into()),
    };
    changed.change(value, Timestamp(effective_at), now, timelock)?;
    platform.invariant()?;

    let mut emitter = Emitter::new(&ctx.accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    emitter.emit(&mut ctx.accounts.journal, |index| SettingChanged {
        journal_index: index.0,
        at: now.0,
        platform: address,
        setting,
        value,
        effective_at,
    })
}
