//! What can be wrong with an event.

use super::super::signature::Unsigned;
use crate::event::OutcomeEntry;
use rebate_core::{outcome::Reason, refusal::Refusal};
use solana_program::pubkey::Pubkey;
use std::fmt;

/// Something wrong with one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The event's place in the journal.
    pub index: u64,
    /// Its name.
    pub event: &'static str,
    /// What is wrong.
    pub wrong: Wrong,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {} ({}): {}", self.index, self.event, self.wrong)
    }
}

/// Which step of a verification fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The events' places in the journal.
    Journal,
    /// The oracle's signature, and whether the key was valid.
    Signature,
    /// What the rules did.
    Rules,
    /// Balances otherwise, and vaults.
    Balances,
    /// What the platform's people decided.
    Governance,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It does not follow the event before.
    Index {
        /// Which index would.
        expected: u64,
    },
    /// The journal takes no more.
    JournalFull,
    /// A journal begins with the platform's creation.
    BeforeCreation,
    /// The platform was created a second time, or at another address.
    Created,
    /// No signature stands for it.
    Unsigned(Unsigned),
    /// The signed message does not hold what it says.
    NotSigned,
    /// Another key signed than it says.
    AnotherOracle {
        /// The key that signed.
        signed: [u8; 32],
        /// The key it names.
        said: [u8; 32],
    },
    /// The key was never registered.
    UnknownOracle {
        /// The key.
        oracle: [u8; 32],
    },
    /// The key was not valid then.
    OracleNotValid {
        /// The key.
        oracle: [u8; 32],
        /// Unix seconds; 0 for always.
        valid_from: i64,
        /// Unix seconds, exclusive; 0 for never.
        valid_until: i64,
        /// The chain's clock.
        at: i64,
    },
    /// The platform was paused.
    Paused,
    /// Core refuses the record.
    Refused(Refusal),
    /// The how-manieth payment of its user it is.
    Number {
        /// By core.
        expected: u64,
        /// By the event.
        said: u64,
    },
    /// Another rule did something, or nothing, where core says otherwise.
    Outcome {
        /// Its place among the outcomes.
        position: usize,
        /// By core; `None` where it is one too many.
        expected: Option<Named>,
        /// By the event; `None` where it is missing.
        said: Option<Named>,
    },
    /// What of the refunded order was refunded.
    RefundedSum {
        /// By core.
        expected: u64,
        /// By the event.
        said: u64,
    },
    /// It is another user's order.
    AnotherUser,
    /// A balance before or after.
    Balance {
        /// The asset's name.
        asset: String,
        /// Before and after by core.
        expected: (u64, u64),
        /// By the event.
        said: (u64, u64),
    },
    /// What expired of the user's balances.
    Expired {
        /// By core: asset, amount.
        expected: Vec<(String, u64)>,
        /// By the events.
        said: Vec<(String, u64)>,
    },
    /// What the vault holds.
    Funds {
        /// The asset's name.
        asset: String,
        /// By the events before.
        expected: u64,
        /// By this one.
        said: u64,
    },
    /// What users have of a token.
    Liability {
        /// The asset's name.
        asset: String,
        /// By core.
        expected: u64,
        /// By the event.
        said: u64,
    },
    /// The wallet was not the one that was linked.
    Wallet,
    /// A link that is no newer than the one in effect.
    StaleLink,
    /// Something the platform's people cannot have done.
    Decision(String),
}

/// An outcome with its rule's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The outcome.
    pub outcome: OutcomeEntry,
    /// What the rule version is called.
    pub rule: String,
    /// What the asset is called.
    pub asset: String,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OutcomeEntry { rule, version, reason, clause, amount, before, after, .. } = self.outcome;
        let reason =
            Reason::from_number(reason).map_or_else(|| format!("reason {reason}"), |reason| reason.to_string());
        write!(f, "rule {rule} version {version} \"{}\": {reason}", self.rule)?;
        if self.outcome.reason == Reason::NotMatched as u8 {
            write!(f, " (clause {clause})")?;
        }
        write!(f, ", {amount} {}, balance {before} -> {after}", self.asset)
    }
}

