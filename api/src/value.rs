//! How values look in JSON, and how they come out of the database.
//!
//! What a `u64` can hold is a string in JSON, since many readers keep numbers as doubles and lose what is above 2^53.
//! Slots, journal indices and counts are numbers: at one a microsecond they take 285 years to get there.

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};
use thiserror::Error;
use time::{Date, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, ObjectBuilder, RefOr, SchemaFormat,
        schema::{Schema, Type},
    },
};

/// A value that is a string in JSON, with what the schema says about it.
macro_rules! text {
    ($name:ident, $description:literal, pattern: $pattern:expr, format: $format:expr, example: $example:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some($description))
                    .pattern(<Option<&str>>::map($pattern, str::to_owned))
                    .format($format)
                    .examples([$example])
                    .into()
            }
        }

        impl ToSchema for $name {}
    };
}

/// Reads a value of a path or a query the way it is written in JSON.
macro_rules! from_text {
    ($name:ident) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

/// A text that is not what it should be.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{found:?} is not {expected}")]
pub struct Unreadable {
    found: String,
    expected: &'static str,
}

impl Unreadable {
    /// `found` is not `expected`. What was found is cut to a length that fits a message.
    pub fn new(found: &str, expected: &'static str) -> Self {
        const SHOWN: usize = 80;
        let mut shown: String = found.chars().take(SHOWN).collect();
        if shown.len() < found.len() {
            shown.push('…');
        }
        Self { found: shown, expected }
    }
}

/// An amount of money or of an asset, in its smallest unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct Amount(pub Decimal);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text!(Amount, "An amount in the smallest unit of its currency or asset: a u64.",
    pattern: Some("^[0-9]{1,20}$"), format: None, example: "18446744073709551615");

/// A change of a balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct Change(pub Decimal);

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text!(Change, "A change of a balance, in the asset's smallest unit: a signed number of up to 20 digits.",
    pattern: Some("^-?[0-9]{1,20}$"), format: None, example: "-1000");

/// A sum of amounts, which can be more than a `u64` holds.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct Total(pub String);

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text!(Total, "A sum of amounts, in their smallest unit; it can be more than a u64 holds.",
    pattern: Some("^[0-9]+$"), format: None, example: "1250000");

/// A number that names something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct Number(pub Decimal);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text!(Number, "A u64 that names something; 0 for none.",
    pattern: Some("^[0-9]{1,20}$"), format: None, example: "1");

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct Count(pub Decimal);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text!(Count, "How often something may happen: a u64.",
    pattern: Some("^[0-9]{1,20}$"), format: None, example: "1");

/// An address on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct Address(pub [u8; 32]);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bs58::encode(self.0).into_string())
    }
}

impl FromStr for Address {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let unreadable = || Unreadable::new(text, "an address: 32 bytes in base58");
        // The longest base58 form of 32 bytes; decoding is quadratic.
        if text.len() > 44 {
            return Err(unreadable());
        }
        let bytes = bs58::decode(text).into_vec().map_err(|_| unreadable())?;
        bytes.try_into().map(Self).map_err(|_| unreadable())
    }
}

text!(Address, "An address or a public key: 32 bytes in base58.",
    pattern: Some("^[1-9A-HJ-NP-Za-km-z]{32,44}$"), format: None, example: "ReBo6PHCPNUAdG9RMgkdmMmoW6gDbtJ8aMVU7AJgm5u");
from_text!(Address);

/// 32 bytes that are no address: a user key, an order's hash, a tree head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for Hash {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let mut bytes = [0; 32];
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) => Ok(Self(bytes)),
            Err(_) => Err(Unreadable::new(text, "64 hexadecimal digits")),
        }
    }
}

text!(Hash, "32 bytes as 64 lower-case hexadecimal digits. In a request, upper case is taken too.",
    pattern: Some("^[0-9a-f]{64}$"), format: None,
    example: "4d3b4e1f2f6c1f0a5b0a5d0c9e7a8b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f00");
