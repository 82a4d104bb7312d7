//! The events. Their bytes (discriminator, then Borsh) are canonical: they are the journal's leaves.

pub mod payment_recorded;

use crate::state::{Asset, OracleKey, UtcOffsetRow};
use alloc::{string::String, vec::Vec};
use anchor_lang::prelude::*;

/// A platform was created.
#[event]
pub struct PlatformCreated {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    pub platform: [u8; 32],
    pub id: u64,
    pub admin: [u8; 32],
    pub pauser: [u8; 32],
    /// Seconds.
    pub max_lateness: u32,
    /// Seconds.
    pub timelock: u32,
    pub order_shards: u16,
    /// The least slots that the first page of a day and shard has.
    pub page_slots: u16,
    pub offsets: Vec<OffsetEntry>,
    pub assets: Vec<AssetEntry>,
}

/// A row of the table of UTC offsets.
#[derive(AnchorSerialize, AnchorDeserialize, IdlType, Clone)]
pub struct OffsetEntry {
    /// The first second of this offset, Unix time.
    pub from: i64,
    /// Local minus UTC, in seconds.
    pub seconds: i32,
}

/// An asset.
#[derive(AnchorSerialize, AnchorDeserialize, IdlType, Clone)]
pub struct AssetEntry {
    /// UTF-8, zero-padded.
    pub name: [u8; 16],
    /// 1 points, 2 token, 3 voucher.
    pub kind: u8,
    /// The calendar period it expires by, 1 to 24; 0 for never.
    pub expiry_months: u8,
    /// The mint of a token; zero for others.
    pub mint: [u8; 32],
}

/// An oracle key may sign from now on.
#[event]
pub struct OracleKeyRegistered {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    pub platform: [u8; 32],
    pub key: [u8; 32],
    /// Unix seconds; 0 for always.
    pub valid_from: i64,
    /// Unix seconds; 0 for never.
    pub valid_until: i64,
}

/// A rule version was published; this is all of it.
#[event]
pub struct RulePublished {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    pub platform: [u8; 32],
    /// The first `paid_at` it is for, Unix seconds; 0 for open.
    pub effective_at: i64,
    pub rule: RuleDefinition,
}

/// A rule version, as an operator publishes it.
#[derive(AnchorSerialize, AnchorDeserialize, IdlType, Clone)]
pub struct RuleDefinition {
    /// The rule.
    pub id: u16,
    /// One more than the last published, from 1.
    pub version: u16,
    /// 1 to 32 bytes of UTF-8.
    pub name: String,
    /// Smaller is evaluated first; ties by id.
    pub priority: u16,
    /// Against `paid_at`, Unix seconds; 0 for open.
    pub starts_at: i64,
    /// Against `paid_at`, Unix seconds, exclusive; 0 for open.
    pub ends_at: i64,
    /// With which rules it competes.
    pub group: u8,
    /// How: 1 stackable, 2 first, 3 best; the same for all rules of the group.
    pub group_mode: u8,
    /// What others can exclude it by, a bit set.
    pub tags: u32,
    /// By what it is excluded, a bit set.
    pub excludes: u32,
    /// Clause by clause; empty for always.
    pub condition: Vec<PredicateEntry>,
    /// Over which time its counters run: 1 day, 2 week, 3 month, 4 lifetime, 5 schedule.
    pub window: u8,
    /// Whose counters it uses: 1 user, 2 user_streamer, 3 user_session.
    pub scope: u8,
    /// What it grants.
    pub effect: EffectEntry,
    /// How much and how often at most.
    pub limits: LimitsEntry,
    /// The basis points of users who are never granted.
    pub holdout_bps: u16,
}

/// One comparison: predicates of one clause are OR-ed, clauses AND-ed.
#[derive(AnchorSerialize, AnchorDeserialize, IdlType, Clone)]
pub struct PredicateEntry {
    /// 0, 1, 2 … in order.
    pub clause: u8,
    /// Whether the comparison must not hold.
    pub negated: bool,
    /// 1 amount, 2 product, 3 weekday, 4 payment_number, 5 hour, 6 date, 7 spend, 8 payments, 9 streak_days, 10 tier, 11 segments, 12
    /// streamer, 13 session.
    pub field: u8,
    /// 1 ==, 2 !=, 3 <, 4 <=, 5 >, 6 >=, 7 any.
    pub operator: u8,
    /// What the field is compared with.
    pub value: u64,
}

