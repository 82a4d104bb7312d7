//! The program's accounts, decoded. Field for field what `idl/rebate.json` says; the layouts are the chain's own bytes.

use crate::event::AssetEntry;
use bytemuck::{Pod, Zeroable};
use rebate_core::{
    admission::Admission,
    balance::{Balance, Balances},
    counters::Counters,
    expiry::Periods,
    journal::{self, Hash, MAX_PEAKS},
    order::MIN_SLOTS,
    rule::Rule,
    time::UtcOffset,
    units::{Amount, AssetId, Day, MAX_ASSETS, Months, ScopeId, Seconds, Timestamp},
};
use solana_program::hash::hash;
use thiserror::Error;

/// Bytes that are not the account they should be.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// The first eight bytes are another account's.
    #[error("not a {0} account of the rebate program")]
    AnotherAccount(&'static str),
    /// Shorter than the account is.
    #[error("the {0} account is cut off: {1} bytes")]
    Truncated(&'static str, usize),
    /// Written by a program with another layout.
    #[error("the {account} account has layout version {found}, this software knows {known}; update it")]
    Version {
        /// The account.
        account: &'static str,
        /// What it says.
        found: u8,
        /// What this code reads.
        known: u8,
    },
}

/// The layout version this code reads.
pub const VERSION: u8 = 1;

/// How many oracle keys a platform can have.
pub const MAX_ORACLES: usize = 8;

/// How many rows its table of UTC offsets can have.
pub const MAX_OFFSETS: usize = 16;

/// How many changes of the number of order shards a platform remembers.
pub const MAX_SHARD_ROWS: usize = 4;

/// The first eight bytes of an account: the first 8 bytes of SHA-256 of `account:Name`, as Anchor has it.
pub fn discriminator(name: &str) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = hash(format!("account:{name}").as_bytes()).to_bytes();
    [a, b, c, d, e, f, g, h]
}

/// A fixed account layout.
trait Layout: Pod {
    const NAME: &'static str;

    fn version(&self) -> u8;

    /// The layout and the bytes behind it.
    fn split(data: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let (head, body) = data.split_first_chunk::<8>().ok_or(DecodeError::Truncated(Self::NAME, data.len()))?;
        if *head != discriminator(Self::NAME) {
            return Err(DecodeError::AnotherAccount(Self::NAME));
        }
        let (layout, rest) =
            body.split_at_checked(size_of::<Self>()).ok_or(DecodeError::Truncated(Self::NAME, data.len()))?;
        let layout: Self = bytemuck::pod_read_unaligned(layout);
        if layout.version() != VERSION {
            return Err(DecodeError::Version { account: Self::NAME, found: layout.version(), known: VERSION });
        }
        Ok((layout, rest))
    }
}

macro_rules! layout {
    ($($name:ident),*) => {
        $(
            impl Layout for $name {
                const NAME: &'static str = stringify!($name);

                fn version(&self) -> u8 {
                    self.version
                }
            }

            impl $name {
                /// Decodes the account's data, discriminator included.
                ///
                /// # Errors
                /// [`DecodeError`].
                pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
                    Self::split(data).map(|(layout, _)| layout)
                }
            }
        )*
    };
}

layout!(Platform, Journal, User, Counter, OrderPage, Refund, RuleBook);

/// A platform and its settings.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Platform {
    /// The number it was created with.
    pub id: u64,
    /// May change rules, assets and oracle keys.
    pub admin: [u8; 32],
    /// May stop and resume recording.
    pub pauser: [u8; 32],
    /// Who may take up the role of admin, from `next_admin_from` on; zero for nobody.
    pub next_admin: [u8; 32],
    /// Unix seconds.
    pub next_admin_from: i64,
    /// How far back a record may lie.
    pub max_lateness: Setting,
    /// How far ahead changes must be announced.
    pub timelock: Setting,
    /// Into how many pages a day's orders are spread, by day; ascending.
    pub order_shards: [OrderShards; MAX_SHARD_ROWS],
    /// The first day whose orders are still remembered, days since 1970-01-01.
    pub open_from: u32,
    /// The last day for which a page was opened.
    pub last_opened: u32,
    /// Layout version.
    pub version: u8,
    /// Of the address.
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
    /// Local time, by date.
    pub offsets: [UtcOffset; MAX_OFFSETS],
    /// What can be granted; asset `n` stands at `n - 1`.
    pub assets: [Asset; MAX_ASSETS],
    /// Zero.
    pub reserved: [u8; 128],
}

