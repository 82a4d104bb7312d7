//! Proofs of events, checked by what the program checks them with.

use proptest::prelude::*;
use rebate_client::{
    Pubkey,
    address::Addresses,
    instruction,
    proof::{JournalTree, leads_to_peak, transactions},
    recorder::LEGACY_TRANSACTION,
};
use rebate_core::{
    journal::{Climb, Hash, MAX_PEAKS, append, leaf},
    units::{JournalIndex, OrderHash},
};
use solana_message::Message;

/// The canonical bytes of the event at a position; any bytes will do.
fn event(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(1 + number as usize % 5)
}

/// A journal as the program keeps it, and the tree over the same events.
struct Journal {
    count: u64,
    peaks: [Hash; MAX_PEAKS],
    tree: JournalTree,
}

impl Journal {
    fn of(count: u64) -> Self {
        let mut journal = Self { count: 0, peaks: [[0xee; 32]; MAX_PEAKS], tree: JournalTree::default() };
        (0..count).for_each(|_| journal.grow());
        journal
    }

    fn grow(&mut self) {
        let event = event(self.count);
        append(&mut self.count, &mut self.peaks, leaf(&event)).unwrap();
        self.tree.push(event);
    }

    fn path(&self, index: u64) -> Vec<Hash> {
        self.tree.path_to_peak(JournalIndex(index)).unwrap()
    }

    fn proves(&self, index: u64, event: &[u8], path: &[Hash]) -> bool {
        leads_to_peak(JournalIndex(index), event, path, self.count, &self.peaks)
    }
}

#[test]
fn every_path_of_every_journal_of_up_to_three_hundred_events_leads_to_a_peak_and_from_no_other_event() {
    let mut journal = Journal::of(0);
    while journal.count < 300 {
        journal.grow();
        let count = journal.count;
        assert_eq!(journal.tree.len(), count);
        for index in 0..count {
            let path = journal.path(index);
            assert!(journal.proves(index, &event(index), &path), "event {index} of {count}");
            let mut climb = Climb::new(JournalIndex(index), leaf(&event(index)));
            for node in &path {
                assert!(!climb.is_at_peak(count, &journal.peaks), "event {index} of {count}: no node too many");
                climb.step(node).unwrap();
            }
            assert!(climb.is_at_peak(count, &journal.peaks), "event {index} of {count}");
            assert_eq!(usize::from(climb.height), path.len());
            // The neighbour, and one far away.
            for other in [index ^ 1, (index + count / 2) % count].into_iter().filter(|other| *other != index) {
                assert!(!journal.proves(index, &event(other), &path), "event {other} at {index} of {count}");
                assert!(!journal.proves(other, &event(index), &path), "event {index} at {other} of {count}");
            }
        }
    }
}

#[test]
fn in_small_journals_no_path_leads_from_any_other_event_or_position() {
    for count in 1..=24 {
        let journal = Journal::of(count);
        for index in 0..count {
            let path = journal.path(index);
            for (at, of) in (0..count + 8).flat_map(|at| (0..count + 8).map(move |of| (at, of))) {
                let honest = at == index && of == index;
                assert_eq!(journal.proves(at, &event(of), &path), honest, "event {of} at {at} by {index} of {count}");
            }
        }
    }
}

#[test]
fn there_is_no_path_from_an_event_that_is_not_there() {
    let empty = JournalTree::default();
    assert!(empty.is_empty());
    assert_eq!((empty.len(), empty.path_to_peak(JournalIndex(0)), empty.event(JournalIndex(0))), (0, None, None));
    for count in [1, 2, 3, 7, 8, 100] {
        let journal = Journal::of(count);
        assert!(!journal.tree.is_empty());
        for index in [count, count + 1, 1 << 32, u64::MAX] {
            assert_eq!(journal.tree.path_to_peak(JournalIndex(index)), None, "event {index} of {count}");
            assert_eq!(journal.tree.event(JournalIndex(index)), None, "event {index} of {count}");
        }
    }
    let peaks = [[7; 32]; MAX_PEAKS];
    assert!(!leads_to_peak(JournalIndex(0), &event(0), &[], 0, &peaks), "an empty journal has no peaks");
}

