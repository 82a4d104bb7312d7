//! Publishing rules.

use rebate_client::{
    address::Addresses,
    event::{EffectEntry, Event, RuleDefinition},
    instruction,
};
use rebate_core::{
    rule::{Field, Operator},
    units::{RuleId, RuleVersion, Timestamp},
};
use rebate_tests::platform::{NOON, TestPlatform, first_recharge, payment, refusal, settings, weekend_bonus, when};
use solana_signer::Signer;

fn published(platform: &TestPlatform, rule: &RuleDefinition, effective_at: i64) -> &'static str {
    match platform.publish(rule, effective_at) {
        Ok(_) => "published",
        refused => refusal(refused),
    }
}

#[test]
fn a_published_definition_is_in_its_event_in_full() {
    let platform = TestPlatform::start();
    let rule = RuleDefinition { starts_at: 5, ends_at: 9, ..first_recharge() };
    platform.publish(&rule, 3).expect("published");
    let events = platform.events();
    let Some(Event::RulePublished(event)) = events.last().map(|emitted| emitted.event.clone()) else {
        panic!("the last event: {events:?}")
    };
    assert_eq!(event.rule, rule);
    assert_eq!(event.effective_at, 3);
    let (_, rules) = platform.rule_book();
    assert_eq!(rules[0].name(), "first recharge 20%");
    assert_eq!(
        (rules[0].starts_at, rules[0].ends_at, rules[0].effective_at),
        (Timestamp(5), Timestamp(9), Timestamp(3))
    );
    assert_eq!(rules[0].effect().map(EffectEntry::from), Some(rule.effect));
}

#[test]
fn rules_stand_in_order_of_evaluation_however_they_were_published() {
    let platform = TestPlatform::start();
    for (id, priority) in [(5, 10), (3, 20), (4, 10), (9, 0), (1, 20)] {
        platform.publish(&RuleDefinition { id, priority, ..weekend_bonus() }, 0).expect("published");
    }
    let ids: Vec<_> = platform.rule_book().1.iter().map(|rule| rule.id.0).collect();
    assert_eq!(ids, [9, 4, 5, 1, 3]);
}

#[test]
fn a_new_version_ends_the_old_one_where_it_begins() {
    let platform = TestPlatform::with_sample_rules();
    let second = RuleDefinition { version: 2, effect: EffectEntry::Fixed { asset: 1, amount: 7 }, ..weekend_bonus() };
    platform.publish(&second, NOON + 3_600).expect("after the timelock");
    let (_, rules) = platform.rule_book();
    let versions: Vec<_> = rules
        .iter()
        .filter(|rule| rule.id == RuleId(2))
        .map(|rule| (rule.version, rule.effective_at.0, rule.superseded_at.0))
        .collect();
    assert_eq!(versions, [(RuleVersion(1), 0, NOON + 3_600), (RuleVersion(2), NOON + 3_600, 0)]);

    platform.chain.set_clock(Some(NOON + 7_200));
    let at = |order, paid_at| rebate_core::payment::Payment { paid_at: Timestamp(paid_at), ..payment(order, "u1", 1) };
    platform.pay(&[at("A1", NOON + 3_599), at("A2", NOON + 3_600)]).expect("both");
    let granted: Vec<_> = platform
        .recorded()
        .iter()
        .map(|event| event.outcomes.iter().filter(|o| o.rule == 2).map(|o| (o.version, o.amount)).collect::<Vec<_>>())
        .collect();
    assert_eq!(granted, [vec![(1, 1_000)], vec![(2, 7)]], "by when it was paid, not by when it was recorded");
}

#[test]
fn versions_are_published_one_after_the_other() {
    let platform = TestPlatform::start();
    let version = |version| RuleDefinition { version, ..weekend_bonus() };
    assert_eq!(published(&platform, &version(2), 0), "RuleVersion");
    assert_eq!(published(&platform, &version(0), 0), "RuleVersion");
    assert_eq!(published(&platform, &version(1), 0), "published");
    assert_eq!(published(&platform, &version(1), 1), "RuleVersion");
    assert_eq!(published(&platform, &version(3), 1), "RuleVersion");
    assert_eq!(published(&platform, &version(2), 0), "TooEarly", "not before the version it follows");
    assert_eq!(published(&platform, &version(2), 1), "published");
}

#[test]
fn once_a_payment_was_accepted_a_rule_waits_for_the_timelock() {
    let platform = TestPlatform::with_sample_rules();
    let new = RuleDefinition { id: 3, ..weekend_bonus() };
    platform.pay(&[payment("A1", "u1", 1)]).expect("a payment");
    for early in [0, NOON, NOON + 3_599] {
        assert_eq!(published(&platform, &new, early), "TooEarly", "at {early}");
    }
    assert_eq!(published(&platform, &new, NOON + 3_600), "published");
}

