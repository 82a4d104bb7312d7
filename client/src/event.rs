//! The program's events, decoded. Field for field what `idl/rebate.json` says.

use borsh::{BorshDeserialize, BorshSerialize};
use rebate_core::{
    rule::{Definition, Effect, Field, InvalidRule, Operator, Predicate},
    units::{Amount, AssetId, BasisPoints, RuleId, RuleVersion, Timestamp},
};
use solana_program::hash::hash;
use std::sync::LazyLock;
use thiserror::Error;

/// What the data of an event's self-CPI begins with: Anchor's event tag, little-endian.
pub const TAG: [u8; 8] = 0x1d9a_cb51_2ea5_45e4_u64.to_le_bytes();

/// Bytes that are no event this code knows.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// The first eight bytes name no event.
    #[error("unknown event {discriminator:02x?}: the program is newer than this software; update it")]
    UnknownEvent {
        /// What they are.
        discriminator: [u8; 8],
    },
    /// The event is known, its bytes are not what it should look like.
    #[error("malformed event {name}: {why}; the program is newer than this software, or the node altered it")]
    Malformed {
        /// The event.
        name: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// A platform was created.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PlatformCreated {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The number it was created with.
    pub id: u64,
    /// Who may change rules, assets and oracle keys.
    pub admin: [u8; 32],
    /// Who may pause.
    pub pauser: [u8; 32],
    /// How far back a payment may lie, in seconds.
    pub max_lateness: u32,
    /// How far ahead a rule version must be published, in seconds.
    pub timelock: u32,
    /// Into how many pages a day's orders are spread.
    pub order_shards: u16,
    /// Local time, by date.
    pub offsets: Vec<OffsetEntry>,
    /// What can be granted; the first is asset 1.
    pub assets: Vec<AssetEntry>,
}

/// A row of the table of UTC offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OffsetEntry {
    /// The first second of this offset, Unix time.
    pub from: i64,
    /// Local minus UTC, in seconds.
    pub seconds: i32,
}

/// An asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AssetEntry {
    /// UTF-8, zero-padded.
    pub name: [u8; 16],
    /// 1 points.
    pub kind: u8,
}

impl AssetEntry {
    /// The name without its padding.
    pub fn name(&self) -> String {
        String::from_utf8_lossy(&self.name).trim_end_matches('\0').to_owned()
    }
}

/// An oracle key may sign from now on.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OracleKeyRegistered {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The Ed25519 key.
    pub key: [u8; 32],
    /// Unix seconds; 0 for always.
    pub valid_from: i64,
    /// Unix seconds, exclusive; 0 for never.
    pub valid_until: i64,
}

/// A rule version was published.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RulePublished {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The first `paid_at` it is for, Unix seconds; 0 for open.
    pub effective_at: i64,
    /// All of it.
    pub rule: RuleDefinition,
}

/// A rule version, as an operator publishes it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RuleDefinition {
    /// The rule.
    pub id: u16,
    /// One more than the last published, from 1.
    pub version: u16,
    /// 1 to 32 bytes.
    pub name: String,
    /// Smaller is evaluated first; ties by id.
    pub priority: u16,
    /// Against `paid_at`, Unix seconds; 0 for open.
    pub starts_at: i64,
    /// Against `paid_at`, Unix seconds, exclusive; 0 for open.
    pub ends_at: i64,
    /// Clause by clause; empty for always.
    pub condition: Vec<PredicateEntry>,
    /// What it grants.
    pub effect: EffectEntry,
}

/// One comparison of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PredicateEntry {
    /// The clause it belongs to.
    pub clause: u8,
    /// Whether it must not hold.
    pub negated: bool,
    /// A [`Field`].
    pub field: u8,
    /// An [`Operator`].
    pub operator: u8,
    /// What the field is compared with.
    pub value: u64,
}

/// What a rule grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum EffectEntry {
    /// The same amount each time.
    Fixed {
        /// What is granted.
        asset: u8,
        /// How much.
        amount: u64,
    },
    /// A share of the payment.
    Ratio {
        /// What is granted.
        asset: u8,
        /// Of 10 000.
        bps: u32,
        /// At least this.
        min: u64,
        /// At most this; 0 for no limit.
        max: u64,
    },
}

/// Recording was stopped or resumed.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PauseChanged {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// Stopped or resumed.
    pub paused: bool,
    /// Who did it.
    pub by: [u8; 32],
}

/// A payment was accepted.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PaymentRecorded {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The oracle key that signed it.
    pub oracle: [u8; 32],
    /// SHA-256 of the order number.
    pub order: [u8; 32],
    /// The user's key.
    pub user: [u8; 32],
    /// The platform's minor currency unit.
    pub amount: u64,
    /// Unix seconds.
    pub paid_at: i64,
    /// What was bought.
    pub product: u16,
    /// 0 for none.
    pub streamer: u64,
    /// 0 for none.
    pub session: u64,
    /// The user's tier, 0 for none.
    pub tier: u8,
    /// The user's segments, a bit set.
    pub segments: u32,
    /// The how-manieth payment of this user it is, from 1.
    pub number: u64,
    /// Of every rule in force, in order of evaluation.
    pub outcomes: Vec<OutcomeEntry>,
}

