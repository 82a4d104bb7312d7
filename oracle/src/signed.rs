//! Records that the platform's own server signed with an oracle's key.

use crate::{
    order::{Encoded, check_id, link_number},
    provider::Rejection,
    user_key::UserSecrets,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use rebate_client::{Pubkey, address::PROGRAM};
use rebate_core::{
    message::{self, Record},
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    units::{OrderHash, UserKey},
    wallet::WalletLink,
};
use serde::Deserialize;
use solana_signature::Signature;
use utoipa::ToSchema;

/// A record with an oracle's signature over the message that carries it alone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignedRecord {
    /// The order's number, whose SHA-256 is in the record. A wallet link has none.
    #[schema(max_length = 256)]
    order: Option<String>,
    /// The record's encoding, from its kind on, base64.
    record: String,
    /// The oracle's key, base58.
    key: String,
    /// Its signature, base58.
    signature: String,
    /// The user's id with the platform, if it is to be kept. Its key must be the one in the record.
    user: Option<String>,
    /// Of a refund: the number of the order it refunds, if it is to be kept.
    of: Option<String>,
}

fn unusable(why: &str) -> Rejection {
    Rejection::Unusable(why.to_owned())
}

impl SignedRecord {
    /// The record, once its signature and everything said beside it are checked.
    pub(crate) fn check(self, platform: &Pubkey, secrets: &UserSecrets) -> Result<Encoded, Rejection> {
        let record =
            BASE64_STANDARD.decode(&self.record).map_err(|_| unusable("record is not base64 of a record's bytes"))?;
        let mut message = Vec::with_capacity(message::HEADER.saturating_add(record.len()));
        message.extend_from_slice(&message::DOMAIN);
        message.extend_from_slice(PROGRAM.as_array());
        message.extend_from_slice(platform.as_array());
        message.push(1);
        message.extend_from_slice(&record);

        let key: [u8; 32] = base58(&self.key).ok_or_else(|| unusable("key is no public key in base58"))?;
        let signature: [u8; 64] = base58(&self.signature).ok_or_else(|| unusable("signature is none in base58"))?;
        if !Signature::from(signature).verify(&key, &message) {
            let what = "signature is not that of key over the message with this one record to this platform";
            return Err(Rejection::Forged(what.to_owned()));
        }
        let encoded = match record.first().copied() {
            Some(Payment::KIND) => {
                let payment: Payment = only(&message, platform)?;
                self.of(&payment, payment.order, Some(payment.user), secrets)?
            }
            Some(Refund::KIND) => {
                let refund: Refund = only(&message, platform)?;
                if self.of.as_deref().is_some_and(|of| OrderHash::of(of) != refund.of) {
                    return Err(unusable("of is not the number of the order that the record refunds"));
                }
                let encoded = self.of(&refund, refund.order, None, secrets)?;
                Encoded { refund_of: self.of.clone(), ..encoded }
            }
            Some(Redemption::KIND) => {
                let redemption: Redemption = only(&message, platform)?;
                self.of(&redemption, redemption.order, Some(redemption.user), secrets)?
            }
            Some(WalletLink::KIND) => {
                let link: WalletLink = only(&message, platform)?;
                let number = link_number(&link);
                let user = self.user(Some(link.user), secrets)?;
                Encoded::of(&link, &number, user)
            }
            _ => return Err(unusable("the record is of no known kind")),
        };
        if let Some(of) = &encoded.refund_of {
            check_id("of", of).map_err(|error| unusable(&error.to_string()))?;
        }
        Ok(Encoded { signed: Some((key, signature)), ..encoded })
    }

    fn of<R: Record>(
        &self,
        record: &R,
        hash: OrderHash,
        user: Option<UserKey>,
        secrets: &UserSecrets,
    ) -> Result<Encoded, Rejection> {
        let number = self.order.as_deref().ok_or_else(|| unusable("order, the number, is missing"))?;
        check_id("order", number).map_err(|error| unusable(&error.to_string()))?;
        if OrderHash::of(number) != hash {
            return Err(unusable("order is not the number whose SHA-256 is in the record"));
        }
        Ok(Encoded::of(record, number, self.user(user, secrets)?))
    }

    fn user(&self, key: Option<UserKey>, secrets: &UserSecrets) -> Result<Option<(String, i16)>, Rejection> {
        let Some(user) = &self.user else { return Ok(None) };
        check_id("user", user).map_err(|error| unusable(&error.to_string()))?;
        let secret = secrets.numbers().find(|number| Some(secrets.key(*number, user)) == key);
        let other = || unusable("the user key in the record is not the one of user; ask /v1/users/{id}/key for it");
        Ok(Some((user.clone(), secret.ok_or_else(other)?)))
    }
}

/// The one record of a message, in its one encoding.
fn only<R: Record>(message: &[u8], platform: &Pubkey) -> Result<R, Rejection> {
    let not_canonical = |_| unusable("record is not the one encoding of a record");
    let mut records = message::open(message, PROGRAM.as_array(), platform.as_array()).map_err(not_canonical)?;
    let record = records.next().map_err(not_canonical)?;
    match (record, records.next::<R>().map_err(not_canonical)?) {
        (Some(record), None) => Ok(record),
        _ => Err(unusable("record is not one record")),
    }
}

fn base58<const N: usize>(text: &str) -> Option<[u8; N]> {
    // Decoding base58 takes time by the square of the length.
    if text.len() > 2 * N { None } else { bs58::decode(text).into_vec().ok()?.try_into().ok() }
}
