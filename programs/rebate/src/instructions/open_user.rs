//! Opens a user's account.
#![allow(unused_variables, reason = "the framework binds every argument that `#[instruction]` names")]

use crate::state::{Platform, User, VERSION};
use anchor_lang::prelude::*;

#[derive(Accounts)]
#[instruction(key: [u8; 32], counter_slots: u8)]
pub struct OpenUser {
    /// Pays the rent. Anybody may open anybody's account: it is empty, and only signed records fill it.
    #[account(mut)]
    pub payer: Signer,
    pub platform: Account<Platform>,
    #[account(init, payer = payer, space = User::space(platform.asset_count, counter_slots), seeds = [b"user", platform.address().as_ref(), key.as_ref()], bump)]
    pub user: Account<User>,
    pub system_program: Program<System>,
}

/// - The user must not have an account with the platform yet.
pub fn handle(ctx: &mut Context<OpenUser>, key: [u8; 32], counter_slots: u8) -> Result<()> {
    let (platform, balance_slots) = (*ctx.accounts.platform.address(), ctx.accounts.platform.asset_count);
    let user = &mut ctx.accounts.user;
    user.platform = platform;
    user.key = key;
    user.balance_slots = balance_slots;
    user.counter_slots = counter_slots;
    user.version = VERSION;
    user.bump = ctx.bumps.user;
    Ok(())
}
