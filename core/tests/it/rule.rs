//! Which definitions are rules, and when a rule is in force.

use crate::given::{
    NOON, UNLIMITED, always, conditions, fixed, multiplier, per_user, published, ratio, rewards, step, streak, tiers,
    when,
};
use proptest::{option, prelude::*};
use rebate_core::{
    rule::{
        Definition, Effect, EffectKind, Field, GroupMode, InvalidRule, Limits, MAX_NAME, MAX_PREDICATES, MAX_STEPS,
        OnLimit, Operator, Predicate, Rule, Step, TierMode,
    },
    units::{Amount, AssetId, BasisPoints, GroupId, RuleId, RuleVersion, Tags, Timestamp},
    window::{Scope, Window},
};

const SOUND: Definition<'static> = always(1, fixed(1, 1_000));

fn with_condition(condition: &[Predicate]) -> Result<(), InvalidRule> {
    Definition { condition, ..SOUND }.check()
}

fn with_effect(effect: Effect<'_>) -> Result<(), InvalidRule> {
    Definition { effect, ..SOUND }.check()
}

#[test]
fn a_name_has_one_to_thirty_two_bytes_and_no_control_characters() {
    let name = |name: &str| Definition { name, ..SOUND }.check();
    assert_eq!(name("x"), Ok(()));
    assert_eq!(name(""), Err(InvalidRule::Name));
    assert_eq!(name(&"x".repeat(MAX_NAME)), Ok(()));
    assert_eq!(name(&"x".repeat(MAX_NAME + 1)), Err(InvalidRule::Name));
    for control in ["a\nb", "\0", "ab\t", "a\u{7f}", "\u{1f}b"] {
        assert_eq!(name(control), Err(InvalidRule::Name), "{control:?}");
    }
    assert_eq!(name("a b~"), Ok(()));
    assert_eq!(name("首充返利百分之二十封顶"), Err(InvalidRule::Name), "11 characters, 33 bytes");
}

#[test]
fn versions_are_counted_from_one() {
    assert_eq!(Definition { version: RuleVersion(0), ..SOUND }.check(), Err(InvalidRule::Version));
    assert_eq!(Definition { version: RuleVersion(u16::MAX), ..SOUND }.check(), Ok(()));
}

#[test]
fn a_rule_ends_after_it_starts() {
    let schedule = |starts_at, ends_at| {
        Definition { starts_at: Timestamp(starts_at), ends_at: Timestamp(ends_at), ..SOUND }.check()
    };
    for (starts_at, ends_at) in [(0, 0), (5, 0), (0, 5), (5, 6), (-5, -4), (i64::MIN, i64::MAX), (i64::MAX, 0)] {
        assert_eq!(schedule(starts_at, ends_at), Ok(()), "{starts_at} to {ends_at}");
    }
    for (starts_at, ends_at) in [(5, 5), (6, 5), (i64::MAX, i64::MIN)] {
        assert_eq!(schedule(starts_at, ends_at), Err(InvalidRule::Schedule), "{starts_at} to {ends_at}");
    }
}

#[test]
fn a_condition_has_at_most_twelve_predicates() {
    let predicate = when(0, Field::Amount, Operator::Ge, 1);
    assert_eq!(with_condition(&[predicate; MAX_PREDICATES]), Ok(()));
    assert_eq!(with_condition(&[predicate; MAX_PREDICATES + 1]), Err(InvalidRule::TooManyPredicates));
}

#[test]
fn clauses_are_numbered_from_zero_in_order_without_gaps() {
    let clauses = |numbers: &[u8]| {
        let condition: Vec<_> = numbers.iter().map(|number| when(*number, Field::Amount, Operator::Ge, 1)).collect();
        with_condition(&condition)
    };
    for sound in [&[][..], &[0], &[0, 0], &[0, 1], &[0, 0, 1, 1, 2], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]] {
        assert_eq!(clauses(sound), Ok(()), "{sound:?}");
    }
    for wrong in [&[1][..], &[255], &[0, 2], &[0, 1, 0], &[0, 1, 3], &[1, 1], &[0, 255]] {
        assert_eq!(clauses(wrong), Err(InvalidRule::ClauseOrder), "{wrong:?}");
    }
}

