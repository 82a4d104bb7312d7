//! Payment files: one JSON object a line, in the format of the simulator.
//!
//! A record's time is a date and time in RFC 3339, or a span before the moment the file is played, like `-2d5h30m`: an
//! evening that can be played again tomorrow. The demonstration knows some kinds more, of what happens on a chain besides
//! what the simulator reads.

use rebate_client::platform_id;
use rebate_core::{
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    units::{Amount, AssetId, OrderHash, Timestamp, UserKey},
};
use rebate_rulefile::wording;
use serde::{Deserialize, de::DeserializeOwned};
use std::{fs, path::Path};
use thiserror::Error;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A payment file that cannot be taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PaymentFileError {
    /// It cannot be read.
    #[error("cannot read the payment file {file}: {why}")]
    Unreadable {
        /// The file.
        file: String,
        /// The system's reason.
        why: String,
    },
    /// A line is wrong.
    #[error("{file}:{line}: {what}")]
    Wrong {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// What is wrong and what was expected.
        what: String,
    },
}

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A payment.
    Payment(PaymentRecord),
    /// A refund.
    Refund(RefundRecord),
    /// A redemption.
    Redemption(RedemptionRecord),
    /// What only a demonstration plays.
    Demo(DemoRecord),
}

/// What only a demonstration plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DemoRecord {
    /// A payment with a signature that is not the oracle's.
    Forged(PaymentRecord),
    /// The oracle links a user's wallet.
    Link(LinkRecord),
    /// A user claims all of a token.
    Claim(ClaimRecord),
    /// Somebody puts tokens into a vault.
    Deposit(DepositRecord),
    /// The month ends, and what is over expires.
    MonthEnd,
}

/// A payment, by the platform's own ids.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object like {\"kind\":\"payment\",\"order\":\"A1\", …}")]
pub struct PaymentRecord {
    /// Read before, to know what the rest has to be.
    #[serde(rename = "kind")]
    _kind: String,
    /// The order number.
    pub order: String,
    /// The user's id with the platform.
    pub user: String,
    /// In the platform's minor currency unit.
    pub amount: u64,
    /// When it was paid.
    pub paid_at: String,
    /// What was bought.
    #[serde(default)]
    pub product: u16,
    /// To whom, by platform id; empty for nobody.
    #[serde(default)]
    pub streamer: String,
    /// In which live session, by platform id; empty for none.
    #[serde(default)]
    pub session: String,
    /// The user's tier.
    #[serde(default)]
    pub tier: u8,
    /// The user's segments, a bit set.
    #[serde(default)]
    pub segments: u32,
}

/// A refund.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefundRecord {
    /// Read before, to know what the rest has to be.
    #[serde(rename = "kind")]
    _kind: String,
    /// Its own order number.
    pub order: String,
    /// The order it refunds.
    pub of: String,
    /// In the platform's minor currency unit.
    pub amount: u64,
    /// When it was paid back.
    pub paid_at: String,
}

/// A redemption.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedemptionRecord {
    /// Read before, to know what the rest has to be.
    #[serde(rename = "kind")]
    _kind: String,
    /// Its own order number.
    pub order: String,
    /// Who redeems.
    pub user: String,
    /// What, by number.
    pub asset: u8,
    /// In the asset's smallest unit.
    pub amount: u64,
    /// When.
    pub paid_at: String,
}

/// A wallet that the evening's cast has for a user.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkRecord {
    /// Read before, to know what the rest has to be.
    #[serde(rename = "kind")]
    _kind: String,
    /// Whose wallet.
    pub user: String,
    /// When.
    pub linked_at: String,
}

/// A claim of all that a user has of a token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimRecord {
    /// Read before, to know what the rest has to be.
    #[serde(rename = "kind")]
    _kind: String,
    /// Who claims.
    pub user: String,
    /// What, by number.
    pub asset: u8,
}

