//! Rule definitions as they are published and as the rules' evaluator has them: the same said twice.

use crate::given::{definition, effects};
use proptest::{collection::vec, prelude::*};
use rebate_client::event::{EffectEntry, LimitsEntry, PredicateEntry, RuleDefinition, StepEntry};
use rebate_core::{
    rule::{Field, GroupMode, InvalidRule, Limits, MAX_STEPS, OnLimit, Operator, Predicate, Rule, TierMode},
    units::{AssetId, BasisPoints, GroupId, RuleId, RuleVersion, Tags, Timestamp},
    window::{Scope, Window},
};

/// What was published, told from the rule that came of it.
fn published(rule: &Rule) -> RuleDefinition {
    RuleDefinition {
        id: rule.id.0,
        version: rule.version.0,
        name: rule.name().to_owned(),
        priority: rule.priority,
        starts_at: rule.starts_at.0,
        ends_at: rule.ends_at.0,
        group: rule.group.0,
        group_mode: rule.group_mode() as u8,
        tags: rule.tags.0,
        excludes: rule.excludes.0,
        condition: rule.condition().iter().copied().map(PredicateEntry::from).collect(),
        window: rule.window() as u8,
        scope: rule.scope() as u8,
        effect: rule.effect().unwrap().into(),
        limits: LimitsEntry::new(rule.limits, rule.on_limit()),
        holdout_bps: rule.holdout().0.try_into().unwrap(),
    }
}

/// A value that each field takes, with each operator it has.
fn predicates() -> impl Strategy<Value = (Field, Operator, u64)> {
    let field = prop::sample::select(&Field::ALL[..]);
    let operator = prop::sample::select(&Operator::ALL[..6]);
    let compared = (field, operator, any::<u64>()).prop_map(|(field, operator, value)| {
        let value = match field {
            Field::Weekday => value % 7 + 1,
            Field::Hour => value % 24,
            Field::Date => 20_261_003,
            Field::Product => value % (1 << 16),
            Field::Tier => value % (1 << 8),
            Field::Segments => value % (1 << 32),
            _ => value,
        };
        (field, operator, value)
    });
    prop_oneof![
        4 => compared,
        1 => (1..128u64).prop_map(|days| (Field::Weekday, Operator::Any, days << 1)),
        1 => (1..1u64 << 24).prop_map(|hours| (Field::Hour, Operator::Any, hours)),
        1 => (1..1u64 << 32).prop_map(|segments| (Field::Segments, Operator::Any, segments)),
    ]
}

fn conditions() -> impl Strategy<Value = Vec<PredicateEntry>> {
    vec((predicates(), any::<bool>(), any::<bool>()), 0..=12).prop_map(|all| {
        let mut clause = 0;
        all.into_iter()
            .enumerate()
            .map(|(at, ((field, operator, value), negated, begins))| {
                clause += u8::from(begins && at > 0);
                PredicateEntry { clause, negated, field: field as u8, operator: operator as u8, value }
            })
            .collect()
    })
}

fn sound_effects() -> impl Strategy<Value = EffectEntry> {
    let asset = || 1..=8u8;
    let steps = vec((1..1_000_000u64, 1..=u64::from(u32::MAX)), 1..=MAX_STEPS).prop_map(|steps| {
        let mut threshold = 0;
        let ascending = steps.into_iter().map(|(above, value)| {
            threshold += above;
            StepEntry { threshold, value }
        });
        ascending.collect()
    });
    prop_oneof![
        (asset(), 1..=u64::MAX).prop_map(|(asset, amount)| EffectEntry::Fixed { asset, amount }),
        (asset(), 1..=u32::MAX, any::<[u64; 2]>()).prop_map(|(asset, bps, [one, other])| EffectEntry::Ratio {
            asset,
            bps,
            min: one.min(other),
            max: one.max(other),
        }),
        (asset(), any::<u32>(), 1..=u64::MAX).prop_map(|(asset, bps, min)| EffectEntry::Ratio {
            asset,
            bps,
            min,
            max: 0
        }),
        (asset(), 1..=3u8, steps).prop_map(|(asset, mode, steps)| EffectEntry::Tiers { asset, mode, steps }),
        (asset(), 1..=u32::MAX, 1..=u64::MAX, any::<bool>())
            .prop_map(|(asset, days, amount, recurring)| EffectEntry::Streak { asset, days, amount, recurring }),
        (asset(), 10_001..=u32::MAX).prop_map(|(asset, bps)| EffectEntry::Multiplier { asset, bps }),
    ]
}

