//! A generic provider: HMAC-SHA256 over a timestamp and the body, with a replay window.
//!
//! Two headers: `x-timestamp`, Unix seconds in decimal, and `x-signature`, the lower- or upper-case hexadecimal of
//! `HMAC-SHA256(secret, timestamp "." body)`. The body is a JSON object: `event`, the notice's id, and the order beside it.

use super::{Callback, OrderJson, Provider, Reading, Rejection, malformed};
use crate::order::check_id;
use ring::hmac::{self, HMAC_SHA256, Key};
use serde::Deserialize;
use std::fmt;

/// How old a notice may be, or how far in the future, in seconds, where the settings say nothing.
pub const TOLERANCE: i64 = 300;

/// The generic provider.
pub struct Hmac {
    /// Any of them signs: while one is replaced by another, both do.
    secrets: Vec<Key>,
    tolerance: i64,
    currency: String,
}

impl fmt::Debug for Hmac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hmac").field("tolerance", &self.tolerance).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Notice {
    event: String,
    #[serde(flatten)]
    order: serde_json::Map<String, serde_json::Value>,
}

impl Hmac {
    /// Notices signed with any of `secrets` at most `tolerance` seconds ago or ahead, about orders in `currency`.
    pub fn new<S: AsRef<[u8]>>(secrets: &[S], tolerance: i64, currency: &str) -> Self {
        Self { secrets: keys(secrets), tolerance, currency: currency.to_owned() }
    }
}

/// Keys of HMAC-SHA256.
pub(super) fn keys<S: AsRef<[u8]>>(secrets: &[S]) -> Vec<Key> {
    secrets.iter().map(|secret| Key::new(HMAC_SHA256, secret.as_ref())).collect()
}

/// What a provider with `secret` puts into `x-signature` of a notice with this `x-timestamp` and body: for whoever plays one.
pub fn signature(secret: &[u8], timestamp: &str, body: &str) -> String {
    hex::encode(hmac::sign(&Key::new(HMAC_SHA256, secret), format!("{timestamp}.{body}").as_bytes()))
}

/// Whether one of `keys` made one of `signatures` over `timestamp "." body`. Compares in constant time.
pub(super) fn signed(keys: &[Key], timestamp: &str, body: &[u8], signatures: &[Vec<u8>]) -> bool {
    let mut message = Vec::with_capacity(timestamp.len().saturating_add(1).saturating_add(body.len()));
    message.extend_from_slice(timestamp.as_bytes());
    message.push(b'.');
    message.extend_from_slice(body);
    keys.iter().any(|key| signatures.iter().any(|signature| hmac::verify(key, &message, signature).is_ok()))
}

/// Unix seconds in decimal.
pub(super) fn timestamp(text: &str) -> Result<i64, Rejection> {
    let plain = !text.is_empty() && text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = if plain { text.parse().ok() } else { None };
    parsed.ok_or_else(|| Rejection::Forged("the timestamp is no number of seconds".to_owned()))
}

impl Provider for Hmac {
    fn read(&self, callback: &Callback<'_>) -> Result<Reading, Rejection> {
        let stamp = callback.header("x-timestamp")?;
        let signed_at = timestamp(stamp)?;
        let signature = hex::decode(callback.header("x-signature")?)
            .map_err(|_| Rejection::Forged("x-signature is not hexadecimal".to_owned()))?;
        if !signed(&self.secrets, stamp, callback.body, &[signature]) {
            return Err(Rejection::Forged("x-signature is not that of timestamp and body".to_owned()));
        }
        callback.check_age(signed_at, self.tolerance)?;
        let Notice { event, order } = serde_json::from_str(callback.text()?).map_err(malformed("the body"))?;
        check_id("event", &event).map_err(|error| Rejection::Malformed(error.to_string()))?;
        let order: OrderJson = serde_json::from_value(order.into()).map_err(malformed("the order"))?;
        Ok(Reading::Order { event, order: Box::new(order.order(&self.currency)?) })
    }
}
