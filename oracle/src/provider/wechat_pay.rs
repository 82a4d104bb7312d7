//! WeChat Pay, API v3: RSA with SHA-256 over timestamp, nonce and body; the order is in a resource under AES-256-GCM.
//!
//! <https://pay.weixin.qq.com/doc/v3/merchant/4012071382>: signed is `TIMESTAMP "\n" NONCE "\n" BODY "\n"`, and the header
//! `Wechatpay-Serial` says with which key: a platform certificate's serial number, or the id of a public key,
//! `PUB_KEY_ID_…`. The resource is encrypted with the merchant's API v3 key of 32 bytes.
//!
//! A payment is a `TRANSACTION.SUCCESS`, a refund a `REFUND.SUCCESS`; the user and the rest come from `attach`.

use super::{Callback, FieldNames, Provider, Reading, Rejection, Reply, RsaKey, check_currency, hmac, malformed};
use crate::order::{Order, PaymentOrder, RefundOrder, Refunded, check_id};
use base64::{Engine, prelude::BASE64_STANDARD};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, de::DeserializeOwned};
use std::{collections::BTreeMap, fmt};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// How old a notice may be, in seconds: what WeChat Pay's own libraries take.
pub const TOLERANCE: i64 = 300;

/// WeChat Pay.
pub struct WechatPay {
    keys: BTreeMap<String, RsaKey>,
    api_v3_key: LessSafeKey,
    mchid: String,
    appid: Option<String>,
    tolerance: i64,
    currency: String,
    fields: FieldNames,
}

impl fmt::Debug for WechatPay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WechatPay").field("mchid", &self.mchid).field("keys", &self.keys).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Notice {
    id: String,
    event_type: String,
    resource: Resource,
}

#[derive(Deserialize)]
struct Resource {
    algorithm: String,
    ciphertext: String,
    nonce: String,
    #[serde(default)]
    associated_data: String,
}

#[derive(Deserialize)]
struct Transaction {
    mchid: String,
    appid: Option<String>,
    out_trade_no: String,
    trade_state: String,
    #[serde(default)]
    attach: String,
    success_time: String,
    amount: TransactionAmount,
}

#[derive(Deserialize)]
struct TransactionAmount {
    total: u64,
    // Left out, it is CNY.
    currency: Option<String>,
}

#[derive(Deserialize)]
struct WechatRefund {
    mchid: String,
    out_trade_no: String,
    out_refund_no: String,
    refund_status: String,
    success_time: String,
    amount: RefundAmount,
}

#[derive(Deserialize)]
struct RefundAmount {
    refund: u64,
}

/// What the notices must be of.
#[derive(Clone, Debug)]
pub struct Merchant<'a> {
    /// The merchant's number.
    pub mchid: &'a str,
    /// Only orders of this application, where it is given.
    pub appid: Option<&'a str>,
    /// The API v3 key: 32 bytes.
    pub api_v3_key: &'a [u8],
}

