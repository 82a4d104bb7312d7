//! Proofs that an event is in the journal, against other people's RFC 6962.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use rebate_core::{
    journal::{Climb, Hash, MAX_PEAKS, TooHigh, append, leaf, node, root},
    units::JournalIndex,
};
use sha2::Sha256;

/// A journal, and the same leaves in a library's tree.
struct Both {
    count: u64,
    peaks: [Hash; MAX_PEAKS],
    library: MemoryBackedTree<Sha256, Vec<u8>>,
}

impl Both {
    /// With the events 0, 1, 2 …
    fn of(count: u64) -> Self {
        let mut both = Self { count: 0, peaks: [[0xee; 32]; MAX_PEAKS], library: MemoryBackedTree::new() };
        both.grow(count);
        both
    }

    fn grow(&mut self, to: u64) {
        while self.count < to {
            let event = event(self.count);
            append(&mut self.count, &mut self.peaks, leaf(&event)).unwrap();
            self.library.push(event);
        }
    }

    /// The nodes beside the way from a leaf to the head, by the library, which also checks them.
    fn path(&self, index: u64) -> Vec<Hash> {
        let proof = self.library.prove_inclusion(index as usize);
        self.library.root().verify_inclusion(&event(index), index, &proof).unwrap();
        proof.as_bytes().as_chunks::<32>().0.to_vec()
    }

    fn at_peak(&self, climb: &Climb) -> bool {
        climb.is_at_peak(self.count, &self.peaks)
    }
}

fn event(number: u64) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

/// The height of the peak that a leaf stands under: the complete tree that holds it, by going from left to right.
fn height(count: u64, index: u64) -> u8 {
    let mut first = 0;
    for height in (0..64).rev() {
        if count >> height & 1 == 1 {
            first += 1u64 << height;
            if index < first {
                return height;
            }
        }
    }
    panic!("there is no leaf {index} of {count}");
}

/// Climbs the first `steps` nodes of a path.
fn climbed(index: u64, event: &[u8], path: &[Hash]) -> Climb {
    let mut climb = Climb::new(JournalIndex(index), leaf(event));
    for sibling in path {
        climb.step(sibling).unwrap();
    }
    climb
}

#[test]
fn every_leaf_of_every_small_journal_reaches_its_peak_by_the_librarys_path_and_no_other_height() {
    for count in 1..=40 {
        let both = Both::of(count);
        for index in 0..count {
            let (path, height) = (both.path(index), usize::from(height(count, index)));
            for steps in 0..=path.len() {
                let climb = climbed(index, &event(index), &path[..steps]);
                assert_eq!(both.at_peak(&climb), steps == height, "leaf {index} of {count}, {steps} steps");
            }
        }
    }
}

#[test]
fn a_climb_says_where_it_stands() {
    let siblings = [[1; 32], [2; 32]];
    let mut climb = Climb::new(JournalIndex(2), [7; 32]);
    assert_eq!((climb.index, climb.height, climb.node), (JournalIndex(2), 0, [7; 32]));
    climb.step(&siblings[0]).unwrap();
    assert_eq!((climb.height, climb.node), (1, node(&[7; 32], &siblings[0])), "a left node");
    climb.step(&siblings[1]).unwrap();
    assert_eq!((climb.height, climb.node), (2, node(&siblings[1], &node(&[7; 32], &siblings[0]))), "a right one");
    assert_eq!(climb.index, JournalIndex(2));
}

#[test]
fn no_path_goes_above_the_highest_peak() {
    let mut climb = Climb::new(JournalIndex(0), [7; 32]);
    for _ in 0..MAX_PEAKS {
        climb.step(&[1; 32]).unwrap();
    }
    let before = climb;
    assert_eq!(climb.step(&[1; 32]), Err(TooHigh));
    assert_eq!(climb, before);
}