#[test]
fn a_definition_that_is_no_rule_is_refused_by_name() {
    let platform = TestPlatform::start();
    let good = weekend_bonus();
    let ratio = |bps, min, max| EffectEntry::Ratio { asset: 1, bps, min, max };
    let fixed = |asset, amount| EffectEntry::Fixed { asset, amount };
    let predicates = |count: u8| (0..count).map(|at| when(at, Field::Amount, Operator::Ge, 1)).collect();
    let raw = |field, operator, value| rebate_client::event::PredicateEntry {
        clause: 0,
        negated: false,
        field,
        operator,
        value,
    };
    let bad = [
        (RuleDefinition { name: String::new(), ..good.clone() }, "RuleName"),
        (RuleDefinition { name: "x".repeat(33), ..good.clone() }, "RuleName"),
        (RuleDefinition { name: "a\0b".to_owned(), ..good.clone() }, "RuleName"),
        (RuleDefinition { starts_at: 9, ends_at: 9, ..good.clone() }, "RuleSchedule"),
        (RuleDefinition { condition: predicates(13), ..good.clone() }, "TooManyPredicates"),
        (RuleDefinition { condition: vec![when(1, Field::Amount, Operator::Ge, 1)], ..good.clone() }, "ClauseOrder"),
        (
            RuleDefinition {
                condition: vec![when(0, Field::Amount, Operator::Ge, 1), when(2, Field::Amount, Operator::Ge, 1)],
                ..good.clone()
            },
            "ClauseOrder",
        ),
        (
            RuleDefinition { condition: vec![when(0, Field::Weekday, Operator::Eq, 8)], ..good.clone() },
            "InvalidPredicate",
        ),
        (
            RuleDefinition { condition: vec![when(0, Field::Weekday, Operator::Any, 1)], ..good.clone() },
            "InvalidPredicate",
        ),
        (
            RuleDefinition { condition: vec![when(0, Field::Amount, Operator::Any, 1)], ..good.clone() },
            "InvalidPredicate",
        ),
        (
            RuleDefinition { condition: vec![when(0, Field::Product, Operator::Eq, 65_536)], ..good.clone() },
            "InvalidPredicate",
        ),
        (RuleDefinition { condition: vec![raw(0, 1, 1)], ..good.clone() }, "InvalidPredicate"),
        (RuleDefinition { condition: vec![raw(14, 1, 1)], ..good.clone() }, "InvalidPredicate"),
        (RuleDefinition { condition: vec![raw(1, 0, 1)], ..good.clone() }, "InvalidPredicate"),
        (RuleDefinition { condition: vec![raw(1, 8, 1)], ..good.clone() }, "InvalidPredicate"),
        (RuleDefinition { effect: fixed(1, 0), ..good.clone() }, "InvalidEffect"),
        (RuleDefinition { effect: ratio(0, 0, 5), ..good.clone() }, "InvalidEffect"),
        (RuleDefinition { effect: ratio(1, 6, 5), ..good.clone() }, "InvalidEffect"),
        (RuleDefinition { effect: fixed(0, 1), ..good.clone() }, "UnknownAsset"),
        (RuleDefinition { effect: fixed(2, 1), ..good.clone() }, "UnknownAsset"),
        (RuleDefinition { effect: fixed(9, 1), ..good.clone() }, "UnknownAsset"),
    ];
    for (rule, error) in bad {
        assert_eq!(published(&platform, &rule, 0), error, "{rule:?}");
    }
    assert!(platform.rule_book().1.is_empty());
    assert_eq!(published(&platform, &RuleDefinition { condition: predicates(12), ..good }, 0), "published");
}

#[test]
fn the_rule_book_grows_until_it_is_full() {
    let platform = TestPlatform::start();
    let rule = |id| RuleDefinition { id, condition: vec![], ..weekend_bonus() };
    for id in 0..128 {
        assert_eq!(published(&platform, &rule(id), 0), "published", "rule {id}");
    }
    assert_eq!(published(&platform, &rule(128), 0), "RuleBookFull");
    assert_eq!(platform.rule_book().1.len(), 128);
}

#[test]
fn nobody_but_the_admin_publishes() {
    let platform = TestPlatform::start();
    let publish =
        instruction::publish_rule(&platform.pauser.pubkey(), &platform.addresses, &weekend_bonus(), Timestamp(0));
    assert_eq!(refusal(platform.run(&[publish], &[&platform.payer, &platform.pauser])), "NotAdmin");
    let mut unsigned =
        instruction::publish_rule(&platform.admin.pubkey(), &platform.addresses, &weekend_bonus(), Timestamp(0));
    unsigned.accounts[0].is_signer = false;
    assert!(platform.run(&[unsigned], &[&platform.payer]).is_err());
}

#[test]
fn the_rule_book_or_journal_of_another_platform_is_refused() {
    let platform = TestPlatform::start();
    let create = instruction::create_platform(
        &platform.payer.pubkey(),
        &settings(2, &platform.admin.pubkey(), &platform.pauser.pubkey()),
    );
    platform.run(&[create], &[&platform.payer]).expect("another platform");
    let other = Addresses::of(2);
    for (at, address) in [(2, other.rule_book), (3, other.journal)] {
        let mut publish =
            instruction::publish_rule(&platform.admin.pubkey(), &platform.addresses, &weekend_bonus(), Timestamp(0));
        publish.accounts[at].pubkey = address;
        assert_eq!(refusal(platform.run(&[publish], &[&platform.admin])), "WrongPlatform", "account {at}");
    }
}
