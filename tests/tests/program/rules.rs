//! Rules after they were published: ending, succeeding and dropping them.

use rebate_client::{
    event::{EffectEntry, Event, LimitsEntry, RuleDefinition, StepEntry},
    instruction,
};
use rebate_core::{
    outcome::Reason,
    payment::Payment,
    rule::GroupMode,
    time::DAY,
    units::{RuleId, RuleVersion, Timestamp},
    window::{Scope, Window},
};
use rebate_tests::{
    beside::said,
    platform::{NOON, TestPlatform, always, asset, payment, weekend_bonus},
};
use solana_compute_budget_interface::ComputeBudgetInstruction;
use solana_signer::Signer;

const FIVE: EffectEntry = EffectEntry::Fixed { asset: 1, amount: 5 };

/// A platform with one rule, that always grants 5, and one payment.
fn paid() -> TestPlatform {
    let platform = TestPlatform::start();
    platform.publish(&always(1, FIVE), 0).expect("a rule");
    platform.pay(&[payment("A0", "u1", 100)]).expect("a payment");
    platform
}

fn end(platform: &TestPlatform, rule: u16, ends_at: i64) -> &'static str {
    let (admin, ends_at) = (platform.admin.pubkey(), Timestamp(ends_at));
    said(platform.as_admin(&instruction::end_rule(&admin, &platform.addresses, RuleId(rule), ends_at)))
}

fn drop_rule(platform: &TestPlatform, rule: u16, version: u16) -> &'static str {
    let drop =
        instruction::drop_rule(&platform.admin.pubkey(), &platform.addresses, RuleId(rule), RuleVersion(version));
    said(platform.as_admin(&drop))
}

fn publish(platform: &TestPlatform, rule: &RuleDefinition, effective_at: i64) -> &'static str {
    said(platform.publish(rule, effective_at))
}

/// What the rules in force did with a payment of so many seconds after [`NOON`]: rule and version of each.
fn in_force(platform: &TestPlatform, order: &str, seconds: i64) -> Vec<(u16, u16)> {
    platform.pay(&[Payment { paid_at: Timestamp(NOON + seconds), ..payment(order, "u1", 100) }]).expect("a payment");
    let recorded = platform.recorded();
    recorded.last().expect("it").outcomes.iter().map(|outcome| (outcome.rule, outcome.version)).collect()
}

// ---- Ending ----

#[test]
fn a_rule_ends_after_the_timelock_for_what_is_paid_from_then_on() {
    let platform = paid();
    for early in [i64::MIN, -1, 0, NOON, NOON + 3_599] {
        assert_eq!(end(&platform, 1, early), "TooEarly", "at {early}");
    }
    assert_eq!(end(&platform, 1, NOON + 3_600), "done");
    let Some(Event::RuleEnded(event)) = platform.events_of().pop() else { panic!("an event") };
    assert_eq!((event.rule, event.version, event.ends_at), (1, 1, NOON + 3_600));
    platform.wait_until(1, 0);
    assert_eq!(in_force(&platform, "A1", 3_599), [(1, 1)]);
    assert_eq!(in_force(&platform, "A2", 3_600), []);
    platform.assert_sound();
}

#[test]
fn an_end_is_moved_only_to_an_earlier_time() {
    let platform = paid();
    assert_eq!(end(&platform, 2, NOON + DAY), "NoSuchRule");
    assert_eq!(end(&platform, 1, NOON + 3 * DAY), "done");
    assert_eq!(end(&platform, 1, NOON + 3 * DAY), "NoSuchRule", "it ends then already");
    assert_eq!(end(&platform, 1, NOON + 4 * DAY), "NoSuchRule");
    assert_eq!(end(&platform, 1, NOON + 2 * DAY), "done");
    let scheduled = RuleDefinition { ends_at: NOON + 2 * DAY, ..always(2, FIVE) };
    assert_eq!(publish(&platform, &scheduled, NOON + 3_600), "done");
    assert_eq!(end(&platform, 2, NOON + 2 * DAY), "NoSuchRule", "it ends by itself");
    assert_eq!(end(&platform, 2, NOON + DAY), "done");
    let ends: Vec<_> = platform.rule_book().1.iter().map(|rule| rule.end()).collect();
    assert_eq!(ends, [Some(Timestamp(NOON + 2 * DAY)), Some(Timestamp(NOON + DAY))]);
    platform.assert_sound();
}

