//! Which definitions are rules, and when a rule is in force.

use crate::given::{NOON, always, fixed, published, ratio};
use proptest::{option, prelude::*};
use rebate_core::{
    rule::{Definition, Effect, Field, InvalidRule, MAX_NAME, MAX_PREDICATES, Operator, Predicate, Rule},
    units::{Amount, AssetId, RuleId, RuleVersion, Timestamp},
};

const SOUND: Definition<'static> = always(1, fixed(1, 1_000));

fn when(clause: u8, field: Field, operator: Operator, value: u64) -> Predicate {
    Predicate::new(clause, false, field, operator, value)
}

fn with_condition(condition: &[Predicate]) -> Result<(), InvalidRule> {
    Definition { condition, ..SOUND }.check()
}

fn with_effect(effect: Effect) -> Result<(), InvalidRule> {
    Definition { effect, ..SOUND }.check()
}

#[test]
fn a_name_has_one_to_thirty_two_bytes() {
    let name = |name: &str| Definition { name, ..SOUND }.check();
    assert_eq!(name("x"), Ok(()));
    assert_eq!(name(""), Err(InvalidRule::Name));
    assert_eq!(name(&"x".repeat(MAX_NAME)), Ok(()));
    assert_eq!(name(&"x".repeat(MAX_NAME + 1)), Err(InvalidRule::Name));
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
fn only_the_weekday_is_a_bit_set_and_its_bits_are_one_to_seven() {
    let days = |value| with_condition(&[when(0, Field::Weekday, Operator::Any, value)]);
    for value in 0..=1_024u64 {
        let sound = value != 0 && value & 1 == 0 && value < 256;
        assert_eq!(days(value).is_ok(), sound, "{value:#b}");
    }
    assert_eq!(days(1 << 63), Err(InvalidRule::Predicate));
    for field in [Field::Amount, Field::Product, Field::PaymentNumber] {
        assert_eq!(with_condition(&[when(0, field, Operator::Any, 2)]), Err(InvalidRule::Predicate), "{field:?}");
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
        assert_eq!(altered(0, byte).is_ok(), (1..=4).contains(&byte), "field {byte}");
        assert_eq!(altered(1, byte).is_ok(), (1..=6).contains(&byte), "operator {byte}");
        assert_eq!(altered(3, byte).is_ok(), byte <= 1, "negated {byte}");
    }
}

#[test]
fn fields_and_operators_keep_their_numbers_and_names() {
    let fields = Field::ALL.map(|field| (field as u8, field.name()));
    assert_eq!(fields, [(1, "amount"), (2, "product"), (3, "weekday"), (4, "payment_number")]);
    let operators = Operator::ALL.map(|operator| (operator as u8, operator.sign()));
    assert_eq!(operators, [(1, "=="), (2, "!="), (3, "<"), (4, "<="), (5, ">"), (6, ">="), (7, "any")]);
    for number in 0..=u8::MAX {
        assert_eq!(Field::from_number(number).map(|field| field as u8), (1..=4).contains(&number).then_some(number));
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
}

#[test]
fn what_is_no_rule_cannot_be_published() {
    let unnamed = Definition { name: "", ..SOUND };
    assert_eq!(Rule::new(&unnamed, NOON), Err(InvalidRule::Name));
}

#[test]
fn a_published_rule_says_what_its_definition_said() {
    let condition = [when(0, Field::Amount, Operator::Ge, 3_000), when(1, Field::Weekday, Operator::Any, 0b1100_0000)];
    for effect in [fixed(2, 7), ratio(8, 2_000, 3, 100_000)] {
        let definition = Definition {
            id: RuleId(7),
            version: RuleVersion(3),
            name: "周末 bonus",
            priority: 20,
            starts_at: Timestamp(5),
            ends_at: Timestamp(9),
            condition: &condition,
            effect,
        };
        let rule = Rule::new(&definition, NOON).unwrap();
        assert_eq!((rule.id, rule.version, rule.priority), (RuleId(7), RuleVersion(3), 20));
        assert_eq!((rule.starts_at, rule.ends_at), (Timestamp(5), Timestamp(9)));
        assert_eq!((rule.effective_at, rule.superseded_at), (NOON, Timestamp(0)));
        assert_eq!((rule.name(), rule.condition()), ("周末 bonus", &condition[..]));
        assert_eq!((rule.effect(), rule.asset()), (Some(effect), effect.asset()));
        assert_eq!((rule.granted, rule.grants), (Amount(0), 0));
    }
}

#[test]
fn a_rule_takes_360_bytes_on_chain() {
    assert_eq!((size_of::<Rule>(), size_of::<Predicate>()), (360, 16));
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
    let mut bytes: [u8; 360] = bytemuck::cast(published(&SOUND));
    let name = bytes.windows(6).position(|window| window == b"a rule").unwrap();
    bytes[name] = 0xff;
    let rule: Rule = bytemuck::cast(bytes);
    assert_eq!(rule.name(), "");
    assert_eq!(rule.asset(), AssetId(1), "and the rest still reads");
}
