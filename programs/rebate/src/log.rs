//! One readable line a record, for people on an explorer that does not decode events. The events are the truth; a log
//! can be cut off.

mod line;

use crate::state::Platform;
use line::Line;
use rebate_core::{
    outcome::{Outcome, Reason},
    redemption::Redemption,
    refund::Refund,
    refusal::Refusal,
    units::{Amount, AssetId, OrderHash, RuleId, UserKey},
    window::Scope,
};

fn begin(order: &OrderHash) -> Line {
    let mut line = Line::new();
    line.text(b"order ");
    let [a, b, c, d, e, f, g, h, ..] = order.0;
    line.hexadecimal([a, b, c, d]);
    line.hexadecimal([e, f, g, h]);
    line
}

/// `order 0f1e2d3c4b5a6978: +1000 coins by rule 1, +50 by rule 3, balance 0 -> 1050`, the hash's first 8 bytes; the grants of
/// another asset follow behind a semicolon.
pub fn accepted(platform: &Platform, order: &OrderHash, outcomes: &[Outcome]) {
    if cfg!(feature = "no-log-line") {
        return;
    }
    let mut line = begin(order);
    let mut last: Option<&Outcome> = None;
    let mut before = 0;
    for outcome in outcomes.iter().filter(|outcome| outcome.reason == Reason::Granted) {
        match last {
            Some(last) if last.asset == outcome.asset => line.text(b", +"),
            _ => {
                if let Some(last) = last {
                    balance(&mut line, before, last);
                }
                line.text(if last.is_some() { b"; +" } else { b": +" });
                before = outcome.before.0;
            }
        }
        line.number(outcome.amount.0);
        if last.is_none_or(|last| last.asset != outcome.asset) {
            name(&mut line, platform, outcome.asset);
        }
        line.text(b" by rule ");
        line.number(u64::from(outcome.rule.0));
        last = Some(outcome);
    }
    match last {
        Some(last) => balance(&mut line, before, last),
        None => line.text(b": no rebate"),
    }
    line.log();
}

/// `, balance 0 -> 1050`
#[inline(always)]
fn balance(line: &mut Line, before: u64, last: &Outcome) {
    line.text(b", balance ");
    line.number(before);
    line.text(b" -> ");
    line.number(last.after.0);
}

/// `order 0f1e2d3c4b5a6978: refused, DuplicateOrder`
pub fn refused(order: &OrderHash, refusal: Refusal) {
    let mut line = begin(order);
    line.text(b": refused, ");
    line.word(refusal.name().as_bytes());
    line.log();
}

/// `order 0f1e2d3c4b5a6978: refunded 500; -100 coins of rule 1, balance 100 -> 0; …`
pub fn refunded(platform: &Platform, refund: &Refund, outcomes: &[Outcome]) {
    if cfg!(feature = "no-log-line") {
        return;
    }
    let mut line = begin(&refund.order);
    line.text(b": refunded ");
    line.number(refund.amount.0);
    for outcome in outcomes {
        line.text(b"; -");
        amount(&mut line, platform, outcome.asset, outcome.amount);
        line.text(b" of rule ");
        line.number(u64::from(outcome.rule.0));
        line.text(b", balance ");
        line.number(outcome.before.0);
        line.text(b" -> ");
        line.number(outcome.after.0);
    }
    line.log();
}

/// `order 0f1e2d3c4b5a6978: redeemed 500 coins`
pub fn redeemed(platform: &Platform, redemption: &Redemption) {
    if cfg!(feature = "no-log-line") {
        return;
    }
    let mut line = begin(&redemption.order);
    line.text(b": redeemed ");
    amount(&mut line, platform, redemption.asset, redemption.amount);
    line.log();
}

/// `wallet link of user 0f1e2d3c4b5a6978: refused, StaleLink`
pub fn link_refused(user: &UserKey, refusal: Refusal) {
    let mut line = Line::new();
    line.text(b"wallet link of user ");
    let [a, b, c, d, e, f, g, h, ..] = user.0;
    line.hexadecimal([a, b, c, d]);
    line.hexadecimal([e, f, g, h]);
    line.text(b": refused, ");
    line.word(refusal.name().as_bytes());
    line.log();
}

/// `rule 5 needs room for asset 2`
pub fn missing_balance(rule: RuleId, asset: AssetId) {
    let mut line = Line::new();
    line.text(b"rule ");
    line.number(u64::from(rule.0));
    line.text(b" needs room for asset ");
    line.number(u64::from(asset.0));
    line.log();
}

/// `rule 5 needs user_streamer counters, or room in them`
pub fn missing(rule: RuleId, scope: Scope) {
    let mut line = Line::new();
    line.text(b"rule ");
    line.number(u64::from(rule.0));
    line.text(b" needs ");
    line.word(scope.name().as_bytes());
    line.text(b" counters, or room in them");
    line.log();
}

#[inline(always)]
fn amount(line: &mut Line, platform: &Platform, asset: AssetId, amount: Amount) {
    line.number(amount.0);
    name(line, platform, asset);
}

/// ` coins`
#[inline(always)]
fn name(line: &mut Line, platform: &Platform, asset: AssetId) {
    line.text(b" ");
    if let Some(asset) = platform.asset(asset) {
        line.padded(&asset.name, usize::from(asset.name_length));
    }
}

/// With the feature `profile`, a mark between the parts of a payment: the compute units left are logged.
#[inline(always)]
pub fn mark() {
    #[cfg(all(feature = "profile", target_os = "solana"))]
    // SAFETY: the syscall takes nothing and only logs.
    unsafe {
        anchor_lang::pinocchio::syscalls::sol_log_compute_units_();
    }
}
