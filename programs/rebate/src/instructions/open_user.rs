//! Opens a user's account.
#![allow(unused_variables, reason = "the framework binds every argument that `#[instruction]` names")]

use crate::state::{Platform, User, VERSION, user};
use anchor_lang::prelude::*;

#[derive(Accounts)]
#[instruction(key: [u8; 32])]
pub struct OpenUser {
    /// Pays the rent. Anybody may open anybody's account: it is empty, and only signed records fill it.
    #[account(mut)]
    pub payer: Signer,
    pub platform: Account<Platform>,
    #[account(init, payer = payer, space = user::SPACE, seeds = [b"user", platform.address().as_ref(), key.as_ref()], bump)]
    pub user: Account<User>,
    pub system_program: Program<System>,
}

/// - The user must not have an account with the platform yet.
pub fn handle(ctx: &mut Context<OpenUser>, key: [u8; 32]) -> Result<()> {
    let platform = *ctx.accounts.platform.address();
    let user = &mut ctx.accounts.user;
    user.platform = platform;
    user.key = key;
    user.version = VERSION;
    user.bump = ctx.bumps.user;
    Ok(())
}