#[test]
fn values_lie_within_their_fields_range() {
    for operator in Operator::ALL {
        for (field, sound, wrong) in [
            (Field::Weekday, vec![1, 7], vec![0, 8, u64::MAX]),
            (Field::Product, vec![0, 65_535], vec![65_536, u64::MAX]),
            (Field::Amount, vec![0, u64::MAX], vec![]),
            (Field::PaymentNumber, vec![0, u64::MAX], vec![]),
            (Field::Hour, vec![0, 23], vec![24, u64::MAX]),
            (
                Field::Date,
                vec![10_000_101, 19_700_101, 20_261_231, 99_991_231],
                vec![0, 9_991_231, 20_260_001, 20_261_301, 20_261_200, 20_261_232, 100_000_101, u64::MAX],
            ),
            (Field::Spend, vec![0, u64::MAX], vec![]),
            (Field::Payments, vec![0, u64::MAX], vec![]),
            (Field::StreakDays, vec![0, u64::MAX], vec![]),
            (Field::Tier, vec![0, 255], vec![256, u64::MAX]),
            (Field::Segments, vec![0, 1, u32::MAX.into()], vec![1 << 32, u64::MAX]),
            (Field::Streamer, vec![0, u64::MAX], vec![]),
            (Field::Session, vec![0, u64::MAX], vec![]),
        ] {
            if operator == Operator::Any {
                continue;
            }
            for value in sound {
                assert_eq!(
                    with_condition(&[when(0, field, operator, value)]),
                    Ok(()),
                    "{field:?} {operator:?} {value}"
                );
            }
            for value in wrong {
                let checked = with_condition(&[when(0, field, operator, value)]);
                assert_eq!(checked, Err(InvalidRule::Predicate), "{field:?} {operator:?} {value}");
            }
        }
    }
}

#[test]
fn weekdays_hours_and_segments_are_bit_sets_with_a_bit_at_least_and_no_other_field_is() {
    let any = |field, value| with_condition(&[when(0, field, Operator::Any, value)]);
    for value in 0..=1_024u64 {
        let sound = value != 0 && value & 1 == 0 && value < 256;
        assert_eq!(any(Field::Weekday, value).is_ok(), sound, "{value:#b}");
    }
    assert_eq!(any(Field::Weekday, 1 << 63), Err(InvalidRule::Predicate));
    for (field, bits) in [(Field::Hour, 24), (Field::Segments, 32)] {
        assert_eq!(any(field, 0), Err(InvalidRule::Predicate), "{field:?}");
        for bit in 0..64 {
            assert_eq!(any(field, 1 << bit).is_ok(), bit < bits, "{field:?} bit {bit}");
            assert_eq!(any(field, 1 << bit | 1).is_ok(), bit < bits, "{field:?} bits {bit} and 0");
        }
    }
    for field in Field::ALL {
        let is_set = matches!(field, Field::Weekday | Field::Hour | Field::Segments);
        assert_eq!(any(field, 2).is_ok(), is_set, "{field:?}");
    }
}

#[test]
fn bytes_that_name_no_field_no_operator_or_no_truth_value_are_no_predicate() {
    let sound = when(0, Field::Amount, Operator::Ge, 1);
    let altered = |at: usize, byte: u8| {
        let mut bytes: [u8; 16] = bytemuck::cast(sound);
        bytes[at] = byte;
        with_condition(&[bytemuck::cast(bytes)])
    };
    // Field, operator and negated stand at 0, 1 and 3.
    for byte in 0..=u8::MAX {
        assert_eq!(altered(0, byte).is_ok(), (1..=13).contains(&byte) && byte != 6, "field {byte}");
        assert_eq!(altered(1, byte).is_ok(), (1..=6).contains(&byte), "operator {byte}");
        assert_eq!(altered(3, byte).is_ok(), byte <= 1, "negated {byte}");
    }
}