#[test]
fn nothing_is_at_a_peak_of_an_empty_journal_or_beyond_its_ends() {
    let peaks = [[7; 32]; MAX_PEAKS];
    let at =
        |index, height, count| Climb { index: JournalIndex(index), height, node: [7; 32] }.is_at_peak(count, &peaks);
    assert!(at(0, 0, 1) && at(0, 1, 2) && at(1, 1, 2) && at(2, 0, 3));
    assert!(!at(0, 0, 0) && !at(0, 1, 0));
    assert!(!at(1, 0, 1) && !at(0, 0, 2) && !at(u64::MAX, 0, 1));
    for height in [40, 63, 64, 65, 255] {
        assert!(!at(0, height, u64::MAX) && !at(u64::MAX, height, u64::MAX), "height {height}");
    }
    assert!(at((1 << 40) - 2, 0, (1 << 40) - 1) && at(0, 39, (1 << 40) - 1));
    assert!(!Climb { index: JournalIndex(0), height: 0, node: [7; 32] }.is_at_peak(1, &[]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_proof_given_in_parts_while_the_journal_grows_is_as_good_as_one_given_at_once(
        (index, count) in (1..300u64).prop_flat_map(|count| (0..count, Just(count))),
        growth in prop::collection::vec((0..3usize, 0..150u64), 0..6),
    ) {
        let mut both = Both::of(count);
        let mut climb = Climb::new(JournalIndex(index), leaf(&event(index)));
        // Step by step, each by the path of the journal as it is then; what lies under a peak stays as it is.
        for (steps, more) in growth {
            let top = height(both.count, index);
            for sibling in both.path(index).iter().take(top.into()).skip(climb.height.into()).take(steps) {
                climb.step(sibling).unwrap();
            }
            prop_assert_eq!(both.at_peak(&climb), climb.height == top);
            both.grow(both.count + more);
        }
        let top = height(both.count, index);
        for sibling in both.path(index).iter().take(top.into()).skip(climb.height.into()) {
            climb.step(sibling).unwrap();
        }
        prop_assert!(both.at_peak(&climb));
        prop_assert_eq!(climb, climbed(index, &event(index), &both.path(index)[..top.into()]));
        let head: Hash = (*both.library.root().as_bytes()).into();
        prop_assert_eq!(root(both.count, &both.peaks), head, "the peaks are those of the library's tree");
    }

    #[test]
    fn a_forged_proof_reaches_no_peak(
        (index, count) in (1..300u64).prop_flat_map(|count| (0..count, Just(count))),
        other in 0..400u64, at: prop::sample::Index, bit in 0..256usize, forged_height in 0..12u8,
    ) {
        let both = Both::of(count);
        let top = height(count, index);
        let path = both.path(index)[..top.into()].to_vec();
        let honest = climbed(index, &event(index), &path);
        prop_assert!(both.at_peak(&honest));

        let never_emitted = climbed(index, b"an event that never was", &path);
        prop_assert!(!both.at_peak(&never_emitted));
        if other != index {
            prop_assert!(!both.at_peak(&climbed(other, &event(index), &path)), "another position");
            prop_assert!(!both.at_peak(&climbed(index, &event(other), &path)), "another event");
        }
        prop_assert_eq!(both.at_peak(&Climb { height: forged_height, ..honest }), forged_height == top);
        let beyond = Climb { index: JournalIndex(index + (1 << top)), ..honest };
        prop_assert!(!both.at_peak(&beyond));
        if !path.is_empty() {
            let mut forged = path.clone();
            forged[at.index(path.len())][bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!both.at_peak(&climbed(index, &event(index), &forged)), "a forged sibling");
            prop_assert!(!both.at_peak(&climbed(index, &event(index), &path[1..])), "a step left out");
            forged = path;
            forged.reverse();
            let palindrome = forged.iter().eq(forged.iter().rev());
            prop_assert!(palindrome || !both.at_peak(&climbed(index, &event(index), &forged)), "another order");
        }
        let nodes_hash = Climb { index: JournalIndex(index), height: 0, node: both.peaks[usize::from(top)] };
        prop_assert!(top == 0 || !both.at_peak(&nodes_hash), "a peak is no leaf");
    }

    #[test]
    fn a_proof_of_one_journal_proves_nothing_in_another(
        (index, count) in (1..200u64).prop_flat_map(|count| (0..count, Just(count))), changed in 0..200u64,
    ) {
        let both = Both::of(count);
        let changed = changed % count;
        let top = height(count, index);
        let climb = climbed(index, &event(index), &both.path(index)[..top.into()]);
        // The same journal but for one event.
        let (mut other, mut peaks) = (0, [[0; 32]; MAX_PEAKS]);
        for number in 0..count {
            let event = if number == changed { event(u64::MAX) } else { event(number) };
            append(&mut other, &mut peaks, leaf(&event)).unwrap();
        }
        let under_the_same_peak = height(count, changed) == top && changed >> top == index >> top;
        prop_assert_eq!(climb.is_at_peak(count, &peaks), !under_the_same_peak);
    }
}
