//! What a payment is counted by, besides its time and its user.

use super::super::{
    WriteError, contradiction,
    rules::{Facts, Version},
};
use crate::stretch::Found;
use rebate_client::event::{Event, PaymentRecorded};
use rebate_core::outcome::Reason;
use serde::{Deserialize, Serialize};

/// By what payments are told apart. The numbers stand in the tables: never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(super) enum Dimension {
    None = 0,
    Rule = 1,
    Group = 2,
    Effect = 3,
    Product = 4,
    Streamer = 5,
    Tier = 6,
    Segment = 7,
    Newness = 8,
}

/// A rule that granted something on a payment, and what it is in the version that did. It is stored: fields are only ever
/// added, with a new version of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Granted {
    pub rule: u16,
    pub group: u8,
    /// 1 fixed, 2 ratio, 3 tiers, 4 streak, 5 multiplier.
    pub effect: u8,
    pub asset: u8,
}

impl Granted {
    /// What it is under.
    pub fn keys(self) -> [(Dimension, u64); 3] {
        [
            (Dimension::Rule, self.rule.into()),
            (Dimension::Group, self.group.into()),
            (Dimension::Effect, self.effect.into()),
        ]
    }
}

/// What a payment is counted by. It is stored, as what granted it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Visit {
    pub product: u16,
    pub streamer: u64,
    pub tier: u8,
    /// A bit set.
    pub segments: u32,
    /// In the order of evaluation.
    pub granted: Vec<Granted>,
}

impl Visit {
    /// That of a payment, whose outcomes' rules are in `facts`; and how much each of the rules granted.
    pub fn of(found: &Found, payment: &PaymentRecorded, facts: &Facts) -> Result<(Self, Vec<u64>), WriteError> {
        let (mut granted, mut amounts) = (Vec::new(), Vec::new());
        for outcome in payment.outcomes.iter().filter(|outcome| outcome.reason == Reason::Granted as u8) {
            let fact = facts.get(&(payment.platform, outcome.rule, outcome.version)).ok_or_else(|| {
                contradiction(found, format!("rule {} version {} is not stored", outcome.rule, outcome.version))
            })?;
            let (rule, asset) = (outcome.rule, outcome.asset);
            granted.push(Granted { rule, group: fact.group, effect: fact.effect, asset });
            amounts.push(outcome.amount);
        }
        let PaymentRecorded { product, streamer, tier, segments, .. } = *payment;
        Ok((Self { product, streamer, tier, segments, granted }, amounts))
    }

    pub fn is_granted(&self) -> bool {
        !self.granted.is_empty()
    }

    /// The dimensions in which it has exactly one value, other than newness.
    pub fn single(&self) -> [(Dimension, u64); 4] {
        [
            (Dimension::None, 0),
            (Dimension::Product, self.product.into()),
            (Dimension::Streamer, self.streamer),
            (Dimension::Tier, self.tier.into()),
        ]
    }

    /// The numbers of its segments.
    pub fn segments(&self) -> impl Iterator<Item = u32> + use<> {
        bits(self.segments)
    }

    /// The rules, groups and effects that granted something, each once.
    pub fn granting(&self) -> Vec<(Dimension, u64)> {
        let mut keys = Vec::with_capacity(self.granted.len() * 3);
        for key in self.granted.iter().flat_map(|granted| granted.keys()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// What is stored.
    pub fn encode(&self) -> Result<Vec<u8>, WriteError> {
        postcard::to_allocvec(self).map_err(|error| sqlx::Error::Encode(Box::new(error)).into())
    }

    /// What was stored.
    pub fn decode(bytes: &[u8]) -> Result<Self, WriteError> {
        postcard::from_bytes(bytes).map_err(|error| sqlx::Error::Decode(Box::new(error)).into())
    }
}

/// The numbers of the bits that are set.
pub(super) fn bits(mut set: u32) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = (set != 0).then(|| set.trailing_zeros());
        set &= set.wrapping_sub(1);
        bit
    })
}

/// The rule versions that an event is about as a payment.
pub(super) fn versions(event: &Event) -> Vec<Version> {
    match event {
        Event::PaymentRecorded(payment) => versions_of(payment),
        _ => Vec::new(),
    }
}

/// The rule versions that were evaluated for a payment.
pub(super) fn versions_of(payment: &PaymentRecorded) -> Vec<Version> {
    payment.outcomes.iter().map(|outcome| (payment.platform, outcome.rule, outcome.version)).collect()
}