/// What a rule grants.
#[derive(AnchorSerialize, AnchorDeserialize, IdlType, Clone)]
pub enum EffectEntry {
    /// The same amount each time.
    Fixed { asset: u8, amount: u64 },
    /// A share of the payment, in basis points, clamped; `max` 0 for no limit.
    Ratio { asset: u8, bps: u32, min: u64, max: u64 },
    /// What the spend in the window entitles to, less what was granted in it: `mode` 1 fixed, 2 slab, 3 marginal; 1 to 8
    /// steps by ascending threshold.
    Tiers { asset: u8, mode: u8, steps: Vec<StepEntry> },
    /// `amount` on the payment that makes the streak `days` long, or every multiple of it.
    Streak { asset: u8, days: u32, amount: u64, recurring: bool },
    /// On what the other rules of the group granted in the asset, in basis points above 10 000.
    Multiplier { asset: u8, bps: u32 },
}

/// A step of tiers.
#[derive(AnchorSerialize, AnchorDeserialize, IdlType, Clone)]
pub struct StepEntry {
    /// The spend from which on it counts.
    pub threshold: u64,
    /// An amount, or basis points.
    pub value: u64,
}

/// A rule's limits.
#[derive(AnchorSerialize, AnchorDeserialize, IdlType, Clone)]
pub struct LimitsEntry {
    /// How much a user gets in one window; 0 for no limit.
    pub user_amount: u64,
    /// How often a user gets something in one window; 0 for no limit.
    pub user_count: u64,
    /// How much the rule grants in all; 0 for no limit.
    pub total_amount: u64,
    /// How often it grants in all; 0 for no limit.
    pub total_count: u64,
    /// What happens to a grant that passes a limit: 1 clip, 2 reject.
    pub on_limit: u8,
}

/// Recording was stopped or resumed.
#[event]
pub struct PauseChanged {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    pub platform: [u8; 32],
    pub paused: bool,
    pub by: [u8; 32],
}

/// A payment was accepted; these are its outcomes.
#[event]
pub struct PaymentRecorded {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    pub platform: [u8; 32],
    /// The oracle key that signed it.
    pub oracle: [u8; 32],
    /// SHA-256 of the order number.
    pub order: [u8; 32],
    pub user: [u8; 32],
    /// The platform's minor currency unit.
    pub amount: u64,
    /// Unix seconds.
    pub paid_at: i64,
    pub product: u16,
    /// 0 for none.
    pub streamer: u64,
    /// 0 for none.
    pub session: u64,
    pub tier: u8,
    pub segments: u32,
    /// The how-manieth payment of this user it is, from 1.
    pub number: u64,
    /// Of every rule in force, in order of evaluation.
    pub outcomes: Vec<OutcomeEntry>,
}

/// What one rule did with a record.
#[derive(AnchorSerialize, AnchorDeserialize, IdlType, Clone)]
pub struct OutcomeEntry {
    /// The rule.
    pub rule: u16,
    /// Its version.
    pub version: u16,
    /// 0 Granted, 1 NotMatched, 2 NothingDue, 3 LateForWindow, 4 Holdout, 5 UserLimit, 6 BudgetSpent, 7 GroupTaken, 8 Excluded,
    /// 9 VaultShort, 10 Reversed.
    pub reason: u8,
    /// With NotMatched, the first clause that fails.
    pub clause: u8,
    /// What it grants.
    pub asset: u8,
    /// How much it granted, or a refund reversed, in the asset's smallest unit.
    pub amount: u64,
    /// The user's balance before.
    pub before: u64,
    /// And after.
    pub after: u64,
}

/// An oracle key may sign no longer than until then.
#[event]
pub struct OracleKeyRetired {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The Ed25519 key.
    pub key: [u8; 32],
    /// Unix seconds, exclusive.
    pub valid_until: i64,
}

/// The last version of a rule ends without a successor.
#[event]
pub struct RuleEnded {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The rule.
    pub rule: u16,
    /// Its version.
    pub version: u16,
    /// The first `paid_at` it is no longer for, Unix seconds.
    pub ends_at: i64,
}

/// A version that is over left the rule book; these are its totals.
#[event]
pub struct RuleDropped {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The rule.
    pub rule: u16,
    /// Its version.
    pub version: u16,
    /// What it granted, in the asset's smallest unit.
    pub granted: u64,
    /// How often.
    pub grants: u64,
    /// What of it refunds took back.
    pub reversed: u64,
}

/// A platform can grant one more thing.
#[event]
pub struct AssetAdded {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// Its number.
    pub asset: u8,
    /// What it is.
    pub entry: AssetEntry,
    /// The first `paid_at` a rule may grant it for, Unix seconds; 0 for open.
    pub active_from: i64,
}

/// The platform's clocks will be set otherwise from then on.
#[event]
pub struct OffsetAdded {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The row added to the table.
    pub offset: OffsetEntry,
}

/// A role has a new holder, or is to get one.
#[event]
pub struct RoleChanged {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// 1 admin, 2 pauser.
    pub role: u8,
    /// Who holds it, or will.
    pub holder: [u8; 32],
    /// From when on the holder may take it up, Unix seconds; 0 where the holder has it now.
    pub effective_at: i64,
}

