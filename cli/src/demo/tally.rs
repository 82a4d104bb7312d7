//! What every rule did in the course of the evening, as the API showed it.

use super::api::Outcome;
use std::collections::BTreeMap;

/// What one rule did.
#[derive(Debug, Default)]
pub struct RuleTally {
    /// Its name.
    pub name: String,
    /// What it grants.
    pub asset: String,
    /// How much it granted.
    pub granted: u128,
    /// How often.
    pub grants: u64,
    /// What of that refunds took back.
    pub reversed: u128,
    /// Why it did not grant, and how often.
    pub reasons: BTreeMap<String, u64>,
}

/// What every rule did.
#[derive(Debug, Default)]
pub struct Tally {
    /// In the order in which they are evaluated, by number.
    rules: Vec<(u16, RuleTally)>,
}

impl Tally {
    /// Adds what rules did with a payment, or what a refund took back of it.
    pub fn add(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            let at = self.rules.iter().position(|(rule, _)| *rule == outcome.rule).unwrap_or(self.rules.len());
            if at == self.rules.len() {
                let (name, asset) = (outcome.rule_name.clone(), outcome.asset_name.clone());
                self.rules.push((outcome.rule, RuleTally { name, asset, ..RuleTally::default() }));
            }
            let Some((_, rule)) = self.rules.get_mut(at) else { continue };
            let amount = outcome.amount.parse::<u128>().unwrap_or_default();
            match outcome.reason.as_str() {
                "Granted" => {
                    rule.granted = rule.granted.saturating_add(amount);
                    rule.grants = rule.grants.saturating_add(1);
                }
                "Reversed" => rule.reversed = rule.reversed.saturating_add(amount),
                reason => {
                    let count = rule.reasons.entry(reason.to_owned()).or_default();
                    *count = count.saturating_add(1);
                }
            }
        }
    }

    /// Rule by rule.
    pub fn rules(&self) -> impl Iterator<Item = &RuleTally> {
        self.rules.iter().map(|(_, rule)| rule)
    }
}
