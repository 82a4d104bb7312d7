//! One readable line a record, for people on an explorer that does not decode events. The events are the truth; a log
//! can be cut off.

use crate::state::Platform;
use rebate_core::{
    outcome::{Outcome, Reason},
    refusal::Refusal,
    units::OrderHash,
};
use solana_program_log::Logger;

/// The longest line; what does not fit is cut off with an `@` by the logger.
const LINE: usize = 200;

/// How many bytes of the order's hash the line shows, in hexadecimal.
const SHOWN: usize = 8;

fn begin(order: &OrderHash) -> Logger<LINE> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = [0u8; 2 * SHOWN];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(order.0) {
        if let [high, low] = pair {
            *high = DIGITS[usize::from(byte >> 4)];
            *low = DIGITS[usize::from(byte & 15)];
        }
    }
    let mut line = Logger::default();
    line.append("order ");
    line.append(core::str::from_utf8(&hex).unwrap_or(""));
    line
}

/// `order 0f1e2d3c4b5a6978: +1000 coins by rule 1, balance 0 -> 1000; …`
pub fn accepted(platform: &Platform, order: &OrderHash, outcomes: &[Outcome]) {
    if cfg!(feature = "no-log-line") {
        return;
    }
    let mut line = begin(order);
    let mut between = ": +";
    for outcome in outcomes.iter().filter(|outcome| outcome.reason == Reason::Granted) {
        line.append(between);
        line.append(outcome.amount.0);
        line.append(" ");
        let name = platform.asset(outcome.asset).map_or(&b""[..], |asset| asset.name());
        line.append(core::str::from_utf8(name).unwrap_or("?"));
        line.append(" by rule ");
        line.append(outcome.rule.0);
        line.append(", balance ");
        line.append(outcome.before.0);
        line.append(" -> ");
        line.append(outcome.after.0);
        between = "; +";
    }
    if between == ": +" {
        line.append(": no rebate");
    }
    line.log();
}

/// `order 0f1e2d3c4b5a6978: refused, DuplicateOrder`
pub fn refused(order: &OrderHash, refusal: Refusal) {
    let mut line = begin(order);
    line.append(": refused, ");
    line.append(refusal.name());
    line.log();
}
