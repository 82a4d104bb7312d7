//! Payment files: one JSON object a line, in the format of the simulator.
//!
//! A payment's time is a date and time in RFC 3339, or a span before the moment the file is played, like `-2d5h30m`: an
//! evening that can be played again tomorrow.

use crate::wording;
use rebate_client::platform_id;
use rebate_core::{
    payment::Payment,
    units::{Amount, OrderHash, Timestamp, UserKey},
};
use serde::Deserialize;
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
    /// A payment with a signature that is not the oracle's; only a demonstration has such.
    Forged(PaymentRecord),
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

/// What every record has.
#[derive(Deserialize)]
#[serde(expecting = "an object like {\"kind\":\"payment\",\"order\":\"A1\", …}")]
struct Head {
    kind: String,
}

impl Record {
    /// The payment it carries.
    pub fn payment(&self) -> &PaymentRecord {
        match self {
            Self::Payment(payment) | Self::Forged(payment) => payment,
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
    let head: Head = serde_json::from_str(line).map_err(|error| said(&error))?;
    let record: fn(PaymentRecord) -> Record = match head.kind.as_str() {
        "payment" => Record::Payment,
        "forged" => Record::Forged,
        known @ ("refund" | "redemption" | "link") => {
            return Err(format!("{known} records are not supported by this version of the program; use \"payment\""));
        }
        other => return Err(format!("unknown kind {other:?}; expected \"payment\"")),
    };
    let payment: PaymentRecord = serde_json::from_str(line).map_err(|error| said(&error))?;
    for (what, id) in [("order", &payment.order), ("user", &payment.user)] {
        if id.is_empty() {
            return Err(format!("{what} must not be empty"));
        }
    }
    // Any moment will do to see whether it is a time at all.
    payment.paid_at(Timestamp(0))?;
    Ok(record(payment))
}

/// The reader's message; it counts lines within the one line it was given.
pub(crate) fn said(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.split_once(" at line 1 column ") {
        Some((what, column)) => format!("{}, at column {column}", wording::plain(what)),
        None => wording::plain(&message),
    }
}

impl PaymentRecord {
    /// When it was paid, if it is played at `now`.
    ///
    /// # Errors
    /// What was expected.
    pub fn paid_at(&self, now: Timestamp) -> Result<Timestamp, String> {
        let text = &self.paid_at;
        match text.strip_prefix('-') {
            Some(span) => spans(span).and_then(|span| now.0.checked_sub(span)),
            None => OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp),
        }
        .map(Timestamp)
        .ok_or_else(|| {
            format!("paid_at is {text:?}; expected a date and time like \"2026-10-03T12:00:00+08:00\", or a span like \"-2d5h\"")
        })
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
        .map(|part| crate::span::parse(part).map(i64::from))
        .try_fold(0i64, |sum, span| sum.checked_add(span?))
        .filter(|_| !text.is_empty())
}