impl WechatPay {
    /// Notices to `merchant`, signed with one of `keys` by serial number or id. `None` if the API v3 key has not 32 bytes.
    pub fn new(
        keys: BTreeMap<String, RsaKey>,
        merchant: &Merchant<'_>,
        tolerance: i64,
        currency: &str,
        fields: FieldNames,
    ) -> Option<Self> {
        Some(Self {
            keys,
            api_v3_key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, merchant.api_v3_key).ok()?),
            mchid: merchant.mchid.to_owned(),
            appid: merchant.appid.map(str::to_owned),
            tolerance,
            currency: currency.to_owned(),
            fields,
        })
    }

    /// What is in a resource.
    fn open<T: DeserializeOwned>(&self, resource: &Resource) -> Result<T, Rejection> {
        let malformed_resource = |what: &str| Rejection::Malformed(format!("the resource: {what}"));
        if resource.algorithm != "AEAD_AES_256_GCM" {
            return Err(malformed_resource("its algorithm is not AEAD_AES_256_GCM"));
        }
        let nonce: [u8; NONCE_LEN] =
            resource.nonce.as_bytes().try_into().map_err(|_| malformed_resource("its nonce has not 12 bytes"))?;
        let mut sealed =
            BASE64_STANDARD.decode(&resource.ciphertext).map_err(|_| malformed_resource("it is not base64"))?;
        let aad = Aad::from(resource.associated_data.as_bytes());
        let opened = self
            .api_v3_key
            .open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .map_err(|_| malformed_resource("it does not open with the API v3 key; was the key changed?"))?;
        serde_json::from_slice(opened).map_err(malformed("the resource"))
    }

    fn check_merchant(&self, mchid: &str) -> Result<(), Rejection> {
        if mchid == self.mchid {
            Ok(())
        } else {
            Err(Rejection::Unusable("it is another merchant's (mchid)".to_owned()))
        }
    }

    fn payment(&self, resource: &Resource) -> Result<Result<Order, String>, Rejection> {
        let transaction: Transaction = self.open(resource)?;
        self.check_merchant(&transaction.mchid)?;
        if self.appid.is_some() && self.appid != transaction.appid {
            return Err(Rejection::Unusable("it is another application's (appid)".to_owned()));
        }
        if transaction.trade_state != "SUCCESS" {
            return Ok(Err(format!("an order that is {}", transaction.trade_state)));
        }
        check_currency(transaction.amount.currency.as_deref().unwrap_or("CNY"), &self.currency)?;
        let (user, about) = self.fields.read_text(&transaction.attach)?;
        Ok(Ok(Order::Payment(PaymentOrder {
            number: transaction.out_trade_no,
            user,
            amount: transaction.amount.total,
            paid_at: moment(&transaction.success_time)?,
            about,
        })))
    }

    fn refund(&self, resource: &Resource) -> Result<Result<Order, String>, Rejection> {
        let refund: WechatRefund = self.open(resource)?;
        self.check_merchant(&refund.mchid)?;
        if refund.refund_status != "SUCCESS" {
            return Ok(Err(format!("a refund that is {}", refund.refund_status)));
        }
        Ok(Ok(Order::Refund(RefundOrder {
            number: refund.out_refund_no,
            of: refund.out_trade_no,
            amount: Refunded::This(refund.amount.refund),
            paid_at: moment(&refund.success_time)?,
        })))
    }
}

impl Provider for WechatPay {
    fn read(&self, callback: &Callback<'_>) -> Result<Reading, Rejection> {
        let stamp = callback.header("wechatpay-timestamp")?;
        let signed_at = hmac::timestamp(stamp)?;
        let nonce = callback.header("wechatpay-nonce")?;
        let signature = callback.header("wechatpay-signature")?;
        let serial = callback.header("wechatpay-serial")?;
        let forged = |why: &str| Rejection::Forged(why.to_owned());
        let key = self.keys.get(serial).ok_or_else(|| {
            forged(
                "Wechatpay-Serial names no key in the settings; add the new platform certificate or public key there",
            )
        })?;
        let mut message = Vec::with_capacity(callback.body.len().saturating_add(128));
        for part in [stamp.as_bytes(), nonce.as_bytes(), callback.body] {
            message.extend_from_slice(part);
            message.push(b'\n');
        }
        // Now and then WeChat Pay sends a signature that is none, to see whether it is checked.
        if !key.verifies(&message, signature) {
            return Err(forged("Wechatpay-Signature is not that of timestamp, nonce and body"));
        }
        callback.check_age(signed_at, self.tolerance)?;
        let notice: Notice = serde_json::from_str(callback.text()?).map_err(malformed("the notice"))?;
        check_id("the notice's id", &notice.id).map_err(|error| Rejection::Malformed(error.to_string()))?;
        let order = match notice.event_type.as_str() {
            "TRANSACTION.SUCCESS" => self.payment(&notice.resource)?,
            "REFUND.SUCCESS" => self.refund(&notice.resource)?,
            other => Err(format!("a notice of type {other}")),
        };
        Ok(match order {
            Ok(order) => Reading::Order { event: notice.id, order: Box::new(order) },
            Err(nothing) => Reading::Nothing(nothing),
        })
    }

    fn accepted(&self) -> Reply {
        Reply { body: r#"{"code":"SUCCESS","message":"OK"}"#.to_owned(), content_type: "application/json" }
    }

    fn refused(&self, reason: &str) -> Reply {
        let body = serde_json::json!({ "code": "FAIL", "message": reason }).to_string();
        Reply { body, content_type: "application/json" }
    }
}

fn moment(text: &str) -> Result<i64, Rejection> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map(OffsetDateTime::unix_timestamp)
        .map_err(|_| Rejection::Malformed(format!("{text:?} is no time like 2026-10-01T12:00:00+08:00")))
}