#[test]
fn a_version_after_an_end_leaves_the_time_between_to_nobody() {
    let platform = paid();
    assert_eq!(end(&platform, 1, NOON + DAY), "done");
    let second = RuleDefinition { version: 2, ..always(1, FIVE) };
    assert_eq!(publish(&platform, &second, NOON + 3 * DAY), "done");
    platform.wait_until(4, 0);
    for (order, seconds, expected) in
        [("A1", DAY - 1, vec![(1, 1)]), ("A2", DAY, vec![]), ("A3", 3 * DAY - 1, vec![]), ("A4", 3 * DAY, vec![(1, 2)])]
    {
        assert_eq!(in_force(&platform, order, seconds), expected, "{order}");
    }
    platform.assert_sound();
}

#[test]
fn a_version_before_an_end_brings_it_forward() {
    let platform = paid();
    assert_eq!(end(&platform, 1, NOON + 3 * DAY), "done");
    let second = RuleDefinition { version: 2, ..always(1, FIVE) };
    assert_eq!(publish(&platform, &second, NOON + DAY), "done");
    platform.wait_until(4, 0);
    assert_eq!(in_force(&platform, "A1", DAY - 1), [(1, 1)]);
    assert_eq!(in_force(&platform, "A2", DAY), [(1, 2)]);
    assert_eq!(in_force(&platform, "A3", 3 * DAY), [(1, 2)], "the end was the first version's");
    assert_eq!(end(&platform, 1, NOON + 5 * DAY), "done", "only the last version is ended");
    let versions: Vec<_> = platform.rule_book().1.iter().map(|rule| rule.superseded_at.0).collect();
    assert_eq!(versions, [NOON + DAY, NOON + 5 * DAY]);
    platform.assert_sound();
}

#[test]
fn no_payment_ever_meets_two_versions_of_a_rule() {
    // Before the first payment, versions may take effect at any time.
    let platform = TestPlatform::start();
    let version = |version| RuleDefinition { version, ..always(1, FIVE) };
    assert_eq!(publish(&platform, &version(1), 0), "done");
    assert_eq!(publish(&platform, &version(2), 0), "TooEarly", "for ever, like the first");
    assert_eq!(publish(&platform, &version(2), -1), "TooEarly");
    assert_eq!(end(&platform, 1, NOON + DAY), "done");
    assert_eq!(publish(&platform, &version(2), 0), "TooEarly");
    assert_eq!(publish(&platform, &version(2), NOON), "done");
    assert_eq!(publish(&platform, &version(3), NOON), "done", "a correction of the same moment");
    assert_eq!(in_force(&platform, "A1", -1), [(1, 1)]);
    assert_eq!(in_force(&platform, "A2", 0), [(1, 3)]);
    assert_eq!(platform.balance("u1"), 10);
    platform.assert_sound();
}

// ---- Dropping ----

