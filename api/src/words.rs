//! What is said to people: the texts of every reason, refusal, entry and problem. One file a language; what is missing in
//! one of them does not compile.

mod en;
mod zh;

use crate::{
    language::Language,
    problem::{Detail, Kind},
};
use rebate_core::{
    outcome::Reason,
    refusal::Refusal,
    rule::Predicate,
    window::{Scope, Window},
};
use rust_decimal::Decimal;
use time::OffsetDateTime;

/// The texts in one language.
pub trait Words: Sync {
    /// What went wrong.
    fn title(&self, kind: Kind) -> &'static str;

    /// What happened, where, and what to do.
    fn detail(&self, detail: &Detail) -> String;

    /// What a rule did with a payment, or why it did nothing.
    fn outcome(&self, outcome: &Outcome<'_>) -> String;

    /// How a balance changed.
    fn entry(&self, entry: &Entry<'_>) -> String;

    /// What a reason means, whatever the rule.
    fn reason(&self, reason: Reason) -> &'static str;

    /// Why a record is refused as a whole, and what to do.
    fn refusal(&self, refusal: Refusal) -> &'static str;

    /// The clause of a condition, one of whose predicates must hold.
    fn clause(&self, clause: &[Predicate], counted: Counted) -> String;

    /// How far a rule is.
    fn progress(&self, progress: &Progress<'_>) -> String;
}

impl Language {
    /// Its texts.
    pub fn words(self) -> &'static dyn Words {
        match self {
            Self::English => &en::English,
            Self::Chinese => &zh::Chinese,
        }
    }
}

/// Over which time a rule counts, and towards whom.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Over which time.
    pub window: Window,
    /// Whose.
    pub scope: Scope,
}

/// What one rule did.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// The rule's name.
    pub rule: &'a str,
    /// The asset's.
    pub asset: &'a str,
    /// What it did.
    pub did: Did<'a>,
}

/// What a rule did, with what there is to say about it.
#[derive(Clone, Copy, Debug)]
pub enum Did<'a> {
    /// It granted so much, of which so much paid what the user owed.
    Granted(Decimal, Decimal),
    /// So much was taken back, of which so much is owed.
    Reversed(Decimal, Decimal),
    /// This clause does not hold; `None` where nobody knows what it says.
    NotMatched(Option<&'a [Predicate]>, Counted),
    /// The reward comes to nothing.
    NothingDue(Due, Counted),
    /// A payment of a later window was counted before.
    LateForWindow(Counted),
    /// The user is in the control group.
    Holdout,
    /// The user's limit is reached, or would be passed.
    UserLimit(UserLimit, Counted),
    /// The rule's budget is spent; or, if so, what is left of it is less than what it would have been.
    BudgetSpent {
        /// Whether the rule rejects what passes a limit.
        rejects: bool,
    },
    /// Another rule of the group pays, of this name.
    GroupTaken(Option<&'a str>),
    /// A rule that paid excludes this one, of this name.
    Excluded(Option<&'a str>),
    /// The vault does not hold enough.
    VaultShort,
    /// A reason that a newer program has.
    Unknown(i16),
}

/// Why a reward comes to nothing.
#[derive(Clone, Copy, Debug)]
pub enum Due {
    /// No tier more is reached: the spend so far and the next threshold, where they are known.
    Tier(Option<Missing>),
    /// All tiers are reached, and granted.
    AllTiers,
    /// It is not the day of the streak that pays.
    Streak {
        /// On how many days in a row it pays.
        days: u32,
        /// Whether every multiple of them does.
        recurring: bool,
        /// On how many days in a row there was a payment, where that is known.
        now: Option<u32>,
    },
    /// A share of so little is less than the smallest unit.
    Share,
    /// There is nothing that it would add to.
    Multiplier,
    /// Something a newer program knows.
    Unknown,
}

/// What is missing for the next tier.
#[derive(Clone, Copy, Debug)]
pub struct Missing {
    /// What was spent in the window.
    pub spend: u64,
    /// The next threshold.
    pub threshold: u64,
}

impl Missing {
    /// How much.
    pub fn amount(&self) -> u64 {
        self.threshold.saturating_sub(self.spend)
    }
}

/// A user's limit in one window.
#[derive(Clone, Copy, Debug)]
pub struct UserLimit {
    /// How much, 0 for no limit.
    pub amount: u64,
    /// How often, 0 for no limit.
    pub count: u64,
    /// Whether the rule rejects what passes a limit.
    pub rejects: bool,
    /// When another window begins.
    pub reset: Reset,
}

/// When a window ends.
#[derive(Clone, Copy, Debug)]
pub enum Reset {
    /// Never.
    Never,
    /// With the rule itself, at that moment.
    WithRule(OffsetDateTime),
    /// At that moment, less than a week ahead.
    Soon(OffsetDateTime),
    /// At that moment.
    At(OffsetDateTime),
    /// At that moment, which has passed.
    Passed(OffsetDateTime),
}

/// A change of a balance.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// What changed it.
    pub operation: Operation<'a>,
    /// The asset's name.
    pub asset: &'a str,
    /// What the balance changed by, without its sign.
    pub changed: Decimal,
    /// What the debt changed by, without its sign.
    pub debt: Decimal,
}

/// What changed a balance.
#[derive(Clone, Copy, Debug)]
pub enum Operation<'a> {
    /// A grant by the rule of this name.
    Grant(&'a str),
    /// A refund took a grant of this rule back.
    Reversal(&'a str),
    /// A redemption.
    Redemption,
    /// A claim.
    Claim,
    /// Expiry.
    Expiry,
    /// Something a newer indexer knows.
    Unknown,
}

/// How far a user is with a rule.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The rule's name.
    pub rule: &'a str,
    /// The asset's.
    pub asset: &'a str,
    /// Over which time it counts.
    pub counted: Counted,
    /// What is known of the window so far.
    pub spend: u64,
    /// What it granted there.
    pub granted: u64,
    /// What can be said beyond that.
    pub next: Next,
    /// What is left of the user's limits, where there are any: how much, how often.
    pub left: (Option<u64>, Option<u64>),
    /// When another window begins.
    pub reset: Reset,
}

/// What comes next with a rule.
#[derive(Clone, Copy, Debug)]
pub enum Next {
    /// Nothing in particular.
    Nothing,
    /// A tier.
    Tier(Missing),
    /// All tiers are reached.
    AllTiers,
    /// Streak days so far, and the length that pays next.
    Streak {
        /// So far.
        days: u32,
        /// Which pays.
        pays_at: u32,
    },
    /// The streak was paid, and pays no more than once.
    StreakDone,
    /// The user is in the control group.
    Holdout,
}

/// The bits of a set.
fn members(set: u64) -> impl Iterator<Item = u64> {
    (0..u64::from(u64::BITS)).filter(move |bit| set >> bit & 1 == 1)
}

/// A date that is a number: `20261003`.
fn date(number: u64) -> String {
    format!("{:04}-{:02}-{:02}", number / 10_000, number / 100 % 100, number % 100)
}

/// `+08:00`.
fn offset(at: OffsetDateTime) -> String {
    let (hours, minutes, _) = at.offset().as_hms();
    let sign = if at.offset().is_negative() { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", hours.unsigned_abs(), minutes.unsigned_abs())
}

/// `2026-10-05 00:00 +08:00`.
fn moment(at: OffsetDateTime) -> String {
    let seconds = if at.second() == 0 { String::new() } else { format!(":{:02}", at.second()) };
    let date = at.date();
    format!("{date} {:02}:{:02}{seconds} {}", at.hour(), at.minute(), offset(at))
}
