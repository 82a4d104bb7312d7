//! What became of the records of a transaction: its events say what was recorded, its log lines why the rest was not.

use super::{
    queue::{Due, Fate},
    record::Record,
};
use rebate_client::{
    Pubkey,
    address::Addresses,
    chain::{ChainError, Dispatch, Ended},
    recorder::refusals,
};
use rebate_core::refusal::Refusal;
use solana_signature::Signature;

/// How many of an account's transactions are looked through for a record that is said to be on chain already.
const LOOKED_THROUGH: usize = 2_000;

/// What the chain says of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// It is recorded.
    Recorded,
    /// The program refused it.
    Refused(String),
    /// It did not record it, and the log, which a node cuts off, does not say why.
    Unsaid,
}

/// What a transaction that succeeded says of each record it carries.
///
/// # Errors
/// An event that this code does not know.
pub fn words(records: &[Due], ended: &Ended) -> Result<Vec<(i64, Word)>, rebate_client::event::DecodeError> {
    let events = ended.transaction.events()?;
    let word = |due: &Due| {
        let Some(record) = Record::decode(&due.bytes) else { return Word::Refused("the record cannot be read".into()) };
        match events.iter().any(|emitted| record.is_recorded_by(&emitted.event)) {
            true => Word::Recorded,
            false => refusal(&record, &ended.logs, None),
        }
    };
    Ok(records.iter().map(|due| (due.id, word(due))).collect())
}

/// Why each record was refused, of a transaction that failed with `all` because every record was.
pub fn refused(records: &[Due], logs: &[String], all: &str) -> Vec<(i64, Word)> {
    let word = |due: &Due| match Record::decode(&due.bytes) {
        // Of several, another one may be why.
        Some(record) => refusal(&record, logs, Some(all).filter(|_| records.len() == 1)),
        None => Word::Refused("the record cannot be read".into()),
    };
    records.iter().map(|due| (due.id, word(due))).collect()
}

fn refusal(record: &Record, logs: &[String], all: Option<&str>) -> Word {
    let order = match record {
        Record::Payment(payment) => payment.order.to_string(),
        Record::Refund(refund) => refund.order.to_string(),
        Record::Redemption(redemption) => redemption.order.to_string(),
        // Submitted by itself: there is one reason.
        Record::Link(_) => String::new(),
    };
    let short: String = order.chars().take(16).collect();
    let line = refusals(logs).into_iter().find(|(found, _)| *found == short).map(|(_, reason)| reason);
    line.or_else(|| all.map(str::to_owned)).map_or(Word::Unsaid, Word::Refused)
}

/// The word's consequence. What the program says it took before is looked up: it may have been we, before the database was
/// restored, or before a transaction was lost sight of. `again` says what becomes of a record that is to be tried again.
///
/// # Errors
/// [`ChainError`].
pub async fn fate(
    chain: &dyn Dispatch,
    addresses: &Addresses,
    due: &Due,
    word: Word,
    at: Option<(Signature, u64)>,
    again: impl Fn(String) -> Fate,
) -> Result<Fate, ChainError> {
    let reason = match (word, at) {
        (Word::Recorded, Some((signature, slot))) => return Ok(Fate::Recorded { signature, slot }),
        // Who says it is recorded says where.
        (Word::Recorded, None) => return Ok(again("recorded, but not known where".to_owned())),
        (Word::Refused(reason), _) => reason,
        (Word::Unsaid, _) => return Ok(again("the transaction's log does not say why it was not recorded".to_owned())),
    };
    let is = |refusal: Refusal| reason == refusal.name();
    if is(Refusal::FromTheFuture) {
        // A clock is off: ours, the provider's, or the chain's. It passes, or the attempts do.
        return Ok(again(reason));
    }
    if !is(Refusal::DuplicateOrder) && !is(Refusal::StaleLink) && !is(Refusal::TooLate) {
        return Ok(Fate::Refused(reason));
    }
    let Some(record) = Record::decode(&due.bytes) else { return Ok(Fate::Dead(reason)) };
    Ok(match find(chain, addresses, &record).await? {
        Some(Found { signature, slot, is_same: true }) => Fate::Recorded { signature, slot },
        Some(Found { signature, .. }) => {
            Fate::Dead(format!("{reason}: the chain has this order with other content, by {signature}"))
        }
        None if is(Refusal::DuplicateOrder) => again(format!("{reason}, but the node does not show its transaction")),
        None => Fate::Refused(reason),
    })
}

struct Found {
    signature: Signature,
    slot: u64,
    is_same: bool,
}

/// The transaction that recorded an order, among those that name its user's account, or its refund's.
async fn find(chain: &dyn Dispatch, addresses: &Addresses, record: &Record) -> Result<Option<Found>, ChainError> {
    let account: Pubkey = match record {
        Record::Payment(payment) => addresses.user(&payment.user),
        Record::Redemption(redemption) => addresses.user(&redemption.user),
        Record::Link(link) => addresses.user(&link.user),
        Record::Refund(refund) => addresses.refund(&refund.of),
    };
    let (mut before, mut looked) = (None, 0usize);
    let mut other = None;
    loop {
        let page = chain.mentions(&account, before.as_ref()).await?;
        let Some(last) = page.last() else { return Ok(other) };
        before = Some(last.signature);
        for mention in page.iter().filter(|mention| !mention.failed) {
            looked = looked.saturating_add(1);
            if looked > LOOKED_THROUGH {
                return Ok(other);
            }
            let Some(ended) = chain.ended(&mention.signature).await? else { continue };
            // What this code does not know is none of its records.
            for emitted in ended.transaction.events().unwrap_or_default() {
                if emitted.event.platform() != addresses.platform.to_bytes() || !record.is_meant_by(&emitted.event) {
                    continue;
                }
                let is_same = record.is_recorded_by(&emitted.event);
                let found = Found { signature: mention.signature, slot: ended.slot, is_same };
                if is_same {
                    return Ok(Some(found));
                }
                other = Some(found);
            }
        }
    }
}
