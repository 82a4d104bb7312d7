//! Creates a platform with its rule book and its journal.
#![allow(unused_variables, reason = "the framework binds every argument that `#[instruction]` names")]

use crate::{
    error::RebateError,
    events::{AssetEntry, OffsetEntry, PlatformCreated},
    journal::Emitter,
    state::{
        Asset, Journal, MAX_OFFSETS, OrderShards, Platform, RuleBookAccount, Setting, UtcOffsetRow, VERSION, journal,
        platform,
    },
};
use alloc::vec::Vec;
use anchor_lang::prelude::*;
use rebate_core::units::MAX_ASSETS;

/// How many rules the book has room for at first; publishing makes more.
pub const FIRST_RULES: u32 = 8;

/// What a platform is created with.
#[derive(AnchorSerialize, AnchorDeserialize, IdlType, Clone)]
pub struct PlatformSettings {
    /// Part of the platform's address.
    pub id: u64,
    /// May change rules, assets and oracle keys.
    pub admin: [u8; 32],
    /// May stop and resume recording, at once.
    pub pauser: [u8; 32],
    /// How far back a payment may lie, in seconds; 1 to 31,622,400 (366 days).
    pub max_lateness: u32,
    /// How far ahead a rule version must be published, in seconds; 0 to 31,622,400 (366 days).
    pub timelock: u32,
    /// Into how many pages a day's orders are spread; more than 0.
    pub order_shards: u16,
    /// The least slots that the first page of a day and shard has, 8 to 1,267.
    pub page_slots: u16,
    /// Ascending; empty for UTC. At most 16.
    pub offsets: Vec<OffsetEntry>,
    /// At least 1, at most 8; the first is asset 1.
    pub assets: Vec<AssetEntry>,
}

#[event_cpi]
#[derive(Accounts)]
#[instruction(settings: PlatformSettings)]
pub struct CreatePlatform {
    /// Pays the rent. Anybody may create a platform; its roles are what the settings say.
    #[account(mut)]
    pub payer: Signer,
    #[account(init, payer = payer, space = platform::SPACE, seeds = [b"platform", &settings.id.to_le_bytes()], bump)]
    pub platform: Account<Platform>,
    #[account(init, payer = payer, space = RuleBookAccount::space_for(FIRST_RULES), seeds = [b"rules", platform.address().as_ref()], bump)]
    pub rule_book: RuleBookAccount,
    #[account(init, payer = payer, space = journal::SPACE, seeds = [b"journal", platform.address().as_ref()], bump)]
    pub journal: Account<Journal>,
    pub system_program: Program<System>,
}

/// - The platform, its rule book and its journal must not exist yet.
/// - Settings must be in range: spans at most 366 days, first pages of 8 to 1,267 slots, offsets ascending within
///   ±14 h, 1 to 8 assets of a known kind with a name.
/// - Emits `PlatformCreated` as the journal's first event.
pub fn handle(ctx: &mut Context<CreatePlatform>, settings: PlatformSettings) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let address = *ctx.accounts.platform.address();

    let platform = &mut ctx.accounts.platform;
    platform.id = settings.id;
    platform.admin = Address::new_from_array(settings.admin);
    platform.pauser = Address::new_from_array(settings.pauser);
    platform.max_lateness = Setting { value: settings.max_lateness, next: 0, next_from: 0 };
    platform.timelock = Setting { value: settings.timelock, next: 0, next_from: 0 };
    if let Some(row) = platform.order_shards.first_mut() {
        *row = OrderShards { from_day: 0, shards: settings.order_shards, page_slots: settings.page_slots };
    }
    platform.shard_rows = 1;
    platform.version = VERSION;
    platform.bump = ctx.bumps.platform;
    require!(
        settings.offsets.len() <= MAX_OFFSETS && (1..=MAX_ASSETS).contains(&settings.assets.len()),
        RebateError::InvalidSettings
    );
    for (row, offset) in platform.offsets.iter_mut().zip(&settings.offsets) {
        *row = UtcOffsetRow { from: offset.from, seconds: offset.seconds, reserved: [0; 4] };
    }
    for entry in &settings.assets {
        let asset = Asset::new(entry, 0).ok_or(RebateError::InvalidSettings)?;
        platform.add_asset(asset).ok_or(RebateError::InvalidSettings)?;
    }
    // Within the limit checked above.
    platform.offset_count = settings.offsets.len() as u8;
    platform.invariant()?;

    ctx.accounts.rule_book.platform = address;
    ctx.accounts.rule_book.version = VERSION;
    ctx.accounts.rule_book.bump = ctx.bumps.rule_book;

    let journal = &mut ctx.accounts.journal;
    journal.platform = address;
    journal.version = VERSION;
    journal.bump = ctx.bumps.journal;

    let mut emitter = Emitter::new(&ctx.accounts.event_authority, ctx.bumps.event_authority, ctx.program_id);
    emitter.emit(journal, |index| PlatformCreated {
        journal_index: index.0,
        at: now,
        platform: address.to_bytes(),
        id: settings.id,
        admin: settings.admin,
        pauser: settings.pauser,
        max_lateness: settings.max_lateness,
        timelock: settings.timelock,
        order_shards: settings.order_shards,
        page_slots: settings.page_slots,
        offsets: settings.offsets,
        assets: settings.assets,
    })
}
