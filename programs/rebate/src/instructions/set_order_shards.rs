//! Changes into how many pages the orders of later days are spread, and what room the first of these pages have.

use super::SetPauser;
use crate::{
    error::RebateError,
    events::OrderShardsChanged,
    journal::Emitter,
    state::{MAX_SHARD_ROWS, OrderShards, Platform},
};
use anchor_lang::prelude::*;

/// - Signed by the platform's admin.
/// - From a day on that is later than every day a page was opened for, and than today: an order must be looked for where it
///   was put.
/// - At least 1 shard, and 8 to 1,267 slots for a first page.
/// - Emits `OrderShardsChanged`.
pub fn handle(ctx: &mut Context<SetPauser>, from_day: u32, shards: u16, page_slots: u16) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let platform = &mut ctx.accounts.platform;
    let address = platform.address().to_bytes();
    let today = u32::try_from(now.div_euclid(rebate_core::time::DAY)).unwrap_or(u32::MAX);
    let row = OrderShards { from_day, shards, page_slots };
    let sound = from_day > platform.last_opened && from_day > today && row.is_sound();
    require!(sound, RebateError::InvalidOrderShards);
    platform.spread_orders(row)?;
    platform.invariant()?;

    let mut emitter = Emitter::new(&ctx.accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    emitter.emit(&mut ctx.accounts.journal, |index| OrderShardsChanged {
        journal_index: index.0,
        at: now,
        platform: address,
        from_day,
        shards,
        page_slots,
    })
}

impl Platform {
    /// Adds a row; one that is to begin on the same day or later is replaced, and one that only closed days need makes room.
    fn spread_orders(&mut self, row: OrderShards) -> Result<()> {
        let count = usize::from(self.shard_rows);
        let rows = self.order_shards.get(..count).unwrap_or_default();
        let kept = rows.iter().take_while(|other| other.from_day < row.from_day).count();
        let mut count = kept;
        let second = self.order_shards.get(1).filter(|_| count > 1);
        if count == MAX_SHARD_ROWS && second.is_some_and(|second| second.from_day <= self.open_from) {
            self.order_shards.rotate_left(1);
            count = count.saturating_sub(1);
        }
        *self.order_shards.get_mut(count).ok_or(RebateError::InvalidOrderShards)? = row;
        // At most MAX_SHARD_ROWS.
        self.shard_rows = count.saturating_add(1) as u8;
        Ok(())
    }
}
