//! Windows and scopes: over which time a rule's counters run, and whose they are.

use crate::{time::LocalTime, units::WindowIndex};

/// The span over which a user's qualifying spend is counted. The numbers are part of the interface: never renumber, only
/// add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Window {
    /// A day on the platform's calendar.
    Day = 1,
    /// A week on the platform's calendar, from Monday on.
    Week = 2,
    /// A month on the platform's calendar.
    Month = 3,
    /// From the first payment on.
    Lifetime = 4,
    /// From the rule's `starts_at` to its `ends_at`.
    Schedule = 5,
}

impl Window {
    /// Every window, by number.
    pub const ALL: [Self; 5] = [Self::Day, Self::Week, Self::Month, Self::Lifetime, Self::Schedule];

    /// The window numbered `number`.
    #[inline(always)]
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Day),
            2 => Some(Self::Week),
            3 => Some(Self::Month),
            4 => Some(Self::Lifetime),
            5 => Some(Self::Schedule),
            _ => None,
        }
    }

    /// The name in rule files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Lifetime => "lifetime",
            Self::Schedule => "schedule",
        }
    }

    /// Whether one follows another; a lifetime and a schedule are one window.
    #[inline(always)]
    pub const fn is_periodic(self) -> bool {
        !matches!(self, Self::Lifetime | Self::Schedule)
    }

    /// The window that `at` lies in. There is one lifetime and, for each rule version, one schedule.
    #[inline(always)]
    pub fn index(self, at: LocalTime) -> WindowIndex {
        match self {
            Self::Day => WindowIndex(at.day().0),
            Self::Week => WindowIndex(at.week()),
            Self::Month => WindowIndex(at.month()),
            Self::Lifetime | Self::Schedule => WindowIndex(0),
        }
    }
}

/// Whose counters a rule uses. The numbers are part of the interface: never renumber, only add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Scope {
    /// The user's own.
    User = 1,
    /// Those of this user towards this streamer.
    UserStreamer = 2,
    /// Those of this user in this live session.
    UserSession = 3,
}

impl Scope {
    /// Every scope, by number.
    pub const ALL: [Self; 3] = [Self::User, Self::UserStreamer, Self::UserSession];

    /// The scope numbered `number`.
    #[inline(always)]
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::User),
            2 => Some(Self::UserStreamer),
            3 => Some(Self::UserSession),
            _ => None,
        }
    }

    /// The name in rule files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::UserStreamer => "user_streamer",
            Self::UserSession => "user_session",
        }
    }
}
