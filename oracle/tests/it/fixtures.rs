//! Notices that fixtures/make.py made, and adapters that know their keys.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use rebate_oracle::provider::{
    Callback, FieldNames, Provider, Reading, Rejection, RsaKey,
    alipay::Alipay,
    hmac::Hmac,
    stripe::Stripe,
    wechat_pay::{Merchant, WechatPay},
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// When they were signed.
pub const AT: i64 = 1_790_784_000;

#[derive(Deserialize)]
pub struct Fixtures {
    pub alipay_public_key: String,
    pub wechat_certificate: String,
    notices: Vec<Notice>,
}

#[derive(Clone, Deserialize)]
pub struct Notice {
    name: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

pub fn fixtures() -> Fixtures {
    serde_json::from_str(include_str!("../fixtures/notices.json")).unwrap()
}

pub fn notice(name: &str) -> Notice {
    fixtures().notices.into_iter().find(|notice| notice.name == name).unwrap_or_else(|| panic!("no notice {name}"))
}

impl Notice {
    pub fn header_map(&self) -> HeaderMap {
        self.headers
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    /// What `provider` makes of it `late` seconds after it was signed.
    pub fn read(&self, provider: &dyn Provider, late: i64) -> Result<Reading, Rejection> {
        provider.read(&Callback { headers: &self.header_map(), body: self.body.as_bytes(), now: AT + late })
    }

    /// With one byte of the body changed.
    pub fn altered(mut self, from: &str, to: &str) -> Self {
        assert!(self.body.contains(from), "{}", self.body);
        self.body = self.body.replacen(from, to, 1);
        self
    }
}

pub fn hmac() -> Hmac {
    Hmac::new(&["generic-secret"], 300, "CNY")
}

pub fn stripe() -> Stripe {
    Stripe::new(&["whsec_test"], 300, "CNY", FieldNames::default())
}

pub fn alipay() -> Alipay {
    let key = RsaKey::parse(fixtures().alipay_public_key.as_bytes()).unwrap();
    Alipay::new(vec![key], "2014072300007148", Some("2088101106499364"), FieldNames::default())
}

pub fn wechat() -> WechatPay {
    let key = RsaKey::parse(fixtures().wechat_certificate.as_bytes()).unwrap();
    let keys = BTreeMap::from([(key.serial().unwrap().to_owned(), key)]);
    let merchant = Merchant {
        mchid: "1900000109",
        appid: Some("wx8888888888888888"),
        api_v3_key: b"0123456789abcdef0123456789abcdef",
    };
    WechatPay::new(keys, &merchant, 300, "CNY", FieldNames::default()).unwrap()
}