/// A setting in seconds, and the one that is to follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
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
    pub fn at(&self, now: Timestamp) -> u32 {
        if self.next_from != 0 && now.0 >= self.next_from { self.next } else { self.value }
    }
}

/// From `from_day` on, a day's orders are spread into `shards` shards; their first pages have at least `page_slots`
/// slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct OrderShards {
    /// Days since 1970-01-01, UTC.
    pub from_day: u32,
    /// At least 1.
    pub shards: u16,
    /// The least slots that the first page of a day and shard has, 8 to 1,267.
    pub page_slots: u16,
}

/// A key that may sign records, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct OracleKey {
    /// The Ed25519 key.
    pub key: [u8; 32],
    /// Unix seconds; 0 for always.
    pub valid_from: i64,
    /// Unix seconds, exclusive; 0 for never.
    pub valid_until: i64,
}

/// Something that can be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Asset {
    /// UTF-8, zero-padded.
    pub name: [u8; 16],
    /// An [`AssetKind`].
    pub kind: u8,
    /// How many bytes of `name` there are.
    pub name_length: u8,
    /// The calendar period it expires by; 0 for never.
    pub expiry_months: Months,
    /// 1 once a token's vault is open.
    pub has_vault: u8,
    /// Of the vault's address.
    pub vault_bump: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// The first `paid_at` a rule may grant it for, Unix seconds; 0 for open.
    pub active_from: i64,
    /// What users have of a token, in its smallest unit.
    pub liability: Amount,
    /// What the vault held when an instruction last looked.
    pub funds: Amount,
    /// The mint of a token; zero for others.
    pub mint: [u8; 32],
}

/// What backs an asset. The numbers are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AssetKind {
    /// A ledger entry and nothing else.
    Points = 1,
    /// SPL tokens in a vault, which users claim.
    Token = 2,
    /// Units of one face value, which users redeem.
    Voucher = 3,
}

impl From<&Asset> for AssetEntry {
    /// The asset as the event said it that added it.
    fn from(asset: &Asset) -> Self {
        Self { name: asset.name, kind: asset.kind, expiry_months: asset.expiry_months.0, mint: asset.mint }
    }
}

impl AssetKind {
    /// Every kind, by number.
    pub const ALL: [Self; 3] = [Self::Points, Self::Token, Self::Voucher];

    /// The kind numbered `number`.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name in rule files and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Points => "points",
            Self::Token => "token",
            Self::Voucher => "voucher",
        }
    }
}

impl Platform {
    /// The table of UTC offsets in use.
    pub fn offsets(&self) -> &[UtcOffset] {
        self.offsets.get(..usize::from(self.offset_count)).unwrap_or(&self.offsets)
    }

    /// The oracle keys there are.
    pub fn oracles(&self) -> &[OracleKey] {
        self.oracles.get(..usize::from(self.oracle_count)).unwrap_or(&self.oracles)
    }

    /// The assets there are; the first is asset 1.
    pub fn assets(&self) -> &[Asset] {
        self.assets.get(..usize::from(self.asset_count)).unwrap_or(&self.assets)
    }

    /// An asset, `None` if the platform has no such asset.
    pub fn asset(&self, id: AssetId) -> Option<&Asset> {
        self.assets().get(id.slot()?)
    }

    /// The name of an asset, `None` if the platform has no such asset.
    pub fn asset_name(&self, id: AssetId) -> Option<String> {
        Some(String::from_utf8_lossy(&self.asset(id)?.name).trim_end_matches('\0').to_owned())
    }

    /// Into how many pages the orders of `day` are spread.
    pub fn order_shards(&self, day: Day) -> u16 {
        self.order_row(day).map_or(1, |row| row.shards)
    }

    /// The least slots that the first page of `day` has in each of its shards.
    pub fn page_slots(&self, day: Day) -> u16 {
        self.order_row(day).map_or(MIN_SLOTS, |row| row.page_slots)
    }

    fn order_row(&self, day: Day) -> Option<&OrderShards> {
        let rows = self.order_shards.get(..usize::from(self.shard_rows)).unwrap_or(&self.order_shards);
        rows.iter().rev().find(|row| row.from_day <= day.0)
    }

