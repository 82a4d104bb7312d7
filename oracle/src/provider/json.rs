//! An order as the project's own JSON has it: for platforms that are told by a generic notice, or that post it themselves.

use super::{Rejection, check_currency};
use crate::order::{About, Order, PaymentOrder, RedemptionOrder, RefundOrder, Refunded, WalletLinkOrder};
use serde::{Deserialize, Deserializer, de::Error};
use utoipa::ToSchema;

/// An order. Amounts are integers in minor units of the currency, as a number or as text; moments are Unix seconds.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum OrderJson {
    /// A paid order.
    Payment {
        /// Its number.
        #[schema(max_length = 256)]
        order: String,
        /// The user's id with the platform.
        #[schema(max_length = 256)]
        user: String,
        /// In minor units, more than 0.
        #[serde(deserialize_with = "whole")]
        amount: u64,
        /// The platform's.
        #[schema(example = "CNY")]
        currency: String,
        /// Unix seconds.
        paid_at: i64,
        /// What was bought.
        #[serde(default)]
        product: u16,
        /// The streamer's id with the platform.
        #[serde(default)]
        streamer: Option<String>,
        /// The live session's id with the platform.
        #[serde(default)]
        session: Option<String>,
        /// The user's tier, 0 for none.
        #[serde(default)]
        tier: u8,
        /// The user's segments, a bit set.
        #[serde(default)]
        segments: u32,
    },
    /// Money that went back.
    Refund {
        /// The refund's own number.
        #[schema(max_length = 256)]
        order: String,
        /// The number of the order it refunds.
        #[schema(max_length = 256)]
        of: String,
        /// In minor units, more than 0.
        #[serde(deserialize_with = "whole")]
        amount: u64,
        /// The platform's.
        #[schema(example = "CNY")]
        currency: String,
        /// Unix seconds.
        paid_at: i64,
    },
    /// Points or vouchers spent with the platform.
    Redemption {
        /// The redemption's own number.
        #[schema(max_length = 256)]
        order: String,
        /// The user's id with the platform.
        #[schema(max_length = 256)]
        user: String,
        /// The asset's number, 1 to 8.
        asset: u8,
        /// In the asset's smallest unit, more than 0.
        #[serde(deserialize_with = "whole")]
        amount: u64,
        /// Unix seconds.
        redeemed_at: i64,
    },
    /// To whom a user's tokens go.
    WalletLink {
        /// The user's id with the platform.
        #[schema(max_length = 256)]
        user: String,
        /// The wallet's address, base58.
        wallet: String,
        /// Unix seconds.
        linked_at: i64,
    },
}

impl OrderJson {
    /// The order, if it is in `currency`.
    pub(crate) fn order(self, expected: &str) -> Result<Order, Rejection> {
        Ok(match self {
            Self::Payment {
                order: number,
                user,
                amount,
                currency,
                paid_at,
                product,
                streamer,
                session,
                tier,
                segments,
            } => {
                check_currency(&currency, expected)?;
                let about = About { product, streamer, session, tier, segments };
                Order::Payment(PaymentOrder { number, user, amount, paid_at, about })
            }
            Self::Refund { order: number, of, amount, currency, paid_at } => {
                check_currency(&currency, expected)?;
                Order::Refund(RefundOrder { number, of, amount: Refunded::This(amount), paid_at })
            }
            Self::Redemption { order: number, user, asset, amount, redeemed_at } => {
                Order::Redemption(RedemptionOrder { number, user, asset, amount, redeemed_at })
            }
            Self::WalletLink { user, wallet, linked_at } => {
                // Decoding base58 takes time by the square of the length.
                let short = Some(&wallet).filter(|wallet| wallet.len() <= 44);
                let decoded = short.and_then(|wallet| bs58::decode(wallet).into_vec().ok()?.try_into().ok());
                let no_address = || Rejection::Unusable(format!("the wallet {wallet:?} is no address in base58"));
                Order::WalletLink(WalletLinkOrder { user, wallet: decoded.ok_or_else(no_address)?, linked_at })
            }
        })
    }
}

/// An integer, as a number or as decimal text: some platforms' JSON cannot hold 64 bits.
fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Whole {
        Number(u64),
        Text(String),
    }
    match Whole::deserialize(from).map_err(|_| D::Error::custom("an amount is a whole number of minor units"))? {
        Whole::Number(number) => Ok(number),
        // What `parse` also takes is one more way to write the same.
        Whole::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().map_err(|_| D::Error::custom("an amount is too large"))
        }
        Whole::Text(_) => Err(D::Error::custom("an amount is a whole number of minor units")),
    }
}
