//! An order as every provider's notice says it once read: the one form that records are made from.

use crate::user_key::UserSecrets;
use rebate_client::platform_id;
use rebate_core::{
    message::Record,
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    units::{Amount, AssetId, OrderHash, Timestamp, UserKey},
    wallet::WalletLink,
};
use thiserror::Error;

/// The longest an order's number, a user's or a notice's id can be, in bytes.
pub const LONGEST_ID: usize = 256;

/// The latest moment that is one: in the year 9999.
const LAST: i64 = 253_402_300_799;

/// What came, in the platform's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// A paid order.
    Payment(PaymentOrder),
    /// Money that went back.
    Refund(RefundOrder),
    /// Points or vouchers spent with the platform.
    Redemption(RedemptionOrder),
    /// To whom a user's tokens go.
    WalletLink(WalletLinkOrder),
}

/// A paid order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaymentOrder {
    /// Its number.
    pub number: String,
    /// The user's id with the platform.
    pub user: String,
    /// In minor units, more than 0.
    pub amount: u64,
    /// Unix seconds.
    pub paid_at: i64,
    /// What was bought.
    pub about: About,
}

/// What the platform put into the order for its rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// What was bought; 0 where it is not said.
    pub product: u16,
    /// To whom: the streamer's id with the platform.
    pub streamer: Option<String>,
    /// In which live session: its id with the platform.
    pub session: Option<String>,
    /// The user's tier, 0 for none.
    pub tier: u8,
    /// The user's segments, a bit set.
    pub segments: u32,
}

/// Money that went back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundOrder {
    /// The refund's own number.
    pub number: String,
    /// The number of the order it refunds.
    pub of: String,
    /// How much.
    pub amount: Refunded,
    /// Unix seconds.
    pub paid_at: i64,
}

/// How much a refund is, in minor units, more than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refunded {
    /// This refund alone.
    This(u64),
    /// All refunds of the order so far. Those stored are subtracted.
    SoFar(u64),
}

/// Points or vouchers spent with the platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedemptionOrder {
    /// The redemption's own number.
    pub number: String,
    /// The user's id with the platform.
    pub user: String,
    /// The asset's number, 1 to 8.
    pub asset: u8,
    /// In the asset's smallest unit, more than 0.
    pub amount: u64,
    /// Unix seconds.
    pub redeemed_at: i64,
}

/// To whom a user's tokens go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletLinkOrder {
    /// The user's id with the platform.
    pub user: String,
    /// The wallet's address.
    pub wallet: [u8; 32],
    /// Unix seconds.
    pub linked_at: i64,
}

/// Why an order cannot be recorded, though it is genuine. Says what to change.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidOrder {
    /// A number or an id that cannot be one.
    #[error("{0} is empty, longer than {LONGEST_ID} bytes, or has control characters")]
    Id(&'static str),
    /// Nothing, or more than can be.
    #[error("the amount is 0 or more than 9223372036854775807 minor units")]
    Amount,
    /// Before 1970 or after the year 9999.
    #[error("{0} is no moment between 1970 and 9999, in Unix seconds")]
    Moment(&'static str),
    /// No asset.
    #[error("an asset's number is 1 to 8")]
    Asset,
}

/// A record that can be stored: the bytes that go on chain, and what only the oracle knows of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The record's kind, 1 to 4.
    pub kind: u8,
    /// Under which number it is known.
    pub number: String,
    /// SHA-256 of the number.
    pub order_hash: [u8; 32],
    /// The one encoding.
    pub record: Vec<u8>,
    /// Whose it is, and the number of the secret that made the user's key.
    pub user: Option<(String, i16)>,
    /// Of a refund: the number of the order it refunds.
    pub refund_of: Option<String>,
    /// Of a refund by what was refunded so far: that sum.
    pub refund_total: Option<u64>,
    /// Where the record came signed: the oracle's key and signature.
    pub signed: Option<([u8; 32], [u8; 64])>,
}