#[test]
fn fields_and_operators_keep_their_numbers_and_names() {
    let fields = Field::ALL.map(|field| (field as u8, field.name()));
    assert_eq!(
        fields,
        [
            (1, "amount"),
            (2, "product"),
            (3, "weekday"),
            (4, "payment_number"),
            (5, "hour"),
            (6, "date"),
            (7, "spend"),
            (8, "payments"),
            (9, "streak_days"),
            (10, "tier"),
            (11, "segments"),
            (12, "streamer"),
            (13, "session"),
        ]
    );
    let not_base: Vec<_> = Field::ALL.into_iter().filter(|field| !field.is_base()).collect();
    assert_eq!(not_base, [Field::Spend, Field::Payments, Field::StreakDays]);
    let operators = Operator::ALL.map(|operator| (operator as u8, operator.sign()));
    assert_eq!(operators, [(1, "=="), (2, "!="), (3, "<"), (4, "<="), (5, ">"), (6, ">="), (7, "any")]);
    for number in 0..=u8::MAX {
        assert_eq!(Field::from_number(number).map(|field| field as u8), (1..=13).contains(&number).then_some(number));
        let operator = Operator::from_number(number).map(|operator| operator as u8);
        assert_eq!(operator, (1..=7).contains(&number).then_some(number));
    }
}

#[test]
fn an_effect_grants_something_in_an_asset_that_can_be() {
    assert_eq!(with_effect(fixed(8, u64::MAX)), Ok(()));
    assert_eq!(with_effect(fixed(0, 1)), Err(InvalidRule::Asset));
    assert_eq!(with_effect(ratio(9, 1, 0, 0)), Err(InvalidRule::Asset));
    assert_eq!(with_effect(fixed(1, 0)), Err(InvalidRule::Effect));
    assert_eq!(with_effect(ratio(1, 1, 0, 0)), Ok(()));
    assert_eq!(with_effect(ratio(1, 0, 1, 0)), Ok(()), "a ratio of nothing still grants its minimum");
    assert_eq!(with_effect(ratio(1, 0, 0, 0)), Err(InvalidRule::Effect));
    assert_eq!(with_effect(ratio(1, 0, 0, 9)), Err(InvalidRule::Effect));
    assert_eq!(with_effect(ratio(1, 1, 9, 9)), Ok(()));
    assert_eq!(with_effect(ratio(1, 1, 10, 9)), Err(InvalidRule::Effect));
    assert_eq!(with_effect(ratio(1, 1, 10, 0)), Ok(()), "0 is no maximum");
    assert_eq!(with_effect(streak(1, 1, false)), Ok(()));
    assert_eq!(with_effect(streak(0, 1, true)), Err(InvalidRule::Effect));
    assert_eq!(with_effect(streak(1, 0, true)), Err(InvalidRule::Effect));
    assert_eq!(with_effect(multiplier(1, 10_001)), Ok(()));
    assert_eq!(with_effect(multiplier(1, u32::MAX)), Ok(()));
    assert_eq!(with_effect(multiplier(1, 10_000)), Err(InvalidRule::Effect), "the whole adds nothing");
    assert_eq!(with_effect(multiplier(9, 20_000)), Err(InvalidRule::Asset));
}

#[test]
fn tiers_have_one_to_eight_steps_that_ascend_and_one_of_them_is_worth_something() {
    for mode in TierMode::ALL {
        let checked = |steps: &[Step]| with_effect(tiers(mode, steps));
        let ladder: Vec<_> = (1..=9).map(|at| step(at, at)).collect();
        assert_eq!(checked(&[]), Err(InvalidRule::Effect), "{mode:?}");
        assert_eq!(checked(&ladder[..1]), Ok(()), "{mode:?}");
        assert_eq!(checked(&ladder[..MAX_STEPS]), Ok(()), "{mode:?}");
        assert_eq!(checked(&ladder), Err(InvalidRule::Effect), "{mode:?}");
        assert_eq!(checked(&[step(0, 0)]), Err(InvalidRule::Effect), "{mode:?}");
        assert_eq!(checked(&[step(0, 0), step(u64::MAX, 1)]), Ok(()), "{mode:?}");
        assert_eq!(checked(&[step(5, 1), step(5, 2)]), Err(InvalidRule::Effect), "{mode:?}");
        assert_eq!(checked(&[step(5, 1), step(9, 1), step(8, 2)]), Err(InvalidRule::Effect), "{mode:?}");
        let most = checked(&[step(0, u32::MAX.into())]);
        assert_eq!(most, Ok(()), "{mode:?}");
        let more = checked(&[step(0, 1), step(1, 1 << 32)]);
        assert_eq!(more.is_ok(), mode == TierMode::Fixed, "{mode:?}: basis points have 32 bits, amounts 64");
    }
    let other = Effect::Tiers { asset: AssetId(0), mode: TierMode::Fixed, steps: &[step(0, 1)] };
    assert_eq!(with_effect(other), Err(InvalidRule::Asset));
}