from_text!(Hash);

/// Bytes of any number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

text!(Bytes, "Bytes as lower-case hexadecimal digits, two each.",
    pattern: Some("^([0-9a-f]{2})*$"), format: None, example: "9f3c01a700000000");

/// A transaction's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct Signature(pub [u8; 64]);

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bs58::encode(self.0).into_string())
    }
}

text!(Signature, "A transaction's signature: 64 bytes in base58.",
    pattern: Some("^[1-9A-HJ-NP-Za-km-z]{64,88}$"), format: None,
    example: "5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnbJLgp8uirBgmQpjKhoR4tjF3ZpRzrFmBV6UjKdiSZkQUW");

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct Instant(pub OffsetDateTime);

impl Instant {
    /// The moment at Unix time `seconds`, `None` where the calendar does not reach, which is as good as never.
    pub fn of_unix(seconds: i64) -> Option<Self> {
        OffsetDateTime::from_unix_timestamp(seconds).ok().map(Self)
    }

    /// The same, of a time for which 0 stands for open.
    pub fn unless_open(seconds: i64) -> Option<Self> {
        if seconds == 0 { None } else { Self::of_unix(seconds) }
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_offset(UtcOffset::UTC).format(&Rfc3339).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

impl FromStr for Instant {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let unreadable = || Unreadable::new(text, "a time: RFC 3339, like 2026-10-03T12:00:00Z, or Unix seconds");
        if let Ok(seconds) = text.parse() {
            return Self::of_unix(seconds).ok_or_else(unreadable);
        }
        // A plus sign that was not percent-encoded arrives as a space, and no time has one elsewhere.
        OffsetDateTime::parse(&text.replace(' ', "+"), &Rfc3339).map(Self).map_err(|_| unreadable())
    }
}

text!(Instant, "A moment, RFC 3339 in UTC. In a request, other offsets and Unix seconds are taken too.",
    pattern: None, format: Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)), example: "2026-10-03T04:00:00Z");
from_text!(Instant);

/// A moment as the platform's clocks show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalMoment(pub OffsetDateTime);

impl fmt::Display for LocalMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.format(&Rfc3339).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

text!(LocalMoment, "A moment, RFC 3339 with the platform's offset from UTC.",
    pattern: None, format: Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)), example: "2026-10-05T00:00:00+08:00");

/// A day, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day(pub Date);

impl Day {
    /// The day this many after 1970-01-01, `None` where the calendar does not reach.
    pub fn of_number(days: i64) -> Option<Self> {
        let moment = OffsetDateTime::from_unix_timestamp(days.checked_mul(86_400)?).ok()?;
        Some(Self(moment.date()))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text!(Day, "A day, in UTC.",
    pattern: None, format: Some(SchemaFormat::KnownFormat(KnownFormat::Date)), example: "2026-10-03");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let address = Address([7; 32]);
        assert_eq!(address.to_string().parse(), Ok(address));
        let hash = Hash([0xab; 32]);
        assert_eq!(hash.to_string().parse(), Ok(hash));
        let instant: Instant = "2026-10-03T12:00:00+08:00".parse().unwrap();
        assert_eq!(instant.to_string(), "2026-10-03T04:00:00Z");
        assert_eq!("1791000000".parse(), Ok(instant));
        assert_eq!("2026-10-03T12:00:00 08:00".parse(), Ok(instant));
    }

    #[test]
    fn days_are_counted_from_1970() {
        assert_eq!(Day::of_number(0).map(|day| day.to_string()).as_deref(), Some("1970-01-01"));
        assert_eq!(Day::of_number(20_729).map(|day| day.to_string()).as_deref(), Some("2026-10-03"));
        assert_eq!(Day::of_number(i64::from(u32::MAX)), None);
    }

    #[test]
    fn a_long_text_is_cut_in_the_message() {
        let error = "ä".repeat(10_000).parse::<Address>().unwrap_err();
        assert!(error.to_string().len() < 300, "{error}");
    }
}
