//! Times and spans as rule files write them.

use super::{
    Fault,
    document::{Date, Moment},
};
use rebate_core::{time::MAX_SPAN, units::Timestamp};
use std::ops::Range;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use toml::{Spanned, value::Datetime};

/// A date and time in RFC 3339.
fn date_time(text: &str, at: Range<usize>) -> Result<Timestamp, Fault> {
    OffsetDateTime::parse(text, &Rfc3339).map(|moment| Timestamp(moment.unix_timestamp())).map_err(|_| {
        Fault::new(at, format!("{text:?} is no date and time; expected one like \"2026-10-01T00:00:00+08:00\""))
    })
}

/// TOML's own date and time, without quotes. It has forms without a time or without an offset, which are no moment.
fn unquoted(moment: &Datetime, at: Range<usize>) -> Result<Timestamp, Fault> {
    if moment.offset.is_none() {
        let what = format!("{moment} has no UTC offset; expected a moment like \"2026-10-01T00:00:00+08:00\"");
        return Err(Fault::new(at, what));
    }
    date_time(&moment.to_string(), at)
}

/// The beginning or the end of a schedule; open where there is none.
pub fn bound(date: Option<&Spanned<Date>>) -> Result<Timestamp, Fault> {
    let Some(date) = date else { return Ok(Timestamp(0)) };
    let moment = match date.get_ref() {
        Date::Text(text) => date_time(text, date.span()),
        Date::Unquoted(moment) => unquoted(moment, date.span()),
    };
    match moment? {
        // On chain 0 is open, which is not what somebody who writes a date means.
        Timestamp(0) => Err(Fault::new(date.span(), "1970-01-01T00:00:00Z cannot be said; leave the key out for open")),
        moment => Ok(moment),
    }
}

/// Unix seconds, or a date and time.
pub fn timestamp(moment: &Spanned<Moment>) -> Result<Timestamp, Fault> {
    match moment.get_ref() {
        Moment::Seconds(seconds) => Ok(Timestamp(*seconds)),
        Moment::Text(text) => date_time(text, moment.span()),
        Moment::Unquoted(date) => unquoted(date, moment.span()),
    }
}

/// A UTC offset: `+08:00`, `-03:30`; in seconds.
pub fn offset(text: &Spanned<String>) -> Result<i32, Fault> {
    let parse = || {
        let (sign, rest) = match text.get_ref().split_at_checked(1)? {
            ("+", rest) => (1, rest),
            ("-", rest) => (-1, rest),
            _ => return None,
        };
        let (hours, minutes) = rest.split_once(':')?;
        // Digits only: a number's own parser would take a sign.
        let digits = |part: &str| match part.as_bytes() {
            [b'0'..=b'9', b'0'..=b'9'] => part.parse::<u8>().ok(),
            _ => None,
        };
        let (hours, minutes) = (digits(hours)?, digits(minutes)?);
        let seconds = i32::from(hours).checked_mul(3_600)?.checked_add(i32::from(minutes).checked_mul(60)?)?;
        (minutes < 60).then(|| seconds.checked_mul(sign)).flatten()
    };
    parse().ok_or_else(|| {
        Fault::new(text.span(), format!("{:?} is no UTC offset; expected one like \"+08:00\"", text.get_ref()))
    })
}

/// How far back a record may lie: `7d`, `36h`, `90m`, `45s`; in seconds, more than 0 and at most 366 days.
pub fn max_lateness(text: &Spanned<String>) -> Result<u32, Fault> {
    crate::span::parse(text.get_ref()).filter(|seconds| (1..=MAX_SPAN).contains(seconds)).ok_or_else(|| {
        let what =
            format!("{:?} is no span from 1s to 366d; expected one like \"7d\", \"36h\", \"90m\"", text.get_ref());
        Fault::new(text.span(), what)
    })
}
