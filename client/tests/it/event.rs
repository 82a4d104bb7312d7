//! Events: one encoding each, and nothing else is read.

use proptest::prelude::*;
use rebate_client::event::{
    AssetEntry, DecodeError, EffectEntry, Event, OffsetEntry, OracleKeyRegistered, OutcomeEntry, PauseChanged,
    PaymentRecorded, PlatformCreated, PredicateEntry, RuleDefinition, RulePublished,
};
use rebate_core::rule::{Field, InvalidRule, Operator, Predicate};

fn offsets() -> impl Strategy<Value = OffsetEntry> {
    (any::<i64>(), any::<i32>()).prop_map(|(from, seconds)| OffsetEntry { from, seconds })
}

fn assets() -> impl Strategy<Value = AssetEntry> {
    (any::<[u8; 16]>(), any::<u8>()).prop_map(|(name, kind)| AssetEntry { name, kind })
}

fn definitions() -> impl Strategy<Value = RuleDefinition> {
    let predicate = (any::<u8>(), any::<bool>(), any::<u8>(), any::<u8>(), any::<u64>()).prop_map(
        |(clause, negated, field, operator, value)| PredicateEntry { clause, negated, field, operator, value },
    );
    let effect =
        prop_oneof![
            (any::<u8>(), any::<u64>()).prop_map(|(asset, amount)| EffectEntry::Fixed { asset, amount }),
            (any::<u8>(), any::<u32>(), any::<u64>(), any::<u64>())
                .prop_map(|(asset, bps, min, max)| EffectEntry::Ratio { asset, bps, min, max }),
        ];
    (
        (any::<u16>(), any::<u16>(), ".{0,12}", any::<u16>(), any::<i64>(), any::<i64>()),
        prop::collection::vec(predicate, 0..4),
        effect,
    )
        .prop_map(|((id, version, name, priority, starts_at, ends_at), condition, effect)| RuleDefinition {
            id,
            version,
            name,
            priority,
            starts_at,
            ends_at,
            condition,
            effect,
        })
}

fn outcomes() -> impl Strategy<Value = OutcomeEntry> {
    (any::<[u16; 2]>(), any::<[u8; 3]>(), any::<[u64; 3]>()).prop_map(
        |([rule, version], [reason, clause, asset], [amount, before, after])| OutcomeEntry {
            rule,
            version,
            reason,
            clause,
            asset,
            amount,
            before,
            after,
        },
    )
}

fn events() -> impl Strategy<Value = Event> {
    let head = || (any::<u64>(), any::<i64>(), any::<[u8; 32]>());
    prop_oneof![
        (
            head(),
            (any::<u64>(), any::<[[u8; 32]; 2]>(), any::<[u32; 2]>(), any::<u16>()),
            prop::collection::vec(offsets(), 0..3),
            prop::collection::vec(assets(), 0..3),
        )
            .prop_map(|((journal_index, at, platform), (id, keys, spans, order_shards), offsets, assets)| {
                Event::PlatformCreated(PlatformCreated {
                    journal_index,
                    at,
                    platform,
                    id,
                    admin: keys[0],
                    pauser: keys[1],
                    max_lateness: spans[0],
                    timelock: spans[1],
                    order_shards,
                    offsets,
                    assets,
                })
            }),
        (head(), any::<[u8; 32]>(), any::<[i64; 2]>()).prop_map(
            |((journal_index, at, platform), key, [valid_from, valid_until])| Event::OracleKeyRegistered(
                OracleKeyRegistered { journal_index, at, platform, key, valid_from, valid_until }
            )
        ),
        (head(), any::<i64>(), definitions()).prop_map(|((journal_index, at, platform), effective_at, rule)| {
            Event::RulePublished(RulePublished { journal_index, at, platform, effective_at, rule })
        }),
        (head(), any::<bool>(), any::<[u8; 32]>()).prop_map(|((journal_index, at, platform), paused, by)| {
            Event::PauseChanged(PauseChanged { journal_index, at, platform, paused, by })
        }),
        (
            head(),
            any::<[[u8; 32]; 3]>(),
            (any::<u64>(), any::<i64>(), any::<u16>(), any::<[u64; 3]>(), any::<u8>(), any::<u32>()),
            prop::collection::vec(outcomes(), 0..4),
        )
            .prop_map(|((journal_index, at, platform), keys, payment, outcomes)| {
                let (amount, paid_at, product, [streamer, session, number], tier, segments) = payment;
                Event::PaymentRecorded(PaymentRecorded {
                    journal_index,
                    at,
                    platform,
                    oracle: keys[0],
                    order: keys[1],
                    user: keys[2],
                    amount,
                    paid_at,
                    product,
                    streamer,
                    session,
                    tier,
                    segments,
                    number,
                    outcomes,
                })
            }),
    ]
}

