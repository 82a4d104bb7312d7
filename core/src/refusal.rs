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
    /// A grant, a balance or a rule's total would pass 2^64 − 1.
    AmountOverflow = 5,
}

impl Refusal {
    /// Every refusal, by number.
    pub const ALL: [Self; 5] =
        [Self::ZeroAmount, Self::TooLate, Self::FromTheFuture, Self::DuplicateOrder, Self::AmountOverflow];

    /// The name used in logs, in JSON and by the specification.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ZeroAmount => "ZeroAmount",
            Self::TooLate => "TooLate",
            Self::FromTheFuture => "FromTheFuture",
            Self::DuplicateOrder => "DuplicateOrder",
            Self::AmountOverflow => "AmountOverflow",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
