//! Random platforms with random histories, on the chain and in the simulator: every outcome is the same. The
//! back-test of the rules that were in force comes to what was granted.
//!
//! A scenario is made of one number. A failing one says which, and `REBATE_SCENARIO=<number>` plays it again.

#![expect(clippy::expect_used, clippy::panic, reason = "this is how a test fails")]

mod backtested;
mod pair;
mod scenario;

use pair::{Pair, Seen};
use rebate_client::chain::embedded::EmbeddedChain;
use rebate_core::{outcome::Reason, refusal::Refusal};
use rebate_tests::artifacts;
use scenario::Scenario;

/// How many scenarios each of the tests plays.
const EACH: u64 = 130;

/// Plays scenarios `from..from + EACH`, or the one that the environment names.
fn play(from: u64) -> Seen {
    let chain = EmbeddedChain::start(&artifacts::program()).expect("the built program");
    let mut seen = Seen::default();
    let named = std::env::var("REBATE_SCENARIO").ok().and_then(|number| number.parse().ok());
    let numbers: Vec<u64> = named.map_or_else(|| (from..from + EACH).collect(), |number| vec![number]);
    for number in numbers {
        let scenario = Scenario::draw(number);
        let mut pair = Pair::create(&chain, number, &scenario);
        for (at, step) in scenario.steps.iter().enumerate() {
            if let Err(difference) = pair.take(step, &mut seen) {
                panic!("scenario {number}, step {at}, {step:?}: {difference}\nreplay it with REBATE_SCENARIO={number}");
            }
        }
        if let Err(difference) = pair.compare_state() {
            panic!("scenario {number}, at the end: {difference}\nreplay it with REBATE_SCENARIO={number}");
        }
        if let Err(difference) = pair.backtest() {
            panic!("scenario {number}, back-tested: {difference}\nreplay it with REBATE_SCENARIO={number}");
        }
    }
    seen
}

/// A comparison that never sees a reason says nothing about it.
fn assert_seen(seen: &Seen, reasons: &[Reason], refusals: &[Refusal]) {
    if std::env::var("REBATE_SCENARIO").is_ok() {
        return;
    }
    for reason in reasons {
        assert!(seen.reasons.contains_key(reason), "no scenario came to {reason}: {:?}", seen.reasons);
    }
    for refusal in refusals {
        assert!(seen.refusals.contains_key(refusal), "no scenario came to {refusal}: {:?}", seen.refusals);
    }
    assert!(seen.debts > 0 && seen.expired > 0, "no debt or nothing expired: {seen:?}");
}

const REASONS: [Reason; 11] = Reason::ALL;
const REFUSALS: [Refusal; 8] = [
    Refusal::ZeroAmount,
    Refusal::TooLate,
    Refusal::FromTheFuture,
    Refusal::DuplicateOrder,
    Refusal::UnknownOrder,
    Refusal::OverRefund,
    Refusal::InsufficientBalance,
    Refusal::NotRedeemable,
];

#[test]
fn the_program_and_the_simulator_agree_on_every_outcome_of_the_first_scenarios() {
    assert_seen(&play(0), &REASONS, &REFUSALS);
}

#[test]
fn the_program_and_the_simulator_agree_on_every_outcome_of_the_second_scenarios() {
    assert_seen(&play(EACH), &REASONS, &REFUSALS);
}

#[test]
fn the_program_and_the_simulator_agree_on_every_outcome_of_the_third_scenarios() {
    assert_seen(&play(2 * EACH), &REASONS, &REFUSALS);
}

#[test]
fn the_program_and_the_simulator_agree_on_every_outcome_of_the_fourth_scenarios() {
    assert_seen(&play(3 * EACH), &REASONS, &REFUSALS);
}