#[test]
fn at_most_everybody_is_held_out() {
    let held = |share| Definition { holdout: BasisPoints(share), ..SOUND }.check();
    assert_eq!((held(0), held(10_000)), (Ok(()), Ok(())));
    assert_eq!((held(10_001), held(u32::MAX)), (Err(InvalidRule::Holdout), Err(InvalidRule::Holdout)));
}

#[test]
fn what_is_no_rule_cannot_be_published() {
    let unnamed = Definition { name: "", ..SOUND };
    assert_eq!(Rule::new(&unnamed, NOON), Err(InvalidRule::Name));
}

#[test]
fn a_published_rule_says_what_its_definition_said() {
    let condition = [when(0, Field::Amount, Operator::Ge, 3_000), when(1, Field::Weekday, Operator::Any, 0b1100_0000)];
    let steps: Vec<_> = (1..=8).map(|at| step(at, at)).collect();
    for (effect, window, scope, on_limit) in [
        (fixed(2, 7), Window::Day, Scope::User, OnLimit::Clip),
        (ratio(8, 2_000, 3, 100_000), Window::Week, Scope::UserStreamer, OnLimit::Reject),
        (tiers(TierMode::Slab, &steps[..3]), Window::Month, Scope::UserSession, OnLimit::Clip),
        (tiers(TierMode::Marginal, &steps), Window::Lifetime, Scope::User, OnLimit::Reject),
        (streak(7, 5, true), Window::Schedule, Scope::User, OnLimit::Clip),
        (streak(8, 6, false), Window::Day, Scope::User, OnLimit::Clip),
        (multiplier(3, 15_000), Window::Day, Scope::User, OnLimit::Clip),
    ] {
        let limits = Limits { user_amount: Amount(1), user_count: 2, total_amount: Amount(3), total_count: 4 };
        let definition = Definition {
            id: RuleId(7),
            version: RuleVersion(3),
            name: "周末 bonus",
            priority: 20,
            starts_at: Timestamp(5),
            ends_at: Timestamp(9),
            group: GroupId(200),
            group_mode: GroupMode::Best,
            tags: Tags(0x8000_0001),
            excludes: Tags(0x4000_0002),
            condition: &condition,
            window,
            scope,
            effect,
            limits,
            on_limit,
            holdout: BasisPoints(10_000),
        };
        let rule = Rule::new(&definition, NOON).unwrap();
        assert_eq!((rule.id, rule.version, rule.priority), (RuleId(7), RuleVersion(3), 20));
        assert_eq!((rule.starts_at, rule.ends_at), (Timestamp(5), Timestamp(9)));
        assert_eq!((rule.effective_at, rule.superseded_at), (NOON, Timestamp(0)));
        assert_eq!((rule.group, rule.group_mode()), (GroupId(200), GroupMode::Best));
        assert_eq!((rule.tags, rule.excludes), (Tags(0x8000_0001), Tags(0x4000_0002)));
        assert_eq!((rule.name(), rule.condition()), ("周末 bonus", &condition[..]));
        assert_eq!((rule.window(), rule.scope()), (window, scope));
        assert_eq!((rule.effect(), rule.asset()), (Some(effect), effect.asset()));
        assert_eq!(rule.is_multiplier(), effect.kind() == EffectKind::Multiplier);
        assert_eq!((rule.limits, rule.on_limit(), rule.holdout()), (limits, on_limit, BasisPoints(10_000)));
        assert_eq!((rule.granted, rule.grants, rule.reversed), (Amount(0), 0, Amount(0)));
        assert_eq!((rule.budget_spent, rule.budget_grants), (Amount(0), 0));
        assert_eq!((rule.epoch, rule.has_siblings), (RuleVersion(3), 0));
    }
}