#[test]
fn a_version_is_dropped_once_every_day_it_was_for_is_closed() {
    let platform = paid();
    assert_eq!(drop_rule(&platform, 1, 1), "RuleInForce", "it has no end");
    assert_eq!(drop_rule(&platform, 1, 2), "NoSuchRule");
    assert_eq!(drop_rule(&platform, 2, 1), "NoSuchRule");
    // Today ends 72 000 seconds after noon in Shanghai; tomorrow's first second is still the rule's.
    assert_eq!(end(&platform, 1, NOON + 72_001), "done");
    platform.open_page(1, 0, 8).expect("a page");
    platform.wait_until(8, 0);
    assert_eq!(drop_rule(&platform, 1, 1), "RuleInForce", "nothing was closed");
    platform.close_days(&[0]).expect("closed");
    assert_eq!(drop_rule(&platform, 1, 1), "RuleInForce", "a second of tomorrow");
    platform.wait_until(9, 0);
    platform.close_days(&[1]).expect("closed");
    assert_eq!(drop_rule(&platform, 1, 1), "done");
    let Some(Event::RuleDropped(event)) = platform.events_of().pop() else { panic!("an event") };
    assert_eq!((event.rule, event.version, event.granted, event.grants, event.reversed), (1, 1, 5, 1, 0));
    assert!(platform.rule_book().1.is_empty());
    assert_eq!(drop_rule(&platform, 1, 1), "NoSuchRule");
    platform.assert_sound();
}

#[test]
fn dropping_shrinks_the_book_and_gives_its_rent_to_the_admin() {
    let platform = TestPlatform::start();
    let scheduled = |id| RuleDefinition { ends_at: NOON + 3_600, priority: id, ..always(id, FIVE) };
    for id in 1..=10 {
        assert_eq!(publish(&platform, &scheduled(id), 0), "done");
    }
    platform.pay(&[payment("A0", "u1", 100)]).expect("a payment");
    platform.wait_until(8, 0);
    platform.close_days(&[0]).expect("closed");
    let (admin, book) = (platform.admin.pubkey(), platform.addresses.rule_book);
    let size = || platform.data(&book).expect("a rule book").len();
    let empty = size() - 24 * 560;
    let mut left: Vec<u16> = (1..=10).collect();
    for id in [5, 1, 10, 2, 9, 3, 8, 4, 7, 6] {
        let before = (platform.lamports(&admin), platform.lamports(&book));
        assert_eq!(drop_rule(&platform, id, 1), "done", "rule {id}");
        left.retain(|other| *other != id);
        let ids: Vec<_> = platform.rule_book().1.iter().map(|rule| rule.id.0).collect();
        assert_eq!(ids, left, "the others stand as they stood");
        assert_eq!(size(), empty + left.len() * 560);
        let rent = solana_program::rent::Rent::default().minimum_balance(size());
        assert_eq!(platform.lamports(&book), rent);
        assert_eq!(platform.lamports(&admin) + 5_000, before.0 + before.1 - rent, "less the fee");
    }
    assert_eq!(size(), empty);
    let before = platform.lamports(&admin);
    assert_eq!(publish(&platform, &always(11, FIVE), NOON + 9 * DAY), "done", "it grows again");
    assert_eq!(size(), empty + 16 * 560);
    assert!(platform.lamports(&admin) < before);
    platform.assert_sound();
}

#[test]
fn the_id_of_a_dropped_rule_is_not_given_again() {
    let platform = TestPlatform::start();
    for id in [3, 7] {
        assert_eq!(publish(&platform, &always(id, FIVE), 0), "done");
    }
    platform.pay(&[payment("A0", "u1", 100)]).expect("a payment");
    let second = RuleDefinition { version: 2, ..always(7, FIVE) };
    assert_eq!(publish(&platform, &second, NOON + 3_600), "done");
    assert_eq!(end(&platform, 7, NOON + 7_200), "done");
    platform.wait_until(8, 0);
    platform.close_days(&[0]).expect("closed");
    assert_eq!(drop_rule(&platform, 7, 1), "done");
    let after = NOON + 9 * DAY;
    assert_eq!(publish(&platform, &RuleDefinition { version: 3, ..second.clone() }, after), "done", "7 is in the book");
    assert_eq!(platform.rule_book().0.first_new_id, 0);
    assert_eq!(drop_rule(&platform, 7, 2), "done");
    assert_eq!(end(&platform, 7, after + 60), "done");
    platform.wait_until(9, 60);
    platform.open_page(9, 0, 8).expect("a page");
    platform.wait_until(17, 0);
    platform.close_days(&[9]).expect("closed");
    assert_eq!(drop_rule(&platform, 7, 3), "done");
    assert_eq!(platform.rule_book().0.first_new_id, 8);

    let after = NOON + 18 * DAY;
    for (id, version) in [(7, 1), (7, 4), (6, 1), (0, 1)] {
        let again = RuleDefinition { version, ..always(id, FIVE) };
        assert_eq!(publish(&platform, &again, after), "RuleIdUsed", "rule {id} version {version}");
    }
    assert_eq!(
        publish(&platform, &RuleDefinition { version: 2, ..always(3, FIVE) }, after),
        "done",
        "3 is in the book"
    );
    assert_eq!(publish(&platform, &always(8, FIVE), after), "done");
    platform.assert_sound();
}

