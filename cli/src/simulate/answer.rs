//! What the simulator prints: one JSON object a record.

use super::{
    record::Id,
    text::{Piece, Text},
};
use rebate_client::replay::{Decided, Redeemed};
use rebate_core::{
    expiry::Expired,
    outcome::Reason,
    refusal::Refusal,
    rule::Rule,
    units::{Amount, AssetId},
};
use std::borrow::Cow;

/// Writes answers behind one another.
#[derive(Debug, Default)]
pub struct Answers {
    text: Text,
    /// Of every rule and reason, what an outcome begins with: up to its amount, or up to the balance where nothing is
    /// granted.
    beginnings: Vec<[Piece; Reason::ALL.len()]>,
}

impl Answers {
    /// For the rule book `rules`, with room for `size` bytes.
    pub fn new(rules: &[Rule], size: usize) -> Self {
        let of = |rule: &Rule, reason: Reason| {
            let (id, version, asset) = (rule.id, rule.version, rule.asset());
            let zero = if reason == Reason::Granted { "" } else { "0,\"before\":" };
            // At most 87 bytes.
            Piece::new(&format!(
                r#"{{"rule":{id},"version":{version},"reason":"{reason}","asset":{asset},"amount":{zero}"#
            ))
        };
        Self {
            text: Text::with_capacity(size),
            beginnings: rules.iter().map(|rule| Reason::ALL.map(|reason| of(rule, reason))).collect(),
        }
    }

    /// What was written.
    pub fn written(&self) -> &[u8] {
        self.text.written()
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        self.text.clear();
    }

    /// A refused record.
    pub fn refused(&mut self, order: &Id<'_>, refusal: Refusal) {
        self.order(order);
        self.text.put(b",\"status\":\"refused\",\"reason\":\"");
        self.text.any(refusal.name().as_bytes());
        self.text.put(b"\",\"outcomes\":[]}\n");
    }

    /// An accepted payment.
    #[inline]
    pub fn paid(&mut self, order: &Id<'_>, decided: &Decided<'_>) {
        self.order(order);
        self.text.put(b",\"status\":\"accepted\",\"outcomes\":[");
        for (at, outcome) in decided.outcomes.iter().enumerate() {
            if at > 0 {
                self.text.put(b",");
            }
            let of_rule = self.beginnings.get(outcome.slot);
            if let Some(beginning) = of_rule.and_then(|reasons| reasons.get(outcome.reason as usize)) {
                self.text.piece(beginning);
            }
            if outcome.reason == Reason::Granted {
                self.balance(outcome.amount, outcome.before, outcome.after);
            } else {
                // Nothing was granted, and nothing is another amount than before.
                self.text.twice(outcome.before.0, b",\"after\":");
                if outcome.reason == Reason::NotMatched {
                    self.text.put(b",\"clause\":");
                    self.text.number(outcome.clause.into());
                }
            }
            self.text.put(b"}");
        }
        self.text.put(b"]");
        self.end(decided.expired);
    }

    /// An accepted refund. Its outcomes are of rules that may have left the book.
    pub fn refunded(&mut self, order: &Id<'_>, decided: &Decided<'_>) {
        self.order(order);
        self.text.put(b",\"status\":\"accepted\",\"outcomes\":[");
        for (at, outcome) in decided.outcomes.iter().enumerate() {
            if at > 0 {
                self.text.put(b",");
            }
            self.text.put(b"{\"rule\":");
            self.text.number(outcome.rule.0.into());
            self.text.put(b",\"version\":");
            self.text.number(outcome.version.0.into());
            self.text.put(b",\"reason\":\"");
            self.text.any(outcome.reason.name().as_bytes());
            self.text.put(b"\",\"asset\":");
            self.text.number(outcome.asset.0.into());
            self.text.put(b",\"amount\":");
            self.balance(outcome.amount, outcome.before, outcome.after);
            self.text.put(b"}");
        }
        self.text.put(b"]");
        self.end(decided.expired);
    }

    /// An accepted redemption.
    pub fn redeemed(&mut self, order: &Id<'_>, asset: AssetId, amount: Amount, redeemed: &Redeemed<'_>) {
        self.order(order);
        self.text.put(b",\"status\":\"accepted\",\"outcomes\":[],\"asset\":");
        self.text.number(asset.0.into());
        self.text.put(b",\"amount\":");
        self.balance(amount, redeemed.before, redeemed.after);
        self.end(redeemed.expired);
    }

    /// The first key of every answer.
    fn order(&mut self, order: &Id<'_>) {
        self.text.put(b"{\"order\":\"");
        match order {
            // As it stood in the file, which had no need to escape anything.
            Cow::Borrowed(order) => self.text.any(order),
            Cow::Owned(order) => {
                // It was read from UTF-8, and is written into memory: neither fails.
                let quoted = serde_json::to_vec(&String::from_utf8_lossy(order)).unwrap_or_default();
                self.text.any(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default());
            }
        }
        self.text.put(b"\"");
    }

    #[inline]
    fn balance(&mut self, amount: Amount, before: Amount, after: Amount) {
        self.text.number(amount.0);
        self.text.put(b",\"before\":");
        self.text.number(before.0);
        self.text.put(b",\"after\":");
        self.text.number(after.0);
    }

    /// What expired, and the end of the line.
    #[inline]
    fn end(&mut self, expired: &[Expired]) {
        if !expired.is_empty() {
            self.expired(expired);
        }
        self.text.put(b"}\n");
    }

    fn expired(&mut self, expired: &[Expired]) {
        self.text.put(b",\"expired\":[");
        for (at, expired) in expired.iter().enumerate() {
            if at > 0 {
                self.text.put(b",");
            }
            self.text.put(b"{\"asset\":");
            self.text.number(expired.asset.0.into());
            self.text.put(b",\"amount\":");
            self.balance(expired.amount, expired.before, expired.after);
            self.text.put(b"}");
        }
        self.text.put(b"]");
    }
}
