//! A preview against the truth: what the chain then really does with the payment.

use crate::evening::Evening;
use rebate_client::{
    account::UserState,
    event::{AssetEntry, OffsetEntry, PaymentRecorded, RuleDefinition},
    instruction,
};
use rebate_core::{
    counters::Counters,
    outcome::Reason,
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    rule::GroupMode,
    time::DAY,
    units::{Amount, AssetId, OrderHash, RuleId, Timestamp, UserKey},
};
use rebate_tests::{
    draw::{Draw, rule},
    platform::{NOON, asset},
};
use serde_json::Value;
use solana_signer::Signer;
use std::collections::HashMap;

/// Whether the preview is what the chain then did; what differs otherwise.
fn compare(preview: &Value, truth: &Result<PaymentRecorded, String>) -> Result<(), String> {
    let recorded = match truth {
        Err(refusal) if preview["refusal"] == refusal.as_str() => return Ok(()),
        Err(refusal) => return Err(format!("the chain says {refusal}, the preview {}", preview["refusal"])),
        Ok(recorded) => recorded,
    };
    let same = |what: &str, truth: Value, said: &Value| {
        if truth == *said { Ok(()) } else { Err(format!("{what}: the chain says {truth}, the preview {said}")) }
    };
    same("refusal", Value::Null, &preview["refusal"])?;
    same("number", recorded.number.into(), &preview["payment_number"])?;
    let outcomes = preview["outcomes"].as_array().unwrap();
    same("how many rules", recorded.outcomes.len().into(), &outcomes.len().into())?;
    for (truth, said) in recorded.outcomes.iter().zip(outcomes) {
        let reason = Reason::from_number(truth.reason).unwrap();
        let of = |what: &str| format!("rule {} {what}", truth.rule);
        same(&of("id"), truth.rule.into(), &said["rule"])?;
        same(&of("version"), truth.version.into(), &said["version"])?;
        same(&of("reason"), reason.name().into(), &said["reason"])?;
        let clause = (reason == Reason::NotMatched).then_some(truth.clause);
        same(&of("clause"), clause.into(), &said["clause"])?;
        same(&of("asset"), truth.asset.into(), &said["asset"])?;
        for (what, truth) in [("amount", truth.amount), ("before", truth.before), ("after", truth.after)] {
            same(&of(what), truth.to_string().into(), &said[what])?;
        }
    }
    Ok(())
}

fn users() -> [UserKey; 4] {
    [1u8, 2, 3, 4].map(|user| UserKey([user; 32]))
}

/// Some payment, by a user who may be new, now or late.
fn payment(draw: &mut Draw, order: u64, now: i64) -> Payment {
    let late = draw.one(&[0, 0, 0, 0, 30, 3_600, 90_000, 200_000, 3 * 86_400, 3 * 86_400 + 1]);
    let amount =
        if draw.once_in(40) { draw.one(&[u64::MAX, u64::MAX / 2]) } else { draw.one(&[1, 99, 500, 1_000, 3_333]) };
    Payment {
        order: OrderHash::of(&format!("order {order}")),
        user: draw.one(&users()),
        amount: Amount(amount),
        paid_at: Timestamp(now - late),
        product: u16::try_from(draw.below(3)).unwrap(),
        streamer: draw.below(3),
        session: draw.below(2),
        tier: u8::try_from(draw.below(3)).unwrap(),
        segments: u32::try_from(draw.below(8)).unwrap(),
    }
}

/// What the chain counts of a user is what `progress` says.
fn compare_progress(evening: &Evening, user: &UserKey) -> Result<(), String> {
    let Some(data) = evening.platform.data(&evening.platform.addresses.user(user)) else { return Ok(()) };
    let state = UserState::decode(&data).unwrap();
    let progress = evening.json(&format!("/v1/users/{user}/progress"));
    let (_, rules) = evening.platform.rule_book();
    for said in progress["rules"].as_array().unwrap().iter().filter(|said| said["scope"] == "user") {
        let id = RuleId(u16::try_from(said["rule"].as_u64().unwrap()).unwrap());
        let version = said["version"].as_u64().unwrap();
        let rule = rules.iter().find(|rule| rule.id == id && u64::from(rule.version.0) == version).unwrap();
        let counters = state.counters.iter().find(|counters| counters.rule == id && !counters.is_free());
        let mut counters = counters.copied().unwrap_or(Counters::default());
        // Whether the window is still the same, the API alone knows here: then it shows what was counted.
        let is_same = said["spend"] == counters.spend.to_string() && said["grants"] == counters.grants;
        if !is_same {
            counters = Counters::default();
            let fresh = said["spend"] == "0" && said["grants"] == 0 && said["granted"] == "0";
            let could_roll = rule.window().is_periodic()
                || state.counters.iter().all(|kept| kept.rule != id || kept.epoch != rule.epoch);
            if !(fresh && could_roll) {
                return Err(format!("rule {id}: the chain counts otherwise than {said}"));
            }
        }
        if said["granted"] != counters.granted.to_string() || said["payments"] != counters.payments {
            return Err(format!("rule {id}: the chain counts {counters:?}, the API says {said}"));
        }
    }
    for (slot, balance) in state.balances.iter().enumerate() {
        let Some(said) = progress["balances"].get(slot) else { continue };
        let sum: u64 = [&said["balance"], &said["expired"]]
            .iter()
            .map(|part| part.as_str().unwrap().parse::<u64>().unwrap())
            .sum();
        if sum != balance.total().0 || said["debt"] != balance.debt.to_string() {
            return Err(format!("asset {}: the chain has {balance:?}, the API says {said}", slot + 1));
        }
        let expires: u64 = said["expires"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| part["amount"].as_str().unwrap().parse::<u64>().unwrap())
            .sum();
        if !said["expires"].as_array().unwrap().is_empty() && said["balance"] != expires.to_string() {
            return Err(format!("asset {}: not all that expires is what there is: {said}", slot + 1));
        }
    }
    Ok(())
}

