//! Times and spans as rule files write them.

use super::{Fault, document::Moment};
use rebate_core::units::Timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use toml::Spanned;

/// A date and time in RFC 3339.
pub fn date_time(text: &Spanned<String>) -> Result<Timestamp, Fault> {
    OffsetDateTime::parse(text.get_ref(), &Rfc3339).map(|moment| Timestamp(moment.unix_timestamp())).map_err(|_| {
        let what = format!("{:?} is no date and time; expected one like \"2026-10-01T00:00:00+08:00\"", text.get_ref());
        Fault::new(text.span(), what)
    })
}

/// Unix seconds, or a date and time.
pub fn timestamp(moment: &Spanned<Moment>) -> Result<Timestamp, Fault> {
    match moment.get_ref() {
        Moment::Seconds(seconds) => Ok(Timestamp(*seconds)),
        Moment::Text(text) => date_time(&Spanned::new(moment.span(), text.clone())),
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
        let digits = |part: &str| (part.len() == 2).then(|| part.parse::<u8>().ok()).flatten();
        let (hours, minutes) = (digits(hours)?, digits(minutes)?);
        let seconds = i32::from(hours).checked_mul(3_600)?.checked_add(i32::from(minutes).checked_mul(60)?)?;
        (minutes < 60).then(|| seconds.checked_mul(sign)).flatten()
    };
    parse().ok_or_else(|| {
        Fault::new(text.span(), format!("{:?} is no UTC offset; expected one like \"+08:00\"", text.get_ref()))
    })
}

/// A span: `7d`, `36h`, `90m`, `45s`; in seconds, more than 0.
pub fn seconds(text: &Spanned<String>) -> Result<u32, Fault> {
    crate::span::parse(text.get_ref()).filter(|seconds| *seconds > 0).ok_or_else(|| {
        let what = format!("{:?} is no span; expected a number with d, h, m or s, like \"7d\"", text.get_ref());
        Fault::new(text.span(), what)
    })
}