impl Order {
    /// The user's id, where there is one.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Payment(order) => Some(&order.user),
            Self::Redemption(order) => Some(&order.user),
            Self::WalletLink(order) => Some(&order.user),
            Self::Refund(_) => None,
        }
    }

    /// Checks what the database and the program would refuse anyway.
    ///
    /// # Errors
    /// [`InvalidOrder`], the first thing wrong.
    pub fn check(&self) -> Result<(), InvalidOrder> {
        match self {
            Self::Payment(order) => {
                id("the order's number", &order.number)?;
                id("the user's id", &order.user)?;
                order.about.streamer.as_deref().map_or(Ok(()), |streamer| id("the streamer's id", streamer))?;
                order.about.session.as_deref().map_or(Ok(()), |session| id("the session's id", session))?;
                amount(order.amount)?;
                moment("paid_at", order.paid_at)
            }
            Self::Refund(order) => {
                id("the refund's number", &order.number)?;
                id("the number of the order refunded", &order.of)?;
                let (Refunded::This(minor) | Refunded::SoFar(minor)) = order.amount;
                amount(minor)?;
                moment("paid_at", order.paid_at)
            }
            Self::Redemption(order) => {
                id("the redemption's number", &order.number)?;
                id("the user's id", &order.user)?;
                amount(order.amount)?;
                AssetId(order.asset).slot().ok_or(InvalidOrder::Asset)?;
                moment("redeemed_at", order.redeemed_at)
            }
            Self::WalletLink(order) => {
                id("the user's id", &order.user)?;
                moment("linked_at", order.linked_at)
            }
        }
    }

    /// The record, with the user's key made by the secret `secret` of `secrets`.
    ///
    /// # Errors
    /// [`InvalidOrder`].
    pub fn encode(&self, secrets: &UserSecrets, secret: i16) -> Result<Encoded, InvalidOrder> {
        self.check()?;
        let with_key = |user: &str| -> UserKey { secrets.key(secret, user) };
        let user = self.user().map(|user| (user.to_owned(), secret));
        Ok(match self {
            Self::Payment(order) => {
                let number_of = |id: &Option<String>| id.as_deref().map_or(0, platform_id::number);
                let payment = Payment {
                    order: OrderHash::of(&order.number),
                    user: with_key(&order.user),
                    amount: Amount(order.amount),
                    paid_at: Timestamp(order.paid_at),
                    product: order.about.product,
                    streamer: number_of(&order.about.streamer),
                    session: number_of(&order.about.session),
                    tier: order.about.tier,
                    segments: order.about.segments,
                };
                Encoded::of(&payment, &order.number, user)
            }
            Self::Refund(order) => {
                let (minor, total) = match order.amount {
                    Refunded::This(minor) => (minor, None),
                    Refunded::SoFar(minor) => (minor, Some(minor)),
                };
                let encoded = Encoded::of(&refund(&order.number, &order.of, minor, order.paid_at), &order.number, None);
                Encoded { refund_of: Some(order.of.clone()), refund_total: total, ..encoded }
            }
            Self::Redemption(order) => {
                let redemption = Redemption {
                    order: OrderHash::of(&order.number),
                    user: with_key(&order.user),
                    asset: AssetId(order.asset),
                    amount: Amount(order.amount),
                    redeemed_at: Timestamp(order.redeemed_at),
                };
                Encoded::of(&redemption, &order.number, user)
            }
            Self::WalletLink(order) => {
                let key = with_key(&order.user);
                let link = WalletLink { user: key, wallet: order.wallet, linked_at: Timestamp(order.linked_at) };
                Encoded::of(&link, &link_number(&link), user)
            }
        })
    }
}

/// A refund's record.
fn refund(number: &str, of: &str, minor: u64, paid_at: i64) -> Refund {
    Refund { order: OrderHash::of(number), of: OrderHash::of(of), amount: Amount(minor), paid_at: Timestamp(paid_at) }
}

