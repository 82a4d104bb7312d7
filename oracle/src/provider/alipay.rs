//! Alipay: form parameters signed with RSA2, which is RSA with SHA-256 (PKCS #1 v1.5).
//!
//! <https://opendocs.alipay.com/common/02mse7>: all parameters but `sign` and `sign_type`, decoded, in the order of their names, as
//! `name=value` with `&` between; the bytes are those of the notice's charset, of which only UTF-8 is taken.
//!
//! A payment is a notice whose `trade_status` is TRADE_SUCCESS or TRADE_FINISHED; both can come for one order and say the same. A
//! notice with `gmt_refund` is about a refund, whose number is `out_biz_no`, and its `refund_fee` is what was refunded of the order
//! so far. Alipay signs no time at which it sends, so there is no replay window: what is replayed is on record already.

use super::{Callback, FieldNames, Provider, Reading, Rejection, Reply, RsaKey};
use crate::order::{Order, PaymentOrder, RefundOrder, Refunded, check_id};
use std::collections::BTreeMap;
use time::{PrimitiveDateTime, UtcOffset, macros::format_description, macros::offset};
use url::form_urlencoded;

/// Alipay's clock.
const BEIJING: UtcOffset = offset!(+8);

/// Alipay.
#[derive(Debug)]
pub struct Alipay {
    /// While a key is replaced, both sign.
    keys: Vec<RsaKey>,
    app_id: String,
    seller_id: Option<String>,
    fields: FieldNames,
}

impl Alipay {
    /// Notices to the application `app_id`, signed with one of `keys`; where `seller_id` is given, only those of that seller.
    pub fn new(keys: Vec<RsaKey>, app_id: &str, seller_id: Option<&str>, fields: FieldNames) -> Self {
        Self { keys, app_id: app_id.to_owned(), seller_id: seller_id.map(str::to_owned), fields }
    }
}

/// The parameters of a notice, by name.
struct Parameters(BTreeMap<String, String>);

impl Parameters {
    fn parse(body: &[u8]) -> Result<Self, Rejection> {
        let mut all = BTreeMap::new();
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
                Some(at) => (pair.get(..at).unwrap_or_default(), pair.get(at.saturating_add(1)..).unwrap_or_default()),
                None => (pair, &[][..]),
            };
            if all.insert(decode(name)?, decode(value)?).is_some() {
                return Err(Rejection::Malformed("a parameter is there twice".to_owned()));
            }
        }
        Ok(Self(all))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn require(&self, name: &str) -> Result<&str, Rejection> {
        self.get(name).ok_or_else(|| Rejection::Malformed(format!("the parameter {name} is missing")))
    }

    /// What is signed.
    fn content(&self) -> String {
        let mut content = String::new();
        for (name, value) in &self.0 {
            // Empty ones are not signed.
            if name == "sign" || name == "sign_type" || value.is_empty() {
                continue;
            }
            if !content.is_empty() {
                content.push('&');
            }
            content.push_str(name);
            content.push('=');
            content.push_str(value);
        }
        content
    }
}

/// A part of a form, as bytes that must be UTF-8: `form_urlencoded` alone would put others in the place of those that are not.
fn decode(part: &[u8]) -> Result<String, Rejection> {
    let not_utf8 =
        || Rejection::Malformed("a parameter is not UTF-8; set the application's charset to utf-8".to_owned());
    str::from_utf8(part).map_err(|_| not_utf8())?;
    let decoded = form_urlencoded::parse(part).next().map(|(text, _)| text.into_owned()).unwrap_or_default();
    // The replacement character itself, percent-encoded, is nothing that Alipay sends either.
    if decoded.contains('\u{fffd}') { Err(not_utf8()) } else { Ok(decoded) }
}

