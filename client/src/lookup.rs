//! A platform's address lookup table: what every record needs, named by one byte each where it would be 32.
//!
//! A table only grows, and no other can ever be at its address: what was read from it once stays so, until it is deactivated.

use crate::{
    address::{Addresses, INSTRUCTIONS_SYSVAR, SYSTEM},
    chain::AccountAt,
};
use solana_address_lookup_table_interface::{
    instruction::{create_lookup_table, extend_lookup_table},
    state::AddressLookupTable,
};
use solana_message::{AddressLookupTableAccount, Message, VersionedMessage, v0};
use solana_program::{hash::Hash, instruction::Instruction, pubkey::Pubkey};
use thiserror::Error;

/// The program that keeps tables.
pub const TABLES: Pubkey = Pubkey::from_str_const("AddressLookupTab1e1111111111111111111111111");

/// A table that transactions may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupTable(AddressLookupTableAccount);

/// Why a table cannot be named, or not yet.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Unusable {
    /// It was extended in the slot that it was read at: from the next one on it can.
    #[error("the lookup table {0} cannot be used before the next slot")]
    NotYet(Pubkey),
    /// It never will be: another one is needed.
    #[error("the lookup table {table} {why}")]
    Never {
        /// Its address.
        table: Pubkey,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// What a table of the platform holds, in order.
fn wanted(addresses: &Addresses) -> Vec<Pubkey> {
    let Addresses { platform, rule_book, journal, event_authority } = *addresses;
    vec![platform, rule_book, journal, INSTRUCTIONS_SYSVAR, event_authority, SYSTEM]
}

impl LookupTable {
    /// What makes a table for the platform, in one transaction, and where it then is. It can be used from the slot after on.
    /// `recent` is the slot of a block of the last minutes; `payer` pays its rent, and alone may deactivate it and have the
    /// rent back.
    pub fn make(payer: &Pubkey, addresses: &Addresses, recent: u64) -> (Pubkey, [Instruction; 2]) {
        let (create, table) = create_lookup_table(*payer, *payer, recent);
        (table, [create, extend_lookup_table(table, *payer, Some(*payer), wanted(addresses))])
    }

    /// The table at `table`, as the chain shows it.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn read(table: Pubkey, account: &AccountAt, addresses: &Addresses) -> Result<Self, Unusable> {
        let never = |why| Unusable::Never { table, why };
        if account.owner != TABLES {
            return Err(never("is none"));
        }
        let read = AddressLookupTable::deserialize(&account.data).map_err(|_| never("cannot be read"))?;
        if read.meta.deactivation_slot != u64::MAX {
            return Err(never("is deactivated"));
        }
        if *read.addresses != *wanted(addresses) {
            return Err(never("does not hold this platform's accounts, and only them"));
        }
        if account.slot <= read.meta.last_extended_slot {
            return Err(Unusable::NotYet(table));
        }
        Ok(Self(AddressLookupTableAccount { key: table, addresses: read.addresses.into_owned() }))
    }

    /// What it holds.
    pub fn addresses(&self) -> &[Pubkey] {
        &self.0.addresses
    }

    /// Where it is.
    pub fn address(&self) -> Pubkey {
        self.0.key
    }
}

/// The message of a transaction that `payer` pays for: of version 0 with a table, a legacy one without. `None` where it has
/// more accounts than a message can name.
pub fn message(
    payer: &Pubkey,
    instructions: &[Instruction],
    hash: Hash,
    table: Option<&LookupTable>,
) -> Option<VersionedMessage> {
    match table {
        None => Some(VersionedMessage::Legacy(Message::new_with_blockhash(instructions, Some(payer), &hash))),
        Some(LookupTable(table)) => {
            let compiled = v0::Message::try_compile(payer, instructions, std::slice::from_ref(table), hash);
            compiled.ok().map(VersionedMessage::V0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(addresses: &[Pubkey], extended: u64, deactivated: u64) -> AccountAt {
        // As the program lays it out: kind 1, deactivation slot, slot and place of the last extension, authority, padding.
        let mut data = vec![1, 0, 0, 0];
        data.extend(deactivated.to_le_bytes());
        data.extend(extended.to_le_bytes());
        data.push(0);
        data.push(1);
        data.extend([7; 32]);
        data.extend([0; 2]);
        data.extend(addresses.iter().flat_map(|address| address.to_bytes()));
        AccountAt { slot: 10, owner: TABLES, lamports: 1, data }
    }

    #[test]
    fn a_table_is_used_only_once_it_can_be_and_only_with_this_platforms_accounts() {
        let (ours, theirs, at) = (Addresses::of(1), Addresses::of(2), Pubkey::new_unique());
        let read = |account: &AccountAt| LookupTable::read(at, account, &ours);
        let never = |account: &AccountAt| matches!(read(account), Err(Unusable::Never { .. }));
        assert_eq!(read(&account(&wanted(&ours), 9, u64::MAX)).unwrap().address(), at);
        assert_eq!(read(&account(&wanted(&ours), 10, u64::MAX)), Err(Unusable::NotYet(at)));
        assert!(never(&account(&wanted(&ours), 9, 9)));
        assert!(never(&account(&wanted(&theirs), 9, u64::MAX)));
        let mut more = wanted(&ours);
        more.push(Pubkey::new_unique());
        assert!(never(&account(&more, 9, u64::MAX)));
        assert!(never(&account(&wanted(&ours)[..5], 9, u64::MAX)));
        assert!(never(&AccountAt { owner: SYSTEM, ..account(&wanted(&ours), 9, u64::MAX) }));
        assert!(never(&AccountAt { data: vec![1, 0, 0], ..account(&wanted(&ours), 9, u64::MAX) }));
    }

    #[test]
    fn with_a_table_only_who_signs_or_is_invoked_is_named_in_full() {
        let (addresses, payer) = (Addresses::of(1), Pubkey::new_unique());
        let table =
            LookupTable::read(Pubkey::new_unique(), &account(&wanted(&addresses), 9, u64::MAX), &addresses).unwrap();
        let signed = crate::oracle::SignedMessage { key: [1; 32], signature: [2; 64], message: vec![3; 200] };
        let accounts = [crate::instruction::RecordAccounts::of(Pubkey::new_unique(), Pubkey::new_unique())];
        let instructions = crate::instruction::record_payments(&addresses, &accounts, &signed);
        let keys = |table| {
            let message = message(&payer, &instructions, Hash::default(), table).unwrap();
            (message.static_account_keys().to_vec(), message.serialize().len())
        };
        let ((legacy, long), (v0, short)) = (keys(None), keys(Some(&table)));
        // Payer, user, page, our program and the precompile; named anew for platform, rules, journal, sysvar, event authority.
        assert_eq!((legacy.len(), v0.len()), (10, 5));
        assert!(
            [payer, accounts[0].user, accounts[0].pages[0], crate::address::PROGRAM, crate::address::ED25519]
                .iter()
                .all(|key| v0.contains(key))
        );
        // The table itself, how many of each kind, and the version's byte.
        assert_eq!(long - short, 5 * 32 - 5 - (1 + 32 + 2 + 1));
    }
}