/// Tokens for a vault.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DepositRecord {
    /// Read before, to know what the rest has to be.
    #[serde(rename = "kind")]
    _kind: String,
    /// Of which asset, by number.
    pub asset: u8,
    /// In the token's smallest unit.
    pub amount: u64,
}

/// A record of nothing but its kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bare {
    #[serde(rename = "kind")]
    _kind: String,
}

/// What every record has.
#[derive(Deserialize)]
#[serde(expecting = "an object like {\"kind\":\"payment\",\"order\":\"A1\", …}")]
struct Head {
    kind: String,
}

impl Record {
    /// The user it names, by the platform's own id.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Payment(PaymentRecord { user, .. })
            | Self::Redemption(RedemptionRecord { user, .. })
            | Self::Demo(
                DemoRecord::Forged(PaymentRecord { user, .. })
                | DemoRecord::Link(LinkRecord { user, .. })
                | DemoRecord::Claim(ClaimRecord { user, .. }),
            ) => Some(user),
            Self::Refund(_) | Self::Demo(DemoRecord::Deposit(_) | DemoRecord::MonthEnd) => None,
        }
    }
}

/// Reads a file of records.
///
/// # Errors
/// [`PaymentFileError`], the first thing wrong; nothing is half-loaded.
pub fn read(path: &Path) -> Result<Vec<Record>, PaymentFileError> {
    let file = path.display().to_string();
    let bytes =
        fs::read(path).map_err(|error| PaymentFileError::Unreadable { file: file.clone(), why: error.to_string() })?;
    match str::from_utf8(&bytes) {
        Ok(text) => parse(&file, text),
        Err(error) => {
            let sound = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = sound.iter().filter(|byte| **byte == b'\n').count().saturating_add(1);
            Err(PaymentFileError::Wrong { file, line, what: "this is no UTF-8; save the file as UTF-8".to_owned() })
        }
    }
}

/// Parses the text of a file of records; `file` is what errors call it. Empty lines are skipped.
///
/// # Errors
/// [`PaymentFileError::Wrong`].
pub fn parse(file: &str, text: &str) -> Result<Vec<Record>, PaymentFileError> {
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| {
            record(line).map_err(|what| PaymentFileError::Wrong { file: file.to_owned(), line: number, what })
        })
        .collect()
}

fn record(line: &str) -> Result<Record, String> {
    let head: Head = read_as(line)?;
    match head.kind.as_str() {
        "payment" => payment(line).map(Record::Payment),
        "refund" => {
            let refund: RefundRecord = read_as(line)?;
            named([("order", &refund.order), ("of", &refund.of)])?;
            moment("paid_at", &refund.paid_at, Timestamp(0))?;
            Ok(Record::Refund(refund))
        }
        "redemption" => {
            let redemption: RedemptionRecord = read_as(line)?;
            named([("order", &redemption.order), ("user", &redemption.user)])?;
            moment("paid_at", &redemption.paid_at, Timestamp(0))?;
            Ok(Record::Redemption(redemption))
        }
        "forged" => payment(line).map(DemoRecord::Forged).map(Record::Demo),
        "link" => {
            let link: LinkRecord = read_as(line)?;
            named([("user", &link.user)])?;
            moment("linked_at", &link.linked_at, Timestamp(0))?;
            Ok(Record::Demo(DemoRecord::Link(link)))
        }
        "claim" => {
            let claim: ClaimRecord = read_as(line)?;
            named([("user", &claim.user)])?;
            Ok(Record::Demo(DemoRecord::Claim(claim)))
        }
        "deposit" => Ok(Record::Demo(DemoRecord::Deposit(read_as(line)?))),
        "month_end" => read_as(line).map(|Bare { .. }| Record::Demo(DemoRecord::MonthEnd)),
        other => Err(format!("unknown kind {other:?}; expected \"payment\", \"refund\" or \"redemption\"")),
    }
}

