//! The program's accounts, decoded. Field for field what `idl/rebate.json` says; the layouts are the chain's own bytes.

use bytemuck::{Pod, Zeroable};
use rebate_core::{
    journal::{self, Hash, MAX_PEAKS},
    rule::Rule,
    time::UtcOffset,
    units::{Amount, AssetId, MAX_ASSETS},
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

layout!(Platform, Journal, User, OrderPage, RuleBook);

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
    /// How far back a payment may lie, in seconds.
    pub max_lateness: u32,
    /// How far ahead a rule version must be published, in seconds.
    pub timelock: u32,
    /// Into how many pages a day's orders are spread.
    pub order_shards: u16,
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
    /// Keys that may sign records.
    pub oracles: [OracleKey; MAX_ORACLES],
    /// Local time, by date.
    pub offsets: [UtcOffset; MAX_OFFSETS],
    /// What can be granted; asset `n` stands at `n - 1`.
    pub assets: [Asset; MAX_ASSETS],
    /// Zero.
    pub reserved: [u8; 256],
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
    /// 1 points.
    pub kind: u8,
    /// How many bytes of `name` there are.
    pub name_length: u8,
    /// Zero.
    pub reserved: [u8; 14],
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

    /// The name of an asset, `None` if the platform has no such asset.
    pub fn asset_name(&self, id: AssetId) -> Option<String> {
        let assets = self.assets.get(..usize::from(self.asset_count)).unwrap_or(&self.assets);
        let asset = assets.get(id.slot()?)?;
        Some(String::from_utf8_lossy(&asset.name).trim_end_matches('\0').to_owned())
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

/// What a user has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct User {
    /// Whose user this is.
    pub platform: [u8; 32],
    /// The user's key.
    pub key: [u8; 32],
    /// Per asset; asset `n` stands at `n - 1`.
    pub balances: [Amount; MAX_ASSETS],
    /// How many payments were accepted.
    pub payments: u64,
    /// Layout version.
    pub version: u8,
    /// Of the address.
    pub bump: u8,
    /// Zero.
    pub reserved: [u8; 62],
}

impl User {
    /// The balance of an asset.
    pub fn balance(&self, asset: AssetId) -> Amount {
        asset.slot().and_then(|slot| self.balances.get(slot)).copied().unwrap_or_default()
    }
}

/// The orders of one day and shard; only the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct OrderPage {
    /// Whose orders these are.
    pub platform: [u8; 32],
    /// Days since 1970-01-01, UTC.
    pub day: u32,
    /// How many orders were taken.
    pub taken: u32,
    /// Which shard.
    pub shard: u16,
    /// Layout version.
    pub version: u8,
    /// Of the address.
    pub bump: u8,
    /// Zero.
    pub reserved: [u8; 20],
}

/// The rule book; only the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct RuleBook {
    /// Whose rules these are.
    pub platform: [u8; 32],
    /// How many payments were accepted under it.
    pub payments: u64,
    /// Layout version.
    pub version: u8,
    /// Of the address.
    pub bump: u8,
    /// Zero.
    pub reserved: [u8; 62],
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
