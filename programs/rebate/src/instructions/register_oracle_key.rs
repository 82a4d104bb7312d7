//! Lets an oracle key sign for the platform.

use crate::{
    error::RebateError,
    events::OracleKeyRegistered,
    journal::Emitter,
    state::{Journal, MAX_ORACLES, OracleKey, Platform},
};
use anchor_lang::prelude::*;

/// A key and when it may sign.
#[derive(AnchorSerialize, AnchorDeserialize, IdlType, Clone)]
pub struct OracleKeySettings {
    /// The Ed25519 key.
    pub key: [u8; 32],
    /// Unix seconds; 0 for always.
    pub valid_from: i64,
    /// Unix seconds, exclusive; 0 for never.
    pub valid_until: i64,
}

#[event_cpi]
#[derive(Accounts)]
pub struct RegisterOracleKey {
    #[account(address = platform.admin @ RebateError::NotAdmin)]
    pub admin: Signer,
    #[account(mut)]
    pub platform: Account<Platform>,
    #[account(mut, constraint = anchor_lang::address_eq(&journal.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub journal: Account<Journal>,
}

/// - Signed by the platform's admin.
/// - The key must not be registered yet, must not end before it begins, and there must be room for it.
/// - Emits `OracleKeyRegistered`.
pub fn handle(ctx: &mut Context<RegisterOracleKey>, settings: OracleKeySettings) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let address = *ctx.accounts.platform.address();
    let key = OracleKey { key: settings.key, valid_from: settings.valid_from, valid_until: settings.valid_until };
    require!(
        key.valid_from >= 0 && (key.valid_until == 0 || key.valid_until > key.valid_from),
        RebateError::InvalidSettings
    );

    let platform = &mut ctx.accounts.platform;
    require!(platform.oracles().iter().all(|other| other.key != key.key), RebateError::OracleKeys);
    let count = usize::from(platform.oracle_count);
    require!(count < MAX_ORACLES, RebateError::OracleKeys);
    *platform.oracles.get_mut(count).ok_or(RebateError::OracleKeys)? = key;
    platform.oracle_count = platform.oracle_count.saturating_add(1);
    platform.invariant()?;

    let mut emitter = Emitter::new(&ctx.accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    emitter.emit(&mut ctx.accounts.journal, |index| OracleKeyRegistered::new(index.0, now, &address, &key))
}
