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

/// An asset; the first is asset 1.
#[derive(AnchorSerialize, AnchorDeserialize, IdlType, Clone)]
pub struct AssetEntry {
    /// UTF-8, zero-padded.
    pub name: [u8; 16],
    /// 1 points.
    pub kind: u8,
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
    /// Clause by clause; empty for always.
    pub condition: Vec<PredicateEntry>,
    pub effect: EffectEntry,
}

/// One comparison: predicates of one clause are OR-ed, clauses AND-ed.
#[derive(AnchorSerialize, AnchorDeserialize, IdlType, Clone)]
pub struct PredicateEntry {
    /// 0, 1, 2 … in order.
    pub clause: u8,
    pub negated: bool,
    /// 1 amount, 2 product, 3 weekday, 4 payment_number.
    pub field: u8,
    /// 1 ==, 2 !=, 3 <, 4 <=, 5 >, 6 >=, 7 any.
    pub operator: u8,
    pub value: u64,
}

/// What a rule grants.
#[derive(AnchorSerialize, AnchorDeserialize, IdlType, Clone)]
pub enum EffectEntry {
    /// The same amount each time.
    Fixed { asset: u8, amount: u64 },
    /// A share of the payment, in basis points, clamped; `max` 0 for no limit.
    Ratio { asset: u8, bps: u32, min: u64, max: u64 },
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

/// What one rule did with the payment.
#[derive(AnchorSerialize, AnchorDeserialize, IdlType, Clone)]
pub struct OutcomeEntry {
    pub rule: u16,
    pub version: u16,
    /// 0 Granted, 1 NotMatched, 2 NothingDue.
    pub reason: u8,
    /// With NotMatched, the first clause that fails.
    pub clause: u8,
    pub asset: u8,
    /// The asset's smallest unit.
    pub amount: u64,
    pub before: u64,
    pub after: u64,
}

impl From<&UtcOffsetRow> for OffsetEntry {
    fn from(row: &UtcOffsetRow) -> Self {
        Self { from: row.from, seconds: row.seconds }
    }
}

impl From<&Asset> for AssetEntry {
    fn from(asset: &Asset) -> Self {
        Self { name: asset.name, kind: asset.kind }
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
