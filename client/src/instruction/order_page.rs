//! Order pages: opening, growing, succeeding and closing them.

use super::{emitting, instruction, payer, readonly, signer, writable};
use crate::address::{Addresses, SYSTEM};
use rebate_core::units::Day;
use solana_program::{
    instruction::{AccountMeta, Instruction},
    pubkey::Pubkey,
};

/// Opens page `number` of a day's orders and seals the one before. It takes orders for seven eighths of its slots.
///
/// `slots` is at most 1 267, what an account can be created with; [`grow_order_page`] makes it larger. A first page has
/// at least as many as the platform says, a successor twice as many as the page before, up to 1 024.
pub fn open_order_page(
    who: &Pubkey,
    addresses: &Addresses,
    day: Day,
    shard: u16,
    number: u16,
    slots: u16,
) -> Instruction {
    let mut accounts = vec![
        payer(who),
        writable(addresses.platform),
        writable(addresses.order_page(day, shard, number)),
        readonly(SYSTEM),
    ];
    if let Some(before) = number.checked_sub(1) {
        accounts.push(writable(addresses.order_page(day, shard, before)));
    }
    instruction("open_order_page", accounts, &(day.0, shard, number, slots))
}

/// Grows an empty page to `slots` slots, by at most 1 280 at a time. Who opened it pays, and gets all of it back.
pub fn grow_order_page(
    who: &Pubkey,
    addresses: &Addresses,
    day: Day,
    shard: u16,
    number: u16,
    slots: u32,
) -> Instruction {
    let page = addresses.order_page(day, shard, number);
    let accounts = vec![payer(who), readonly(addresses.platform), writable(page), readonly(SYSTEM)];
    instruction("grow_order_page", accounts, &slots)
}

/// Closes pages of days that are beyond `max_lateness`, the rent back to who opened each: a page and its `opened_by`. The
/// platform refuses records of these days from then on, whatever its settings say later.
pub fn close_order_pages(who: &Pubkey, addresses: &Addresses, pages: &[(Pubkey, Pubkey)]) -> Instruction {
    let accounts = vec![signer(who), writable(addresses.platform), writable(addresses.journal)];
    let mut accounts = emitting(accounts, addresses);
    for (page, opened_by) in pages {
        accounts.push(AccountMeta::new(*page, false));
        accounts.push(AccountMeta::new(*opened_by, false));
    }
    instruction("close_order_pages", accounts, &())
}
