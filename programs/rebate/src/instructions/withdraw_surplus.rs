//! Takes tokens out of a vault that no user has a claim to.

use crate::{
    error::RebateError,
    events::SurplusWithdrawn,
    journal::Emitter,
    mint::TokenPrograms,
    state::{Journal, Platform},
    vault::Vault,
};
use anchor_lang::prelude::*;
use rebate_core::units::{Amount, AssetId};

#[event_cpi]
#[derive(Accounts)]
pub struct WithdrawSurplus {
    #[account(address = platform.admin @ RebateError::NotAdmin)]
    pub admin: Signer,
    #[account(mut)]
    pub platform: Account<Platform>,
    /// Checked with the vault.
    pub mint: UncheckedAccount,
    /// The handler checks that it is the asset's.
    #[account(mut)]
    pub vault: UncheckedAccount,
    /// The handler checks that it is a token account of the mint; whose, the admin decides.
    #[account(mut)]
    pub destination: UncheckedAccount,
    #[account(mut, constraint = anchor_lang::address_eq(&journal.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub journal: Account<Journal>,
    pub token_program: Interface<'static, TokenPrograms>,
}

/// - Signed by the platform's admin.
/// - No more than what the vault holds beyond what users have; 0 for all of that, which must be something.
/// - Emits `SurplusWithdrawn`.
pub fn handle(ctx: &mut Context<WithdrawSurplus>, asset: u8, amount: u64) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let accounts = &mut ctx.accounts;
    let vault =
        Vault::load(&accounts.platform, AssetId(asset), &accounts.vault, &accounts.mint, &accounts.token_program)?;
    vault.mint.supported()?;
    vault.mint.token_account(&accounts.destination)?;
    let liability = accounts.platform.asset(AssetId(asset)).ok_or(RebateError::UnknownAsset)?.liability;
    let surplus = vault.holds()?.0.checked_sub(liability).ok_or(RebateError::BelowLiability)?;
    let amount = if amount == 0 { surplus } else { amount };
    require!(amount > 0 && amount <= surplus, RebateError::BelowLiability);
    vault.pay(&accounts.destination, Amount(amount))?;
    let funds = vault.settle(&mut accounts.platform)?;

    let (platform, destination) = (accounts.platform.address().to_bytes(), accounts.destination.address().to_bytes());
    let mut emitter = Emitter::new(&accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    emitter.emit(&mut accounts.journal, |index| SurplusWithdrawn {
        journal_index: index.0,
        at: now,
        platform,
        asset,
        destination,
        amount,
        funds: funds.0,
        liability,
    })
}
