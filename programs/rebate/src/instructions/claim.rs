//! Pays a user's tokens out to the linked wallet.

use super::expire_balances::{emit_expired, expire_balances};
use crate::{
    error::RebateError,
    events::Claimed,
    journal::Emitter,
    mint::TokenPrograms,
    state::{Journal, Platform, User, user::holdings},
    vault::Vault,
};
use anchor_lang::prelude::*;
use rebate_core::units::{Amount, AssetId, Timestamp};

#[event_cpi]
#[derive(Accounts)]
pub struct Claim {
    #[account(address = user.wallet @ RebateError::NotWallet)]
    pub wallet: Signer,
    #[account(mut)]
    pub platform: Account<Platform>,
    #[account(mut, constraint = anchor_lang::address_eq(&user.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub user: Account<User>,
    /// Checked with the vault.
    pub mint: UncheckedAccount,
    /// The handler checks that it is the asset's.
    #[account(mut)]
    pub vault: UncheckedAccount,
    /// The handler checks that it is a token account of the wallet.
    #[account(mut)]
    pub destination: UncheckedAccount,
    #[account(mut, constraint = anchor_lang::address_eq(&journal.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub journal: Account<Journal>,
    pub token_program: Interface<'static, TokenPrograms>,
}

/// - The platform must be running.
/// - Signed by the wallet linked to the user, into a token account of that wallet.
/// - No more than what is left of the user's balance after what expired by now; 0 for all of that, which must be something.
/// - The mint's extensions are not looked at again: users get what they have.
/// - Emits `BalanceExpired` for every asset of which something expired, and `Claimed`.
pub fn handle(ctx: &mut Context<Claim>, asset: u8, amount: u64) -> Result<()> {
    let now = Timestamp(Clock::get()?.unix_timestamp);
    let accounts = &mut ctx.accounts;
    accounts.platform.require_running()?;
    let wallet = *accounts.wallet.address();
    require!(wallet != Address::default(), RebateError::NotWallet);
    let vault =
        Vault::load(&accounts.platform, AssetId(asset), &accounts.vault, &accounts.mint, &accounts.token_program)?;
    let destination = vault.mint.token_account(&accounts.destination)?;
    require!(anchor_lang::address_eq(destination.owner, &wallet), RebateError::WrongTokenAccount);

    // SAFETY: the only holdings of the user.
    let mut holdings = unsafe { holdings(&accounts.user)? };
    let held = holdings.balances();
    let mut balances = held;
    let expired = expire_balances(&accounts.platform, &mut balances, now);
    let slot = vault.asset.slot().ok_or(RebateError::UnknownAsset)?;
    let balance = balances.get_mut(slot).ok_or(RebateError::UnknownAsset)?;
    let before = balance.total();
    let amount = if amount == 0 { before } else { Amount(amount) };
    require!(amount.0 > 0 && amount <= before, RebateError::NothingToClaim);
    balance.debit(amount);
    let after = balance.total();
    holdings.store(&balances);
    accounts.platform.account_for(&held, &balances);

    vault.pay(&accounts.destination, amount)?;
    vault.settle(&mut accounts.platform)?;

    let (platform, user) = (accounts.platform.address().to_bytes(), accounts.user.key);
    let destination = accounts.destination.address().to_bytes();
    let mut emitter = Emitter::new(&accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    emit_expired(&mut emitter, &mut accounts.journal, now, platform, user, &expired)?;
    emitter.emit(&mut accounts.journal, |index| Claimed {
        journal_index: index.0,
        at: now.0,
        platform,
        user,
        wallet: wallet.to_bytes(),
        asset,
        amount: amount.0,
        before: before.0,
        after: after.0,
        destination,
    })
}
