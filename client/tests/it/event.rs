//! Events: one encoding each, and nothing else is read.

mod drawn;

use self::drawn::{KINDS, events, one_of_each};
use crate::given::definition;
use proptest::prelude::*;
use rebate_client::event::{
    AssetEntry, DecodeError, EffectEntry, Event, OracleKeyRegistered, PauseChanged, PlatformCreated, RulePublished,
};
use solana_program::hash::hash;
use std::collections::HashSet;

proptest! {
    // Each case is one event of each kind.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_event_of_any_kind_is_read_as_it_was_written_and_written_as_it_was_read(all in one_of_each()) {
        for event in all {
            let bytes = event.encode().unwrap();
            let read = Event::decode(&bytes);
            prop_assert_eq!(read.as_ref(), Ok(&event));
            prop_assert_eq!(read.unwrap().encode().unwrap(), bytes);
        }
    }

    #[test]
    fn every_cut_of_an_event_of_any_kind_is_refused(all in one_of_each()) {
        for event in all {
            let bytes = event.encode().unwrap();
            for length in 0..bytes.len() {
                let refused = Event::decode(&bytes[..length]);
                let expected = if length < 8 { "event" } else { event.name() };
                prop_assert!(
                    matches!(&refused, Err(DecodeError::Malformed { name, .. }) if *name == expected),
                    "{} bytes: {:?}", length, refused
                );
            }
        }
    }

    #[test]
    fn every_kind_of_event_has_a_name_of_its_own_and_begins_with_anchors_discriminator_of_it(all in one_of_each()) {
        let names: HashSet<_> = all.iter().map(Event::name).collect();
        prop_assert_eq!(names.len(), KINDS);
        for event in all {
            let digest = hash(format!("event:{}", event.name()).as_bytes()).to_bytes();
            prop_assert_eq!(&event.encode().unwrap()[..8], &digest[..8], "{}", event.name());
        }
    }

    #[test]
    fn an_event_of_any_kind_says_whose_it_is_and_where_it_stands(all in one_of_each()) {
        for event in all {
            // Every event begins with these three, behind the discriminator.
            let bytes = event.encode().unwrap();
            prop_assert_eq!(&event.journal_index().to_le_bytes()[..], &bytes[8..16]);
            prop_assert_eq!(&event.at().to_le_bytes()[..], &bytes[16..24]);
            prop_assert_eq!(&event.platform()[..], &bytes[24..56]);
        }
    }

    #[test]
    fn trailing_bytes_are_refused(all in one_of_each(), more in prop::collection::vec(any::<u8>(), 1..40)) {
        for event in all {
            let bytes = [event.encode().unwrap(), more.clone()].concat();
            let refused = Event::decode(&bytes);
            prop_assert!(
                matches!(refused, Err(DecodeError::Malformed { name, .. }) if name == event.name()),
                "{:?}", refused
            );
        }
    }
}

proptest! {
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
    fn bytes_of_one_kind_under_the_name_of_another_are_never_taken_for_what_they_were(
        all in one_of_each(), one: prop::sample::Index, other: prop::sample::Index,
    ) {
        let (one, other) = (&all[one.index(KINDS)], &all[other.index(KINDS)]);
        prop_assume!(one.name() != other.name());
        let bytes = [&other.encode().unwrap()[..8], &one.encode().unwrap()[8..]].concat();
        if let Ok(read) = Event::decode(&bytes) {
            prop_assert_eq!(read.name(), other.name());
            prop_assert_eq!(read.encode().unwrap(), bytes);
        }
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
        page_slots: 0,
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
    for number in 2..=u8::MAX {
        bytes[56] = number;
        assert!(matches!(Event::decode(&bytes), Err(DecodeError::Malformed { name: "PauseChanged", .. })), "{number}");
    }

    let rule = definition(EffectEntry::Fixed { asset: 1, amount: 1 });
    let published = RulePublished { journal_index: 0, at: 0, platform: [0; 32], effective_at: 0, rule };
    let mut bytes = Event::RulePublished(published).encode().unwrap();
    // Behind the effect's number, its asset and its amount stand the limits, 33 bytes, and the holdout, 2.
    let effect = bytes.len() - 35 - 10;
    assert_eq!(bytes[effect..effect + 10], [0, 1, 1, 0, 0, 0, 0, 0, 0, 0]);
    for number in 5..=u8::MAX {
        bytes[effect] = number;
        let refused = Event::decode(&bytes).unwrap_err().to_string();
        assert!(refused.starts_with("malformed event RulePublished: "), "{refused}");
        assert!(refused.ends_with("; the program is newer than this software, or the node altered it"), "{refused}");
    }
}

#[test]
fn an_unknown_event_says_to_update() {
    let refused = Event::decode(&[1, 2, 3, 4, 5, 6, 7, 8, 9]).unwrap_err().to_string();
    assert_eq!(
        refused,
        "unknown event [01, 02, 03, 04, 05, 06, 07, 08]: the program is newer than this software; update it"
    );
}

#[test]
fn an_assets_name_is_read_without_its_padding() {
    let asset = |name| AssetEntry { name, kind: 1, expiry_months: 0, mint: [0; 32] };
    let mut name = [0; 16];
    name[..6].copy_from_slice("金币".as_bytes());
    assert_eq!(asset(name).name(), "金币");
    assert_eq!(asset([b'x'; 16]).name(), "x".repeat(16));
    assert_eq!(asset([0xff; 16]).name(), "\u{fffd}".repeat(16), "whatever the bytes are");
    assert_eq!(asset([0; 16]).name(), "");
}
