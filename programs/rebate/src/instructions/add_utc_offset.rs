//! Adds a row to the table of UTC offsets.

use super::RegisterOracleKey;
use crate::{
    error::RebateError,
    events::{OffsetAdded, OffsetEntry},
    journal::Emitter,
    state::{MAX_OFFSETS, UtcOffsetRow, rule_book::may_take_effect},
};
use anchor_lang::prelude::*;
use rebate_core::{time::DAY, units::Timestamp};

/// - Signed by the platform's admin.
/// - The row must be later than those there are, and no earlier than the timelock allows; before the first payment, at any
///   time.
/// - A full table loses its oldest row where no record can come for it any more.
/// - Emits `OffsetAdded`.
pub fn handle(ctx: &mut Context<RegisterOracleKey>, offset: OffsetEntry) -> Result<()> {
    let now = Timestamp(Clock::get()?.unix_timestamp);
    let platform = &mut ctx.accounts.platform;
    let address = platform.address().to_bytes();
    require!(may_take_effect(&ctx.accounts.rule_book, Timestamp(offset.from), platform, now), RebateError::TooEarly);
    if usize::from(platform.offset_count) == MAX_OFFSETS {
        let open_from = i64::from(platform.open_from).saturating_mul(DAY);
        // The first row is needed until the second one began, for the last record of the day before.
        require!(platform.offsets.get(1).is_some_and(|second| second.from <= open_from), RebateError::OffsetsFull);
        platform.offsets.rotate_left(1);
        platform.offset_count = platform.offset_count.saturating_sub(1);
    }
    let place = usize::from(platform.offset_count);
    *platform.offsets.get_mut(place).ok_or(RebateError::OffsetsFull)? =
        UtcOffsetRow { from: offset.from, seconds: offset.seconds, reserved: [0; 4] };
    platform.offset_count = platform.offset_count.saturating_add(1);
    platform.invariant()?;

    let mut emitter = Emitter::new(&ctx.accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    emitter.emit(&mut ctx.accounts.journal, |index| OffsetAdded {
        journal_index: index.0,
        at: now.0,
        platform: address,
        offset,
    })
}