    /// What records are let in at `now`.
    pub fn admission(&self, now: Timestamp) -> Admission {
        Admission::new(now, Seconds(self.max_lateness.at(now))).closed_before(Day(self.open_from))
    }

    /// By which calendar period each asset expires, by asset slot.
    pub fn periods(&self) -> Periods {
        self.assets.map(|asset| asset.expiry_months)
    }
}

/// The journal: a Merkle mountain range over every event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Journal {
    /// Whose events these are.
    pub platform: [u8; 32],
    /// How many events there were.
    pub count: u64,
    /// `peaks[h]` is the root of a complete tree of `2^h` events, meaningful where bit `h` of `count` is set.
    pub peaks: [Hash; MAX_PEAKS],
    /// Layout version.
    pub version: u8,
    /// Of the address.
    pub bump: u8,
    /// Zero.
    pub reserved: [u8; 62],
}

impl Journal {
    /// The tree head over all events (RFC 6962).
    pub fn root(&self) -> Hash {
        journal::root(self.count, &self.peaks)
    }
}

/// What a user has. Behind the header stand `balance_slots` balances, then `counter_slots` counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct User {
    /// Whose user this is.
    pub platform: [u8; 32],
    /// The user's key.
    pub key: [u8; 32],
    /// Who may claim the user's tokens; zero for nobody yet.
    pub wallet: [u8; 32],
    /// When the wallet was linked, Unix seconds.
    pub wallet_linked_at: i64,
    /// How many payments were accepted.
    pub payments: u64,
    /// How many balances there is room for; asset `n` stands at `n - 1`.
    pub balance_slots: u8,
    /// For the counters of how many rules there is room.
    pub counter_slots: u8,
    /// Layout version.
    pub version: u8,
    /// Of the address.
    pub bump: u8,
    /// Zero.
    pub reserved: [u8; 4],
}

/// A user's account with everything in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserState {
    /// The header.
    pub user: User,
    /// By asset slot; all zero where there is no room for one.
    pub balances: Balances,
    /// The counters of the rules the user has met, and free room.
    pub counters: Vec<Counters>,
}

impl UserState {
    /// Decodes the account's data.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let truncated = || DecodeError::Truncated(User::NAME, data.len());
        let (user, rest) = User::split(data)?;
        let length = usize::from(user.balance_slots).saturating_mul(size_of::<Balance>());
        let (stored, rest) = rest.split_at_checked(length).ok_or_else(truncated)?;
        let mut balances = Balances::default();
        for (balance, bytes) in balances.iter_mut().zip(stored.chunks_exact(size_of::<Balance>())) {
            *balance = bytemuck::pod_read_unaligned(bytes);
        }
        let length = usize::from(user.counter_slots).saturating_mul(size_of::<Counters>());
        let counters = rest.get(..length).ok_or_else(truncated)?;
        let counters = counters.chunks_exact(size_of::<Counters>()).map(bytemuck::pod_read_unaligned).collect();
        Ok(Self { user, balances, counters })
    }

    /// The balance of an asset.
    pub fn balance(&self, asset: AssetId) -> Balance {
        asset.slot().and_then(|slot| self.balances.get(slot)).copied().unwrap_or_default()
    }
}

/// What rules count of a user towards one streamer or in one session. Behind the header stand `slots` counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Counter {
    /// Whose these are.
    pub platform: [u8; 32],
    /// The user's key.
    pub user: [u8; 32],
    /// Who opened them, and gets the rent back.
    pub payer: [u8; 32],
    /// The streamer's or the session's number.
    pub scope_id: ScopeId,
    /// A [`rebate_core::window::Scope`].
    pub scope: u8,
    /// For the counters of how many rules there is room.
    pub slots: u8,
    /// Layout version.
    pub version: u8,
    /// Of the address.
    pub bump: u8,
    /// Zero.
    pub reserved: [u8; 12],
}

impl Counter {
    /// Decodes the account's data with its counters.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode_with_counters(data: &[u8]) -> Result<(Self, Vec<Counters>), DecodeError> {
        let (counter, rest) = Self::split(data)?;
        let length = usize::from(counter.slots).saturating_mul(size_of::<Counters>());
        let counters = rest.get(..length).ok_or(DecodeError::Truncated(Self::NAME, data.len()))?;
        Ok((counter, counters.chunks_exact(size_of::<Counters>()).map(bytemuck::pod_read_unaligned).collect()))
    }
}