/// What was seen, so that the test can say that nothing was left out.
#[derive(Default)]
struct Seen {
    reasons: HashMap<Reason, u32>,
    refusals: u32,
    previews: u32,
}

fn history(number: u64, seen: &mut Seen) -> Result<(), String> {
    let draw = &mut Draw::of(number);
    let seconds = draw.one(&[0, 8 * 3_600, 5 * 3_600 + 1_800, -(3 * 3_600 + 1_800)]);
    let mut offsets = vec![OffsetEntry { from: 0, seconds }];
    if draw.once_in(3) {
        offsets.push(OffsetEntry { from: NOON + 3 * DAY, seconds: seconds + 3_600 });
    }
    let mut coins = asset("coins");
    coins.expiry_months = draw.one(&[0, 0, 1]);
    let voucher = AssetEntry { kind: 3, expiry_months: draw.one(&[0, 1, 2]), ..asset("cups") };
    // A token whose vault nobody has opened: it holds nothing.
    let token = AssetEntry { kind: 2, mint: [7; 32], ..asset("tokens") };
    let modes = [(); 4].map(|()| draw.one(&GroupMode::ALL));
    let mut rules: Vec<_> = (1..=draw.between(2, 8)).map(|id| rule(draw, u16::try_from(id).unwrap(), modes)).collect();
    let mut evening = Evening::begin(offsets, vec![coins, voucher, token], &rules);
    let mut now = NOON;
    for order in 0..draw.between(14, 24) {
        now += draw.one(&[1, 60, 3_600, 40_000, 86_400, 100_000, 600_000, 3_000_000]);
        let at = |what: &str| format!("at step {order} ({what})");
        evening.index(now);
        match draw.below(16) {
            0..11 => {
                let payment = payment(draw, order, now);
                let preview = evening.preview(&payment);
                let truth = evening.pay(&payment);
                compare(&preview, &truth).map_err(|why| format!("{} {why}\n{preview:#}", at("payment")))?;
                seen.previews += 1;
                match truth {
                    Ok(recorded) => {
                        for outcome in recorded.outcomes {
                            *seen.reasons.entry(Reason::from_number(outcome.reason).unwrap()).or_default() += 1;
                        }
                    }
                    Err(_) => seen.refusals += 1,
                }
                evening.index(now + 1);
                compare_progress(&evening, &payment.user).map_err(|why| format!("{} {why}", at("progress")))?;
            }
            11..13 if !evening.paid.is_empty() => {
                let of = draw.one(&evening.paid);
                let whole = of.amount.0;
                let amount = Amount(draw.one(&[whole, whole / 2, whole / 3, 1]).max(1));
                let order = OrderHash::of(&format!("refund {order}"));
                let refund = Refund { order, of: of.order, amount, paid_at: Timestamp(now) };
                // More than was paid is refused, and that is as good.
                let _refused = evening.platform.refund(&refund, &of);
            }
            13 => {
                let user = draw.one(&users());
                let order = OrderHash::of(&format!("redemption {order}"));
                let (asset, amount) = (AssetId(draw.one(&[1u8, 2])), Amount(draw.one(&[1, 10, 100])));
                let redemption = Redemption { order, user, asset, amount, redeemed_at: Timestamp(now) };
                let _refused = evening.platform.redeem(&redemption);
            }
            14 => {
                let place = usize::try_from(draw.below(rules.len() as u64)).unwrap();
                let version = rules[place].version + 1;
                let next = RuleDefinition { version, ..rule(draw, rules[place].id, modes) };
                if evening.platform.publish(&next, now).is_ok() {
                    rules[place] = next;
                }
            }
            _ => {
                let id = rules[usize::try_from(draw.below(rules.len() as u64)).unwrap()].id;
                let (admin, addresses) = (evening.platform.admin.pubkey(), &evening.platform.addresses);
                let end = instruction::end_rule(&admin, addresses, RuleId(id), Timestamp(now));
                let _ended_already = evening.platform.run(&[end], &[&evening.platform.admin]);
            }
        }
    }
    Ok(())
}

/// Plays `from..to`, or the one that the environment names.
fn play(from: u64, to: u64) -> Seen {
    let named = std::env::var("REBATE_HISTORY").ok().and_then(|number| number.parse().ok());
    let mut seen = Seen::default();
    for number in named.map_or(from..to, |number| number..number + 1) {
        if let Err(why) = history(number, &mut seen) {
            panic!("history {number} (play it alone with REBATE_HISTORY={number}): {why}");
        }
    }
    seen
}

#[test]
fn a_preview_is_what_the_chain_then_grants_in_random_histories() {
    let seen = play(0, 14);
    assert!(seen.previews > 100 || std::env::var("REBATE_HISTORY").is_ok());
}

#[test]
fn a_preview_is_what_the_chain_then_grants_in_more_random_histories() {
    let seen = play(1_000, 1_014);
    if std::env::var("REBATE_HISTORY").is_err() {
        for reason in [
            Reason::Granted,
            Reason::NotMatched,
            Reason::NothingDue,
            Reason::LateForWindow,
            Reason::Holdout,
            Reason::UserLimit,
            Reason::BudgetSpent,
            Reason::GroupTaken,
            Reason::VaultShort,
        ] {
            assert!(seen.reasons.contains_key(&reason), "no history came to {reason}");
        }
        assert!(seen.refusals > 0);
    }
}