#[test]
fn a_tree_made_at_once_is_the_one_that_grew_and_hands_its_events_out() {
    let (at_once, grown) = (JournalTree::of((0..100).map(event)), Journal::of(100).tree);
    for index in (0..100).map(JournalIndex) {
        assert_eq!(at_once.path_to_peak(index), grown.path_to_peak(index));
        assert_eq!(at_once.event(index), Some(&event(index.0)[..]));
    }
}

#[test]
fn a_path_that_goes_on_above_the_highest_peak_leads_nowhere() {
    let journal = Journal::of(1);
    for length in [1, MAX_PEAKS, MAX_PEAKS + 1, 64, 65, 300] {
        assert!(!journal.proves(0, &event(0), &vec![[7; 32]; length]), "{length} nodes");
    }
}

/// A journal and an event in it.
fn places() -> impl Strategy<Value = (u64, u64)> {
    (1..=300u64).prop_flat_map(|count| (Just(count), 0..count))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_path_with_a_bit_turned_a_node_lost_or_a_node_more_leads_nowhere(
        (count, index) in places(), at: prop::sample::Index, bit in 0..256usize,
    ) {
        let journal = Journal::of(count);
        let path = journal.path(index);
        let longer = [&path[..], &[[7; 32]]].concat();
        prop_assert!(!journal.proves(index, &event(index), &longer));
        let mut other = event(index);
        let byte = at.index(other.len());
        other[byte] ^= 1 << (bit % 8);
        prop_assert!(!journal.proves(index, &other, &path), "an event that never was");
        if !path.is_empty() {
            let node = at.index(path.len());
            let mut turned = path.clone();
            turned[node][bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!journal.proves(index, &event(index), &turned));
            let mut shorter = path;
            shorter.remove(node);
            prop_assert!(!journal.proves(index, &event(index), &shorter));
        }
    }

    #[test]
    fn a_path_stays_good_for_the_peak_it_led_to_while_the_journal_grows((count, index) in places(), more in 0..100u64) {
        let mut journal = Journal::of(count);
        let before = journal.path(index);
        (0..more).for_each(|_| journal.grow());
        let after = journal.path(index);
        prop_assert_eq!(&after[..before.len()], &before[..], "it only gets longer");
        prop_assert!(journal.proves(index, &event(index), &after));
        prop_assert_eq!(journal.proves(index, &event(index), &before), before.len() == after.len());
    }

    #[test]
    fn the_transactions_of_a_proof_bring_the_event_and_the_path_in_order_and_each_fits(
        event in prop::collection::vec(any::<u8>(), 1..4_000),
        path in prop::collection::vec(any::<Hash>(), 0..=MAX_PEAKS),
    ) {
        let (payer, addresses) = (Pubkey::new_from_array([9; 32]), Addresses::of(1));
        let order = OrderHash([5; 32]);
        let all = transactions(&payer, &addresses, &order, &event, &path);
        prop_assert_eq!(&all[0], &instruction::open_refund(&payer, &addresses, &order, event.len().try_into().unwrap()));
        let (mut written, mut climbed, mut proving) = (Vec::new(), Vec::new(), 0);
        for step in &all[1..] {
            // Behind the discriminator and a list's length.
            let (head, body) = (&step.data[..8], &step.data[12..]);
            if head == &instruction::write_refund(&payer, &addresses, &order, &[]).data[..8] {
                prop_assert_eq!(step, &instruction::write_refund(&payer, &addresses, &order, body));
                prop_assert!(proving == 0 && !body.is_empty(), "the event comes before the path");
                written.extend_from_slice(body);
            } else {
                let (nodes, rest) = body.as_chunks::<32>();
                prop_assert!(rest.is_empty());
                prop_assert_eq!(step, &instruction::prove_refund(&payer, &addresses, &order, nodes));
                climbed.extend_from_slice(nodes);
                proving += 1;
            }
        }
        prop_assert_eq!((written, climbed), (event, path));
        prop_assert!(proving > 0, "an event that is a peak by itself is proved without a node");
        for step in &all {
            let message = Message::new(std::slice::from_ref(step), Some(&payer));
            prop_assert!(message.serialize().len() + 65 <= LEGACY_TRANSACTION);
        }
    }
}
