//! One line of a payments file.
//!
//! [`quick`](Reader::read) reads lines as programs write them. Whatever it does not take, for a reason or because it is
//! unusual, is read again by a JSON reader that knows everything and says what is wrong: the one is faster than the other and
//! takes nothing that the other does not take.

use super::{
    moment::{self, Moments},
    quick,
};
use crate::payment_file::said;
use rebate_core::units::{Amount, AssetId, Timestamp};
use serde::Deserialize;
use std::borrow::Cow;

/// An id or an order number, in UTF-8.
pub type Id<'a> = Cow<'a, [u8]>;

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// A payment.
    Payment(PaymentLine<'a>),
    /// A refund.
    Refund(RefundLine<'a>),
    /// A redemption.
    Redemption(RedemptionLine<'a>),
}

/// A payment, by the platform's own ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentLine<'a> {
    /// The order number.
    pub order: Id<'a>,
    /// Who paid.
    pub user: Id<'a>,
    /// In the platform's minor currency unit.
    pub amount: Amount,
    /// When.
    pub paid_at: Timestamp,
    /// What was bought.
    pub product: u16,
    /// To whom; empty for nobody.
    pub streamer: Id<'a>,
    /// In which live session; empty for none.
    pub session: Id<'a>,
    /// The user's tier.
    pub tier: u8,
    /// The user's segments, a bit set.
    pub segments: u32,
}

/// A refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundLine<'a> {
    /// Its own order number.
    pub order: Id<'a>,
    /// The order it refunds.
    pub of: Id<'a>,
    /// In the platform's minor currency unit.
    pub amount: Amount,
    /// When it was paid back.
    pub paid_at: Timestamp,
}

/// A redemption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedemptionLine<'a> {
    /// Its own order number.
    pub order: Id<'a>,
    /// Who redeems.
    pub user: Id<'a>,
    /// What.
    pub asset: AssetId,
    /// In the asset's smallest unit.
    pub amount: Amount,
    /// When.
    pub paid_at: Timestamp,
}

impl Record<'_> {
    /// The record's own order number.
    pub fn order(&self) -> &Id<'_> {
        match self {
            Self::Payment(line) => &line.order,
            Self::Refund(line) => &line.order,
            Self::Redemption(line) => &line.order,
        }
    }

    /// When it happened.
    pub fn paid_at(&self) -> Timestamp {
        match self {
            Self::Payment(line) => line.paid_at,
            Self::Refund(line) => line.paid_at,
            Self::Redemption(line) => line.paid_at,
        }
    }
}

/// Reads lines.
#[derive(Debug, Default)]
pub struct Reader {
    moments: Moments,
}

impl Reader {
    /// What a line says.
    ///
    /// # Errors
    /// What is wrong with it and what was expected.
    pub fn read<'a>(&mut self, line: &'a [u8]) -> Result<Record<'a>, String> {
        match quick::read(line, &mut self.moments) {
            Some(record) => Ok(record),
            None => exact(line),
        }
    }
}

const EXAMPLE: &str = "an object like {\"kind\":\"payment\",\"order\":\"A1\", …}";

/// What every record has.
#[derive(Deserialize)]
#[serde(expecting = "an object like {\"kind\":\"payment\",\"order\":\"A1\", …}")]
struct Head<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payment<'a> {
    #[serde(borrow, rename = "kind")]
    _kind: Cow<'a, str>,
    #[serde(borrow)]
    order: Cow<'a, str>,
    #[serde(borrow)]
    user: Cow<'a, str>,
    amount: u64,
    #[serde(borrow)]
    paid_at: Cow<'a, str>,
    #[serde(default)]
    product: u16,
    #[serde(borrow, default)]
    streamer: Cow<'a, str>,
    #[serde(borrow, default)]
    session: Cow<'a, str>,
    #[serde(default)]
    tier: u8,
    #[serde(default)]
    segments: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refund<'a> {
    #[serde(borrow, rename = "kind")]
    _kind: Cow<'a, str>,
    #[serde(borrow)]
    order: Cow<'a, str>,
    #[serde(borrow)]
    of: Cow<'a, str>,
    amount: u64,
    #[serde(borrow)]
    paid_at: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Redemption<'a> {
    #[serde(borrow, rename = "kind")]
    _kind: Cow<'a, str>,
    #[serde(borrow)]
    order: Cow<'a, str>,
    #[serde(borrow)]
    user: Cow<'a, str>,
    asset: u8,
    amount: u64,
    #[serde(borrow)]
    paid_at: Cow<'a, str>,
}

/// Reads any line, and says what is wrong with one that is none.
pub fn exact(line: &[u8]) -> Result<Record<'_>, String> {
    let line = str::from_utf8(line).map_err(|_| "this is no UTF-8; save the file as UTF-8".to_owned())?;
    let head: Head<'_> = json(line)?;
    match head.kind.as_ref() {
        "payment" => {
            let line: Payment<'_> = json(line)?;
            Ok(Record::Payment(PaymentLine {
                order: named("order", line.order)?,
                user: named("user", line.user)?,
                amount: Amount(line.amount),
                paid_at: paid_at(&line.paid_at)?,
                product: line.product,
                streamer: bytes(line.streamer),
                session: bytes(line.session),
                tier: line.tier,
                segments: line.segments,
            }))
        }
        "refund" => {
            let line: Refund<'_> = json(line)?;
            Ok(Record::Refund(RefundLine {
                order: named("order", line.order)?,
                of: named("of", line.of)?,
                amount: Amount(line.amount),
                paid_at: paid_at(&line.paid_at)?,
            }))
        }
        "redemption" => {
            let line: Redemption<'_> = json(line)?;
            Ok(Record::Redemption(RedemptionLine {
                order: named("order", line.order)?,
                user: named("user", line.user)?,
                asset: AssetId(line.asset),
                amount: Amount(line.amount),
                paid_at: paid_at(&line.paid_at)?,
            }))
        }
        other => Err(format!("unknown kind {other:?}; expected \"payment\", \"refund\" or \"redemption\"")),
    }
}

fn json<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, String> {
    serde_json::from_str(line).map_err(|error| {
        if error.is_eof() {
            return format!("the line is cut off at column {}; expected {EXAMPLE}", error.column());
        }
        said(&error)
    })
}

fn named<'a>(what: &str, id: Cow<'a, str>) -> Result<Id<'a>, String> {
    if id.is_empty() { Err(format!("{what} must not be empty")) } else { Ok(bytes(id)) }
}

fn bytes(text: Cow<'_, str>) -> Id<'_> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

fn paid_at(text: &str) -> Result<Timestamp, String> {
    moment::exact(text)
        .ok_or_else(|| format!("paid_at is {text:?}; expected a date and time like \"2026-10-03T12:00:00+08:00\""))
}
