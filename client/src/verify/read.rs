//! Decoding evidence, hashing its events and checking its signatures: what needs no other transaction, and so goes on all
//! cores at once.

use super::{
    VerifyError,
    evidence::{Evidence, Part},
    signature::{self, Signed, Unsigned},
};
use crate::event::Event;
use rebate_core::journal::{self, Hash};
use solana_program::pubkey::Pubkey;
use std::thread;

/// One transaction, decoded.
#[derive(Clone, Debug)]
pub struct Read {
    /// What it was decoded from.
    pub evidence: Evidence,
    /// Its instructions, in order.
    pub parts: Vec<ReadPart>,
}

/// One instruction of a transaction.
#[derive(Clone, Debug)]
pub struct ReadPart {
    /// What an oracle signed, or why that is nothing. Not looked at where no event needs it.
    pub signed: Result<Signed, Unsigned>,
    /// The events with their leaves, in order.
    pub events: Vec<(Event, Hash)>,
}

/// Decodes and checks `evidence` of `platform` on as many threads as there are cores. Blocks.
///
/// # Errors
/// [`VerifyError::Event`] for an event this code does not know.
pub fn read(evidence: Vec<Evidence>, platform: &Pubkey) -> Result<Vec<Read>, VerifyError> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = evidence.len().div_ceil(threads).max(1);
    let mut shares = Vec::new();
    let mut rest = evidence;
    while rest.len() > share {
        let behind = rest.split_off(share);
        shares.push(std::mem::replace(&mut rest, behind));
    }
    let read_all = |share: Vec<Evidence>| share.into_iter().map(|evidence| one(evidence, platform)).collect();
    let answers: Vec<Result<Vec<Read>, VerifyError>> = thread::scope(|scope| {
        let spawned: Vec<_> = shares.into_iter().map(|share| scope.spawn(|| read_all(share))).collect();
        let last = read_all(rest);
        // A thread that panicked takes this one along.
        let joined =
            spawned.into_iter().map(|thread| thread.join().unwrap_or_else(|why| std::panic::resume_unwind(why)));
        joined.chain([last]).collect()
    });
    let mut all = Vec::new();
    for answer in answers {
        all.extend(answer?);
    }
    Ok(all)
}

fn one(evidence: Evidence, platform: &Pubkey) -> Result<Read, VerifyError> {
    let parts = evidence.parts.iter().map(|part| part_of(part, &evidence, platform)).collect::<Result<_, _>>()?;
    Ok(Read { evidence, parts })
}

fn part_of(part: &Part, evidence: &Evidence, platform: &Pubkey) -> Result<ReadPart, VerifyError> {
    let mut events = Vec::with_capacity(part.events.len());
    let mut is_signed = false;
    for bytes in &part.events {
        let event = Event::decode(bytes).map_err(|error| VerifyError::Event(evidence.signature(), error))?;
        is_signed |= oracle_of(&event).is_some();
        events.push((event, journal::leaf(bytes)));
    }
    let signed = match &part.signed {
        Some(data) if is_signed => signature::read(data, platform),
        _ => Err(Unsigned::Missing),
    };
    Ok(ReadPart { signed, events })
}

/// The oracle key that an event says signed its record; `None` of events without one.
pub fn oracle_of(event: &Event) -> Option<&[u8; 32]> {
    match event {
        Event::PaymentRecorded(event) => Some(&event.oracle),
        Event::RefundRecorded(event) => Some(&event.oracle),
        Event::Redeemed(event) => Some(&event.oracle),
        Event::WalletLinked(event) => Some(&event.oracle),
        _ => None,
    }
}
