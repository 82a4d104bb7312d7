//! A platform: one operator's programme on chain.

use crate::error::RebateError;
use anchor_lang::prelude::*;
use rebate_core::{
    time::UtcOffset,
    units::{AssetId, MAX_ASSETS, Seconds, Timestamp},
};

/// How many oracle keys a platform can have.
pub const MAX_ORACLES: usize = 8;

/// How many rows its table of UTC offsets can have.
pub const MAX_OFFSETS: usize = 16;

/// Seeds: `platform`, id (8 bytes, little-endian).
#[account]
pub struct Platform {
    /// The number the platform was created with; part of its address.
    pub id: u64,
    /// May change rules, assets and oracle keys.
    pub admin: Address,
    /// May stop and resume recording, at once.
    pub pauser: Address,
    /// How far back a payment may lie, in seconds.
    pub max_lateness: u32,
    /// How far ahead a rule version must be published, in seconds.
    pub timelock: u32,
    /// Into how many pages a day's orders are spread.
    pub order_shards: u16,
    /// Layout version.
    pub version: u8,
    /// Of the platform's address.
    pub bump: u8,
    /// 1 while paused.
    pub paused: u8,
    /// How many of `oracles` there are.
    pub oracle_count: u8,
    /// How many of `offsets` there are.
    pub offset_count: u8,
    /// How many of `assets` there are.
    pub asset_count: u8,
    /// Keys that may sign records.
    pub oracles: [OracleKey; MAX_ORACLES],
    /// Local time, by date; ascending.
    pub offsets: [UtcOffsetRow; MAX_OFFSETS],
    /// What can be granted; asset `n` stands at `n - 1`.
    pub assets: [Asset; MAX_ASSETS],
    /// Zero.
    pub reserved: [u8; 256],
}

/// A key that may sign records, and when.
#[derive(Clone, Copy, PartialEq, Eq, IdlType, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct OracleKey {
    /// The Ed25519 key.
    pub key: [u8; 32],
    /// The first second of the chain's clock at which it may sign; 0 for always.
    pub valid_from: i64,
    /// The first second at which it no longer may; 0 for never.
    pub valid_until: i64,
}

impl OracleKey {
    /// Whether it may sign at `now`.
    pub fn valid_at(&self, now: Timestamp) -> bool {
        self.valid_from <= now.0 && (self.valid_until == 0 || now.0 < self.valid_until)
    }
}

/// A row of the table of UTC offsets; the layout is that of [`UtcOffset`].
#[derive(Clone, Copy, PartialEq, Eq, IdlType, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct UtcOffsetRow {
    /// The first second of this offset, Unix time.
    pub from: i64,
    /// Local minus UTC, in seconds.
    pub seconds: i32,
    /// Zero.
    pub reserved: [u8; 4],
}

/// Something that can be granted.
#[derive(Clone, Copy, PartialEq, Eq, IdlType, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct Asset {
    /// UTF-8, zero-padded.
    pub name: [u8; 16],
    /// 1 points: a ledger entry and nothing else.
    pub kind: u8,
    /// How many bytes of `name` there are.
    pub name_length: u8,
    /// Zero.
    pub reserved: [u8; 14],
}

impl Asset {
    /// An asset of a kind, by its zero-padded name; `None` for an unknown kind or a name that is empty or no UTF-8.
    pub fn new(name: [u8; 16], kind: u8) -> Option<Self> {
        let length = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        let (text, padding) = name.split_at_checked(length)?;
        let sound = kind == 1
            && !text.is_empty()
            && core::str::from_utf8(text).is_ok()
            && padding.iter().all(|byte| *byte == 0);
        // At most 16.
        sound.then_some(Self { name, kind, name_length: length as u8, reserved: [0; 14] })
    }
}

const _: () = assert!(size_of::<UtcOffsetRow>() == size_of::<UtcOffset>());
const _: () = assert!(align_of::<UtcOffsetRow>() == align_of::<UtcOffset>());

impl Platform {
    /// The table of UTC offsets in use.
    pub fn offsets(&self) -> &[UtcOffset] {
        let rows = self.offsets.get(..usize::from(self.offset_count)).unwrap_or(&self.offsets);
        bytemuck::cast_slice(rows)
    }

    /// How far back a payment may lie.
    pub fn max_lateness(&self) -> Seconds {
        Seconds(self.max_lateness)
    }

    /// The oracle keys there are.
    pub fn oracles(&self) -> &[OracleKey] {
        self.oracles.get(..usize::from(self.oracle_count)).unwrap_or(&self.oracles)
    }

    /// An asset of this platform.
    pub fn asset(&self, id: AssetId) -> Option<&Asset> {
        let slot = id.slot()?;
        if slot < usize::from(self.asset_count) { self.assets.get(slot) } else { None }
    }

    /// Refuses while the platform is paused.
    pub fn require_running(&self) -> Result<()> {
        if self.paused != 0 { Err(RebateError::Paused.into()) } else { Ok(()) }
    }

    /// Checks what must always hold of a platform.
    pub fn invariant(&self) -> Result<()> {
        let counts = usize::from(self.oracle_count) <= MAX_ORACLES
            && usize::from(self.offset_count) <= MAX_OFFSETS
            && usize::from(self.asset_count) <= MAX_ASSETS;
        require!(counts && self.order_shards > 0 && self.max_lateness > 0, RebateError::InvalidSettings);
        require!(UtcOffset::check(self.offsets()).is_ok(), RebateError::InvalidSettings);
        Ok(())
    }
}

/// The size of the account, discriminator included.
pub const SPACE: usize = 8 + size_of::<Platform>();
