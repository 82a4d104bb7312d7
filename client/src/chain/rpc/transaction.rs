//! A transaction as a node shows it, read as far as its events need.

use crate::{
    address::PROGRAM,
    block::{InnerInstruction, Transaction},
};
use solana_program::pubkey::Pubkey;
use solana_transaction_status_client_types::{EncodedTransactionWithStatusMeta, UiInstruction, UiLoadedAddresses};
use std::str::FromStr;

/// The transaction; what is wrong with it otherwise, in the words that follow "a transaction that".
pub(super) fn of(shown: EncodedTransactionWithStatusMeta) -> Result<Transaction, String> {
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
    let mut ours = Vec::new();
    for instruction in inner.into_iter().flat_map(|inner| inner.instructions) {
        let UiInstruction::Compiled(invoked) = instruction else { return Err(cannot_be_read()) };
        if accounts.get(usize::from(invoked.program_id_index)) == Some(&PROGRAM) {
            let data = bs58::decode(&invoked.data).into_vec().map_err(|_| cannot_be_read())?;
            ours.push(InnerInstruction { program: invoked.program_id_index, accounts: invoked.accounts, data });
        }
    }
    Ok(Transaction { signature, position: None, failed: meta.err.is_some(), accounts, inner: ours })
}