proptest! {
    #[test]
    fn what_was_written_is_what_is_read(event in events()) {
        prop_assert_eq!(Event::decode(&event.encode().unwrap()), Ok(event));
    }

    #[test]
    fn every_truncation_is_refused(event in events()) {
        let bytes = event.encode().unwrap();
        for length in 0..bytes.len() {
            let refused = Event::decode(&bytes[..length]);
            prop_assert!(matches!(refused, Err(DecodeError::Malformed { .. })), "{} bytes: {:?}", length, refused);
        }
    }

    #[test]
    fn trailing_bytes_are_refused(event in events(), more in prop::collection::vec(any::<u8>(), 1..40)) {
        let bytes = [event.encode().unwrap(), more].concat();
        let refused = Event::decode(&bytes);
        prop_assert!(
            matches!(refused, Err(DecodeError::Malformed { name, .. }) if name == event.name()),
            "{:?}", refused
        );
    }

    #[test]
    fn a_discriminator_that_names_no_event_is_refused_by_itself(event in events(), head: [u8; 8]) {
        let mut bytes = event.encode().unwrap();
        prop_assume!(head != bytes[..8]);
        bytes[..8].copy_from_slice(&head);
        // That eight random bytes are another event's is as likely as guessing one.
        prop_assert_eq!(Event::decode(&bytes), Err(DecodeError::UnknownEvent { discriminator: head }));
    }

    #[test]
    fn bytes_that_are_read_at_all_are_the_one_encoding_of_what_they_say(
        event in events(), at: prop::sample::Index, bit in 0..8u8,
    ) {
        let mut bytes = event.encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(other) = Event::decode(&bytes) {
            prop_assert_ne!(&other, &event);
            prop_assert_eq!(other.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn every_event_says_whose_it_is_and_where_it_stands(event in events()) {
        // Every event begins with these three, behind the discriminator.
        let bytes = event.encode().unwrap();
        prop_assert_eq!(&event.journal_index().to_le_bytes()[..], &bytes[8..16]);
        prop_assert_eq!(&event.at().to_le_bytes()[..], &bytes[16..24]);
        prop_assert_eq!(&event.platform()[..], &bytes[24..56]);
    }
}

#[test]
fn discriminators_are_those_of_anchor() {
    // The first eight bytes of SHA-256 of `event:Name`, as `sha256sum` says them.
    for (event, discriminator) in [
        (
            Event::PauseChanged(PauseChanged { journal_index: 0, at: 0, platform: [0; 32], paused: true, by: [0; 32] }),
            [0xee, 0xbc, 0xd5, 0x4e, 0x86, 0xd1, 0xb2, 0xda],
        ),
        (
            Event::OracleKeyRegistered(OracleKeyRegistered {
                journal_index: 0,
                at: 0,
                platform: [0; 32],
                key: [0; 32],
                valid_from: 0,
                valid_until: 0,
            }),
            [0x38, 0xde, 0xb9, 0xf0, 0xa1, 0x5b, 0xb7, 0xe8],
        ),
    ] {
        assert_eq!(event.encode().unwrap()[..8], discriminator, "{}", event.name());
    }
}

#[test]
fn a_list_that_claims_to_be_endless_is_refused_at_once() {
    let created = Event::PlatformCreated(PlatformCreated {
        journal_index: 0,
        at: 0,
        platform: [0; 32],
        id: 0,
        admin: [0; 32],
        pauser: [0; 32],
        max_lateness: 0,
        timelock: 0,
        order_shards: 0,
        offsets: Vec::new(),
        assets: Vec::new(),
    });
    let mut bytes = created.encode().unwrap();
    // Both lists are empty: the last eight bytes are their lengths.
    let length = bytes.len() - 4;
    bytes[length..].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(Event::decode(&bytes), Err(DecodeError::Malformed { name: "PlatformCreated", .. })));
}

#[test]
fn a_truth_value_or_an_effect_of_another_number_is_malformed() {
    let paused = PauseChanged { journal_index: 0, at: 0, platform: [0; 32], paused: true, by: [0; 32] };
    let mut bytes = Event::PauseChanged(paused).encode().unwrap();
    bytes[56] = 2;
    assert!(matches!(Event::decode(&bytes), Err(DecodeError::Malformed { name: "PauseChanged", .. })));

    let rule = definition(vec![]);
    let published = RulePublished { journal_index: 0, at: 0, platform: [0; 32], effective_at: 0, rule };
    let mut bytes = Event::RulePublished(published).encode().unwrap();
    // The effect comes last: its number, the asset, the amount.
    let effect = bytes.len() - 10;
    bytes[effect] = 2;
    let refused = Event::decode(&bytes).unwrap_err().to_string();
    assert!(refused.starts_with("malformed event RulePublished: "), "{refused}");
    assert!(refused.ends_with("; the program is newer than this software, or the node altered it"), "{refused}");
}

#[test]
fn an_unknown_event_says_to_update() {
    let refused = Event::decode(&[1, 2, 3, 4, 5, 6, 7, 8, 9]).unwrap_err().to_string();
    assert_eq!(
        refused,
        "unknown event [01, 02, 03, 04, 05, 06, 07, 08]: the program is newer than this software; update it"
    );
}

fn definition(condition: Vec<PredicateEntry>) -> RuleDefinition {
    RuleDefinition {
        id: 1,
        version: 1,
        name: "a rule".to_owned(),
        priority: 0,
        starts_at: 0,
        ends_at: 0,
        condition,
        effect: EffectEntry::Fixed { asset: 1, amount: 1 },
    }
}

#[test]
fn a_definition_is_checked_as_the_program_checks_it() {
    assert_eq!(definition(vec![]).check(), Ok(()));
    let predicate = Predicate::new(0, true, Field::Weekday, Operator::Any, 0b110);
    let sound = definition(vec![predicate.into()]);
    assert_eq!(sound.check(), Ok(()));
    assert_eq!(sound.predicates(), Ok(vec![predicate]), "and back again");

    let asset_nine = EffectEntry::Fixed { asset: 9, amount: 1 };
    assert_eq!(RuleDefinition { effect: asset_nine, ..definition(vec![]) }.check(), Err(InvalidRule::Asset));
    for (field, operator) in [(0, 1), (99, 1), (1, 0), (1, 99)] {
        let unknown = PredicateEntry { clause: 0, negated: false, field, operator, value: 1 };
        assert_eq!(definition(vec![unknown]).check(), Err(InvalidRule::Predicate), "{unknown:?}");
    }
}

#[test]
fn an_assets_name_is_read_without_its_padding() {
    let mut name = [0; 16];
    name[..6].copy_from_slice("金币".as_bytes());
    assert_eq!(AssetEntry { name, kind: 1 }.name(), "金币");
    assert_eq!(AssetEntry { name: [b'x'; 16], kind: 1 }.name(), "x".repeat(16));
    assert_eq!(AssetEntry { name: [0xff; 16], kind: 1 }.name(), "\u{fffd}".repeat(16), "whatever the bytes are");
}
