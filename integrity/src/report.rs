//! What a comparison came to.

use rebate_client::Pubkey;
use rebate_core::journal::Hash;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// What the comparison came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Every event up to the smaller of the two counts is on record, unaltered, and so is what `accounts` says was
    /// compared.
    Agrees,
    /// The chain is ahead, and the indexer has not read up to the account's slot yet. Ask again.
    Behind,
    /// Not all stored events are hashed yet. Ask again; it goes on where it stopped.
    Checking,
    /// The database does not hold what the chain holds; `differences` says what differs.
    Differs,
}

/// The kinds of difference there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// The node is of another chain than the one that was indexed.
    AnotherChain,
    /// The node has no Journal account for the platform.
    NoJournal,
    /// Events of the chain are not on record.
    MissingEvents,
    /// Events are on record that the chain never emitted.
    InventedEvents,
    /// The stored bytes of an event are not those that were emitted.
    AlteredEvents,
    /// An account that the tables say there is cannot be read.
    NoAccount,
    /// Rules or their totals are others on chain.
    RuleTotals,
    /// What a user has, owes or did is another on chain.
    UserBalances,
    /// What users have of a token, or what its vault holds, is another on chain.
    Liability,
}

/// Something that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What kind of difference it is.
    pub kind: DifferenceKind,
    /// The first journal index it concerns, where it concerns events.
    pub first_index: Option<u64>,
    /// The last.
    pub last_index: Option<u64>,
    /// The same in words.
    pub detail: String,
}

impl Difference {
    pub(crate) fn whole(kind: DifferenceKind, detail: String) -> Self {
        Self { kind, first_index: None, last_index: None, detail }
    }

    pub(crate) fn of_events(kind: DifferenceKind, first: u64, last: u64, what: &str) -> Self {
        let events = if first == last { format!("event {first}") } else { format!("events {first} to {last}") };
        Self { kind, first_index: Some(first), last_index: Some(last), detail: format!("{events} {what}") }
    }
}

/// What was compared beside the events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Whether accounts were compared: they are where the database holds all events that they come from. Otherwise ask
    /// again.
    pub compared: bool,
    /// How many rule versions of the rule book.
    pub rules: usize,
    /// How many users. Every comparison takes others.
    pub users: usize,
}

/// What the chain has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainSide {
    /// The slot at which the node showed the accounts.
    pub slot: u64,
    /// How many events the Journal account counts.
    pub count: u64,
    /// Its tree head over them.
    pub head: Hash,
}

/// What the database has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSide {
    /// The last slot that was read.
    pub slot: i64,
    /// The last slot of them that is final; `None` where none is yet. What is later can still be taken back.
    pub final_slot: Option<i64>,
    /// How many events it holds.
    pub count: u64,
    /// How many of them, from the first, `head` is over.
    pub hashed: u64,
    /// The tree head (RFC 6962) over the first `hashed` events.
    pub head: Hash,
    /// No stored event was read for this before this moment.
    pub read_since: OffsetDateTime,
}

/// The tables against the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What it comes to.
    pub status: Status,
    /// The platform.
    pub platform: Pubkey,
    /// What the chain has; `None` where the node shows no journal.
    pub chain: Option<ChainSide>,
    /// What the database has.
    pub stored: TableSide,
    /// What of the platform's other accounts was compared with the tables.
    pub accounts: Compared,
    /// What differs.
    pub differences: Vec<Difference>,
}