/// What one rule did with a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OutcomeEntry {
    /// The rule.
    pub rule: u16,
    /// Its version.
    pub version: u16,
    /// A [`rebate_core::outcome::Reason`].
    pub reason: u8,
    /// With `NotMatched`, the first clause that fails.
    pub clause: u8,
    /// What it grants.
    pub asset: u8,
    /// How much it granted, in the asset's smallest unit.
    pub amount: u64,
    /// The user's balance before.
    pub before: u64,
    /// And after.
    pub after: u64,
}

/// Any event of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A platform was created.
    PlatformCreated(PlatformCreated),
    /// An oracle key may sign from now on.
    OracleKeyRegistered(OracleKeyRegistered),
    /// A rule version was published.
    RulePublished(RulePublished),
    /// Recording was stopped or resumed.
    PauseChanged(PauseChanged),
    /// A payment was accepted.
    PaymentRecorded(PaymentRecorded),
}

/// Anchor's discriminator of an event: the first 8 bytes of SHA-256 of `event:Name`.
fn discriminator(name: &str) -> [u8; 8] {
    let digest = hash(format!("event:{name}").as_bytes()).to_bytes();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    [a, b, c, d, e, f, g, h]
}

macro_rules! events {
    ($($name:ident),*) => {
        impl Event {
            /// Decodes an event from its canonical bytes; every byte must be used.
            ///
            /// # Errors
            /// [`DecodeError`].
            pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                let (head, body) = bytes.split_first_chunk::<8>().ok_or_else(|| DecodeError::Malformed {
                    name: "event",
                    why: format!("{} bytes, fewer than a discriminator has", bytes.len()),
                })?;
                $(
                    {
                        static DISCRIMINATOR: LazyLock<[u8; 8]> = LazyLock::new(|| discriminator(stringify!($name)));
                        if *head == *DISCRIMINATOR {
                            return borsh::from_slice(body).map(Self::$name).map_err(|error| DecodeError::Malformed {
                                name: stringify!($name),
                                why: error.to_string(),
                            });
                        }
                    }
                )*
                Err(DecodeError::UnknownEvent { discriminator: *head })
            }

            /// The canonical bytes.
            ///
            /// # Errors
            /// Only what writing into memory can fail with.
            pub fn encode(&self) -> std::io::Result<Vec<u8>> {
                match self {
                    $(Self::$name(event) => {
                        let mut bytes = discriminator(stringify!($name)).to_vec();
                        event.serialize(&mut bytes)?;
                        Ok(bytes)
                    })*
                }
            }

            /// Its name.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)*
                }
            }

            /// The address of the platform it is about.
            pub fn platform(&self) -> [u8; 32] {
                match self {
                    $(Self::$name(event) => event.platform,)*
                }
            }

            /// Its position in the platform's journal.
            pub fn journal_index(&self) -> u64 {
                match self {
                    $(Self::$name(event) => event.journal_index,)*
                }
            }

            /// The chain's clock when it was emitted, Unix seconds.
            pub fn at(&self) -> i64 {
                match self {
                    $(Self::$name(event) => event.at,)*
                }
            }
        }
    };
}

events!(PlatformCreated, OracleKeyRegistered, RulePublished, PauseChanged, PaymentRecorded);

impl RuleDefinition {
    /// The condition, as the rules' evaluator has it.
    ///
    /// # Errors
    /// [`InvalidRule::Predicate`] for a field or an operator this code does not know.
    pub fn predicates(&self) -> Result<Vec<Predicate>, InvalidRule> {
        self.condition
            .iter()
            .map(|entry| {
                let field = Field::from_number(entry.field).ok_or(InvalidRule::Predicate)?;
                let operator = Operator::from_number(entry.operator).ok_or(InvalidRule::Predicate)?;
                Ok(Predicate::new(entry.clause, entry.negated, field, operator, entry.value))
            })
            .collect()
    }

    /// The definition, as the rules' evaluator has it, over its own predicates.
    pub fn with<'a>(&'a self, condition: &'a [Predicate]) -> Definition<'a> {
        Definition {
            id: RuleId(self.id),
            version: RuleVersion(self.version),
            name: &self.name,
            priority: self.priority,
            starts_at: Timestamp(self.starts_at),
            ends_at: Timestamp(self.ends_at),
            condition,
            effect: self.effect.into(),
        }
    }

    /// Checks that the program would take the definition, apart from what depends on the platform.
    ///
    /// # Errors
    /// The first thing wrong with it.
    pub fn check(&self) -> Result<(), InvalidRule> {
        self.with(&self.predicates()?).check()
    }
}

impl From<EffectEntry> for Effect {
    fn from(entry: EffectEntry) -> Self {
        match entry {
            EffectEntry::Fixed { asset, amount } => Self::Fixed { asset: AssetId(asset), amount: Amount(amount) },
            EffectEntry::Ratio { asset, bps, min, max } => {
                Self::Ratio { asset: AssetId(asset), bps: BasisPoints(bps), min: Amount(min), max: Amount(max) }
            }
        }
    }
}

impl From<Predicate> for PredicateEntry {
    fn from(predicate: Predicate) -> Self {
        Self {
            clause: predicate.clause,
            negated: predicate.negated(),
            field: predicate.field().map_or(0, |field| field as u8),
            operator: predicate.operator().map_or(0, |operator| operator as u8),
            value: predicate.value,
        }
    }
}
