//! A payment, as the platform's oracle signs it.

use crate::{
    refusal::Refusal,
    units::{Amount, OrderHash, Seconds, Timestamp, UserKey},
};

/// One paid order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Payment {
    /// SHA-256 of the order number.
    pub order: OrderHash,
    /// Who paid.
    pub user: UserKey,
    /// What was paid, in the platform's minor currency unit; more than 0.
    pub amount: Amount,
    /// When it was paid.
    pub paid_at: Timestamp,
    /// What was bought.
    pub product: u16,
    /// To whom: the first 8 bytes, little-endian, of SHA-256 of the streamer's platform id; 0 for nobody.
    pub streamer: u64,
    /// In which live session: likewise; 0 for none.
    pub session: u64,
    /// The user's tier with the platform, 0 for none.
    pub tier: u8,
    /// The user's segments, a bit set.
    pub segments: u32,
}

/// How far ahead of the chain's clock a payment may say it was paid, in seconds: clocks differ a little.
pub const MAX_AHEAD: i64 = 60;

impl Payment {
    /// The checks on a payment by itself, in the order the specification gives; whether its order was taken before
    /// comes after them.
    ///
    /// `now` is the chain's clock, `max_lateness` the platform's.
    ///
    /// # Errors
    /// [`Refusal::ZeroAmount`], [`Refusal::TooLate`] or [`Refusal::FromTheFuture`].
    pub fn admit(&self, now: Timestamp, max_lateness: Seconds) -> Result<(), Refusal> {
        if self.amount == Amount(0) {
            return Err(Refusal::ZeroAmount);
        }
        if self.paid_at.0 < now.0.saturating_sub(i64::from(max_lateness.0)) {
            return Err(Refusal::TooLate);
        }
        if self.paid_at.0 > now.0.saturating_add(MAX_AHEAD) {
            return Err(Refusal::FromTheFuture);
        }
        Ok(())
    }
}