#[test]
fn the_last_version_left_of_a_rule_goes_on_with_its_budget() {
    let limits = |total_amount| LimitsEntry { total_amount, ..LimitsEntry::none() };
    let platform = TestPlatform::start();
    let first = RuleDefinition { limits: limits(12), ..always(1, FIVE) };
    assert_eq!(publish(&platform, &first, 0), "done");
    platform.pay(&[payment("A0", "u1", 100)]).expect("a payment");
    let second = RuleDefinition { version: 2, limits: limits(12), ..always(1, FIVE) };
    assert_eq!(publish(&platform, &second, NOON + 3_600), "done");
    platform.wait_until(8, 0);
    platform.close_days(&[0]).expect("closed");
    assert_eq!(drop_rule(&platform, 1, 1), "done");
    for (order, amount, reason) in
        [("A1", 5, Reason::Granted), ("A2", 2, Reason::Granted), ("A3", 0, Reason::BudgetSpent)]
    {
        platform
            .pay(&[Payment { paid_at: Timestamp(NOON + 8 * DAY), ..payment(order, "u1", 100) }])
            .expect("a payment");
        let outcome = platform.recorded().last().expect("it").outcomes[0];
        assert_eq!((outcome.amount, outcome.reason), (amount, reason as u8), "{order}");
    }
    platform.assert_sound();
}

// ---- Publishing ----

#[test]
fn every_kind_of_rule_is_kept_as_it_was_published() {
    let platform = TestPlatform::start();
    let step = |threshold, value| StepEntry { threshold, value };
    let effects = [
        FIVE,
        EffectEntry::Ratio { asset: 1, bps: 1, min: 2, max: 3 },
        EffectEntry::Tiers { asset: 1, mode: 1, steps: (1..=8).map(|at| step(at * 10, at)).collect() },
        EffectEntry::Tiers { asset: 1, mode: 2, steps: vec![step(0, 1)] },
        EffectEntry::Tiers { asset: 1, mode: 3, steps: vec![step(0, 1), step(10, 2)] },
        EffectEntry::Streak { asset: 1, days: 7, amount: 1, recurring: true },
        EffectEntry::Streak { asset: 1, days: 7, amount: 1, recurring: false },
        EffectEntry::Multiplier { asset: 1, bps: 15_000 },
    ];
    let windows = [1, 2, 3, 4, 5];
    for (id, effect) in (1..).zip(effects) {
        let at = usize::from(id);
        let rule = RuleDefinition {
            group: 1,
            group_mode: GroupMode::Best as u8,
            tags: 1 << id,
            excludes: 1 << 31,
            window: windows[at % 5],
            scope: [1, 2, 3][at % 3],
            limits: LimitsEntry { user_amount: 1, user_count: 2, total_amount: 3, total_count: 4, on_limit: 2 },
            holdout_bps: 10_000,
            ..always(id, effect)
        };
        assert_eq!(publish(&platform, &rule, 0), "done", "{rule:?}");
        let (_, rules) = platform.rule_book();
        let kept = rules.iter().find(|kept| kept.id == RuleId(id)).expect("the rule");
        assert_eq!(kept, &rule.rule(Timestamp(0)).expect("a sound rule"), "the client comes to the same bytes");
    }
}