proptest! {
    #[test]
    fn any_sound_effect_and_condition_is_published_as_it_was_defined(reward in rewards(8), condition in conditions(12)) {
        let definition = Definition { condition: &condition, ..always(1, reward.effect()) };
        prop_assert_eq!(definition.check(), Ok(()));
        let rule = published(&definition);
        prop_assert_eq!((rule.effect(), rule.condition()), (Some(reward.effect()), &condition[..]));
        prop_assert_eq!(rule.asset(), reward.effect().asset());
    }
}

#[test]
fn limits_that_are_all_zero_are_none() {
    assert!(UNLIMITED.is_none());
    assert!(!per_user(1, 0).is_none() && !per_user(0, 1).is_none());
    assert!(!Limits { total_amount: Amount(1), ..UNLIMITED }.is_none());
    assert!(!Limits { total_count: 1, ..UNLIMITED }.is_none());
}

#[test]
fn group_modes_and_ways_at_limits_keep_their_numbers_and_names() {
    let modes = GroupMode::ALL.map(|mode| (mode as u8, mode.name()));
    assert_eq!(modes, [(1, "stackable"), (2, "first"), (3, "best")]);
    let ways = OnLimit::ALL.map(|way| (way as u8, way.name()));
    assert_eq!(ways, [(1, "clip"), (2, "reject")]);
    for number in 0..=u8::MAX {
        assert_eq!(GroupMode::from_number(number).map(|mode| mode as u8), (1..=3).contains(&number).then_some(number));
        assert_eq!(OnLimit::from_number(number).map(|way| way as u8), (1..=2).contains(&number).then_some(number));
    }
}

#[test]
fn a_rule_takes_560_bytes_on_chain() {
    assert_eq!((size_of::<Rule>(), size_of::<Predicate>(), size_of::<Step>()), (560, 16, 16));
}

#[test]
fn a_rule_lies_in_its_account_byte_by_byte() {
    let condition = [Predicate::new(0, true, Field::Spend, Operator::Gt, 0x2122_2324_2526_2728)];
    let effect = Effect::Streak { asset: AssetId(6), days: 0x0102_0304, amount: Amount(0x1112_1314), recurring: true };
    let mut rule = Rule::new(
        &Definition {
            id: RuleId(0x0102),
            version: RuleVersion(0x0304),
            name: "abc",
            priority: 0x0506,
            starts_at: Timestamp(3),
            ends_at: Timestamp(4),
            group: GroupId(7),
            group_mode: GroupMode::First,
            tags: Tags(0x3132_3334),
            excludes: Tags(0x4142_4344),
            condition: &condition,
            window: Window::Month,
            scope: Scope::UserSession,
            effect,
            limits: Limits { user_amount: Amount(5), user_count: 6, total_amount: Amount(7), total_count: 8 },
            on_limit: OnLimit::Reject,
            holdout: BasisPoints(0x0708),
        },
        Timestamp(1),
    )
    .unwrap();
    (rule.superseded_at, rule.has_siblings) = (Timestamp(2), 1);
    (rule.granted, rule.grants, rule.reversed) = (Amount(9), 10, Amount(11));
    (rule.budget_spent, rule.budget_grants) = (Amount(12), 13);
    let bytes: [u8; 560] = bytemuck::cast(rule);
    let mut expected = vec![2, 1, 4, 3, 6, 5, 7, 2, 4, 6, 3, 3, 2, 1, 0, 1, 3, 1, 1, 0, 8, 7, 4, 3];
    expected.extend([0x34, 0x33, 0x32, 0x31, 0x44, 0x43, 0x42, 0x41]);
    for moment in 1..=4i64 {
        expected.extend(moment.to_le_bytes());
    }
    for limit in 5..=8u64 {
        expected.extend(limit.to_le_bytes());
    }
    expected.extend([0, 0, 0, 0, 4, 3, 2, 1]);
    expected.extend(0x1112_1314u64.to_le_bytes());
    expected.extend([0; 8]);
    expected.extend([0; 8 * 16]);
    expected.extend([7, 5, 0, 1, 0, 0, 0, 0, 0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21]);
    expected.extend([0; 11 * 16]);
    expected.extend(b"abc");
    expected.extend([0; 29]);
    for total in 9..=13u64 {
        expected.extend(total.to_le_bytes());
    }
    expected.extend([0; 48]);
    assert_eq!(bytes[..], expected[..]);
}

