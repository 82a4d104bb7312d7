//! Puts tokens into a vault.

use crate::{
    error::RebateError,
    events::Deposited,
    journal::Emitter,
    mint::TokenPrograms,
    state::{Journal, Platform},
    vault::Vault,
};
use anchor_lang::prelude::*;
use rebate_core::units::{Amount, AssetId};

#[event_cpi]
#[derive(Accounts)]
pub struct Deposit {
    /// Anybody may.
    pub owner: Signer,
    #[account(mut)]
    pub platform: Account<Platform>,
    /// Checked with the vault.
    pub mint: UncheckedAccount,
    /// The handler checks that it is the asset's.
    #[account(mut)]
    pub vault: UncheckedAccount,
    /// The handler checks it where something is taken from it.
    #[account(mut)]
    pub source: UncheckedAccount,
    #[account(mut, constraint = anchor_lang::address_eq(&journal.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub journal: Account<Journal>,
    pub token_program: Interface<'static, TokenPrograms>,
}

/// - The source must be a token account of who signs.
/// - What counts is what the vault holds afterwards: a fee may have been kept, and others may have sent something.
/// - Emits `Deposited` where something arrived.
pub fn handle(ctx: &mut Context<Deposit>, asset: u8, amount: u64) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let accounts = &mut ctx.accounts;
    let vault =
        Vault::load(&accounts.platform, AssetId(asset), &accounts.vault, &accounts.mint, &accounts.token_program)?;
    vault.mint.supported()?;
    let owner = *accounts.owner.address();
    if amount > 0 {
        let source = vault.mint.token_account(&accounts.source)?;
        require!(anchor_lang::address_eq(source.owner, &owner), RebateError::WrongTokenAccount);
        vault.receive(&accounts.source, &accounts.owner, Amount(amount))?;
    }
    let before = accounts.platform.asset(AssetId(asset)).ok_or(RebateError::UnknownAsset)?.funds;
    let funds = vault.settle(&mut accounts.platform)?;
    let arrived = funds.0.saturating_sub(before);
    if arrived == 0 {
        return Ok(());
    }

    let platform = accounts.platform.address().to_bytes();
    let mut emitter = Emitter::new(&accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    emitter.emit(&mut accounts.journal, |index| Deposited {
        journal_index: index.0,
        at: now,
        platform,
        asset,
        by: owner.to_bytes(),
        amount: arrived,
        funds: funds.0,
    })
}
