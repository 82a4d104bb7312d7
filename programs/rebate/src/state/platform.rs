//! A platform: one operator's programme on chain.

use crate::{error::RebateError, events::AssetEntry};
use anchor_lang::prelude::*;
use rebate_core::{
    admission::Admission,
    balance::{Balance, Balances},
    evaluate::UNLIMITED,
    expiry::{MAX_MONTHS, Periods},
    order::{MAX_OPENED_SLOTS, MIN_SLOTS},
    time::{MAX_SPAN, UtcOffset},
    units::{Amount, AssetId, Day, MAX_ASSETS, Months, Seconds, Timestamp},
};

/// How many oracle keys a platform can have.
pub const MAX_ORACLES: usize = 8;

/// How many rows its table of UTC offsets can have.
pub const MAX_OFFSETS: usize = 16;

/// How many changes of how orders are spread a platform remembers.
pub const MAX_SHARD_ROWS: usize = 4;

/// Seeds: `platform`, id (8 bytes, little-endian).
#[account]
pub struct Platform {
    /// The number the platform was created with; part of its address.
    pub id: u64,
    /// May change rules, assets and oracle keys.
    pub admin: Address,
    /// May stop and resume recording and claiming, at once.
    pub pauser: Address,
    /// Who may take up the role of admin, from `next_admin_from` on; zero for nobody.
    pub next_admin: Address,
    /// Unix seconds.
    pub next_admin_from: i64,
    /// How far back a record may lie; 1 second to 366 days.
    pub max_lateness: Setting,
    /// How far ahead changes must be announced; at most 366 days.
    pub timelock: Setting,
    /// Into how many pages a day's orders are spread and what room the first of them have, by day; ascending.
    pub order_shards: [OrderShards; MAX_SHARD_ROWS],
    /// The first day whose orders are still remembered, days since 1970-01-01: every record of a day before is refused.
    pub open_from: u32,
    /// The last day for which a page was opened.
    pub last_opened: u32,
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
    /// How many of `order_shards` there are.
    pub shard_rows: u8,
    /// Zero.
    pub padding: u8,
    /// Keys that may sign records.
    pub oracles: [OracleKey; MAX_ORACLES],
    /// Local time, by date; ascending.
    pub offsets: [UtcOffsetRow; MAX_OFFSETS],
    /// What can be granted; asset `n` stands at `n - 1`.
    pub assets: [Asset; MAX_ASSETS],
    /// Zero.
    pub reserved: [u8; 128],
}

/// A setting in seconds, and the one that is to follow it.
#[derive(Clone, Copy, PartialEq, Eq, IdlType, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct Setting {
    /// Until `next_from`.
    pub value: u32,
    /// From then on.
    pub next: u32,
    /// Unix seconds; 0 where nothing is to follow.
    pub next_from: i64,
}

impl Setting {
    /// What holds at `now`.
    #[inline(always)]
    pub fn at(&self, now: Timestamp) -> Seconds {
        Seconds(if self.next_from != 0 && now.0 >= self.next_from { self.next } else { self.value })
    }

    /// Whether it is no longer than a span can be, now and later.
    fn is_bounded(&self) -> bool {
        self.value <= MAX_SPAN && self.next <= MAX_SPAN
    }

    /// Changes the setting: to something longer at once, to something shorter at `effective_at`, which is not before `now`
    /// plus `timelock`. A change that was to come is replaced.
    ///
    /// # Errors
    /// [`RebateError::TooEarly`].
    pub fn change(&mut self, value: u32, effective_at: Timestamp, now: Timestamp, timelock: Seconds) -> Result<()> {
        let held = self.at(now).0;
        let earliest = if value >= held { now.0 } else { now.0.saturating_add(i64::from(timelock.0)) };
        let from = if effective_at.0 == 0 { now.0 } else { effective_at.0 };
        require!(from >= earliest, RebateError::TooEarly);
        *self = if from == now.0 {
            Self { value, next: 0, next_from: 0 }
        } else {
            Self { value: held, next: value, next_from: from }
        };
        Ok(())
    }
}

/// From `from_day` on, a day's orders are spread into `shards` shards; their first pages have at least `page_slots`
/// slots.
#[derive(Clone, Copy, PartialEq, Eq, IdlType, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct OrderShards {
    /// Days since 1970-01-01, UTC.
    pub from_day: u32,
    /// At least 1.
    pub shards: u16,
    /// The least slots that the first page of a day and shard has, 8 to 1,267.
    pub page_slots: u16,
}

impl OrderShards {
    /// Whether it spreads orders at all, and asks for pages that can be opened.
    pub fn is_sound(&self) -> bool {
        self.shards > 0 && (MIN_SLOTS..=MAX_OPENED_SLOTS).contains(&self.page_slots)
    }
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
    /// 1 points: a ledger entry and nothing else; 2 token: backed by a vault; 3 voucher: units of one face value.
    pub kind: u8,
    /// How many bytes of `name` there are.
    pub name_length: u8,
    /// The calendar period it expires by, 1 to 24; 0 for never.
    pub expiry_months: u8,
    /// 1 once a token's vault is open.
    pub has_vault: u8,
    /// Of the vault's address.
    pub vault_bump: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// The first `paid_at` a rule may grant it for, Unix seconds; 0 for open.
    pub active_from: i64,
    /// What users have of a token, in its smallest unit.
    pub liability: u64,
    /// What the vault held when an instruction last looked: nobody but this program takes anything out.
    pub funds: u64,
    /// The mint of a token; zero for others.
    pub mint: [u8; 32],
}

