//! Opens a user's counters towards one streamer or in one session.
#![allow(unused_variables, reason = "the framework binds every argument that `#[instruction]` names")]

use crate::{
    error::RebateError,
    state::{Counter, Platform, VERSION},
};
use anchor_lang::prelude::*;
use rebate_core::window::Scope;

#[derive(Accounts)]
#[instruction(user: [u8; 32], scope: u8, scope_id: u64, slots: u8)]
pub struct OpenCounter {
    /// Pays the rent, and gets it back. Anybody may open anybody's counters: they are empty, and only signed records fill
    /// them.
    #[account(mut)]
    pub payer: Signer,
    pub platform: Account<Platform>,
    #[account(init, payer = payer, space = Counter::space(slots), seeds = [b"counter", platform.address().as_ref(), user.as_ref(), &[scope], &scope_id.to_le_bytes()], bump)]
    pub counter: Account<Counter>,
    pub system_program: Program<System>,
}

/// - The counters must not exist yet, and their scope must be one of streamers or sessions.
pub fn handle(ctx: &mut Context<OpenCounter>, user: [u8; 32], scope: u8, scope_id: u64, slots: u8) -> Result<()> {
    let known = Scope::from_number(scope).is_some_and(|scope| scope != Scope::User);
    require!(known, RebateError::WrongCounter);
    let (platform, payer) = (*ctx.accounts.platform.address(), *ctx.accounts.payer.account().address());
    let counter = &mut ctx.accounts.counter;
    counter.platform = platform;
    counter.user = user;
    counter.payer = payer;
    counter.scope_id = scope_id;
    counter.scope = scope;
    counter.slots = slots;
    counter.version = VERSION;
    counter.bump = ctx.bumps.counter;
    Ok(())
}