#[test]
fn steps_and_the_shares_of_ratios_lie_in_their_places() {
    let bytes: [u8; 560] = bytemuck::cast(published(&always(1, ratio(1, 0x0102_0304, 5, 6))));
    assert_eq!(bytes[8..10], [2, 1], "the effect's kind and asset");
    assert_eq!(bytes[96..100], [4, 3, 2, 1]);
    assert_eq!((bytes[104], bytes[112]), (5, 6));
    let bytes: [u8; 560] = bytemuck::cast(published(&always(1, tiers(TierMode::Marginal, &[step(7, 8), step(9, 10)]))));
    assert_eq!(bytes[13..15], [3, 2], "the mode, and how many steps");
    assert_eq!([bytes[120], bytes[128], bytes[136], bytes[144]], [7, 8, 9, 10]);
    assert_eq!(bytes[248 + 16..440], [0; 11 * 16]);
}

#[test]
fn rules_stand_by_priority_then_id_then_version() {
    let rule = |priority, id, version| {
        published(&Definition { priority, version: RuleVersion(version), ..always(id, fixed(1, 1)) })
    };
    let in_order = [rule(1, 9, 1), rule(2, 1, 8), rule(2, 2, 1), rule(2, 2, 2), rule(3, 1, 1)];
    assert!(in_order.is_sorted_by_key(Rule::order));
    assert!(in_order.windows(2).all(|pair| pair[0].order() < pair[1].order()));
}

#[test]
fn a_rule_is_in_force_from_its_first_second_until_before_its_last() {
    let scheduled = published(&Definition { starts_at: Timestamp(100), ends_at: Timestamp(200), ..SOUND });
    for (paid_at, expected) in
        [(99, false), (100, true), (199, true), (200, false), (i64::MIN, false), (i64::MAX, false)]
    {
        assert_eq!(scheduled.in_force(Timestamp(paid_at)), expected, "{paid_at}");
    }
    let open = published(&SOUND);
    for paid_at in [i64::MIN, -1, 0, 1, i64::MAX] {
        assert!(open.in_force(Timestamp(paid_at)), "{paid_at}");
    }
}

#[test]
fn at_every_second_one_of_two_succeeding_versions_is_in_force() {
    let mut first = published(&SOUND);
    first.superseded_at = Timestamp(150);
    let second = Rule::new(&Definition { version: RuleVersion(2), ..SOUND }, Timestamp(150)).unwrap();
    for paid_at in [i64::MIN, 149, 150, 151, i64::MAX].map(Timestamp) {
        assert_ne!(first.in_force(paid_at), second.in_force(paid_at), "{paid_at}");
    }
    assert!(first.in_force(Timestamp(149)) && second.in_force(Timestamp(150)));
}

proptest! {
    #[test]
    fn a_rule_is_in_force_within_each_of_its_bounds_that_is_not_open(
        starts_at in option::of(1..100i64),
        length in option::of(1..100i64),
        effective_at in option::of(1..100i64),
        superseded_at in option::of(1..200i64),
        paid_at in -10..300i64,
    ) {
        let ends_at = length.map(|length| starts_at.unwrap_or(0) + length);
        let at = |moment: Option<i64>| Timestamp(moment.unwrap_or(0));
        let definition = Definition { starts_at: at(starts_at), ends_at: at(ends_at), ..SOUND };
        let mut rule = Rule::new(&definition, at(effective_at)).unwrap();
        rule.superseded_at = at(superseded_at);
        let begun = starts_at.is_none_or(|start| paid_at >= start) && effective_at.is_none_or(|from| paid_at >= from);
        let over = ends_at.is_some_and(|end| paid_at >= end) || superseded_at.is_some_and(|end| paid_at >= end);
        prop_assert_eq!(rule.in_force(Timestamp(paid_at)), begun && !over);
    }
}

#[test]
fn a_name_that_is_no_utf_8_reads_as_none() {
    assert_eq!(published(&SOUND).name(), "a rule");
    let mut bytes: [u8; 560] = bytemuck::cast(published(&SOUND));
    let name = bytes.windows(6).position(|window| window == b"a rule").unwrap();
    bytes[name] = 0xff;
    let rule: Rule = bytemuck::cast(bytes);
    assert_eq!(rule.name(), "");
    assert_eq!(rule.asset(), AssetId(1), "and the rest still reads");
}
