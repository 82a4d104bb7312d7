//! The rebate program: a table of contents. One file per instruction; each loads accounts, calls `rebate-core`, stores
//! and emits.
#![cfg_attr(not(feature = "idl-build"), no_std)]
#![allow(unexpected_cfgs, reason = "the framework's macros test for cfgs of their own")]

extern crate alloc;

#[cfg(target_os = "solana")]
use solana_compiler_builtins as _;

pub mod error;
pub mod events;
pub mod instructions;
pub mod journal;
mod log;
mod security;
mod signed_message;
pub mod state;

use anchor_lang::prelude::*;
use instructions::*;

declare_id!("ReBo6PHCPNUAdG9RMgkdmMmoW6gDbtJ8aMVU7AJgm5u");

/// Rebates on payments, by published rules.
#[program]
pub mod rebate {
    use super::*;

    /// Creates a platform with its rule book and its journal.
    pub fn create_platform(ctx: &mut Context<CreatePlatform>, settings: PlatformSettings) -> Result<()> {
        instructions::create_platform::handle(ctx, settings)
    }

    /// Lets an oracle key sign for the platform.
    pub fn register_oracle_key(ctx: &mut Context<RegisterOracleKey>, key: OracleKeySettings) -> Result<()> {
        instructions::register_oracle_key::handle(ctx, key)
    }

    /// Publishes a rule version.
    pub fn publish_rule(ctx: &mut Context<PublishRule>, rule: RuleDefinition, effective_at: i64) -> Result<()> {
        instructions::publish_rule::handle(ctx, rule, effective_at)
    }

    /// Stops or resumes the recording of payments, at once.
    pub fn set_paused(ctx: &mut Context<SetPaused>, paused: bool) -> Result<()> {
        instructions::set_paused::handle(ctx, paused)
    }

    /// Opens a user's account.
    pub fn open_user(ctx: &mut Context<OpenUser>, key: [u8; 32]) -> Result<()> {
        instructions::open_user::handle(ctx, key)
    }

    /// Opens the page that remembers the orders of one day and shard.
    pub fn open_order_page(ctx: &mut Context<OpenOrderPage>, day: u32, shard: u16, slots: u16) -> Result<()> {
        instructions::open_order_page::handle(ctx, day, shard, slots)
    }

    /// Records the payments of the signed message in the instruction just before.
    pub fn record_payments(ctx: &mut Context<RecordPayments>) -> Result<()> {
        instructions::record_payments::handle(ctx)
    }
}
