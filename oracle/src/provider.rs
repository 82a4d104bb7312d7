//! Payment providers: each is an adapter that checks a notice's signature and says which order it is about.
//!
//! An adapter looks at nothing but the notice, the clock and its settings, so a notice that comes again, or after the database
//! was lost, makes the same record.

pub mod alipay;
mod fields;
pub mod hmac;
mod json;
mod rsa_key;
pub mod stripe;
pub mod wechat_pay;

use crate::order::Order;
use axum::http::{HeaderMap, StatusCode};
pub use fields::FieldNames;
pub(crate) use json::OrderJson;
pub use rsa_key::{InvalidKey, RsaKey};
use thiserror::Error;

/// A notice as it came.
#[derive(Clone, Copy, Debug)]
pub struct Callback<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, which nobody has read yet.
    pub body: &'a [u8],
    /// This machine's clock, Unix seconds.
    pub now: i64,
}

impl<'a> Callback<'a> {
    /// A header that must be there once.
    fn header(&self, name: &'static str) -> Result<&'a str, Rejection> {
        let mut all = self.headers.get_all(name).iter();
        match (all.next().map(|value| value.to_str()), all.next()) {
            (Some(Ok(text)), None) => Ok(text),
            (None, _) => Err(Rejection::Forged(format!("the header {name} is missing"))),
            _ => Err(Rejection::Forged(format!("the header {name} is there twice or is no text"))),
        }
    }

    /// The body as text.
    fn text(&self) -> Result<&'a str, Rejection> {
        str::from_utf8(self.body).map_err(|_| Rejection::Malformed("the body is not UTF-8".to_owned()))
    }

    /// Checks the time at which the notice was signed, once the signature is known to be right.
    fn check_age(&self, signed_at: i64, tolerance: i64) -> Result<(), Rejection> {
        let age = self.now.saturating_sub(signed_at);
        if age.unsigned_abs() > tolerance.unsigned_abs() { Err(Rejection::Stale { age, tolerance }) } else { Ok(()) }
    }
}

/// What a genuine notice is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// An order.
    Order {
        /// The notice's id with the provider, the same however often it is sent.
        event: String,
        /// The order.
        order: Box<Order>,
    },
    /// Nothing that is recorded, such as an order that waits for its payment. It is answered with yes.
    Nothing(String),
}

/// Why a notice is not taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Rejection {
    /// It is not the provider's, as far as its signature can tell.
    #[error("the signature is not valid: {0}")]
    Forged(String),
    /// It is the provider's, but was signed too long ago, or in the future: replayed, or a clock is wrong.
    #[error(
        "the notice was signed {age} s ago, and {tolerance} s are allowed; if it was sent just now, set this machine's clock"
    )]
    Stale {
        /// Seconds; negative where it was signed in the future.
        age: i64,
        /// Seconds.
        tolerance: i64,
    },
    /// It is the provider's, and not what its documentation says.
    #[error("the notice cannot be read: {0}")]
    Malformed(String),
    /// It is the provider's, and no record can stand for it: another merchant's, another currency, no user.
    #[error("the order cannot be recorded: {0}")]
    Unusable(String),
}

impl Rejection {
    /// Its name in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Forged(_) => "forged",
            Self::Stale { .. } => "stale",
            Self::Malformed(_) => "malformed",
            Self::Unusable(_) => "unusable",
        }
    }

    /// As HTTP has it.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Forged(_) | Self::Stale { .. } => StatusCode::UNAUTHORIZED,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unusable(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

/// What a provider is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The body.
    pub body: String,
    /// Its media type.
    pub content_type: &'static str,
}

/// An adapter to a payment provider.
pub trait Provider: Send + Sync + 'static {
    /// Checks a notice's signature and age and says what it is about.
    ///
    /// # Errors
    /// [`Rejection`].
    fn read(&self, callback: &Callback<'_>) -> Result<Reading, Rejection>;

    /// What this provider takes for yes; everything else makes it send the notice again.
    fn accepted(&self) -> Reply {
        Reply { body: r#"{"received":true}"#.to_owned(), content_type: "application/json" }
    }

    /// What this provider takes for no, with a reason for people.
    fn refused(&self, reason: &str) -> Reply {
        let body = serde_json::json!({ "received": false, "reason": reason }).to_string();
        Reply { body, content_type: "application/json" }
    }
}

/// Only orders in the platform's currency are recorded: amounts are minor units of it.
fn check_currency(found: &str, expected: &str) -> Result<(), Rejection> {
    if found.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(Rejection::Unusable(format!("it is in {found:?}, and this platform's currency is {expected}")))
}

fn malformed(what: &str) -> impl Fn(serde_json::Error) -> Rejection + '_ {
    // serde's messages say where, and which field; the notice is its sender's own.
    move |error| Rejection::Malformed(format!("{what}: {error}"))
}
