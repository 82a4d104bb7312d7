//! Creating a platform and changing what its admin decides.

use super::{emitting, instruction, payer, readonly, signer, writable};
use crate::{
    address::{Addresses, SYSTEM},
    event::{AssetEntry, OffsetEntry},
};
use borsh::BorshSerialize;
use rebate_core::units::{Day, Timestamp};
use solana_program::{instruction::Instruction, pubkey::Pubkey};

/// What a platform is created with.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize)]
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
    /// 1 to 8; the first is asset 1.
    pub assets: Vec<AssetEntry>,
}

/// Settings of a platform that are a span of time. Making one longer counts at once, making it shorter only after the
/// timelock. At most 366 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PlatformSetting {
    /// How far back a record may lie.
    MaxLateness = 1,
    /// How far ahead changes must be announced.
    Timelock = 2,
}

/// Creates a platform with its rule book and its journal.
pub fn create_platform(who: &Pubkey, settings: &PlatformSettings) -> Instruction {
    let addresses = Addresses::of(settings.id);
    let accounts = vec![
        payer(who),
        writable(addresses.platform),
        writable(addresses.rule_book),
        writable(addresses.journal),
        readonly(SYSTEM),
    ];
    instruction("create_platform", emitting(accounts, &addresses), settings)
}

/// An instruction of somebody with a role, on the platform and its journal.
fn by_role(name: &str, role: &Pubkey, addresses: &Addresses, arguments: &impl BorshSerialize) -> Instruction {
    let accounts = vec![signer(role), writable(addresses.platform), writable(addresses.journal)];
    instruction(name, emitting(accounts, addresses), arguments)
}

/// The same, where it matters whether a payment was accepted yet.
fn by_admin_over_rules(
    name: &str,
    admin: &Pubkey,
    addresses: &Addresses,
    arguments: &impl BorshSerialize,
) -> Instruction {
    let accounts =
        vec![signer(admin), writable(addresses.platform), readonly(addresses.rule_book), writable(addresses.journal)];
    instruction(name, emitting(accounts, addresses), arguments)
}

/// Lets `key` sign from `valid_from` until before `valid_until`; 0 for open. Once payments were accepted, `valid_from` is
/// after the timelock.
pub fn register_oracle_key(
    admin: &Pubkey,
    addresses: &Addresses,
    key: &Pubkey,
    valid_from: Timestamp,
    valid_until: Timestamp,
) -> Instruction {
    let arguments = (key.to_bytes(), valid_from.0, valid_until.0);
    by_admin_over_rules("register_oracle_key", admin, addresses, &arguments)
}

/// Ends a key's validity at `valid_until`, or now if that is in the past. It can only be made shorter.
pub fn retire_oracle_key(admin: &Pubkey, addresses: &Addresses, key: &Pubkey, valid_until: Timestamp) -> Instruction {
    by_role("retire_oracle_key", admin, addresses, &(key.to_bytes(), valid_until.0))
}

/// Adds an asset that rules may grant for payments from `active_from` on; once payments were accepted, after the timelock.
pub fn add_asset(admin: &Pubkey, addresses: &Addresses, asset: &AssetEntry, active_from: Timestamp) -> Instruction {
    by_admin_over_rules("add_asset", admin, addresses, &(asset, active_from.0))
}

/// Adds a row to the table of UTC offsets; once payments were accepted, for a moment after the timelock.
pub fn add_utc_offset(admin: &Pubkey, addresses: &Addresses, offset: OffsetEntry) -> Instruction {
    by_admin_over_rules("add_utc_offset", admin, addresses, &offset)
}

/// Changes a setting from `effective_at` on, Unix seconds; 0 for now.
pub fn change_setting(
    admin: &Pubkey,
    addresses: &Addresses,
    setting: PlatformSetting,
    seconds: u32,
    effective_at: Timestamp,
) -> Instruction {
    by_role("change_setting", admin, addresses, &(setting as u8, seconds, effective_at.0))
}

/// Spreads the orders of the days from `from_day` on, none of which has a page yet, into `shards` pages each, of which
/// the first have at least `page_slots` slots, 8 to 1,267.
pub fn set_order_shards(
    admin: &Pubkey,
    addresses: &Addresses,
    from_day: Day,
    shards: u16,
    page_slots: u16,
) -> Instruction {
    by_role("set_order_shards", admin, addresses, &(from_day.0, shards, page_slots))
}

/// Names who may take up the role of admin after the timelock; the zero address takes that back.
pub fn propose_admin(admin: &Pubkey, addresses: &Addresses, next: &Pubkey) -> Instruction {
    by_role("propose_admin", admin, addresses, &next.to_bytes())
}

/// Takes up the role of admin.
pub fn accept_admin(next: &Pubkey, addresses: &Addresses) -> Instruction {
    by_role("accept_admin", next, addresses, &())
}

/// Gives the role of pauser to `pauser`, at once.
pub fn set_pauser(admin: &Pubkey, addresses: &Addresses, pauser: &Pubkey) -> Instruction {
    by_role("set_pauser", admin, addresses, &pauser.to_bytes())
}

/// Stops or resumes recording and claiming, at once.
pub fn set_paused(pauser: &Pubkey, addresses: &Addresses, paused: bool) -> Instruction {
    by_role("set_paused", pauser, addresses, &paused)
}
