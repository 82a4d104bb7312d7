//! What a comparison of the tables with the chain came to, as it is answered.

use crate::{
    problem::{Detail, Kind, Problem},
    snapshot::AsOf,
    state::ApiState,
    value::{Address, Hash, Instant},
};
use rebate_client::{Pubkey, address::Addresses};
use rebate_core::units::UserKey;
use rebate_integrity as integrity;
use rebate_integrity::{Asked, IntegrityError};
use serde::Serialize;
use utoipa::ToSchema;

/// What the comparison came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = IntegrityStatus)]
pub enum Status {
    /// Every event up to the smaller of the two counts is on record, unaltered, and so is what `accounts` says was
    /// compared.
    Agrees,
    /// The chain is ahead, and the indexer has not read up to the account's slot yet. Ask again.
    Behind,
    /// This server has not hashed all stored events yet. Ask again; it goes on where it stopped.
    Checking,
    /// The database does not hold what the chain holds; `differences` says what differs.
    Differs,
}

/// The kinds of difference there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Difference {
    /// What kind of difference it is.
    pub kind: DifferenceKind,
    /// The first journal index it concerns, where it concerns events.
    #[schema(minimum = 0)]
    #[schema(required)]
    pub first_index: Option<u64>,
    /// The last.
    #[schema(minimum = 0)]
    #[schema(required)]
    pub last_index: Option<u64>,
    /// The same in words.
    #[schema(example = "events 32 to 47 do not hash to what the chain has for them")]
    pub detail: String,
}

/// What was compared beside the events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ComparedAccounts)]
pub struct Compared {
    /// Whether all of it was compared: it is where the database holds every event that the accounts come from, and nothing
    /// was decided about rules since. Otherwise ask again.
    pub compared: bool,
    /// How many rule versions of the rule book.
    #[schema(minimum = 0, example = 12)]
    pub rules: usize,
    /// How many users. Every answer takes others.
    #[schema(minimum = 0, example = 16)]
    pub users: usize,
}

/// The tree head on chain against the one over the stored events.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Integrity)]
pub struct Report {
    /// What it comes to.
    pub status: Status,
    /// The platform.
    pub platform: Address,
    /// Its Journal account.
    pub journal: Address,
    /// The account in an explorer; null where none reaches the chain.
    #[schema(format = "uri")]
    #[schema(required)]
    pub journal_explorer: Option<String>,
    /// The slot at which the node showed the account.
    #[schema(minimum = 0)]
    #[schema(required)]
    pub chain_slot: Option<u64>,
    /// How many events the account counts.
    #[schema(minimum = 0)]
    #[schema(required)]
    pub chain_count: Option<u64>,
    /// The account's tree head over them.
    #[schema(required)]
    pub chain_head: Option<Hash>,
    /// How many events the database holds.
    #[schema(minimum = 0)]
    pub stored_count: u64,
    /// How many of them, from the first, `stored_head` is over.
    #[schema(minimum = 0)]
    pub hashed_count: u64,
    /// The tree head (RFC 6962) over the first `hashed_count` stored events.
    pub stored_head: Hash,
    /// No stored event was read for this before this moment.
    pub read_since: Instant,
    /// What of the platform's other accounts was compared with the tables.
    pub accounts: Compared,
    /// What differs.
    pub differences: Vec<Difference>,
    #[serde(flatten)]
    #[schema(inline = false)]
    pub as_of: AsOf,
}

/// Compares the platform's stored events with its Journal account, and the tables with its others, that of `user` among
/// them.
pub(crate) async fn compare(state: &ApiState, platform: Address, user: Option<Hash>) -> Result<Report, Problem> {
    let asked = Asked {
        platform: Pubkey::new_from_array(platform.0),
        user: user.map(|user| UserKey(user.0)),
        // What is left of the request's time after this goes into finding what differs.
        deadline: tokio::time::Instant::now() + state.settings().request_timeout / 4 * 3,
    };
    let found = state.comparer().compare(state.pool(), state.chain(), &asked).await?;
    let journal = Addresses::at(found.platform).journal;
    let chain = found.chain.as_ref();
    Ok(Report {
        status: found.status.into(),
        platform,
        journal: Address(journal.to_bytes()),
        journal_explorer: state.settings().cluster.account(&journal),
        chain_slot: chain.map(|chain| chain.slot),
        chain_count: chain.map(|chain| chain.count),
        chain_head: chain.map(|chain| Hash(chain.head)),
        stored_count: found.stored.count,
        hashed_count: found.stored.hashed,
        stored_head: Hash(found.stored.head),
        read_since: Instant(found.stored.read_since),
        accounts: Compared {
            compared: found.accounts.compared,
            rules: found.accounts.rules,
            users: found.accounts.users,
        },
        differences: found.differences.into_iter().map(Difference::from).collect(),
        as_of: AsOf::new(found.stored.slot, found.stored.final_slot),
    })
}

impl From<integrity::Status> for Status {
    fn from(status: integrity::Status) -> Self {
        match status {
            integrity::Status::Agrees => Self::Agrees,
            integrity::Status::Behind => Self::Behind,
            integrity::Status::Checking => Self::Checking,
            integrity::Status::Differs => Self::Differs,
        }
    }
}

impl From<integrity::DifferenceKind> for DifferenceKind {
    fn from(kind: integrity::DifferenceKind) -> Self {
        match kind {
            integrity::DifferenceKind::AnotherChain => Self::AnotherChain,
            integrity::DifferenceKind::NoJournal => Self::NoJournal,
            integrity::DifferenceKind::MissingEvents => Self::MissingEvents,
            integrity::DifferenceKind::InventedEvents => Self::InventedEvents,
            integrity::DifferenceKind::AlteredEvents => Self::AlteredEvents,
            integrity::DifferenceKind::NoAccount => Self::NoAccount,
            integrity::DifferenceKind::RuleTotals => Self::RuleTotals,
            integrity::DifferenceKind::UserBalances => Self::UserBalances,
            integrity::DifferenceKind::Liability => Self::Liability,
        }
    }
}

impl From<integrity::Difference> for Difference {
    fn from(found: integrity::Difference) -> Self {
        let integrity::Difference { kind, first_index, last_index, detail } = found;
        Self { kind: kind.into(), first_index, last_index, detail }
    }
}

impl From<IntegrityError> for Problem {
    fn from(error: IntegrityError) -> Self {
        match error {
            IntegrityError::Database(error) => error.into(),
            IntegrityError::NothingIndexed => Self::not_ready(vec![error.to_string()]),
            IntegrityError::Chain(_) | IntegrityError::NodeSilent(_) => {
                // The node's address may be nobody else's business.
                tracing::error!(%error, "the node does not answer");
                Self::new(Kind::NodeUnavailable, Detail::NodeUnavailable)
            }
            IntegrityError::TooLong => Self::internal(&error),
        }
    }
}
