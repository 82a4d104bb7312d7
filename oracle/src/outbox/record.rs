//! A stored record, read back, and whether an event of the chain is its.

use rebate_client::{address::PROGRAM, event::Event};
use rebate_core::{
    message::{self, DOMAIN, HEADER},
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    units::UserKey,
    wallet::WalletLink,
};

/// A record of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// A paid order.
    Payment(Payment),
    /// What goes back of one.
    Refund(Refund),
    /// What a user spent.
    Redemption(Redemption),
    /// Where a user's tokens go.
    Link(WalletLink),
}

/// The message that carries encoded records, all of one kind, at most 255 of them.
pub fn message<'a>(platform: &[u8; 32], records: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER.saturating_add(512));
    message.extend_from_slice(&DOMAIN);
    message.extend_from_slice(&PROGRAM.to_bytes());
    message.extend_from_slice(platform);
    message.push(0);
    let mut count = 0u8;
    for record in records {
        message.extend_from_slice(record);
        count = count.saturating_add(1);
    }
    if let Some(place) = message.get_mut(HEADER.saturating_sub(1)) {
        *place = count;
    }
    message
}

impl Record {
    /// Reads the one encoding of a record; `None` if the bytes are none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let platform = [0; 32];
        let message = message(&platform, [bytes]);
        let mut records = message::open(&message, &PROGRAM.to_bytes(), &platform).ok()?;
        let record = match bytes.first()? {
            1 => Self::Payment(records.next().ok()??),
            2 => Self::Refund(records.next().ok()??),
            3 => Self::Redemption(records.next().ok()??),
            4 => Self::Link(records.next().ok()??),
            _ => return None,
        };
        // The same kind again: only the end is left, or bytes that are too many.
        records.next::<Payment>().ok()?.is_none().then_some(record)
    }

    /// Whose account it is about, where the record says it.
    pub fn user(&self) -> Option<UserKey> {
        match self {
            Self::Payment(payment) => Some(payment.user),
            Self::Redemption(redemption) => Some(redemption.user),
            Self::Link(link) => Some(link.user),
            Self::Refund(_) => None,
        }
    }

    /// Whether the event is about this record's order, or this link of a wallet, whatever else it says.
    pub fn is_meant_by(&self, event: &Event) -> bool {
        match (self, event) {
            (Self::Payment(own), Event::PaymentRecorded(event)) => event.order == own.order.0,
            (Self::Refund(own), Event::RefundRecorded(event)) => event.order == own.order.0,
            (Self::Redemption(own), Event::Redeemed(event)) => event.order == own.order.0,
            (Self::Link(own), Event::WalletLinked(event)) => {
                event.user == own.user.0 && event.linked_at == own.linked_at.0
            }
            _ => false,
        }
    }

    /// Whether the event records exactly this.
    pub fn is_recorded_by(&self, event: &Event) -> bool {
        self.is_meant_by(event)
            && match (self, event) {
                (Self::Payment(own), Event::PaymentRecorded(event)) => {
                    let Payment { order: _, user, amount, paid_at, product, streamer, session, tier, segments } = *own;
                    (user.0, amount.0, paid_at.0) == (event.user, event.amount, event.paid_at)
                        && (product, streamer, session) == (event.product, event.streamer, event.session)
                        && (tier, segments) == (event.tier, event.segments)
                }
                (Self::Refund(own), Event::RefundRecorded(event)) => {
                    (own.of.0, own.amount.0, own.paid_at.0) == (event.of, event.amount, event.paid_at)
                }
                (Self::Redemption(own), Event::Redeemed(event)) => {
                    (own.user.0, own.asset.0, own.amount.0) == (event.user, event.asset, event.amount)
                        && own.redeemed_at.0 == event.redeemed_at
                }
                (Self::Link(own), Event::WalletLinked(event)) => own.wallet == event.wallet,
                _ => false,
            }
    }
}