fn definitions() -> impl Strategy<Value = RuleDefinition> {
    let limits =
        (any::<[u64; 4]>(), 1..=2u8).prop_map(|([user_amount, user_count, total_amount, total_count], way)| {
            LimitsEntry { user_amount, user_count, total_amount, total_count, on_limit: way }
        });
    (
        (any::<u16>(), 1..=u16::MAX, "[a-z0-9 金币]{1,10}", any::<u16>()),
        (any::<i64>(), any::<i64>()),
        (any::<u8>(), 1..=3u8, any::<u32>(), any::<u32>()),
        (conditions(), 1..=5u8, 1..=3u8),
        (sound_effects(), limits, 0..=10_000u16),
    )
        .prop_map(
            |(
                (id, version, name, priority),
                (one, other),
                (group, group_mode, tags, excludes),
                (condition, window, scope),
                (effect, limits, holdout_bps),
            )| RuleDefinition {
                id,
                version,
                name,
                priority,
                starts_at: one.min(other).min(i64::MAX - 1),
                ends_at: if one == other { 0 } else { one.max(other) },
                group,
                group_mode,
                tags,
                excludes,
                condition,
                window,
                scope,
                effect,
                limits,
                holdout_bps,
            },
        )
}

proptest! {
    #[test]
    fn a_definition_becomes_the_rule_it_describes_and_back_again(definition in definitions(), effective_at: i64) {
        prop_assert_eq!(definition.check(), Ok(()));
        let rule = definition.rule(Timestamp(effective_at)).unwrap();
        prop_assert_eq!(published(&rule), definition.clone());
        prop_assert_eq!(rule.effective_at, Timestamp(effective_at));
        prop_assert_eq!(rule.epoch, rule.version, "the first that is counted this way");
        prop_assert_eq!(rule.asset(), definition.effect.asset());
        prop_assert_eq!(rule.superseded_at, Timestamp(0));
        prop_assert_eq!((rule.granted.0, rule.grants, rule.reversed.0, rule.budget_spent.0), (0, 0, 0, 0));
        prop_assert_eq!((rule.budget_grants, rule.future), (0, [0; 48]));
    }
}

#[test]
fn every_field_of_a_definition_arrives_in_the_rule() {
    let definition = RuleDefinition {
        id: 101,
        version: 102,
        name: "金币".to_owned(),
        priority: 103,
        starts_at: 104,
        ends_at: 105,
        group: 106,
        group_mode: 2,
        tags: 107,
        excludes: 108,
        condition: vec![PredicateEntry { clause: 0, negated: true, field: 3, operator: 7, value: 0b110 }],
        window: 5,
        scope: 3,
        effect: EffectEntry::Fixed { asset: 2, amount: 109 },
        limits: LimitsEntry { user_amount: 110, user_count: 111, total_amount: 112, total_count: 113, on_limit: 2 },
        holdout_bps: 114,
    };
    let rule = definition.rule(Timestamp(100)).unwrap();
    assert_eq!((rule.id, rule.version, rule.priority), (RuleId(101), RuleVersion(102), 103));
    assert_eq!((rule.starts_at, rule.ends_at, rule.effective_at), (Timestamp(104), Timestamp(105), Timestamp(100)));
    assert_eq!((rule.group, rule.group_mode()), (GroupId(106), GroupMode::First));
    assert_eq!((rule.tags, rule.excludes), (Tags(107), Tags(108)));
    assert_eq!((rule.window(), rule.scope(), rule.asset()), (Window::Schedule, Scope::UserSession, AssetId(2)));
    let predicate = Predicate::new(0, true, Field::Weekday, Operator::Any, 0b110);
    assert_eq!((rule.name(), rule.condition()), ("金币", &[predicate][..]));
    let Limits { user_amount, user_count, total_amount, total_count } = rule.limits;
    assert_eq!((user_amount.0, user_count, total_amount.0, total_count), (110, 111, 112, 113));
    assert_eq!((rule.on_limit(), rule.holdout()), (OnLimit::Reject, BasisPoints(114)));
    assert_eq!(published(&rule), definition);
}

#[test]
fn an_effect_of_each_kind_grants_its_asset_and_goes_there_and_back() {
    for (effect, asset) in effects().into_iter().zip([1, 2, 3, 4, 8]) {
        assert_eq!(effect.asset(), AssetId(asset));
        let rule = definition(effect.clone()).rule(Timestamp(0)).unwrap();
        assert_eq!(rule.asset(), AssetId(asset));
        assert_eq!(EffectEntry::from(rule.effect().unwrap()), effect);
    }
}

#[test]
fn a_rule_without_limits_has_none() {
    let rule = definition(EffectEntry::Fixed { asset: 1, amount: 1 }).rule(Timestamp(0)).unwrap();
    assert!(rule.limits.is_none());
    assert_eq!(LimitsEntry::none(), LimitsEntry::new(Limits::default(), OnLimit::Clip));
}

/// Checks that just those numbers are known of which `known` has something, and what the others are refused as.
fn only_known<T>(
    what: &str,
    refusal: InvalidRule,
    known: impl Fn(u8) -> Option<T>,
    with: impl Fn(u8) -> RuleDefinition,
) {
    for number in 0..=u8::MAX {
        let expected = if known(number).is_some() { Ok(()) } else { Err(refusal) };
        assert_eq!(with(number).check(), expected, "{what} {number}");
    }
}

