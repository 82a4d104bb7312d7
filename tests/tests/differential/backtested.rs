//! What a back-test makes of a history that the program made.

use crate::pair::Pair;
use rebate_backtest::{Draft, Followed, Range, Report};
use rebate_client::event::{Event, PaymentRecorded, RuleDefinition};
use rebate_core::units::Timestamp;
use rebate_rulefile::RuleFile;
use std::collections::{BTreeMap, HashMap};

impl Pair {
    /// The rules that were published come to what was granted, over the whole history; and so they do when they are a draft
    /// that takes the place of themselves, from any moment on after which nothing was published.
    pub fn backtest(&self) -> Result<(), String> {
        let events = self.history();
        let report = tested(&events, Draft::Published, Range::default())?;
        agrees(&report, &events, Range::default())?;
        let Some(first) = payments(&events).map(|payment| payment.paid_at).min() else { return Ok(()) };
        let Some(last) = payments(&events).map(|payment| payment.paid_at).max() else { return Ok(()) };
        // Halfway, by the published rules all the time.
        let middle = Timestamp(first.midpoint(last));
        for range in [Range { from: middle, to: Timestamp(0) }, Range { from: Timestamp(0), to: middle }] {
            agrees(&tested(&events, Draft::Published, range)?, &events, range)?;
        }
        // What is in force once the book does not change any more, handed over as a draft.
        let changes = events.iter().filter(|event| matches!(event, Event::RulePublished(_) | Event::RuleEnded(_)));
        // A payment may be made up to a minute after the clock at which it is recorded.
        let settled = changes.map(|event| event.at()).max().unwrap_or(first).saturating_add(61);
        for from in [settled, settled.max(middle.0), settled.max(last)] {
            let range = Range { from: Timestamp(from), to: Timestamp(0) };
            let draft = RuleFile { offsets: Vec::new(), max_lateness: 1, assets: Vec::new(), rules: in_force(&events) };
            agrees(&tested(&events, Draft::File(Box::new(draft)), range)?, &events, range)?;
        }
        Ok(())
    }
}

fn payments(events: &[Event]) -> impl Iterator<Item = &PaymentRecorded> {
    events.iter().filter_map(|event| match event {
        Event::PaymentRecorded(payment) => Some(payment),
        _ => None,
    })
}

/// The last version of every rule that was not ended.
fn in_force(events: &[Event]) -> Vec<RuleDefinition> {
    let mut rules = BTreeMap::new();
    for event in events {
        match event {
            Event::RulePublished(published) => {
                rules.insert(published.rule.id, published.rule.clone());
            }
            Event::RuleEnded(ended) => {
                rules.remove(&ended.rule);
            }
            _ => {}
        }
    }
    rules.into_values().map(|rule| RuleDefinition { version: 1, ..rule }).collect()
}

fn tested(events: &[Event], draft: Draft, range: Range) -> Result<Report, String> {
    let orders: HashMap<_, _> = payments(events).map(|payment| (payment.order, payment.journal_index)).collect();
    let refunds = events.iter().filter_map(|event| match event {
        Event::RefundRecorded(refund) => Some((refund.journal_index, *orders.get(&refund.of)?)),
        _ => None,
    });
    let mut followed = Followed::new(draft, range, refunds);
    // In pieces, as a database hands them over.
    for some in events.chunks(7) {
        followed.follow(some).map_err(|error| error.to_string())?;
    }
    followed.report().map_err(|error| error.to_string())
}

/// Both sides of a report are the same, and are what the events say.
fn agrees(report: &Report, events: &[Event], range: Range) -> Result<(), String> {
    let counted = || payments(events).filter(|payment| range.has(Timestamp(payment.paid_at)));
    let mut granted: BTreeMap<(u16, u8), (u64, u128)> = BTreeMap::new();
    for outcome in counted().flat_map(|payment| &payment.outcomes).filter(|outcome| outcome.reason == 0) {
        let (grants, amount) = granted.entry((outcome.rule, outcome.asset)).or_default();
        (*grants, *amount) = (*grants + 1, *amount + u128::from(outcome.amount));
    }
    let differs = |what: &str| Err(format!("{range:?}: {what}: {report:#?}"));
    if report.differing != 0 || report.refused != 0 || report.payments != counted().count() as u64 {
        return differs("payments");
    }
    for rule in &report.rules {
        if rule.draft != rule.really {
            return differs("a rule's sides");
        }
        let said = rule.really.as_ref().map(|side| (side.side.grants, side.side.granted.clone())).unwrap_or_default();
        let (grants, amount) = granted.remove(&(rule.rule, rule.asset)).unwrap_or_default();
        if said != (grants, amount.to_string()) && (grants, said.0) != (0, 0) {
            return differs("a rule's grants");
        }
    }
    if !granted.is_empty() {
        return differs("a rule is missing");
    }
    if report.assets.iter().any(|asset| asset.draft != asset.really || asset.difference != "0") {
        return differs("an asset's sides");
    }
    let assets = || report.deciles.iter().flat_map(|decile| &decile.assets);
    if assets().any(|asset| asset.draft != asset.really) {
        return differs("a decile's sides");
    }
    for asset in &report.assets {
        let sum: u128 =
            assets().filter(|of| of.asset == asset.asset).filter_map(|of| of.really.parse::<u128>().ok()).sum();
        if sum.to_string() != asset.really.granted {
            return differs("the deciles do not add up");
        }
    }
    let users: u64 = report.deciles.iter().map(|decile| decile.users).sum();
    if users != report.users { differs("users") } else { Ok(()) }
}
