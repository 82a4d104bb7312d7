//! Vaults: the tokens behind token assets.

use super::{emitting, instruction, payer, readonly, signer, writable};
use crate::address::{Addresses, SYSTEM};
use rebate_core::units::{Amount, AssetId, UserKey};
use solana_program::{instruction::Instruction, pubkey::Pubkey};

/// A token: its mint and the program it belongs to, SPL Token or Token-2022.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// The mint.
    pub mint: Pubkey,
    /// The program that owns it.
    pub program: Pubkey,
}

/// Opens the vault of a token asset; anybody may.
pub fn open_vault(who: &Pubkey, addresses: &Addresses, asset: AssetId, token: &Token) -> Instruction {
    let accounts = vec![
        payer(who),
        writable(addresses.platform),
        readonly(token.mint),
        writable(addresses.vault(asset)),
        writable(addresses.journal),
        readonly(token.program),
        readonly(SYSTEM),
    ];
    instruction("open_vault", emitting(accounts, addresses), &asset.0)
}

/// Puts `amount` of `source`, an account of `owner`, into the vault. 0 counts what somebody sent there otherwise.
pub fn deposit(
    owner: &Pubkey,
    addresses: &Addresses,
    asset: AssetId,
    token: &Token,
    source: &Pubkey,
    amount: Amount,
) -> Instruction {
    let accounts = vec![
        signer(owner),
        writable(addresses.platform),
        readonly(token.mint),
        writable(addresses.vault(asset)),
        writable(*source),
        writable(addresses.journal),
        readonly(token.program),
    ];
    instruction("deposit", emitting(accounts, addresses), &(asset.0, amount.0))
}

/// Takes `amount` of the user's tokens out of the vault, into `destination`; 0 for all. The linked wallet signs.
pub fn claim(
    wallet: &Pubkey,
    addresses: &Addresses,
    user: &UserKey,
    asset: AssetId,
    token: &Token,
    destination: &Pubkey,
    amount: Amount,
) -> Instruction {
    let accounts = vec![
        signer(wallet),
        writable(addresses.platform),
        writable(addresses.user(user)),
        readonly(token.mint),
        writable(addresses.vault(asset)),
        writable(*destination),
        writable(addresses.journal),
        readonly(token.program),
    ];
    instruction("claim", emitting(accounts, addresses), &(asset.0, amount.0))
}

/// Takes `amount` out of the vault that no user has a claim to, into `destination`; 0 for all of it.
pub fn withdraw_surplus(
    admin: &Pubkey,
    addresses: &Addresses,
    asset: AssetId,
    token: &Token,
    destination: &Pubkey,
    amount: Amount,
) -> Instruction {
    let accounts = vec![
        signer(admin),
        writable(addresses.platform),
        readonly(token.mint),
        writable(addresses.vault(asset)),
        writable(*destination),
        writable(addresses.journal),
        readonly(token.program),
    ];
    instruction("withdraw_surplus", emitting(accounts, addresses), &(asset.0, amount.0))
}
