//! A transaction as a node shows it, read as far as its events need, or with its own instructions.

use crate::{
    address::PROGRAM,
    block::{InnerInstruction, OuterInstruction, Transaction, WholeTransaction},
};
use solana_program::pubkey::Pubkey;
use solana_transaction_status_client_types::{
    EncodedConfirmedTransactionWithStatusMeta, EncodedTransactionWithStatusMeta, UiInstruction, UiLoadedAddresses,
};
use std::str::FromStr;

/// The transaction; what is wrong with it otherwise, in the words that follow "a transaction that".
pub(super) fn of(shown: EncodedTransactionWithStatusMeta) -> Result<Transaction, String> {
    read(shown).map(|(transaction, _)| transaction)
}

/// The same with its own instructions.
pub(super) fn whole(shown: EncodedConfirmedTransactionWithStatusMeta) -> Result<WholeTransaction, String> {
    let EncodedConfirmedTransactionWithStatusMeta { slot, transaction, block_time, transaction_index } = shown;
    let (transaction, instructions) = read(transaction)?;
    Ok(WholeTransaction { transaction, slot, position: transaction_index, block_time, instructions })
}

fn read(shown: EncodedTransactionWithStatusMeta) -> Result<(Transaction, Vec<OuterInstruction>), String> {
    let cannot_be_read = || "cannot be read".to_owned();
    let decoded = shown.transaction.decode().ok_or_else(cannot_be_read)?;
    let signature = decoded.signatures.first().copied().ok_or_else(cannot_be_read)?;
    let meta = shown.meta.ok_or("has no meta")?;
    let inner = Option::from(meta.inner_instructions).ok_or("has no innerInstructions")?;
    let inner: Vec<solana_transaction_status_client_types::UiInnerInstructions> = inner;
    let loaded: Option<UiLoadedAddresses> = meta.loaded_addresses.into();
    let UiLoadedAddresses { writable, readonly } = loaded.unwrap_or_default();
    let lookups = decoded.message.address_table_lookups().unwrap_or_default();
    let expected = (
        lookups.iter().map(|lookup| lookup.writable_indexes.len()).sum::<usize>(),
        lookups.iter().map(|lookup| lookup.readonly_indexes.len()).sum::<usize>(),
    );
    // One address too few would shift all that follow, and our program would not be recognised.
    if (writable.len(), readonly.len()) != expected {
        return Err("has not all loadedAddresses".to_owned());
    }
    let mut accounts = decoded.message.static_account_keys().to_vec();
    for address in writable.iter().chain(&readonly) {
        accounts.push(Pubkey::from_str(address).map_err(|_| cannot_be_read())?);
    }
    let own = decoded.message.instructions().iter();
    let mut own: Vec<_> =
        own.map(|own| OuterInstruction { program: own.program_id_index, data: own.data.clone(), invoked: 0 }).collect();
    let (mut ours, mut last) = (Vec::new(), None);
    for inner in inner {
        // What an instruction invoked stands behind what those before it did.
        if last.is_some_and(|last| last >= inner.index) {
            return Err("has innerInstructions out of order".to_owned());
        }
        last = Some(inner.index);
        let invoking = own.get_mut(usize::from(inner.index)).ok_or_else(cannot_be_read)?;
        for instruction in inner.instructions {
            let UiInstruction::Compiled(invoked) = instruction else { return Err(cannot_be_read()) };
            if accounts.get(usize::from(invoked.program_id_index)) == Some(&PROGRAM) {
                let data = bs58::decode(&invoked.data).into_vec().map_err(|_| cannot_be_read())?;
                ours.push(InnerInstruction { program: invoked.program_id_index, accounts: invoked.accounts, data });
                invoking.invoked = invoking.invoked.saturating_add(1);
            }
        }
    }
    Ok((Transaction { signature, position: None, failed: meta.err.is_some(), accounts, inner: ours }, own))
}