/// The number of a wallet link, which has none of its own.
pub fn link_number(link: &WalletLink) -> String {
    format!("link/{}/{}", link.user, link.linked_at)
}

impl Encoded {
    /// A record under `number`, of `user`.
    pub fn of<R: Record>(record: &R, number: &str, user: Option<(String, i16)>) -> Self {
        let mut bytes = Vec::with_capacity(R::MAX_SIZE);
        record.encode(&mut bytes);
        Self {
            kind: R::KIND,
            number: number.to_owned(),
            order_hash: OrderHash::of(number).0,
            record: bytes,
            user,
            refund_of: None,
            refund_total: None,
            signed: None,
        }
    }

    /// The same refund of `minor` units; nothing else changes. Only for refunds.
    pub(crate) fn with_refund_amount(mut self, minor: u64) -> Self {
        // kind, order, of; then the amount: see core's encoding of a refund.
        if let (Refund::KIND, Some(amount)) = (self.kind, self.record.get_mut(65..73)) {
            amount.copy_from_slice(&minor.to_le_bytes());
        }
        self
    }
}

fn id(what: &'static str, text: &str) -> Result<(), InvalidOrder> {
    let fits = !text.is_empty() && text.len() <= LONGEST_ID && !text.contains(char::is_control);
    if fits { Ok(()) } else { Err(InvalidOrder::Id(what)) }
}

fn amount(minor: u64) -> Result<(), InvalidOrder> {
    if minor == 0 || i64::try_from(minor).is_err() { Err(InvalidOrder::Amount) } else { Ok(()) }
}

fn moment(what: &'static str, seconds: i64) -> Result<(), InvalidOrder> {
    if (0..=LAST).contains(&seconds) { Ok(()) } else { Err(InvalidOrder::Moment(what)) }
}

/// Checks an id that is not part of an order, such as a notice's.
///
/// # Errors
/// [`InvalidOrder::Id`].
pub fn check_id(what: &'static str, text: &str) -> Result<(), InvalidOrder> {
    id(what, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rebate_core::message;

    fn payment() -> PaymentOrder {
        PaymentOrder { number: "A1".into(), user: "u1".into(), amount: 1, paid_at: 1, about: About::default() }
    }

    #[test]
    fn an_order_that_no_record_can_stand_for_is_refused_with_what_is_wrong() {
        let with = |change: fn(&mut PaymentOrder)| {
            let mut order = payment();
            change(&mut order);
            Order::Payment(order).check()
        };
        assert_eq!(with(|_| {}), Ok(()));
        assert_eq!(with(|order| order.amount = 0), Err(InvalidOrder::Amount));
        assert_eq!(with(|order| order.amount = u64::MAX), Err(InvalidOrder::Amount));
        assert_eq!(with(|order| order.paid_at = -1), Err(InvalidOrder::Moment("paid_at")));
        assert_eq!(with(|order| order.paid_at = i64::MAX), Err(InvalidOrder::Moment("paid_at")));
        assert_eq!(with(|order| order.number.clear()), Err(InvalidOrder::Id("the order's number")));
        assert_eq!(with(|order| order.user = "\0".into()), Err(InvalidOrder::Id("the user's id")));
        assert_eq!(with(|order| order.user = "x".repeat(257)), Err(InvalidOrder::Id("the user's id")));
    }

    #[test]
    fn a_refunds_amount_can_be_set_and_nothing_else_changes() {
        let one = Encoded::of(&refund("R1", "A1", 7, 9), "R1", None);
        let other = Encoded::of(&refund("R1", "A1", 500, 9), "R1", None);
        assert_eq!(one.with_refund_amount(500), other);
        // And it is what the program reads.
        let message = message::encode(&[1; 32], &[2; 32], &[refund("R1", "A1", 500, 9)]).unwrap();
        let mut records = message::open(&message, &[1; 32], &[2; 32]).unwrap();
        assert_eq!(records.next::<Refund>().unwrap().unwrap().amount, Amount(500));
        assert!(message.ends_with(&other.record));
    }
}
