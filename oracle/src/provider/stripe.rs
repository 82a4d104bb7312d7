//! Stripe: `Stripe-Signature` with scheme v1, and the events about payments and refunds.
//!
//! <https://docs.stripe.com/webhooks/signatures>: the header is `t=TIME,v1=HEX[,v1=HEX…]`, and a v1 is HMAC-SHA256 over
//! `TIME "." BODY`. Schemes other than v1 do not count. While a secret is rolled, there is a v1 by each.
//!
//! A payment is a `payment_intent.succeeded`, and its number is the PaymentIntent's: refunds name no other. The user and the rest
//! come from its metadata. `charge.succeeded` and `checkout.session.completed` tell the same once more and are not needed. A
//! refund is a `refund.created`, `refund.updated` or, with older accounts, `charge.refund.updated` whose status is `succeeded`;
//! however many of them come, they make one record, since it is of the refund's own `created`.

use super::{Callback, FieldNames, Provider, Reading, Rejection, check_currency, hmac, malformed};
use crate::order::{Order, PaymentOrder, RefundOrder, Refunded, check_id};
use ring::hmac::Key;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fmt;

/// How old a notice may be, in seconds: what Stripe's own libraries take.
pub const TOLERANCE: i64 = 300;

/// So many v1 are looked at: while a secret is rolled, there are two.
const MOST_SIGNATURES: usize = 8;

/// Stripe.
pub struct Stripe {
    secrets: Vec<Key>,
    tolerance: i64,
    currency: String,
    fields: FieldNames,
}

impl fmt::Debug for Stripe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stripe").field("tolerance", &self.tolerance).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Event {
    id: String,
    r#type: String,
    created: i64,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

#[derive(Deserialize)]
struct PaymentIntent {
    id: String,
    amount_received: u64,
    currency: String,
    #[serde(default)]
    metadata: Map<String, Value>,
}

#[derive(Deserialize)]
struct StripeRefund {
    id: String,
    amount: u64,
    currency: String,
    created: i64,
    status: Option<String>,
    payment_intent: Option<String>,
}

impl Stripe {
    /// Events signed with any of the endpoint's `secrets` (as Stripe shows them, `whsec_…`).
    pub fn new<S: AsRef<[u8]>>(secrets: &[S], tolerance: i64, currency: &str, fields: FieldNames) -> Self {
        Self { secrets: hmac::keys(secrets), tolerance, currency: currency.to_owned(), fields }
    }

    fn payment(&self, event: &Event, intent: PaymentIntent) -> Result<Order, Rejection> {
        check_currency(&intent.currency, &self.currency)?;
        let (user, about) = self.fields.read(&intent.metadata)?;
        Ok(Order::Payment(PaymentOrder {
            number: intent.id,
            user,
            amount: intent.amount_received,
            paid_at: event.created,
            about,
        }))
    }

    fn refund(&self, refund: StripeRefund) -> Result<Order, Rejection> {
        check_currency(&refund.currency, &self.currency)?;
        let of = refund.payment_intent.ok_or_else(|| {
            Rejection::Unusable("the refund is of no PaymentIntent, so of no order on record".to_owned())
        })?;
        let amount = Refunded::This(refund.amount);
        Ok(Order::Refund(RefundOrder { number: refund.id, of, amount, paid_at: refund.created }))
    }
}

impl Provider for Stripe {
    fn read(&self, callback: &Callback<'_>) -> Result<Reading, Rejection> {
        let (mut stamp, mut signatures) = (None, Vec::new());
        for pair in callback.header("stripe-signature")?.split(',') {
            match pair.trim().split_once('=') {
                Some(("t", time)) => stamp = Some(time),
                Some(("v1", signature)) if signatures.len() < MOST_SIGNATURES => {
                    // One that is no hexadecimal is none.
                    signatures.extend(::hex::decode(signature).ok());
                }
                _ => {}
            }
        }
        let stamp = stamp.ok_or_else(|| Rejection::Forged("Stripe-Signature has no t".to_owned()))?;
        let signed_at = hmac::timestamp(stamp)?;
        if !hmac::signed(&self.secrets, stamp, callback.body, &signatures) {
            return Err(Rejection::Forged("no v1 of Stripe-Signature is that of t and the body".to_owned()));
        }
        callback.check_age(signed_at, self.tolerance)?;
        let event: Event = serde_json::from_str(callback.text()?).map_err(malformed("the event"))?;
        check_id("the event's id", &event.id).map_err(|error| Rejection::Malformed(error.to_string()))?;
        let order = match event.r#type.as_str() {
            "payment_intent.succeeded" => {
                let intent = serde_json::from_value(event.data.object.clone());
                self.payment(&event, intent.map_err(malformed("the PaymentIntent"))?)?
            }
            "refund.created" | "refund.updated" | "charge.refund.updated" => {
                let refund: StripeRefund =
                    serde_json::from_value(event.data.object).map_err(malformed("the refund"))?;
                match refund.status.as_deref() {
                    Some("succeeded") => self.refund(refund)?,
                    other => return Ok(Reading::Nothing(format!("a refund that is {}", other.unwrap_or("undecided")))),
                }
            }
            other => return Ok(Reading::Nothing(format!("an event of type {other}"))),
        };
        Ok(Reading::Order { event: event.id, order: Box::new(order) })
    }
}
