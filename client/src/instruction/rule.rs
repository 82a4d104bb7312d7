//! Rules: publishing, ending, dropping.

use super::{emitting, instruction, payer, readonly, writable};
use crate::{
    address::{Addresses, SYSTEM},
    event::RuleDefinition,
};
use borsh::BorshSerialize;
use rebate_core::units::{RuleId, RuleVersion, Timestamp};
use solana_program::{instruction::Instruction, pubkey::Pubkey};

fn on_the_book(name: &str, admin: &Pubkey, addresses: &Addresses, arguments: &impl BorshSerialize) -> Instruction {
    let accounts = vec![
        payer(admin),
        readonly(addresses.platform),
        writable(addresses.rule_book),
        writable(addresses.journal),
        readonly(SYSTEM),
    ];
    instruction(name, emitting(accounts, addresses), arguments)
}

/// Publishes a rule version for payments from `effective_at` on; 0 for ever, before the first payment.
pub fn publish_rule(
    admin: &Pubkey,
    addresses: &Addresses,
    rule: &RuleDefinition,
    effective_at: Timestamp,
) -> Instruction {
    on_the_book("publish_rule", admin, addresses, &(rule, effective_at.0))
}

/// Ends the last version of a rule for payments from `ends_at` on, after the timelock.
pub fn end_rule(admin: &Pubkey, addresses: &Addresses, rule: RuleId, ends_at: Timestamp) -> Instruction {
    on_the_book("end_rule", admin, addresses, &(rule.0, ends_at.0))
}

/// Drops a version that no payment can come for any more; the book's rent for it goes to the admin.
pub fn drop_rule(admin: &Pubkey, addresses: &Addresses, rule: RuleId, version: RuleVersion) -> Instruction {
    on_the_book("drop_rule", admin, addresses, &(rule.0, version.0))
}