impl Wrong {
    /// Which step fails by it.
    pub fn step(&self) -> Step {
        match self {
            Self::Index { .. } | Self::JournalFull | Self::BeforeCreation => Step::Journal,
            Self::Unsigned(_)
            | Self::NotSigned
            | Self::AnotherOracle { .. }
            | Self::UnknownOracle { .. }
            | Self::OracleNotValid { .. }
            | Self::Paused => Step::Signature,
            Self::Refused(_)
            | Self::Number { .. }
            | Self::Outcome { .. }
            | Self::RefundedSum { .. }
            | Self::AnotherUser => Step::Rules,
            Self::Balance { .. }
            | Self::Expired { .. }
            | Self::Funds { .. }
            | Self::Liability { .. }
            | Self::Wallet
            | Self::StaleLink => Step::Balances,
            Self::Created | Self::Decision(_) => Step::Governance,
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = |key: &[u8; 32]| Pubkey::new_from_array(*key);
        match self {
            Self::Index { expected } => write!(f, "it should be event {expected} of the journal"),
            Self::JournalFull => f.write_str("the journal takes no more events"),
            Self::BeforeCreation => f.write_str("it comes before the platform was created"),
            Self::Created => f.write_str("the platform exists already, or belongs at another address"),
            Self::Unsigned(why) => why.fmt(f),
            Self::NotSigned => f.write_str("the message that the oracle signed does not hold what the event says"),
            Self::AnotherOracle { signed, said } => {
                write!(f, "signed by {}, where the event says {}", key(signed), key(said))
            }
            Self::UnknownOracle { oracle } => write!(f, "{} was no oracle key of the platform", key(oracle)),
            Self::OracleNotValid { oracle, valid_from, valid_until, at } => {
                write!(f, "the oracle key {} was not valid at {at}: it is from {valid_from} on", key(oracle))?;
                if *valid_until == 0 { Ok(()) } else { write!(f, " until {valid_until}") }
            }
            Self::Paused => f.write_str("the platform was paused"),
            Self::Refused(refusal) => write!(f, "the rules refuse it: {refusal}"),
            Self::Number { expected, said } => write!(f, "it is payment {expected} of its user, not {said}"),
            Self::Outcome { expected, said, .. } => match (expected, said) {
                (Some(expected), Some(said)) => write!(f, "by the rules {expected}; the event says {said}"),
                (Some(expected), None) => write!(f, "by the rules {expected}; the event leaves it out"),
                (None, Some(said)) => write!(f, "the event says {said}; no such rule was in force"),
                (None, None) => f.write_str("an outcome differs"),
            },
            Self::RefundedSum { expected, said } => {
                write!(f, "{expected} of the order were refunded by then, the event says {said}")
            }
            Self::AnotherUser => f.write_str("the order it refunds is another user's"),
            Self::Balance { asset, expected, said } => write!(
                f,
                "the balance of {asset} goes from {} to {}; the event says from {} to {}",
                expected.0, expected.1, said.0, said.1
            ),
            Self::Expired { expected, said } => {
                write!(f, "{} expired by then; the events say {}", list(expected), list(said))
            }
            Self::Funds { asset, expected, said } => {
                write!(f, "the vault of {asset} held {expected} before; by this event it held {said}")
            }
            Self::Liability { asset, expected, said } => {
                write!(f, "users have {expected} {asset}; the event says {said}")
            }
            Self::Wallet => f.write_str("it was claimed by another wallet than the one linked to the user"),
            Self::StaleLink => f.write_str("the link of the wallet is no newer than the one before, or out of time"),
            Self::Decision(what) => f.write_str(what),
        }
    }
}

fn list(expired: &[(String, u64)]) -> String {
    if expired.is_empty() {
        return "nothing".to_owned();
    }
    expired.iter().map(|(asset, amount)| format!("{amount} {asset}")).collect::<Vec<_>>().join(", ")
}