#[test]
fn numbers_that_mean_nothing_and_effects_that_grant_nothing_are_refused() {
    let platform = TestPlatform::start();
    let good = always(1, FIVE);
    let limits = LimitsEntry { on_limit: 3, ..LimitsEntry::none() };
    let step = |threshold, value| StepEntry { threshold, value };
    let tiers = |mode, steps| EffectEntry::Tiers { asset: 1, mode, steps };
    let with = |effect| RuleDefinition { effect, ..good.clone() };
    for (rule, error) in [
        (RuleDefinition { window: 0, ..good.clone() }, "UnknownRuleNumber"),
        (RuleDefinition { window: 6, ..good.clone() }, "UnknownRuleNumber"),
        (RuleDefinition { scope: 0, ..good.clone() }, "UnknownRuleNumber"),
        (RuleDefinition { scope: 4, ..good.clone() }, "UnknownRuleNumber"),
        (RuleDefinition { group_mode: 0, ..good.clone() }, "UnknownRuleNumber"),
        (RuleDefinition { group_mode: 4, ..good.clone() }, "UnknownRuleNumber"),
        (RuleDefinition { limits, ..good.clone() }, "UnknownRuleNumber"),
        (RuleDefinition { limits: LimitsEntry { on_limit: 0, ..limits }, ..good.clone() }, "UnknownRuleNumber"),
        (RuleDefinition { holdout_bps: 10_001, ..good.clone() }, "InvalidHoldout"),
        (with(tiers(0, vec![step(0, 1)])), "UnknownRuleNumber"),
        (with(tiers(4, vec![step(0, 1)])), "UnknownRuleNumber"),
        (with(tiers(1, vec![])), "InvalidEffect"),
        (with(tiers(1, (0..9).map(|at| step(at, 1)).collect())), "InvalidEffect"),
        (with(tiers(1, vec![step(5, 1), step(5, 2)])), "InvalidEffect"),
        (with(tiers(1, vec![step(5, 1), step(4, 2)])), "InvalidEffect"),
        (with(tiers(1, vec![step(5, 0)])), "InvalidEffect"),
        (with(EffectEntry::Streak { asset: 1, days: 0, amount: 1, recurring: true }), "InvalidEffect"),
        (with(EffectEntry::Streak { asset: 1, days: 1, amount: 0, recurring: true }), "InvalidEffect"),
        (with(EffectEntry::Multiplier { asset: 1, bps: 10_000 }), "InvalidEffect"),
        (with(EffectEntry::Multiplier { asset: 2, bps: 20_000 }), "UnknownAsset"),
        (with(tiers(1, vec![step(0, 1)])), "done"),
    ] {
        assert_eq!(publish(&platform, &rule, 0), error, "{rule:?}");
    }
}

#[test]
fn rules_of_a_group_compete_in_one_way() {
    let platform = TestPlatform::start();
    let with = |id, group, mode: GroupMode| RuleDefinition { group, group_mode: mode as u8, ..always(id, FIVE) };
    assert_eq!(publish(&platform, &with(1, 1, GroupMode::First), 0), "done");
    assert_eq!(publish(&platform, &with(2, 1, GroupMode::Best), 0), "GroupMode");
    assert_eq!(publish(&platform, &with(2, 2, GroupMode::Best), 0), "done");
    assert_eq!(publish(&platform, &with(3, 1, GroupMode::First), 0), "done");
}

