//! Where a payment's compute units go: the program built with marks between the parts, which log what is left.

/// What lies between two marks, in order.
const PARTS: [&str; 9] = [
    "signature: reading the message that Ed25519 verified",
    "pages: the user's account, admission, looking the order up",
    "state: counters, balances, what expired",
    "rules: deciding",
    "storing: totals, counters, balances, the order",
    "log line",
    "event: writing it",
    "journal: hashing and appending",
    "event: the self-CPI",
];

/// What a mark itself costs.
const MARK: u64 = 100;

/// The compute units of each part of a transaction with one payment, by its log.
pub fn parts(logs: &[String]) -> Vec<(&'static str, u64)> {
    let left: Vec<u64> = logs
        .iter()
        .filter_map(|line| line.split_once("consumption: ")?.1.strip_suffix(" units remaining")?.parse().ok())
        .collect();
    let spent = left.windows(2).filter_map(|pair| match pair {
        [before, after] => Some(before.saturating_sub(*after).saturating_sub(MARK)),
        _ => None,
    });
    PARTS.into_iter().zip(spent).collect()
}
