//! A block as the stream shows it.

use rebate_client::{
    Pubkey,
    address::PROGRAM,
    block::{Block, InnerInstruction, Transaction},
};
use solana_program::hash::Hash;
use solana_signature::Signature;
use std::str::FromStr;
use yellowstone_grpc_proto::geyser::{SubscribeUpdateBlock, SubscribeUpdateTransactionInfo};

/// The block; what is wrong with it otherwise.
pub fn block(shown: SubscribeUpdateBlock) -> Result<Block, String> {
    let mut transactions: Vec<_> = shown.transactions.into_iter().map(transaction).collect::<Result<_, _>>()?;
    transactions.sort_by_key(|transaction| transaction.position);
    Ok(Block {
        slot: shown.slot,
        hash: hash(&shown.blockhash)?,
        parent_slot: shown.parent_slot,
        parent_hash: hash(&shown.parent_blockhash)?,
        time: shown.block_time.map(|time| time.timestamp),
        transactions,
    })
}

fn hash(text: &str) -> Result<Hash, String> {
    Hash::from_str(text).map_err(|_| format!("{text:?} is no hash"))
}

fn transaction(shown: SubscribeUpdateTransactionInfo) -> Result<Transaction, String> {
    let signature = Signature::try_from(shown.signature.as_slice()).map_err(|_| "a signature is none".to_owned())?;
    let lacks = |what: &str| format!("transaction {signature} has no {what}");
    let message = shown.transaction.and_then(|signed| signed.message).ok_or_else(|| lacks("message"))?;
    let meta = shown.meta.ok_or_else(|| lacks("meta"))?;
    let failed = meta.err.is_some();
    if meta.inner_instructions_none && !failed {
        return Err(lacks("inner instructions"));
    }
    let lookups = &message.address_table_lookups;
    let expected = (
        lookups.iter().map(|lookup| lookup.writable_indexes.len()).sum::<usize>(),
        lookups.iter().map(|lookup| lookup.readonly_indexes.len()).sum::<usize>(),
    );
    let (writable, readonly) = (&meta.loaded_writable_addresses, &meta.loaded_readonly_addresses);
    // One address too few would shift all that follow, and our program would not be recognised.
    if (writable.len(), readonly.len()) != expected && !failed {
        return Err(lacks("loaded addresses"));
    }
    let accounts = message.account_keys.iter().chain(writable).chain(readonly);
    let accounts: Vec<Pubkey> = accounts
        .map(|bytes| Pubkey::try_from(bytes.as_slice()).map_err(|_| lacks("readable accounts")))
        .collect::<Result<_, _>>()?;
    let inner = meta
        .inner_instructions
        .into_iter()
        .flat_map(|inner| inner.instructions)
        .filter_map(|invoked| {
            let program = u8::try_from(invoked.program_id_index).ok()?;
            (accounts.get(usize::from(program)) == Some(&PROGRAM)).then_some(InnerInstruction {
                program,
                accounts: invoked.accounts,
                data: invoked.data,
            })
        })
        .collect();
    let position = u32::try_from(shown.index).map_err(|_| lacks("readable position"))?;
    Ok(Transaction { signature, position: Some(position), failed, accounts, inner })
}