/// The orders of one day and shard; only the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct OrderPage {
    /// Whose orders these are.
    pub platform: [u8; 32],
    /// Who paid the rent and gets it back.
    pub payer: [u8; 32],
    /// Days since 1970-01-01, UTC.
    pub day: u32,
    /// How many orders were taken.
    pub taken: u32,
    /// Which shard.
    pub shard: u16,
    /// The how-manieth page of its day and shard, from 0.
    pub number: u16,
    /// 1 once another page follows and this one takes no more.
    pub sealed: u8,
    /// Layout version.
    pub version: u8,
    /// Of the address.
    pub bump: u8,
    /// Zero.
    pub reserved: [u8; 17],
}

impl OrderPage {
    /// How many slots an account of a page has, by its data.
    pub fn slots(data: &[u8]) -> usize {
        data.len().saturating_sub(8).saturating_sub(size_of::<Self>()) / size_of::<u64>()
    }
}

/// A refund's proof, and afterwards what was refunded of an order. Behind the header stands the order's event until it is
/// proved, then its grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Refund {
    /// Whose order this is.
    pub platform: [u8; 32],
    /// SHA-256 of the order number.
    pub order: [u8; 32],
    /// Who paid the rent.
    pub payer: [u8; 32],
    /// The node of the journal that the proof has reached.
    pub node: Hash,
    /// Who paid the order; zero until it is proved.
    pub user: [u8; 32],
    /// The event's position in the journal.
    pub journal_index: u64,
    /// What was paid.
    pub paid: Amount,
    /// When.
    pub paid_at: Timestamp,
    /// To whom.
    pub streamer: u64,
    /// In which session.
    pub session: u64,
    /// What of the order was refunded so far.
    pub refunded: Amount,
    /// When the account was opened.
    pub opened_at: Timestamp,
    /// How many bytes of the event there are.
    pub event_length: u32,
    /// How many of them were written.
    pub written: u32,
    /// How many grants there are.
    pub grants: u16,
    /// [`WRITING`], [`CLIMBING`] or [`PROVED`].
    pub stage: u8,
    /// How high `node` stands.
    pub height: u8,
    /// Layout version.
    pub version: u8,
    /// Of the address.
    pub bump: u8,
    /// Zero.
    pub reserved: [u8; 2],
}

/// The stage of a refund's account whose event is being written.
pub const WRITING: u8 = 0;

/// The event is whole; the path is being followed.
pub const CLIMBING: u8 = 1;

/// The order is in the journal.
pub const PROVED: u8 = 2;

impl Refund {
    /// The same with the bytes behind the header: the part of the event that was written, until the order is proved.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode_with_event(data: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let (header, behind) = Self::split(data)?;
        let written = behind.get(..header.written as usize);
        Ok((header, written.ok_or(DecodeError::Truncated(Self::NAME, data.len()))?))
    }
}

/// The rule book; only the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct RuleBook {
    /// Whose rules these are.
    pub platform: [u8; 32],
    /// How many payments were accepted under it.
    pub payments: u64,
    /// The least id a new rule may have: those of rules whose last version was dropped are not given again.
    pub first_new_id: u32,
    /// Layout version.
    pub version: u8,
    /// Of the address.
    pub bump: u8,
    /// Zero.
    pub reserved: [u8; 58],
}

impl RuleBook {
    /// Decodes the account's data with its rules, in order of evaluation. Behind the header stand a count (4 bytes,
    /// little-endian) and padding to 8.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode_with_rules(data: &[u8]) -> Result<(Self, Vec<Rule>), DecodeError> {
        let truncated = || DecodeError::Truncated(Self::NAME, data.len());
        let (book, rest) = Self::split(data)?;
        let (count, rest) = rest.split_first_chunk::<4>().ok_or_else(truncated)?;
        let (_padding, rest) = rest.split_first_chunk::<4>().ok_or_else(truncated)?;
        let length = (u32::from_le_bytes(*count) as usize).checked_mul(size_of::<Rule>()).ok_or_else(truncated)?;
        let rules = rest.get(..length).ok_or_else(truncated)?;
        Ok((book, rules.chunks_exact(size_of::<Rule>()).map(bytemuck::pod_read_unaligned).collect()))
    }
}
