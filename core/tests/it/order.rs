//! Order pages, against a set from the standard library.

use proptest::prelude::*;
use rebate_core::{
    order::{Fingerprint, Place, find, page_limit, shard, take},
    units::OrderHash,
};
use std::collections::HashSet;

/// An order whose first eight bytes are `first`.
fn order(first: u64) -> OrderHash {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&first.to_le_bytes());
    OrderHash(hash)
}

fn look(slots: &[u64], taken: usize, first: u64) -> Place {
    find(slots, taken, Fingerprint::of(&order(first)))
}

/// A page as the program keeps it.
struct Page {
    slots: Vec<u64>,
    taken: usize,
}

impl Page {
    fn of(slots: usize) -> Self {
        Self { slots: vec![0; slots], taken: 0 }
    }

    /// Takes an order where it can be taken.
    fn offer(&mut self, first: u64) -> Place {
        let fingerprint = Fingerprint::of(&order(first));
        let place = find(&self.slots, self.taken, fingerprint);
        if let Place::Free(slot) = place {
            assert_eq!(self.slots[slot], 0, "a free slot is empty");
            take(&mut self.slots, slot, fingerprint);
            self.taken += 1;
        }
        place
    }
}

/// Orders that often begin at the same slot, and often are the same.
fn orders() -> impl Strategy<Value = Vec<u64>> {
    let order = prop_oneof![1..40u64, (0..6u64).prop_map(|low| u64::MAX - low), (1..5u64).prop_map(|high| high << 32)];
    prop::collection::vec(order, 0..150)
}

proptest! {
    #[test]
    fn a_page_is_a_set_until_it_is_full_and_never_loses_an_order(slots in 8..=64usize, orders in orders()) {
        let mut page = Page::of(slots);
        let mut set = HashSet::new();
        for order in orders {
            let place = page.offer(order);
            if set.contains(&order) {
                prop_assert_eq!(place, Place::Taken);
            } else if set.len() == page_limit(slots) {
                prop_assert_eq!(place, Place::Full);
            } else {
                prop_assert!(matches!(place, Place::Free(_)), "{:?}", place);
                set.insert(order);
            }
            prop_assert_eq!(page.taken, set.len());
            for taken in &set {
                prop_assert_eq!(look(&page.slots, page.taken, *taken), Place::Taken, "{} was lost", taken);
            }
        }
    }

    #[test]
    fn an_order_that_was_not_taken_is_never_said_to_be(slots in 8..=64usize, orders in orders(), other in 41..u64::MAX - 6) {
        let mut page = Page::of(slots);
        for order in orders {
            page.offer(order);
        }
        prop_assume!(!page.slots.contains(&other));
        prop_assert_ne!(look(&page.slots, page.taken, other), Place::Taken);
    }
}

#[test]
fn a_page_is_full_at_seven_eighths() {
    for (slots, limit) in [(0, 0), (1, 0), (2, 1), (7, 6), (8, 7), (9, 7), (16, 14), (17, 14), (64, 56), (1_024, 896)] {
        assert_eq!(page_limit(slots), limit, "{slots} slots");
    }
    let mut page = Page::of(16);
    for order in 1..=14 {
        assert!(matches!(page.offer(order), Place::Free(_)), "order {order}");
    }
    assert_eq!(page.offer(15), Place::Full);
    assert_eq!(page.offer(14), Place::Taken, "a full page still knows its orders");
    assert_eq!(page.taken, 14);
}

#[test]
fn a_lookup_goes_on_at_the_first_slot_behind_the_last() {
    let mut page = Page::of(8);
    assert_eq!(page.offer(7), Place::Free(7));
    assert_eq!(page.offer(15), Place::Free(0), "both begin at slot 7");
    assert_eq!(page.offer(23), Place::Free(1));
    assert_eq!(page.offer(8), Place::Free(2), "slots 0 and 1 are taken");
    for order in [7, 15, 23, 8] {
        assert_eq!(page.offer(order), Place::Taken, "order {order}");
    }
    assert_eq!(page.slots, [15, 23, 8, 0, 0, 0, 0, 7]);
}

#[test]
fn a_page_without_an_empty_slot_still_answers() {
    // The program never fills one; a slot more or less must not make it search for ever.
    let slots = [1, 2, 3, 4, 5, 6, 7, 8];
    assert_eq!(look(&slots, 8, 4), Place::Taken);
    assert_eq!(look(&slots, 8, 9), Place::Full);
    assert_eq!(look(&slots, 0, 9), Place::Full, "even if it is said to hold none");
    assert_eq!(look(&[], 0, 9), Place::Full);
}

#[test]
fn the_fingerprint_is_the_hashs_first_eight_bytes_and_never_that_of_an_empty_slot() {
    let mut hash = [0xff; 32];
    hash[..8].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
    let mut slots = [0; 8];
    take(&mut slots, 3, Fingerprint::of(&OrderHash(hash)));
    assert_eq!(slots, [0, 0, 0, 0x0807_0605_0403_0201, 0, 0, 0, 0]);

    assert_eq!(Fingerprint::of(&order(0)), Fingerprint::of(&order(1)), "0 stands for an empty slot");
    let mut page = Page::of(8);
    assert!(matches!(page.offer(0), Place::Free(_)));
    assert_eq!(page.offer(0), Place::Taken);
}

#[test]
fn the_shard_is_bytes_eight_and_nine_modulo_the_number_of_shards() {
    let mut hash = [0xff; 32];
    hash[8..10].copy_from_slice(&[0x34, 0x12]);
    let order = OrderHash(hash);
    for (shards, expected) in [(0, 0), (1, 0), (2, 0), (7, 0x1234 % 7), (0x1234, 0), (u16::MAX, 0x1234)] {
        assert_eq!(shard(&order, shards), expected, "{shards} shards");
    }
}