/// A ledger entry and nothing else.
pub const POINTS: u8 = 1;
/// Backed by a vault.
pub const TOKEN: u8 = 2;
/// Units of one face value.
pub const VOUCHER: u8 = 3;

impl Asset {
    /// The asset that `entry` describes; `None` for an unknown kind, a name that is empty or no UTF-8, a period beyond 24
    /// months, or a mint where there is no token or none where there is one.
    pub fn new(entry: &AssetEntry, active_from: i64) -> Option<Self> {
        let length = entry.name.iter().position(|byte| *byte == 0).unwrap_or(entry.name.len());
        let (text, padding) = entry.name.split_at_checked(length)?;
        let sound = (POINTS..=VOUCHER).contains(&entry.kind)
            && entry.expiry_months <= MAX_MONTHS
            && (entry.kind == TOKEN) == (entry.mint != [0; 32])
            && !text.is_empty()
            && core::str::from_utf8(text).is_ok()
            && padding.iter().all(|byte| *byte == 0);
        sound.then_some(Self {
            name: entry.name,
            kind: entry.kind,
            // At most 16.
            name_length: length as u8,
            expiry_months: entry.expiry_months,
            has_vault: 0,
            vault_bump: 0,
            reserved: [0; 3],
            active_from,
            liability: 0,
            funds: 0,
            mint: entry.mint,
        })
    }

    /// What the vault holds beyond what users have; without limit where nothing backs the asset.
    #[inline(always)]
    pub fn free(&self) -> Amount {
        if self.kind == TOKEN { Amount(self.funds.saturating_sub(self.liability)) } else { UNLIMITED }
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

    /// What records are let in at `now`.
    pub fn admission(&self, now: Timestamp) -> Admission {
        Admission::new(now, self.max_lateness.at(now)).closed_before(Day(self.open_from))
    }

    /// The earliest that a change announced at `now` can count.
    pub fn earliest_change(&self, now: Timestamp) -> Timestamp {
        Timestamp(now.0.saturating_add(i64::from(self.timelock.at(now).0)))
    }

    /// Into how many pages the orders of `day` are spread.
    pub fn order_shards(&self, day: Day) -> u16 {
        self.order_row(day).map_or(1, |row| row.shards)
    }

    /// The least slots that the first page of `day` has in each of its shards.
    pub fn page_slots(&self, day: Day) -> u16 {
        self.order_row(day).map_or(MIN_SLOTS, |row| row.page_slots)
    }

    /// How the orders of `day` are spread; `None` only for days that are closed.
    fn order_row(&self, day: Day) -> Option<&OrderShards> {
        let rows = self.order_shards.get(..usize::from(self.shard_rows)).unwrap_or(&self.order_shards);
        rows.iter().rev().find(|row| row.from_day <= day.0)
    }

    /// The assets there are.
    #[inline(always)]
    fn assets(&self) -> &[Asset] {
        self.assets.get(..usize::from(self.asset_count)).unwrap_or(&self.assets)
    }

    /// What each asset's vault has free, by asset slot; `None` where nothing backs any asset.
    #[inline(always)]
    pub fn free(&self) -> Option<[Amount; MAX_ASSETS]> {
        if self.assets().iter().all(|asset| asset.kind != TOKEN) {
            return None;
        }
        let mut all = [UNLIMITED; MAX_ASSETS];
        for (free, asset) in all.iter_mut().zip(self.assets()) {
            *free = asset.free();
        }
        Some(all)
    }

    /// By which calendar period each asset expires, by asset slot; `None` where none does.
    #[inline(always)]
    pub fn periods(&self) -> Option<Periods> {
        let expires = self.assets().iter().any(|asset| asset.expiry_months != 0);
        expires.then(|| self.assets.each_ref().map(|asset| Months(asset.expiry_months)))
    }

    /// Takes over what moved in a user's balances: what users have of a token is owed to them. `before` are those there was
    /// room for; of others there was nothing.
    #[inline(always)]
    pub fn account_for(&mut self, before: &[Balance], after: &Balances) {
        let count = usize::from(self.asset_count);
        for ((asset, before), after) in self.assets.iter_mut().take(count).zip(before).zip(after) {
            if asset.kind == TOKEN {
                // Every unit of a balance was added here when it was credited.
                asset.liability = asset.liability.saturating_sub(before.total().0).saturating_add(after.total().0);
            }
        }
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

    /// The same, to be changed.
    pub fn asset_mut(&mut self, id: AssetId) -> Option<&mut Asset> {
        let slot = id.slot()?;
        if slot < usize::from(self.asset_count) { self.assets.get_mut(slot) } else { None }
    }

    /// Adds an asset, and returns its number.
    pub fn add_asset(&mut self, asset: Asset) -> Option<AssetId> {
        *self.assets.get_mut(usize::from(self.asset_count))? = asset;
        self.asset_count = self.asset_count.checked_add(1)?;
        Some(AssetId(self.asset_count))
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
        let rows = self.order_shards.get(..usize::from(self.shard_rows)).unwrap_or_default();
        let shards = !rows.is_empty() && rows.iter().all(OrderShards::is_sound);
        let lateness = self.max_lateness.value > 0 && (self.max_lateness.next_from == 0 || self.max_lateness.next > 0);
        let bounded = self.max_lateness.is_bounded() && self.timelock.is_bounded();
        require!(counts && shards && lateness && bounded, RebateError::InvalidSettings);
        require!(UtcOffset::check(self.offsets()).is_ok(), RebateError::InvalidSettings);
        Ok(())
    }
}

/// The size of the account, discriminator included.
pub const SPACE: usize = 8 + size_of::<Platform>();
