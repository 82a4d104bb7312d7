//! Accounts of users: opening them, making room, expiry.

use super::{emitting, instruction, payer, readonly, signer, writable};
use crate::address::{Addresses, SYSTEM};
use rebate_core::{
    units::{ScopeId, UserKey},
    window::Scope,
};
use solana_program::{instruction::Instruction, pubkey::Pubkey};

/// Opens a user's account with room for the counters of `counter_slots` rules.
pub fn open_user(who: &Pubkey, addresses: &Addresses, key: &UserKey, counter_slots: u8) -> Instruction {
    let accounts = vec![payer(who), readonly(addresses.platform), writable(addresses.user(key)), readonly(SYSTEM)];
    instruction("open_user", accounts, &(key.0, counter_slots))
}

/// Makes room in a user's account for every asset of the platform and for the counters of `counter_slots` rules.
pub fn grow_user(who: &Pubkey, addresses: &Addresses, key: &UserKey, counter_slots: u8) -> Instruction {
    let accounts = vec![payer(who), readonly(addresses.platform), writable(addresses.user(key)), readonly(SYSTEM)];
    instruction("grow_user", accounts, &counter_slots)
}

/// Lets what is left of a user's closed periods expire; anybody may.
pub fn expire_balances(addresses: &Addresses, key: &UserKey) -> Instruction {
    let accounts = vec![writable(addresses.platform), writable(addresses.user(key)), writable(addresses.journal)];
    instruction("expire_balances", emitting(accounts, addresses), &())
}

/// Opens a user's counters towards one streamer or in one session, with room for `slots` rules.
pub fn open_counter(
    who: &Pubkey,
    addresses: &Addresses,
    key: &UserKey,
    scope: Scope,
    id: ScopeId,
    slots: u8,
) -> Instruction {
    let counter = addresses.counter(key, scope, id);
    let accounts = vec![payer(who), readonly(addresses.platform), writable(counter), readonly(SYSTEM)];
    instruction("open_counter", accounts, &(key.0, scope as u8, id.0, slots))
}

/// Makes room in a counter for `slots` rules. Anybody may; what it costs goes to who opened the counter once it closes.
pub fn grow_counter(
    who: &Pubkey,
    addresses: &Addresses,
    key: &UserKey,
    scope: Scope,
    id: ScopeId,
    slots: u8,
) -> Instruction {
    let counter = addresses.counter(key, scope, id);
    let accounts = vec![payer(who), readonly(addresses.platform), writable(counter), readonly(SYSTEM)];
    instruction("grow_counter", accounts, &slots)
}

/// Closes a counter that nothing can be counted into any more; the rent goes back to `opened_by`.
pub fn close_counter(
    who: &Pubkey,
    addresses: &Addresses,
    key: &UserKey,
    scope: Scope,
    id: ScopeId,
    opened_by: &Pubkey,
) -> Instruction {
    let accounts = vec![
        signer(who),
        readonly(addresses.platform),
        readonly(addresses.rule_book),
        writable(addresses.counter(key, scope, id)),
        writable(*opened_by),
    ];
    instruction("close_counter", accounts, &())
}
