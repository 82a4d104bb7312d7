//! Dates and times, quickly: records of one day stand together, and a date is worked out once.

use rebate_core::units::Timestamp;
use time::{Date, Month, OffsetDateTime, format_description::well_known::Rfc3339};

/// The last date seen.
#[derive(Debug, Default)]
pub struct Moments {
    date: [u8; 10],
    /// Unix seconds of its first second in UTC.
    midnight: i64,
}

impl Moments {
    /// The moment in the form that nearly all have, `2026-10-03T12:00:00+08:00` or with `Z`; `None` for every other.
    #[inline]
    pub fn quick(&mut self, text: &[u8]) -> Option<Timestamp> {
        let (date, rest) = text.split_first_chunk::<10>()?;
        if *date != self.date {
            self.midnight = midnight(date)?;
            self.date = *date;
        }
        let ([b'T', h, hh, b':', m, mm, b':', s, ss], zone) = rest.split_first_chunk::<9>()? else {
            return None;
        };
        let (hour, minute, second) = (number(*h, *hh)?, number(*m, *mm)?, number(*s, *ss)?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let offset = match zone {
            [b'Z'] => 0,
            [sign @ (b'+' | b'-'), h, hh, b':', m, mm] => {
                let (hours, minutes) = (number(*h, *hh)?, number(*m, *mm)?);
                if hours > 23 || minutes > 59 {
                    return None;
                }
                let seconds = hours.saturating_mul(3_600).saturating_add(minutes.saturating_mul(60));
                if *sign == b'+' { seconds } else { seconds.saturating_neg() }
            }
            _ => return None,
        };
        let of_day = hour.saturating_mul(3_600).saturating_add(minute.saturating_mul(60)).saturating_add(second);
        Some(Timestamp(self.midnight.saturating_add(of_day).saturating_sub(offset)))
    }
}

/// Any date and time in RFC 3339.
pub fn exact(text: &str) -> Option<Timestamp> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(|moment| Timestamp(moment.unix_timestamp()))
}

/// Two digits.
#[inline]
fn number(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens).saturating_mul(10).saturating_add(i64::from(ones)))
}

fn midnight(date: &[u8; 10]) -> Option<i64> {
    let [a, b, c, d, b'-', m, mm, b'-', e, ee] = *date else {
        return None;
    };
    let year = number(a, b)?.saturating_mul(100).saturating_add(number(c, d)?);
    let month = Month::try_from(u8::try_from(number(m, mm)?).ok()?).ok()?;
    let day = u8::try_from(number(e, ee)?).ok()?;
    // At the ends of the calendar an offset leads out of it.
    let year = i32::try_from(year).ok().filter(|year| (1_000..9_999).contains(year))?;
    let date = Date::from_calendar_date(year, month, day).ok()?;
    Some(date.midnight().assume_utc().unix_timestamp())
}
