//! What is told of events and blocks, and under which subject and id.

use crate::{
    FanoutError,
    events::{EventId, StoredEvent},
    fields,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use rebate_client::event::Event;
use serde_json::{Value, json};
use solana_program::hash::Hash;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// How many characters of the genesis hash in base58 tell chains apart in a subject.
const CHAIN: usize = 8;

/// Where the messages about one chain go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subjects {
    prefix: String,
    genesis_hash: String,
}

impl Subjects {
    /// Those of the chain that begins with `genesis_hash`.
    pub fn of(genesis_hash: Hash) -> Self {
        let genesis_hash = genesis_hash.to_string();
        let chain: String = genesis_hash.chars().take(CHAIN).collect();
        Self { prefix: format!("rebate.{chain}"), genesis_hash }
    }

    /// All of them: what the stream is for.
    pub fn all(&self) -> String {
        format!("{}.>", self.prefix)
    }

    /// All that are about an event: `rebate.<chain>.<platform>.<kind>`.
    pub fn events(&self) -> String {
        format!("{}.*.*", self.prefix)
    }

    /// The one for blocks: `rebate.<chain>.block`.
    pub fn block(&self) -> String {
        format!("{}.block", self.prefix)
    }
}

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Under which subject.
    pub subject: String,
    /// What deduplicates it: an event's id, or `block/<slot>`.
    pub id: String,
    /// JSON.
    pub body: Vec<u8>,
}

impl Message {
    /// The message about an event.
    ///
    /// # Errors
    /// [`FanoutError::Undecodable`].
    pub fn of_event(subjects: &Subjects, stored: &StoredEvent) -> Result<Self, FanoutError> {
        Ok(Self {
            subject: format!("{}.{}.{}", subjects.prefix, stored.id.platform, stored.kind),
            id: stored.id.to_string(),
            body: body(subjects, stored)?,
        })
    }

    /// The message that all events of a block were published.
    pub fn of_block(subjects: &Subjects, slot: i64, events: u64) -> Self {
        let id = format!("block/{slot}");
        let body = json!({
            "id": id,
            "kind": "Block",
            "genesis_hash": subjects.genesis_hash,
            "slot": slot,
            "events": events,
        });
        Self { subject: subjects.block(), id, body: body.to_string().into_bytes() }
    }
}

/// What is told of an event: the same bytes every time.
///
/// # Errors
/// [`FanoutError::Undecodable`].
pub fn body(subjects: &Subjects, stored: &StoredEvent) -> Result<Vec<u8>, FanoutError> {
    let undecodable = |source| FanoutError::Undecodable { id: stored.id, source };
    let event = Event::decode(&stored.bytes).map_err(undecodable)?;
    let EventId { platform, journal_index } = stored.id;
    let body = json!({
        "id": stored.id.to_string(),
        "kind": event.name(),
        "genesis_hash": subjects.genesis_hash,
        "platform": platform.to_string(),
        "journal_index": journal_index,
        "slot": stored.slot,
        "signature": bs58::encode(&stored.signature).into_string(),
        "at": text(stored.at),
        "event": fields::of(&event),
        // What was hashed into the journal, so that nobody needs to believe the fields.
        "bytes": BASE64_STANDARD.encode(&stored.bytes),
    });
    Ok(body.to_string().into_bytes())
}

fn text(moment: OffsetDateTime) -> Value {
    moment.to_offset(UtcOffset::UTC).format(&Rfc3339).map_or(Value::Null, Value::from)
}