#[test]
fn numbers_that_are_not_known_are_refused_and_all_others_are_taken() {
    let sound = || definition(EffectEntry::Fixed { asset: 1, amount: 1 });
    let unknown = InvalidRule::Unknown;
    only_known("window", unknown, Window::from_number, |window| RuleDefinition { window, ..sound() });
    only_known("scope", unknown, Scope::from_number, |scope| RuleDefinition { scope, ..sound() });
    only_known("mode", unknown, GroupMode::from_number, |group_mode| RuleDefinition { group_mode, ..sound() });
    only_known("way", unknown, OnLimit::from_number, |on_limit| RuleDefinition {
        limits: LimitsEntry { on_limit, ..LimitsEntry::none() },
        ..sound()
    });
    only_known("tiers", unknown, TierMode::from_number, |mode| {
        definition(EffectEntry::Tiers { asset: 1, mode, steps: vec![StepEntry { threshold: 0, value: 1 }] })
    });
    only_known(
        "asset",
        InvalidRule::Asset,
        |asset| AssetId(asset).slot(),
        |asset| definition(EffectEntry::Fixed { asset, amount: 1 }),
    );
    let predicate = |field, operator| RuleDefinition {
        // A number that every field can be compared with, but for a date.
        condition: vec![PredicateEntry { clause: 0, negated: false, field, operator, value: 1 }],
        ..sound()
    };
    let but_dates = |number| Field::from_number(number).filter(|field| *field != Field::Date);
    only_known("field", InvalidRule::Predicate, but_dates, |field| predicate(field, Operator::Eq as u8));
    let but_any = |number| Operator::from_number(number).filter(|operator| *operator != Operator::Any);
    only_known("operator", InvalidRule::Predicate, but_any, |operator| predicate(Field::Amount as u8, operator));
    only_known("set", InvalidRule::Predicate, Operator::from_number, |operator| {
        predicate(Field::Segments as u8, operator)
    });
}

#[test]
fn a_definition_is_checked_as_the_program_checks_it() {
    let sound = || definition(EffectEntry::Fixed { asset: 1, amount: 1 });
    assert_eq!(sound().check(), Ok(()));
    let name = |name: &str| RuleDefinition { name: name.to_owned(), ..sound() };
    let condition = |count| {
        let predicate = Predicate::new(0, false, Field::Amount, Operator::Ge, 1);
        RuleDefinition { condition: vec![predicate.into(); count], ..sound() }
    };
    assert_eq!((name(&"x".repeat(32)).check(), condition(12).check()), (Ok(()), Ok(())));
    let later = PredicateEntry { clause: 1, negated: false, field: 1, operator: 1, value: 1 };
    for (wrong, expected) in [
        (name(""), InvalidRule::Name),
        (name(&"x".repeat(33)), InvalidRule::Name),
        (name("a\nrule"), InvalidRule::Name),
        (RuleDefinition { version: 0, ..sound() }, InvalidRule::Version),
        (RuleDefinition { starts_at: 7, ends_at: 7, ..sound() }, InvalidRule::Schedule),
        (condition(13), InvalidRule::TooManyPredicates),
        (RuleDefinition { condition: vec![later], ..sound() }, InvalidRule::ClauseOrder),
        (RuleDefinition { holdout_bps: 10_001, ..sound() }, InvalidRule::Holdout),
        (definition(EffectEntry::Fixed { asset: 1, amount: 0 }), InvalidRule::Effect),
        (definition(EffectEntry::Ratio { asset: 1, bps: 0, min: 0, max: 0 }), InvalidRule::Effect),
        (definition(EffectEntry::Ratio { asset: 1, bps: 1, min: 3, max: 2 }), InvalidRule::Effect),
        (definition(EffectEntry::Tiers { asset: 1, mode: 1, steps: vec![] }), InvalidRule::Effect),
        (
            definition(EffectEntry::Tiers { asset: 1, mode: 1, steps: vec![StepEntry { threshold: 5, value: 1 }; 2] }),
            InvalidRule::Effect,
        ),
        (definition(EffectEntry::Streak { asset: 1, days: 0, amount: 1, recurring: false }), InvalidRule::Effect),
        (definition(EffectEntry::Multiplier { asset: 1, bps: 10_000 }), InvalidRule::Effect),
    ] {
        assert_eq!(wrong.check(), Err(expected), "{wrong:?}");
    }
}

#[test]
fn tiers_have_at_most_as_many_steps_as_there_is_room_for() {
    let tiers = |count| {
        let steps = (0..count).map(|threshold| StepEntry { threshold, value: 1 }).collect();
        definition(EffectEntry::Tiers { asset: 1, mode: 1, steps })
    };
    assert_eq!(tiers(8).check(), Ok(()));
    assert_eq!(tiers(9).check(), Err(InvalidRule::Effect), "none is left out in silence");
}

#[test]
fn a_predicate_goes_there_and_back() {
    for (field, operator) in
        [(Field::Weekday, Operator::Any), (Field::Amount, Operator::Le), (Field::Tier, Operator::Ne)]
    {
        for negated in [false, true] {
            let predicate = Predicate::new(3, negated, field, operator, 6);
            let entry = PredicateEntry::from(predicate);
            let said = PredicateEntry { clause: 3, negated, field: field as u8, operator: operator as u8, value: 6 };
            assert_eq!(entry, said);
            assert_eq!(Predicate::try_from(&entry), Ok(predicate));
        }
    }
}