#[test]
fn a_rule_grants_an_asset_no_earlier_than_it_was_announced_for() {
    let platform = paid();
    let (admin, active) = (platform.admin.pubkey(), NOON + 2 * DAY);
    platform
        .as_admin(&instruction::add_asset(&admin, &platform.addresses, &asset("stars"), Timestamp(active)))
        .expect("an asset");
    let stars = |id, starts_at| RuleDefinition { starts_at, ..always(id, EffectEntry::Fixed { asset: 2, amount: 1 }) };
    assert_eq!(publish(&platform, &stars(2, 0), NOON + DAY), "TooEarly");
    assert_eq!(publish(&platform, &stars(2, 0), active - 1), "TooEarly");
    assert_eq!(publish(&platform, &stars(2, 0), active), "done");
    assert_eq!(publish(&platform, &stars(3, active), NOON + DAY), "done", "it starts by then");
    assert_eq!(publish(&platform, &stars(4, active - 1), NOON + DAY), "TooEarly");
}

#[test]
fn a_version_with_another_effect_keeps_what_users_were_counted() {
    let platform = TestPlatform::start();
    let limits = LimitsEntry { user_count: 2, ..LimitsEntry::none() };
    let first = RuleDefinition { limits, ..always(1, FIVE) };
    assert_eq!(publish(&platform, &first, 0), "done");
    platform.pay(&[payment("A0", "u1", 100)]).expect("a payment");
    let second = RuleDefinition { version: 2, effect: EffectEntry::Fixed { asset: 1, amount: 7 }, ..first };
    assert_eq!(publish(&platform, &second, NOON + DAY), "done");
    platform.wait_until(1, 0);
    for (order, reason) in [("A1", Reason::Granted), ("A2", Reason::UserLimit)] {
        platform.pay(&[Payment { paid_at: Timestamp(NOON + DAY), ..payment(order, "u1", 100) }]).expect("a payment");
        assert_eq!(platform.recorded().last().expect("it").outcomes[0].reason, reason as u8, "{order}");
    }
    assert_eq!(platform.balance("u1"), 12);
    platform.assert_sound();
}

#[test]
fn a_payment_under_64_rules_in_force_is_recorded() {
    let platform = TestPlatform::start();
    for id in 1..=64 {
        let rule = RuleDefinition { window: Window::Day as u8, scope: Scope::User as u8, ..always(id, FIVE) };
        assert_eq!(publish(&platform, &rule, 0), "done");
    }
    let paid = payment("A1", "u1", 100);
    platform.open_for(&paid);
    let [ed25519, record] = platform.record(&[paid], &platform.sign(&[paid]));
    let limit = ComputeBudgetInstruction::set_compute_unit_limit(1_400_000);
    let executed = platform.run(&[limit, ed25519, record], &[&platform.payer]).expect("a payment");
    assert!(executed.compute_units < 200_000, "{} compute units", executed.compute_units);
    assert_eq!(platform.balance("u1"), 64 * 5);
    platform.assert_sound();
}

#[test]
fn a_payment_under_a_full_book_is_recorded() {
    let platform = TestPlatform::start();
    for id in 1..=128 {
        assert_eq!(publish(&platform, &always(id, FIVE), 0), "done");
    }
    let paid = payment("A1", "u1", 100);
    platform.open_for(&paid);
    let [ed25519, record] = platform.record(&[paid], &platform.sign(&[paid]));
    let limit = ComputeBudgetInstruction::set_compute_unit_limit(1_400_000);
    platform.run(&[limit, ed25519, record], &[&platform.payer]).expect("a payment");
    assert_eq!(platform.balance("u1"), 128 * 5);
    platform.assert_sound();
}

#[test]
fn the_first_payment_ends_the_time_in_which_rules_count_at_once() {
    let platform = TestPlatform::start();
    assert_eq!(publish(&platform, &weekend_bonus(), 0), "done");
    // A refused record is no payment.
    assert_eq!(said(platform.pay(&[payment("A0", "u1", 0)])), "ZeroAmount");
    assert_eq!(publish(&platform, &always(3, FIVE), 0), "done");
    platform.pay(&[payment("A1", "u1", 1)]).expect("a payment");
    assert_eq!(publish(&platform, &always(4, FIVE), 0), "TooEarly");
    assert_eq!(publish(&platform, &RuleDefinition { version: 2, ..always(3, FIVE) }, NOON + 3_599), "TooEarly");
}
