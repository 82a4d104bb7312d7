//! Newtypes for every quantity, so that an amount cannot be added to a timestamp.
//!
//! Each is `repr(transparent)` over a little-endian integer or a byte array and can therefore stand in an account's
//! layout as it is.

use bytemuck::{Pod, Zeroable};
use core::fmt;

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
        #[repr(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

unit! {
    /// An amount of money or of an asset, in its smallest unit (fen, cent, one coin).
    Amount(u64)
}
unit! {
    /// Hundredths of a percent: 10 000 is the whole.
    BasisPoints(u32)
}
unit! {
    /// An asset of one platform, `1..=8`; slot `id - 1` of a user's balances.
    AssetId(u8)
}
unit! {
    /// A rule of one platform. All versions of a rule share it.
    RuleId(u16)
}
unit! {
    /// A version of a rule, from 1.
    RuleVersion(u16)
}
unit! {
    /// Unix time in seconds, UTC.
    Timestamp(i64)
}
unit! {
    /// A span of time in seconds.
    Seconds(u32)
}
unit! {
    /// Days since 1970-01-01.
    Day(u32)
}
unit! {
    /// A group of rules; how its members compete is its [`GroupMode`](crate::rule::GroupMode).
    GroupId(u8)
}
unit! {
    /// A set of tags, a bit each, numbered 0 to 31.
    Tags(u32)
}
unit! {
    /// Whose counters: the streamer's or the session's number; 0 for a user's own, and for nobody and none.
    ScopeId(u64)
}
unit! {
    /// Days since 1970-01-01 on the platform's calendar.
    LocalDay(i32)
}
unit! {
    /// A window of time, counted so that a later one has a greater number: a local day, week or month.
    WindowIndex(i32)
}
unit! {
    /// A calendar period after which what is left of the one before expires.
    PeriodIndex(i32)
}
unit! {
    /// The length of a calendar period in months, 1 to 24; 0 for what never expires.
    Months(u8)
}
unit! {
    /// The how-manieth accepted payment of a user this is, from 1.
    PaymentNumber(u64)
}
unit! {
    /// The position of an event in its platform's journal, from 0 and without gaps.
    JournalIndex(u64)
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
        #[repr(transparent)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            /// Lower-case hexadecimal, 64 digits.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

key! {
    /// SHA-256 of a payment's business serial number.
    OrderHash
}
key! {
    /// HMAC-SHA256(platform secret, user id): the chain never sees a user id.
    UserKey
}

impl OrderHash {
    /// The hash under which the order number `order` is known on chain.
    pub fn of(order: &str) -> Self {
        Self(solana_sha256_hasher::hash(order.as_bytes()).to_bytes())
    }
}

impl Tags {
    /// Whether the two sets have a tag in common.
    #[inline(always)]
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets together.
    #[inline(always)]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// How many assets a platform can have.
pub const MAX_ASSETS: usize = 8;

impl AssetId {
    /// The slot of this asset in a user's balances, or `None` outside `1..=8`.
    pub fn slot(self) -> Option<usize> {
        let slot = usize::from(self.0).checked_sub(1)?;
        (slot < MAX_ASSETS).then_some(slot)
    }
}

impl BasisPoints {
    /// The whole: 100 %.
    pub const WHOLE: u64 = 10_000;

    /// `amount × bps / 10 000`, rounded down; `None` if that is more than a `u64` holds.
    ///
    /// Splits the amount at the divisor instead of going through 128 bits, which costs the chain a library call:
    /// with `amount = q · 10 000 + r`, the result is `q · bps + ⌊r · bps / 10 000⌋` exactly.
    #[inline(always)]
    pub fn of(self, amount: Amount) -> Option<Amount> {
        let bps = u64::from(self.0);
        if amount.0 <= u64::from(u32::MAX) {
            // Both factors are below 2^32.
            #[expect(clippy::arithmetic_side_effects, reason = "bounded by 2^32 · 2^32")]
            return Some(Amount(amount.0 * bps / Self::WHOLE));
        }
        let (whole, rest) = (amount.0 / Self::WHOLE, amount.0 % Self::WHOLE);
        // rest < 10 000 and bps < 2^32: the product fits.
        #[expect(clippy::arithmetic_side_effects, reason = "bounded by 10^4 · 2^32")]
        let part = rest * bps / Self::WHOLE;
        whole.checked_mul(bps)?.checked_add(part).map(Amount)
    }
}
