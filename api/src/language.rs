//! The language that people are answered in, as `Accept-Language` asks for it (RFC 9110 §12.5.4).
//!
//! Written here, since the crates for it either ignore the weights or sort by floating-point numbers, of which a request can
//! send some that have no order.

use axum::http::{HeaderMap, HeaderValue, header};

/// The languages there are texts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Chinese, in simplified characters.
    Chinese,
}

/// How many ranges of a request are looked at.
const MOST: usize = 32;

impl Language {
    /// Every language; the first is for who asks for none of them.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// The one that suits best: by weight, then by order in the request.
    pub fn of(headers: &HeaderMap) -> Self {
        let asked = headers.get_all(header::ACCEPT_LANGUAGE).iter().filter_map(|value| value.to_str().ok());
        let ranges: Vec<(&str, u16)> = asked.flat_map(|value| value.split(',')).take(MOST).filter_map(range).collect();
        let suits = |language: Self| {
            let by_name = |wanted: &str| {
                let fits = ranges.iter().enumerate().filter(|(_, (primary, _))| primary.eq_ignore_ascii_case(wanted));
                fits.max_by_key(|(at, (_, weight))| (*weight, std::cmp::Reverse(*at)))
            };
            let best = by_name(language.primary()).or_else(|| by_name("*"));
            best.map(|(at, (_, weight))| (*weight, std::cmp::Reverse(at))).filter(|(weight, _)| *weight > 0)
        };
        // Of equals, the last one counts as the greatest.
        let best =
            Self::ALL.into_iter().rev().filter(|language| suits(*language).is_some()).max_by_key(|one| suits(*one));
        best.unwrap_or(Self::English)
    }

    /// The first part of its tags.
    const fn primary(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }

    /// What `Content-Language` says.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    /// The same as a header's value.
    pub const fn header(self) -> HeaderValue {
        HeaderValue::from_static(self.tag())
    }

    /// Says in an answer's headers that it is in this language, and that others may get it in another.
    pub fn mark(self, headers: &mut HeaderMap) {
        headers.insert(header::CONTENT_LANGUAGE, self.header());
        vary(headers);
    }
}

/// Says in an answer's headers that it depends on `Accept-Language`.
pub fn vary(headers: &mut HeaderMap) {
    headers.append(header::VARY, HeaderValue::from_static("accept-language"));
}

/// The first part of a range's tag and its weight in thousandths; `None` where it is none.
fn range(text: &str) -> Option<(&str, u16)> {
    let mut parts = text.split(';');
    let primary = parts.next()?.trim().split('-').next().filter(|primary| !primary.is_empty())?;
    let mut weight = 1_000;
    for parameter in parts {
        let (name, value) = parameter.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("q") {
            weight = thousandths(value.trim())?;
        }
    }
    Some((primary, weight))
}

/// `0` to `1` with up to three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part: u16 = format!("{decimals:0<3}").parse().ok()?;
    match (whole, part) {
        ("0", part) => Some(part),
        ("1", 0) => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(asked: &[&str]) -> Language {
        let mut headers = HeaderMap::new();
        for value in asked {
            headers.append(header::ACCEPT_LANGUAGE, HeaderValue::from_str(value).unwrap());
        }
        Language::of(&headers)
    }

    #[test]
    fn the_language_with_the_greatest_weight_is_chosen() {
        for (asked, expected) in [
            ("zh", Language::Chinese),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
            ("zh-Hant-TW", Language::Chinese),
            ("ZH-cn", Language::Chinese),
            ("en;q=0.5, zh;q=0.7", Language::Chinese),
            ("en, zh", Language::English),
            ("zh, en", Language::Chinese),
            ("zh;q=0.5, en;q=0.501", Language::English),
            ("fr, zh;q=0.1", Language::Chinese),
            ("fr", Language::English),
            ("*", Language::English),
            ("en;q=0, *", Language::Chinese),
            ("zh;q=0, *;q=0.1", Language::English),
            ("*;q=0.5, zh;q=0.4", Language::English),
            ("zh;q=0", Language::English),
            ("en;q=0", Language::English),
            ("zh; q=1.000 , en ; q=0.999", Language::Chinese),
        ] {
            assert_eq!(of(&[asked]), expected, "{asked}");
        }
        assert_eq!(of(&[]), Language::English);
        assert_eq!(of(&["fr;q=0.9", "zh;q=0.3"]), Language::Chinese);
    }

    #[test]
    fn what_is_no_range_is_passed_over() {
        for asked in ["", ",,,;", "zh;q=nan", "zh;q=1.5", "zh;q=-1", "zh;q=0.12345", "zh;q", ";q=1", "-", "q=1"] {
            assert_eq!(of(&[asked]), Language::English, "{asked}");
        }
        let many = "fr;q=0.3,".repeat(2_000) + "zh";
        assert_eq!(of(&[&many]), Language::English, "a request with thousands of ranges is not read to its end");
    }
}
