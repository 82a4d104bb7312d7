//! An asset's vault: the token account that backs what users have of it.

use crate::{
    error::RebateError,
    mint::{Mint, TokenPrograms},
    state::{Platform, platform::TOKEN},
};
use anchor_lang::{pinocchio::cpi, prelude::*};
use pinocchio_token_2022::instructions::TransferChecked;
use rebate_core::units::{Amount, AssetId};

/// What its address is derived from, with the platform's address and the asset's number.
pub const SEED: &[u8] = b"vault";

/// A vault that is open. Its tokens belong to the platform's address, so that only this program moves them.
pub struct Vault {
    pub asset: AssetId,
    pub mint: Mint,
    account: AccountView,
    platform: AccountView,
    platform_id: u64,
    platform_bump: u8,
}

impl Vault {
    /// The vault of `asset`, with its mint and its token program.
    ///
    /// # Errors
    /// [`RebateError::UnknownAsset`], [`RebateError::NotAToken`], [`RebateError::WrongVault`], [`RebateError::WrongMint`].
    pub fn load(
        platform: &Account<Platform>,
        asset: AssetId,
        account: &UncheckedAccount,
        mint: &UncheckedAccount,
        program: &Interface<'_, TokenPrograms>,
    ) -> Result<Self> {
        let entry = platform.asset(asset).ok_or(RebateError::UnknownAsset)?;
        require!(entry.kind == TOKEN && entry.has_vault != 0, RebateError::NotAToken);
        let seeds = [SEED, platform.address().as_ref(), &[asset.0], &[entry.vault_bump]];
        let address = create_program_address(&seeds, &crate::ID).map_err(|_| RebateError::WrongVault)?;
        require!(anchor_lang::address_eq(account.address(), &address), RebateError::WrongVault);
        let vault = Self {
            asset,
            mint: Mint::load(mint, &entry.mint, program)?,
            account: *account.account(),
            platform: *platform.account(),
            platform_id: platform.id,
            platform_bump: platform.bump,
        };
        let token = vault.mint.token_account(&vault.account).map_err(|_| RebateError::WrongVault)?;
        require!(anchor_lang::address_eq(token.owner, platform.address()), RebateError::WrongVault);
        Ok(vault)
    }

    /// What it holds.
    pub fn holds(&self) -> Result<Amount> {
        Ok(Amount(self.mint.token_account(&self.account)?.amount))
    }

    /// Moves `amount` from `source` into it; what arrives may be less. `owner` signed the transaction.
    pub fn receive(&self, source: &UncheckedAccount, owner: &Signer, amount: Amount) -> Result<()> {
        self.transfer(source.account(), &self.account, owner.account(), amount).invoke()
    }

    /// Moves `amount` out of it to `destination`.
    pub fn pay(&self, destination: &UncheckedAccount, amount: Amount) -> Result<()> {
        let (id, bump) = (self.platform_id.to_le_bytes(), [self.platform_bump]);
        let seeds = [cpi::Seed::from(b"platform"), cpi::Seed::from(&id), cpi::Seed::from(&bump)];
        let transfer = self.transfer(&self.account, destination.account(), &self.platform, amount);
        transfer.invoke_signed(&[cpi::Signer::from(&seeds)])
    }

    /// The instruction is the same in both token programs.
    fn transfer<'a>(
        &'a self,
        from: &'a AccountView,
        to: &'a AccountView,
        authority: &'a AccountView,
        amount: Amount,
    ) -> TransferChecked<'a, 'a> {
        TransferChecked {
            from,
            mint: &self.mint.account,
            to,
            authority,
            amount: amount.0,
            decimals: self.mint.decimals,
            token_program: &self.mint.program,
        }
    }

    /// Takes over what it holds now, and returns it.
    ///
    /// # Errors
    /// [`RebateError::BelowLiability`] if that were less than what users have.
    pub fn settle(&self, platform: &mut Platform) -> Result<Amount> {
        let funds = self.holds()?;
        let asset = platform.asset_mut(self.asset).ok_or(RebateError::UnknownAsset)?;
        require!(funds.0 >= asset.liability, RebateError::BelowLiability);
        asset.funds = funds.0;
        Ok(funds)
    }
}
