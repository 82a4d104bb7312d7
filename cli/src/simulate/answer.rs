//! What the simulator prints: one JSON object a record.

use super::record::Text;
use rebate_client::replay::{Decided, Redeemed};
use rebate_core::{
    expiry::Expired,
    outcome::Reason,
    refusal::Refusal,
    rule::Rule,
    units::{Amount, AssetId},
};

/// Writes answers behind one another.
#[derive(Debug, Default)]
pub struct Answers {
    text: Vec<u8>,
    /// Of every rule and reason, what an outcome begins with: up to its amount, or up to the balance where nothing is
    /// granted.
    beginnings: Vec<[Vec<u8>; Reason::ALL.len()]>,
}

impl Answers {
    /// For the rule book `rules`, with room for `size` bytes.
    pub fn new(rules: &[Rule], size: usize) -> Self {
        let of = |rule: &Rule, reason: Reason| {
            let (id, version, asset) = (rule.id, rule.version, rule.asset());
            let zero = if reason == Reason::Granted { "" } else { "0,\"before\":" };
            format!(r#"{{"rule":{id},"version":{version},"reason":"{reason}","asset":{asset},"amount":{zero}"#)
                .into_bytes()
        };
        Self {
            text: Vec::with_capacity(size),
            beginnings: rules.iter().map(|rule| Reason::ALL.map(|reason| of(rule, reason))).collect(),
        }
    }

    /// What was written.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        self.text.clear();
    }

    /// A refused record.
    pub fn refused(&mut self, order: &Text<'_>, refusal: Refusal) {
        self.order(order);
        self.raw(b",\"status\":\"refused\",\"reason\":\"");
        self.raw(refusal.name().as_bytes());
        self.raw(b"\",\"outcomes\":[]}\n");
    }

    /// An accepted payment.
    #[inline]
    pub fn paid(&mut self, order: &Text<'_>, decided: &Decided<'_>) {
        self.order(order);
        self.raw(b",\"status\":\"accepted\",\"outcomes\":[");
        for (at, outcome) in decided.outcomes.iter().enumerate() {
            if at > 0 {
                self.text.push(b',');
            }
            let of_rule = self.beginnings.get(outcome.slot);
            if let Some(beginning) = of_rule.and_then(|reasons| reasons.get(outcome.reason as usize)) {
                self.text.extend_from_slice(beginning);
            }
            if outcome.reason == Reason::Granted {
                self.balance(outcome.amount, outcome.before, outcome.after);
            } else {
                // Nothing was granted, and nothing is another amount than before.
                let mut number = itoa::Buffer::new();
                let balance = number.format(outcome.before.0).as_bytes();
                self.text.extend_from_slice(balance);
                self.raw(b",\"after\":");
                self.text.extend_from_slice(balance);
                if outcome.reason == Reason::NotMatched {
                    self.raw(b",\"clause\":");
                    self.number(outcome.clause.into());
                }
            }
            self.text.push(b'}');
        }
        self.text.push(b']');
        self.end(decided.expired);
    }

    /// An accepted refund. Its outcomes are of rules that may have left the book.
    pub fn refunded(&mut self, order: &Text<'_>, decided: &Decided<'_>) {
        self.order(order);
        self.raw(b",\"status\":\"accepted\",\"outcomes\":[");
        for (at, outcome) in decided.outcomes.iter().enumerate() {
            if at > 0 {
                self.text.push(b',');
            }
            self.raw(b"{\"rule\":");
            self.number(outcome.rule.0.into());
            self.raw(b",\"version\":");
            self.number(outcome.version.0.into());
            self.raw(b",\"reason\":\"");
            self.raw(outcome.reason.name().as_bytes());
            self.raw(b"\",\"asset\":");
            self.number(outcome.asset.0.into());
            self.raw(b",\"amount\":");
            self.balance(outcome.amount, outcome.before, outcome.after);
            self.text.push(b'}');
        }
        self.text.push(b']');
        self.end(decided.expired);
    }

    /// An accepted redemption.
    pub fn redeemed(&mut self, order: &Text<'_>, asset: AssetId, amount: Amount, redeemed: &Redeemed<'_>) {
        self.order(order);
        self.raw(b",\"status\":\"accepted\",\"outcomes\":[],\"asset\":");
        self.number(asset.0.into());
        self.raw(b",\"amount\":");
        self.balance(amount, redeemed.before, redeemed.after);
        self.end(redeemed.expired);
    }

    #[inline]
    fn raw(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
    }

    #[inline]
    fn number(&mut self, number: u64) {
        // Most are.
        if number == 0 {
            self.text.push(b'0');
            return;
        }
        self.text.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// The first key of every answer.
    fn order(&mut self, order: &Text<'_>) {
        self.raw(b"{\"order\":\"");
        match order {
            // As it stood in the file, which had no need to escape anything.
            Text::Borrowed(order) => self.text.extend_from_slice(order),
            Text::Owned(order) => {
                // It was read from UTF-8, and is written into memory: neither fails.
                let quoted = serde_json::to_vec(&String::from_utf8_lossy(order)).unwrap_or_default();
                self.text.extend_from_slice(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default());
            }
        }
        self.text.push(b'"');
    }

    #[inline]
    fn balance(&mut self, amount: Amount, before: Amount, after: Amount) {
        self.number(amount.0);
        self.raw(b",\"before\":");
        self.number(before.0);
        self.raw(b",\"after\":");
        self.number(after.0);
    }

    /// What expired, and the end of the line.
    #[inline]
    fn end(&mut self, expired: &[Expired]) {
        if !expired.is_empty() {
            self.expired(expired);
        }
        self.raw(b"}\n");
    }

    fn expired(&mut self, expired: &[Expired]) {
        self.raw(b",\"expired\":[");
        for (at, expired) in expired.iter().enumerate() {
            if at > 0 {
                self.text.push(b',');
            }
            self.raw(b"{\"asset\":");
            self.number(expired.asset.0.into());
            self.raw(b",\"amount\":");
            self.balance(expired.amount, expired.before, expired.after);
            self.text.push(b'}');
        }
        self.text.push(b']');
    }
}
