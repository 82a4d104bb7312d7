//! One order: what of the journal is about it, each with what is wrong with it and with its path to the tree head.

use super::{
    VerifyError,
    follower::{Followed, Named},
    read::Read,
    recomputation::Recomputation,
};
use crate::{
    account::{AssetKind, Journal, OracleKey},
    chain::ReadEvidence,
    event::Event,
    merkle,
    verify::follower::Finding,
};
use rebate_core::{
    journal::{self, Hash},
    outcome::Reason,
    units::{JournalIndex, OrderHash},
};
use solana_signature::Signature;
use std::collections::HashSet;

/// What an event has to do with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It is the order's record.
    Itself,
    /// It refunds the order.
    Refund,
    /// The order's user took tokens out of a vault afterwards, of which the order granted some.
    Claim,
}

/// An event about an order.
#[derive(Clone, Debug)]
pub struct AboutOrder {
    /// How it is.
    pub relation: Relation,
    /// The event.
    pub event: Event,
    /// Its canonical bytes.
    pub bytes: Vec<u8>,
    /// Its transaction.
    pub signature: Signature,
    /// The slot of that.
    pub slot: u64,
    /// The oracle key that it names, as it was registered then.
    pub oracle: Option<OracleKey>,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
    /// What the rules in force did, by core.
    pub decided: Vec<Named>,
    /// Its path to the tree head; `None` if there is none that leads there.
    pub path: Option<Vec<Hash>>,
}

/// What was found about an order.
#[derive(Clone, Debug)]
pub struct OrderReport {
    /// The order.
    pub order: OrderHash,
    /// The journal's account, which everything is held against.
    pub journal: Journal,
    /// How many events were read.
    pub count: u64,
    /// The tree head over them.
    pub head: Hash,
    /// What is wrong with other events up to the last about the order, the first of it.
    pub others: Vec<Finding>,
    /// The events about the order, in the journal's order.
    pub events: Vec<AboutOrder>,
}

impl OrderReport {
    /// Whether the events that were read are those of the journal's account.
    pub fn is_whole(&self) -> bool {
        self.count == self.journal.count && self.head == journal::root(self.journal.count, &self.journal.peaks)
    }
}

/// Recomputes the platform up to where its journal is now, and hands out what is about `order`.
///
/// # Errors
/// [`VerifyError`]. An order that nobody recorded is a report without events.
pub async fn order<C: ReadEvidence + Clone + 'static>(
    recomputation: &mut Recomputation<C>,
    order: OrderHash,
) -> Result<OrderReport, VerifyError> {
    let addresses = *recomputation.follower().addresses();
    let journal = super::journal(recomputation.chain(), &addresses).await?;
    let mut about = About { order, leaves: Vec::new(), events: Vec::new(), others: Vec::new(), tokens: HashSet::new() };
    let mut oracles = Oracles::default();
    let nothing = async |_: &[Read]| Ok::<(), VerifyError>(());
    recomputation.to(journal.count, |followed| about.see(followed, &mut oracles), nothing).await?;
    let follower = recomputation.follower();
    let (count, head) = (follower.count(), follower.head());
    let on_chain = journal::root(journal.count, &journal.peaks);
    let mut events: Vec<_> = about.events;
    for (event, decided) in &mut events {
        let index = JournalIndex(event.event.journal_index());
        event.decided = decided.iter().map(|outcome| follower.named(outcome)).collect();
        let path = merkle::path_among(index, &about.leaves);
        event.path = path.filter(|path| merkle::is_included(index, &event.bytes, (journal.count, on_chain), path));
    }
    let last = events.iter().map(|(event, _)| event.event.journal_index()).max().unwrap_or_default();
    let others = about.others.into_iter().filter(|finding| finding.index < last).collect();
    let events = events.into_iter().map(|(event, _)| event).collect();
    Ok(OrderReport { order, journal, count, head, others, events })
}

/// How many findings of other events are kept.
const KEPT: usize = 100;

struct About {
    order: OrderHash,
    leaves: Vec<Hash>,
    events: Vec<(AboutOrder, Vec<crate::event::OutcomeEntry>)>,
    others: Vec<Finding>,
    /// Of users, the tokens that the order granted.
    tokens: HashSet<([u8; 32], u8)>,
}

impl About {
    fn see(&mut self, followed: &Followed<'_>, oracles: &mut Oracles) {
        self.leaves.push(*followed.leaf);
        oracles.see(followed.event);
        let Some(relation) = self.relation(followed.event) else {
            let room = KEPT.saturating_sub(self.others.len());
            self.others.extend(followed.findings.iter().take(room).cloned());
            return;
        };
        if let Event::PaymentRecorded(event) = followed.event {
            let granted = event.outcomes.iter().filter(|outcome| outcome.reason == Reason::Granted as u8);
            self.tokens.extend(granted.filter(|of| oracles.is_token(of.asset)).map(|of| (event.user, of.asset)));
        }
        let about = AboutOrder {
            relation,
            event: followed.event.clone(),
            bytes: followed.bytes.to_vec(),
            signature: followed.read.evidence.signature(),
            slot: followed.read.evidence.slot,
            oracle: super::read::oracle_of(followed.event).and_then(|key| oracles.key(key)),
            findings: followed.findings.to_vec(),
            decided: Vec::new(),
            path: None,
        };
        self.events.push((about, followed.decided.to_vec()));
    }

    fn relation(&self, event: &Event) -> Option<Relation> {
        let OrderHash(order) = self.order;
        match event {
            Event::PaymentRecorded(event) if event.order == order => Some(Relation::Itself),
            Event::RefundRecorded(event) if event.order == order => Some(Relation::Itself),
            Event::Redeemed(event) if event.order == order => Some(Relation::Itself),
            Event::RefundRecorded(event) if event.of == order => Some(Relation::Refund),
            Event::Claimed(event) if self.tokens.contains(&(event.user, event.asset)) => Some(Relation::Claim),
            _ => None,
        }
    }
}

/// The oracle keys and the tokens as they were at an event: the follower is ahead of what is handed out.
#[derive(Default)]
struct Oracles {
    keys: std::collections::HashMap<[u8; 32], OracleKey>,
    kinds: Vec<u8>,
}

impl Oracles {
    fn see(&mut self, event: &Event) {
        match event {
            Event::PlatformCreated(created) => self.kinds = created.assets.iter().map(|asset| asset.kind).collect(),
            Event::AssetAdded(added) => self.kinds.push(added.entry.kind),
            Event::OracleKeyRegistered(of) => {
                let key = OracleKey { key: of.key, valid_from: of.valid_from, valid_until: of.valid_until };
                self.keys.insert(of.key, key);
            }
            Event::OracleKeyRetired(of) => {
                if let Some(key) = self.keys.get_mut(&of.key) {
                    key.valid_until = of.valid_until;
                }
            }
            _ => {}
        }
    }

    fn key(&self, key: &[u8; 32]) -> Option<OracleKey> {
        self.keys.get(key).copied()
    }

    fn is_token(&self, asset: u8) -> bool {
        let kind = usize::from(asset).checked_sub(1).and_then(|slot| self.kinds.get(slot));
        kind == Some(&(AssetKind::Token as u8))
    }
}