fn payment(line: &str) -> Result<PaymentRecord, String> {
    let payment: PaymentRecord = read_as(line)?;
    named([("order", &payment.order), ("user", &payment.user)])?;
    // Any moment will do to see whether it is a time at all.
    payment.paid_at(Timestamp(0))?;
    Ok(payment)
}

fn read_as<T: DeserializeOwned>(line: &str) -> Result<T, String> {
    serde_json::from_str(line).map_err(|error| said(&error))
}

fn named<const N: usize>(ids: [(&str, &String); N]) -> Result<(), String> {
    match ids.into_iter().find(|(_, id)| id.is_empty()) {
        Some((what, _)) => Err(format!("{what} must not be empty")),
        None => Ok(()),
    }
}

/// The reader's message; it counts lines within the one line it was given.
pub(crate) fn said(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.split_once(" at line 1 column ") {
        Some((what, column)) => format!("{}, at column {column}", wording::plain(what)),
        None => wording::plain(&message),
    }
}

/// The moment that the key `key` says, if it is played at `now`.
fn moment(key: &str, text: &str, now: Timestamp) -> Result<Timestamp, String> {
    match text.strip_prefix('-') {
        Some(span) => spans(span).and_then(|span| now.0.checked_sub(span)),
        None => OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp),
    }
    .map(Timestamp)
    .ok_or_else(|| {
        format!(
            "{key} is {text:?}; expected a date and time like \"2026-10-03T12:00:00+08:00\", or a span like \"-2d5h\""
        )
    })
}

impl RefundRecord {
    /// The refund as the oracle signs it, if it is played at `now`.
    ///
    /// # Errors
    /// What was expected of its time.
    pub fn refund(&self, now: Timestamp) -> Result<Refund, String> {
        Ok(Refund {
            order: OrderHash::of(&self.order),
            of: OrderHash::of(&self.of),
            amount: Amount(self.amount),
            paid_at: moment("paid_at", &self.paid_at, now)?,
        })
    }
}

impl RedemptionRecord {
    /// The redemption as the oracle signs it, `user` being the user's key and `now` the moment it is played.
    ///
    /// # Errors
    /// What was expected of its time.
    pub fn redemption(&self, user: UserKey, now: Timestamp) -> Result<Redemption, String> {
        Ok(Redemption {
            order: OrderHash::of(&self.order),
            user,
            asset: AssetId(self.asset),
            amount: Amount(self.amount),
            redeemed_at: moment("paid_at", &self.paid_at, now)?,
        })
    }
}

impl LinkRecord {
    /// When it was linked, if it is played at `now`.
    ///
    /// # Errors
    /// What was expected.
    pub fn linked_at(&self, now: Timestamp) -> Result<Timestamp, String> {
        moment("linked_at", &self.linked_at, now)
    }
}

impl PaymentRecord {
    /// When it was paid, if it is played at `now`.
    ///
    /// # Errors
    /// What was expected.
    pub fn paid_at(&self, now: Timestamp) -> Result<Timestamp, String> {
        moment("paid_at", &self.paid_at, now)
    }

    /// The payment as the oracle signs it, `user` being the user's key and `now` the moment it is played.
    ///
    /// # Errors
    /// As [`PaymentRecord::paid_at`].
    pub fn payment(&self, user: UserKey, now: Timestamp) -> Result<Payment, String> {
        let number = |id: &str| if id.is_empty() { 0 } else { platform_id::number(id) };
        Ok(Payment {
            order: OrderHash::of(&self.order),
            user,
            amount: Amount(self.amount),
            paid_at: self.paid_at(now)?,
            product: self.product,
            streamer: number(&self.streamer),
            session: number(&self.session),
            tier: self.tier,
            segments: self.segments,
        })
    }
}

/// `2d5h30m` in seconds.
fn spans(text: &str) -> Option<i64> {
    text.split_inclusive(|char: char| char.is_ascii_alphabetic())
        .map(|part| rebate_rulefile::span::parse(part).map(i64::from))
        .try_fold(0i64, |sum, span| sum.checked_add(span?))
        .filter(|_| !text.is_empty())
}
