//! Opens the vault of a token asset.

use crate::{
    error::RebateError,
    events::VaultOpened,
    journal::Emitter,
    mint::{Mint, TokenPrograms},
    state::{Journal, Platform, platform::TOKEN},
    vault::SEED,
};
use anchor_lang::prelude::*;
use pinocchio_token_2022::instructions::InitializeAccount3;
use rebate_core::units::AssetId;

#[event_cpi]
#[derive(Accounts)]
pub struct OpenVault {
    /// Pays the rent. Anybody may open a vault: it is empty, and whose tokens it is for stands in the platform.
    #[account(mut)]
    pub payer: Signer,
    #[account(mut)]
    pub platform: Account<Platform>,
    /// The handler checks that it is the asset's.
    pub mint: UncheckedAccount,
    /// The handler checks its address and creates it.
    #[account(mut)]
    pub vault: UncheckedAccount,
    #[account(mut, constraint = anchor_lang::address_eq(&journal.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub journal: Account<Journal>,
    pub token_program: Interface<'static, TokenPrograms>,
    pub system_program: Program<System>,
}

/// - The asset must be a token without a vault.
/// - Its mint must not have an extension that could take or stop the vault's tokens.
/// - Emits `VaultOpened`.
pub fn handle(ctx: &mut Context<OpenVault>, asset: u8) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let accounts = &mut ctx.accounts;
    let (platform, vault) = (*accounts.platform.address(), *accounts.vault.account());
    let entry = accounts.platform.asset_mut(AssetId(asset)).ok_or(RebateError::UnknownAsset)?;
    require!(entry.kind == TOKEN, RebateError::NotAToken);
    require!(entry.has_vault == 0, ProgramError::AccountAlreadyInitialized);
    let mint = Mint::load(&accounts.mint, &entry.mint, &accounts.token_program)?;
    let space = mint.supported()?.account_space();

    let (address, bump) = find_program_address(&[SEED, platform.as_ref(), &[asset]], ctx.program_id);
    require!(anchor_lang::address_eq(vault.address(), &address), RebateError::WrongVault);
    let seeds: [&[u8]; 4] = [SEED, platform.as_ref(), &[asset], &[bump]];
    create_account_signed(accounts.payer.account(), &vault, space, &mint.program, &seeds)?;
    InitializeAccount3 { account: &vault, mint: &mint.account, owner: &platform, token_program: &mint.program }
        .invoke()?;
    entry.has_vault = 1;
    entry.vault_bump = bump;

    let mint = entry.mint;
    let mut emitter = Emitter::new(&accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    emitter.emit(&mut accounts.journal, |index| VaultOpened {
        journal_index: index.0,
        at: now,
        platform: platform.to_bytes(),
        asset,
        mint,
        vault: address.to_bytes(),
    })
}
