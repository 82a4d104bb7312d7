//! How the rules of a group compete.

/// The mode of a group. The numbers are part of the interface: never renumber, only add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum GroupMode {
    /// Every rule of the group may pay.
    #[default]
    Stackable = 1,
    /// The first in order of evaluation pays.
    First = 2,
    /// The one that would pay most pays; of equals, the first in order.
    Best = 3,
}

impl GroupMode {
    /// Every mode, by number.
    pub const ALL: [Self; 3] = [Self::Stackable, Self::First, Self::Best];

    /// The mode numbered `number`.
    #[inline(always)]
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Stackable),
            2 => Some(Self::First),
            3 => Some(Self::Best),
            _ => None,
        }
    }

    /// The name in rule files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stackable => "stackable",
            Self::First => "first",
            Self::Best => "best",
        }
    }
}
