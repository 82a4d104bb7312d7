//! One readable line a record, for people on an explorer that does not decode events. The events are the truth; a log
//! can be cut off.

mod line;

use crate::state::Platform;
use line::Line;
use rebate_core::{
    outcome::{Outcome, Reason},
    refusal::Refusal,
    units::OrderHash,
};

fn begin(order: &OrderHash) -> Line {
    let mut line = Line::new();
    line.text(b"order ");
    let [a, b, c, d, e, f, g, h, ..] = order.0;
    line.hexadecimal([a, b, c, d]);
    line.hexadecimal([e, f, g, h]);
    line
}

/// `order 0f1e2d3c4b5a6978: +1000 coins by rule 1, balance 0 -> 1000; …`, the hash's first 8 bytes.
pub fn accepted(platform: &Platform, order: &OrderHash, outcomes: &[Outcome]) {
    if cfg!(feature = "no-log-line") {
        return;
    }
    let mut line = begin(order);
    let mut granted = false;
    for outcome in outcomes.iter().filter(|outcome| outcome.reason == Reason::Granted) {
        line.text(if granted { b"; +" } else { b": +" });
        granted = true;
        line.number(outcome.amount.0);
        line.text(b" ");
        if let Some(asset) = platform.asset(outcome.asset) {
            line.padded(&asset.name, usize::from(asset.name_length));
        }
        line.text(b" by rule ");
        line.number(u64::from(outcome.rule.0));
        line.text(b", balance ");
        line.number(outcome.before.0);
        line.text(b" -> ");
        line.number(outcome.after.0);
    }
    if !granted {
        line.text(b": no rebate");
    }
    line.log();
}

/// `order 0f1e2d3c4b5a6978: refused, DuplicateOrder`
pub fn refused(order: &OrderHash, refusal: Refusal) {
    let mut line = begin(order);
    line.text(b": refused, ");
    line.word(refusal.name().as_bytes());
    line.log();
}