/// A setting changes.
#[event]
pub struct SettingChanged {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// 1 max_lateness, 2 timelock.
    pub setting: u8,
    /// Seconds.
    pub value: u32,
    /// From when on, Unix seconds; 0 for now.
    pub effective_at: i64,
}

/// The orders of later days are spread into another number of pages, or into larger or smaller ones.
#[event]
pub struct OrderShardsChanged {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The first day, days since 1970-01-01, UTC.
    pub from_day: u32,
    /// How many pages.
    pub shards: u16,
    /// The least slots that the first page of a day and shard has.
    pub page_slots: u16,
}

/// Records of this day and all before it are refused for good.
#[event]
pub struct DayClosed {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// Days since 1970-01-01, UTC.
    pub day: u32,
}

/// An order was refunded, in whole or in part.
#[event]
pub struct RefundRecorded {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The oracle key that signed it.
    pub oracle: [u8; 32],
    /// SHA-256 of the refund's own order number.
    pub order: [u8; 32],
    /// SHA-256 of the order refunded.
    pub of: [u8; 32],
    /// The user's key.
    pub user: [u8; 32],
    /// The platform's minor currency unit.
    pub amount: u64,
    /// When it was paid back, Unix seconds.
    pub paid_at: i64,
    /// What of the order was refunded so far, this refund included.
    pub refunded: u64,
    /// Of every grant that loses something, in the order granted.
    pub outcomes: Vec<OutcomeEntry>,
}

/// A user spent points or vouchers with the platform.
#[event]
pub struct Redeemed {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The oracle key that signed it.
    pub oracle: [u8; 32],
    /// SHA-256 of the redemption's order number.
    pub order: [u8; 32],
    /// The user's key.
    pub user: [u8; 32],
    /// What.
    pub asset: u8,
    /// In the asset's smallest unit.
    pub amount: u64,
    /// Unix seconds.
    pub redeemed_at: i64,
    /// The balance before.
    pub before: u64,
    /// And after.
    pub after: u64,
}

/// What was left of a closed period expired.
#[event]
pub struct BalanceExpired {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The user's key.
    pub user: [u8; 32],
    /// What.
    pub asset: u8,
    /// In the asset's smallest unit.
    pub amount: u64,
    /// The balance before.
    pub before: u64,
    /// And after.
    pub after: u64,
}

/// A user's tokens go to this wallet.
#[event]
pub struct WalletLinked {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The oracle key that signed it.
    pub oracle: [u8; 32],
    /// The user's key.
    pub user: [u8; 32],
    /// The wallet's address.
    pub wallet: [u8; 32],
    /// Unix seconds.
    pub linked_at: i64,
}

/// A user took tokens out of a vault.
#[event]
pub struct Claimed {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The user's key.
    pub user: [u8; 32],
    /// The wallet that signed.
    pub wallet: [u8; 32],
    /// What.
    pub asset: u8,
    /// In the asset's smallest unit.
    pub amount: u64,
    /// The balance before.
    pub before: u64,
    /// And after.
    pub after: u64,
    /// The token account they went to.
    pub destination: [u8; 32],
}

/// A token asset has a vault.
#[event]
pub struct VaultOpened {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// What it holds.
    pub asset: u8,
    /// The token's mint.
    pub mint: [u8; 32],
    /// The vault's address.
    pub vault: [u8; 32],
}

/// A vault received tokens.
#[event]
pub struct Deposited {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// What.
    pub asset: u8,
    /// Who gave them.
    pub by: [u8; 32],
    /// What arrived, in the asset's smallest unit.
    pub amount: u64,
    /// What the vault holds now.
    pub funds: u64,
}

/// Tokens left a vault that no user has a claim to.
#[event]
pub struct SurplusWithdrawn {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// What.
    pub asset: u8,
    /// The token account they went to.
    pub destination: [u8; 32],
    /// In the asset's smallest unit.
    pub amount: u64,
    /// What the vault holds now.
    pub funds: u64,
    /// What users have of it.
    pub liability: u64,
}

impl From<&UtcOffsetRow> for OffsetEntry {
    fn from(row: &UtcOffsetRow) -> Self {
        Self { from: row.from, seconds: row.seconds }
    }
}

impl From<&Asset> for AssetEntry {
    fn from(asset: &Asset) -> Self {
        Self { name: asset.name, kind: asset.kind, expiry_months: asset.expiry_months, mint: asset.mint }
    }
}

impl OracleKeyRegistered {
    /// The event of a key's registration.
    pub fn new(journal_index: u64, at: i64, platform: &Address, key: &OracleKey) -> Self {
        Self {
            journal_index,
            at,
            platform: platform.to_bytes(),
            key: key.key,
            valid_from: key.valid_from,
            valid_until: key.valid_until,
        }
    }
}