impl Provider for Alipay {
    fn read(&self, callback: &Callback<'_>) -> Result<Reading, Rejection> {
        let forged = |why: &str| Rejection::Forged(why.to_owned());
        let parameters = Parameters::parse(callback.body)?;
        let sign = parameters.get("sign").ok_or_else(|| forged("the parameter sign is missing"))?;
        if parameters.get("sign_type") != Some("RSA2") {
            return Err(forged("sign_type is not RSA2"));
        }
        if !parameters.get("charset").is_none_or(|charset| charset.eq_ignore_ascii_case("utf-8")) {
            return Err(Rejection::Malformed("the charset is not utf-8; set the application's to utf-8".to_owned()));
        }
        let content = parameters.content();
        if !self.keys.iter().any(|key| key.verifies(content.as_bytes(), sign)) {
            return Err(forged("sign is not that of the parameters"));
        }
        if parameters.require("app_id")? != self.app_id {
            return Err(Rejection::Unusable("it is another application's (app_id)".to_owned()));
        }
        if let Some(seller) = &self.seller_id
            && parameters.require("seller_id")? != seller
        {
            return Err(Rejection::Unusable("it is another seller's (seller_id)".to_owned()));
        }
        let event = parameters.require("notify_id")?.to_owned();
        check_id("notify_id", &event).map_err(|error| Rejection::Malformed(error.to_string()))?;
        let number = parameters.require("out_trade_no")?.to_owned();
        let status = parameters.require("trade_status")?;
        let order = match (parameters.get("gmt_refund"), status) {
            (Some(refunded_at), "TRADE_SUCCESS" | "TRADE_FINISHED" | "TRADE_CLOSED") => {
                let so_far = fen(parameters.require("refund_fee")?)?;
                // A refund of the whole, made without a number of its own, is the only one.
                let own = parameters.get("out_biz_no").filter(|own| *own != number);
                let refund = own.map_or_else(|| format!("{number}/refund/{so_far}"), str::to_owned);
                let amount = Refunded::SoFar(so_far);
                Order::Refund(RefundOrder { number: refund, of: number, amount, paid_at: moment(refunded_at)? })
            }
            (None, "TRADE_SUCCESS" | "TRADE_FINISHED") => {
                let (user, about) = self.fields.read_text(&passed_back(&parameters))?;
                Order::Payment(PaymentOrder {
                    number,
                    user,
                    amount: fen(parameters.require("total_amount")?)?,
                    paid_at: moment(parameters.require("gmt_payment")?)?,
                    about,
                })
            }
            (_, other) => return Ok(Reading::Nothing(format!("an order that is {other}"))),
        };
        Ok(Reading::Order { event, order: Box::new(order) })
    }

    fn accepted(&self) -> Reply {
        Reply { body: "success".to_owned(), content_type: "text/plain" }
    }

    fn refused(&self, _: &str) -> Reply {
        Reply { body: "failure".to_owned(), content_type: "text/plain" }
    }
}

/// The platform's own field. It goes to Alipay percent-encoded once more than the rest, and some libraries leave that to the
/// caller, so both are taken.
fn passed_back(parameters: &Parameters) -> String {
    let text = parameters.get("passback_params").unwrap_or_default();
    if text.starts_with('{') || text.contains('=') {
        return text.to_owned();
    }
    form_urlencoded::parse(text.as_bytes()).next().map(|(text, _)| text.into_owned()).unwrap_or_default()
}

/// Yuan with at most two decimals, as fen.
fn fen(yuan: &str) -> Result<u64, Rejection> {
    let (whole, part) = yuan.split_once('.').unwrap_or((yuan, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = !whole.is_empty() && whole.len() <= 15 && part.len() <= 2 && digits(whole) && digits(part);
    let parsed = if fits { format!("{whole}{part:0<2}").parse().ok() } else { None };
    parsed.ok_or_else(|| Rejection::Malformed(format!("{yuan:?} is no amount in yuan")))
}

/// Alipay's local time, with or without a fraction of a second, as Unix seconds.
fn moment(text: &str) -> Result<i64, Rejection> {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let seconds = text.split_once('.').map_or(text, |(seconds, _)| seconds);
    PrimitiveDateTime::parse(seconds, format)
        .map(|moment| moment.assume_offset(BEIJING).unix_timestamp())
        .map_err(|_| Rejection::Malformed(format!("{text:?} is no time like 2026-10-01 12:00:00")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yuan_become_fen_exactly_or_not_at_all() {
        for (yuan, expected) in
            [("0.01", 1), ("9", 900), ("9.9", 990), ("88.88", 8_888), ("100000000.00", 10_000_000_000)]
        {
            assert_eq!(fen(yuan), Ok(expected), "{yuan}");
        }
        for yuan in ["", ".5", "1.005", "-1", "+1", "1e3", "1,000.00", "1.2.3", " 1", "9999999999999999"] {
            assert!(fen(yuan).is_err(), "{yuan}");
        }
    }

    #[test]
    fn a_time_is_beijings() {
        assert_eq!(moment("1970-01-01 08:00:01"), Ok(1));
        assert_eq!(moment("2026-10-01 00:00:00.318"), Ok(1_790_784_000));
        assert!(moment("2026-02-30 00:00:00").is_err());
    }

    #[test]
    fn bytes_that_are_not_utf8_are_not_put_right() {
        assert!(Parameters::parse(b"a=%D6%D0").is_err());
        assert!(Parameters::parse(b"a=\xd6\xd0").is_err());
        assert!(Parameters::parse(b"a=1&a=2").is_err());
        assert_eq!(Parameters::parse(b"b=%E4%B8%AD+x&a=1&c=").unwrap().content(), "a=1&b=中 x");
    }
}
