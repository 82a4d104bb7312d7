//! The rules against the model, over random platforms and histories.

use crate::{
    given::key,
    histories::{Event, History, histories, order, redemption, refund},
    model::{Model, Told},
    platform::{Platform, User},
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use rebate_core::{
    outcome::{Outcome, Reason},
    refusal::Refusal,
    units::{Amount, Months, Seconds, Timestamp},
    window::Scope,
};
use std::collections::{BTreeMap, HashMap};

/// What came up on the way.
#[derive(Debug, Default)]
pub struct Seen {
    reasons: BTreeMap<u8, u64>,
    refusals: HashMap<Refusal, u64>,
    debts: u64,
    expired: u64,
    versions: u64,
    clips: HashMap<&'static str, u64>,
}

/// An outcome as the model tells it.
fn told(outcomes: &[Outcome]) -> Vec<Told> {
    outcomes
        .iter()
        .map(|one| {
            let Outcome { rule, version, reason, clause, asset, amount, before, after, .. } = *one;
            (rule.0, version.0, reason, clause, asset.0, amount.0.into(), before.0.into(), after.0.into())
        })
        .collect()
}

/// Both, before anything has happened.
fn set_up(history: &History) -> (Platform, Model) {
    let world = &history.world;
    let mut platform = Platform::of(&[]);
    platform.offsets.clone_from(&world.offsets);
    platform.max_lateness = Seconds(world.max_lateness);
    platform.vaults[1] = world.vault;
    platform.periods[2] = Months(world.months.0);
    platform.periods[1] = Months(world.months.1);
    let mut model = Model::default();
    model.now = platform.now.0;
    model.max_lateness = world.max_lateness.into();
    model.offsets = world.offsets.iter().map(|row| (row.from.0, row.seconds.into())).collect();
    model.vaults = world.vault.into_iter().map(|vault| (2, vault.into())).collect();
    for (asset, months) in [(3, world.months.0), (2, world.months.1)] {
        if months > 0 {
            model.months.insert(asset, months.into());
        }
    }
    for draft in &history.book {
        platform.publish(&draft.definition(), 0).unwrap();
        model.publish(draft, 0);
    }
    (platform, model)
}

/// Lets a history happen on both, and compares.
fn play(history: &History, seen: &mut Seen) -> Result<(), TestCaseError> {
    let (mut platform, mut model) = set_up(history);
    let mut orders = Vec::new();
    for (number, event) in history.events.iter().enumerate() {
        let before = platform.state.clone();
        let refused = match event {
            Event::Wait(seconds) => {
                platform.now.0 += seconds;
                model.now += seconds;
                None
            }
            Event::Pay { payment, late, again } => {
                let mut payment = *payment;
                payment.paid_at = Timestamp(platform.now.0 - late);
                payment.order = match again {
                    Some(again) if !orders.is_empty() => *again.get(&orders),
                    _ => order(number),
                };
                let outcomes = platform.pay(&payment);
                if let Ok(outcomes) = &outcomes {
                    orders.push(payment.order);
                    for outcome in outcomes {
                        *seen.reasons.entry(outcome.reason as u8).or_default() += 1;
                        let rule = &platform.state.rules[outcome.slot];
                        prop_assert_eq!((rule.id, rule.version), (outcome.rule, outcome.version));
                    }
                }
                prop_assert_eq!(outcomes.clone().map(|outcomes| told(&outcomes)), model.pay(&payment));
                outcomes.err()
            }
            Event::Refund { of, part } => {
                let of = of.filter(|_| !orders.is_empty()).map_or(order(usize::MAX), |of| *of.get(&orders));
                let known = platform.state.orders.get(&of).map(|order| order.refunded);
                let amount = known.map_or(Amount(1), |order| part.of(order.paid.0, order.refunded.0));
                let refund = refund(number, of, amount, platform.now);
                let outcomes = platform.refund(&refund);
                for outcome in outcomes.iter().flatten() {
                    *seen.reasons.entry(outcome.reason as u8).or_default() += 1;
                    let grant = platform.state.orders[&of].grants[outcome.slot];
                    prop_assert_eq!((grant.rule, grant.version), (outcome.rule, outcome.version));
                }
                prop_assert_eq!(outcomes.clone().map(|outcomes| told(&outcomes)), model.refund(&refund));
                outcomes.err()
            }
            Event::Redeem { user, asset, amount } => {
                let all =
                    || platform.state.users.get(&key(*user)).map_or(0, |_| platform.balance(key(*user), *asset).0);
                let redemption = redemption(number, *user, *asset, amount.unwrap_or_else(all), platform.now);
                let moved = platform.redeem(&redemption);
                let told = moved.map(|(before, after)| (before.0.into(), after.0.into()));
                prop_assert_eq!(told, model.redeem(&redemption));
                moved.err()
            }
            Event::Publish { rule, draft, wait, goes_on } => {
                let id = rule.get(&history.book).id;
                let last = platform.state.rules.iter().filter(|rule| rule.id.0 == id).max_by_key(|rule| rule.version);
                let last = *last.unwrap();
                let mut draft = draft.clone();
                (draft.id, draft.version) = (id, last.version.0 + 1);
                if *goes_on {
                    (draft.window, draft.scope, draft.starts_at) = (last.window(), last.scope(), last.starts_at.0);
                    draft.ends_at = 0;
                }
                let from = (platform.now.0 + wait).max(last.effective_at.0);
                platform.publish(&draft.definition(), from).unwrap();
                model.publish(&draft, from);
                seen.versions += 1;
                None
            }
        };
        if let Some(refusal) = refused {
            *seen.refusals.entry(refusal).or_default() += 1;
            prop_assert_eq!(&platform.state, &before, "a refused record changes nothing");
        }
        let owes = |user: &User| user.balances.iter().any(|balance| balance.debt.0 > 0);
        seen.debts += u64::from(platform.state.users.values().any(owes));
    }
    for (what, often) in &model.clips {
        *seen.clips.entry(what).or_default() += often;
    }
    platform.close_periods();
    seen.expired += platform.expired;
    compare(&platform, &mut model)
}

fn compare(platform: &Platform, model: &mut Model) -> Result<(), TestCaseError> {
    for (user, known) in &platform.state.users {
        model.close(*user);
        let person = &model.people[user];
        prop_assert_eq!(person.payments, u128::from(known.payments));
        for (asset, balance) in (1..).zip(&known.balances) {
            let pocket = person.pockets.get(&asset).cloned().unwrap_or_default();
            let period = i128::from(balance.period.0);
            let lot = |of| pocket.lots.get(&of).copied().unwrap_or_default();
            let parts = (u128::from(balance.current.0), u128::from(balance.previous.0), u128::from(balance.debt.0));
            let by_model = if pocket.total() == 0 { (0, 0) } else { (lot(period), lot(period - 1)) };
            prop_assert_eq!(parts, (by_model.0, by_model.1, pocket.debt), "asset {} of {}", asset, user);
            prop_assert!(balance.debt.0 == 0 || balance.total().0 == 0, "who owes has nothing");
        }
    }
    for (user, person) in &model.people {
        prop_assert!(platform.state.users.contains_key(user) || person.payments == 0);
    }
    compare_counters(platform, model)?;
    for rule in &platform.state.rules {
        let totals = model.totals.get(&(rule.id.0, rule.version.0)).copied().unwrap_or_default();
        let known = (u128::from(rule.granted.0), u128::from(rule.grants), u128::from(rule.reversed.0));
        prop_assert_eq!(known, (totals.granted, totals.grants, totals.reversed), "rule {} {}", rule.id, rule.version);
        let budget = model.budgets.get(&rule.id.0).copied().unwrap_or_default();
        prop_assert_eq!((u128::from(rule.budget_spent.0), u128::from(rule.budget_grants)), budget, "rule {}", rule.id);
    }
    Ok(())
}

fn compare_counters(platform: &Platform, model: &Model) -> Result<(), TestCaseError> {
    let mut known = 0;
    for ((user, rule, scope, id), count) in &model.counts {
        let scope = Scope::from_number(*scope).unwrap();
        let counters = platform.counters(*user, scope, *id, *rule);
        prop_assert!(counters.is_some(), "counters of rule {}, {:?} {}", rule, scope, id);
        let counters = counters.unwrap();
        prop_assert_eq!(u128::from(counters.spend.0), count.spend, "spend of rule {}", rule);
        prop_assert_eq!(u128::from(counters.granted.0), count.granted, "granted of rule {}", rule);
        prop_assert_eq!(u128::from(counters.payments), count.payments, "payments of rule {}", rule);
        prop_assert_eq!(u128::from(counters.grants), count.grants, "grants of rule {}", rule);
        prop_assert_eq!(u128::from(counters.streak), count.streak, "streak of rule {}", rule);
        let day = (counters.streak > 0).then_some(i128::from(counters.streak_day.0));
        prop_assert_eq!(day, count.last_day, "last day of rule {}", rule);
        known += 1;
    }
    let places = platform.state.counters.values().flatten().filter(|counters| !counters.is_free()).count();
    prop_assert_eq!(places, known, "the model knows of all counters");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn rules_and_model_agree_on_every_outcome_balance_debt_counter_and_total(history in histories(30)) {
        play(&history, &mut Seen::default())?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn rules_and_model_agree_over_long_histories(history in histories(250)) {
        play(&history, &mut Seen::default())?;
    }
}

#[test]
fn random_histories_meet_every_reason_every_refusal_every_clip_debts_and_expiry() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[26; 32]);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let mut seen = Seen::default();
    for _ in 0..400 {
        let history = histories(40).new_tree(&mut runner).unwrap().current();
        play(&history, &mut seen).unwrap();
    }
    for reason in Reason::ALL {
        let often = seen.reasons.get(&(reason as u8)).copied().unwrap_or_default();
        assert!(often >= 20, "{reason}: {often} times in {seen:?}");
    }
    for refusal in [
        Refusal::ZeroAmount,
        Refusal::TooLate,
        Refusal::FromTheFuture,
        Refusal::DuplicateOrder,
        Refusal::AmountOverflow,
        Refusal::UnknownOrder,
        Refusal::OverRefund,
        Refusal::InsufficientBalance,
    ] {
        let often = seen.refusals.get(&refusal).copied().unwrap_or_default();
        assert!(often >= 5, "{refusal}: {often} times in {seen:?}");
    }
    for clip in ["user", "budget", "vault"] {
        let often = seen.clips.get(clip).copied().unwrap_or_default();
        assert!(often >= 20, "{clip}: {often} times in {seen:?}");
    }
    assert!(seen.debts >= 50 && seen.expired >= 20 && seen.versions >= 50, "{seen:?}");
}
