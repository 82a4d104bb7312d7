//! Why a whole record is refused. A refused record changes nothing.

use core::fmt;

/// The reason. The numbers are part of the interface: never renumber, only add.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Refusal {
    /// A payment of nothing.
    ZeroAmount = 1,
    /// Paid further back than the platform's `max_lateness`.
    TooLate = 2,
    /// Paid more than 60 s ahead of the chain's clock.
    FromTheFuture = 3,
    /// The order was taken before.
    DuplicateOrder = 4,
    /// A grant, a balance, a counter or a rule's total would pass its range.
    AmountOverflow = 5,
    /// A refund of an order that nobody recorded.
    UnknownOrder = 6,
    /// More would be refunded than was paid.
    OverRefund = 7,
    /// A redemption of more than the user has.
    InsufficientBalance = 8,
    /// A redemption of an asset that cannot be redeemed: tokens are claimed, and others do not exist.
    NotRedeemable = 9,
    /// A wallet link no newer than the one in effect.
    StaleLink = 10,
}

impl Refusal {
    /// Every refusal, by number.
    pub const ALL: [Self; 10] = [
        Self::ZeroAmount,
        Self::TooLate,
        Self::FromTheFuture,
        Self::DuplicateOrder,
        Self::AmountOverflow,
        Self::UnknownOrder,
        Self::OverRefund,
        Self::InsufficientBalance,
        Self::NotRedeemable,
        Self::StaleLink,
    ];

    /// The name used in logs, in JSON and by the specification.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ZeroAmount => "ZeroAmount",
            Self::TooLate => "TooLate",
            Self::FromTheFuture => "FromTheFuture",
            Self::DuplicateOrder => "DuplicateOrder",
            Self::AmountOverflow => "AmountOverflow",
            Self::UnknownOrder => "UnknownOrder",
            Self::OverRefund => "OverRefund",
            Self::InsufficientBalance => "InsufficientBalance",
            Self::NotRedeemable => "NotRedeemable",
            Self::StaleLink => "StaleLink",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
