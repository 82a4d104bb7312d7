//! Lets an oracle key sign for the platform.

use crate::{
    error::RebateError,
    events::OracleKeyRegistered,
    journal::Emitter,
    state::{Journal, MAX_ORACLES, OracleKey, Platform, RuleBookAccount, rule_book::may_take_effect},
};
use anchor_lang::prelude::*;
use rebate_core::units::Timestamp;

/// A key and when it may sign.
#[derive(AnchorSerialize, AnchorDeserialize, IdlType, Clone)]
pub struct OracleKeySettings {
    /// The Ed25519 key.
    pub key: [u8; 32],
    /// Unix seconds; 0 for always.
    pub valid_from: i64,
    /// Unix seconds; 0 for never.
    pub valid_until: i64,
}

/// What the admin changes behind the timelock.
#[event_cpi]
#[derive(Accounts)]
pub struct RegisterOracleKey {
    #[account(address = platform.admin @ RebateError::NotAdmin)]
    pub admin: Signer,
    #[account(mut)]
    pub platform: Account<Platform>,
    #[account(constraint = anchor_lang::address_eq(&rule_book.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub rule_book: RuleBookAccount,
    #[account(mut, constraint = anchor_lang::address_eq(&journal.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub journal: Account<Journal>,
}

/// - Signed by the platform's admin.
/// - The key must not be registered yet, must not end before it begins, and there must be room for it: a key that is not
///   valid any more makes room.
/// - It may sign no earlier than the timelock allows; before the first payment, at any time.
/// - Emits `OracleKeyRegistered`.
pub fn handle(ctx: &mut Context<RegisterOracleKey>, settings: OracleKeySettings) -> Result<()> {
    let now = Timestamp(Clock::get()?.unix_timestamp);
    let address = *ctx.accounts.platform.address();
    let key = OracleKey { key: settings.key, valid_from: settings.valid_from, valid_until: settings.valid_until };
    require!(
        key.valid_from >= 0 && (key.valid_until == 0 || key.valid_until > key.valid_from),
        RebateError::InvalidSettings
    );
    let from = Timestamp(key.valid_from);
    let platform = &mut ctx.accounts.platform;
    require!(may_take_effect(&ctx.accounts.rule_book, from, platform, now), RebateError::TooEarly);
    platform.register(key, now)?;
    platform.invariant()?;

    let mut emitter = Emitter::new(&ctx.accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    emitter.emit(&mut ctx.accounts.journal, |index| OracleKeyRegistered::new(index.0, now.0, &address, &key))
}

impl Platform {
    fn register(&mut self, key: OracleKey, now: Timestamp) -> Result<()> {
        let over = |key: &OracleKey| key.valid_until != 0 && key.valid_until <= now.0;
        let count = usize::from(self.oracle_count);
        let known = self.oracles().iter().position(|other| other.key == key.key);
        if let Some(known) = known {
            require!(self.oracles().get(known).is_some_and(over), RebateError::OracleKeys);
        }
        let free = known.or_else(|| (count < MAX_ORACLES).then_some(count));
        let place = free.or_else(|| self.oracles().iter().position(over)).ok_or(RebateError::OracleKeys)?;
        *self.oracles.get_mut(place).ok_or(RebateError::OracleKeys)? = key;
        if place == count {
            self.oracle_count = self.oracle_count.saturating_add(1);
        }
        Ok(())
    }
}
