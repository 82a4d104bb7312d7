//! The journal, against other people's RFC 6962.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use rebate_core::{
    journal::{Hash, JournalFull, MAX_PEAKS, append, leaf, node, root},
    units::JournalIndex,
};
use sha2::{Digest, Sha256};

/// A journal and the same leaves in a library's tree.
struct Both {
    count: u64,
    peaks: [Hash; MAX_PEAKS],
    library: MemoryBackedTree<Sha256, Vec<u8>>,
}

impl Both {
    fn new() -> Self {
        // Peaks that are not there yet must not be read: they hold rubbish.
        Self { count: 0, peaks: [[0xee; 32]; MAX_PEAKS], library: MemoryBackedTree::new() }
    }

    fn append(&mut self, event: Vec<u8>) {
        let before = self.count;
        assert_eq!(append(&mut self.count, &mut self.peaks, leaf(&event)), Ok(JournalIndex(before)));
        assert_eq!(self.count, before + 1);
        self.library.push(event);
    }

    fn check(&self) {
        let expected: Hash = (*self.library.root().as_bytes()).into();
        assert_eq!(root(self.count, &self.peaks), expected, "after {} leaves", self.count);
    }
}

#[test]
fn the_root_is_the_rfcs_tree_head_after_each_of_600_leaves() {
    let mut both = Both::new();
    both.check();
    for number in 0..600u32 {
        both.append(number.to_le_bytes().repeat(number as usize % 40));
        both.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_root_is_the_rfcs_tree_head_for_any_leaves(
        events in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..200),
    ) {
        let mut both = Both::new();
        for event in events {
            both.append(event);
        }
        both.check();
    }

    #[test]
    fn one_appended_leaf_at_any_height_joins_exactly_the_complete_trees(count in 0..1u64 << 39, seed: u8) {
        // Far more leaves than could be appended one by one: peaks are made up, and the head is put together from them.
        let peaks: Vec<Hash> = (0..MAX_PEAKS).map(|height| [seed ^ height as u8; 32]).collect();
        let (mut after, mut changed) = (count, peaks.clone());
        append(&mut after, &mut changed, [7; 32]).unwrap();
        let height = count.trailing_ones() as usize;
        let expected = peaks[..height].iter().fold([7; 32], |right, left| node(left, &right));
        prop_assert_eq!(after, count + 1);
        prop_assert_eq!(changed[height], expected);
        for other in (0..MAX_PEAKS).filter(|other| *other != height) {
            prop_assert_eq!(changed[other], peaks[other], "peak {} is none of this leaf's", other);
        }
    }
}

#[test]
fn known_leaves_have_the_heads_that_certificate_transparency_logs_test_against() {
    // The reference test vectors of RFC 6962 logs.
    let leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let heads = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let (mut count, mut peaks) = (0, [[0; 32]; MAX_PEAKS]);
    assert_eq!(hexadecimal(&root(count, &peaks)), heads[0]);
    for (text, head) in leaves.iter().zip(&heads[1..]) {
        append(&mut count, &mut peaks, leaf(&bytes(text))).unwrap();
        assert_eq!(hexadecimal(&root(count, &peaks)), *head, "{count} leaves");
    }
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    (0..hexadecimal.len()).step_by(2).map(|at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap()).collect()
}

fn hexadecimal(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn leaves_and_nodes_are_told_apart_by_their_first_byte() {
    let (left, right) = ([1; 32], [2; 32]);
    let inside = [&left[..], &right].concat();
    assert_eq!(leaf(&inside)[..], Sha256::digest([&[0][..], &inside].concat())[..]);
    assert_eq!(node(&left, &right)[..], Sha256::digest([&[1][..], &inside].concat())[..]);
    assert_ne!(leaf(&inside), node(&left, &right));
}

#[test]
fn a_journal_without_room_for_the_next_leaf_says_so_and_stays_as_it_is() {
    for room in 0..6usize {
        let mut peaks = vec![[9; 32]; room];
        let mut count = 0;
        while append(&mut count, &mut peaks, leaf(b"event")).is_ok() {}
        assert_eq!(count, (1 << room) - 1, "{room} peaks hold all but one of {} leaves", 1 << room);
        let before = (count, peaks.clone(), root(count, &peaks));
        assert_eq!(append(&mut count, &mut peaks, leaf(b"one more")), Err(JournalFull));
        assert_eq!((count, peaks.clone(), root(count, &peaks)), before);
    }
}

#[test]
fn the_last_leaf_a_journal_takes_is_number_2_to_the_40_minus_2() {
    let mut peaks = [[9; 32]; MAX_PEAKS];
    let mut count = (1 << 40) - 2;
    assert_eq!(append(&mut count, &mut peaks, leaf(b"event")), Ok(JournalIndex((1 << 40) - 2)));
    let before = peaks;
    for full in [(1 << 40) - 1, u64::MAX] {
        let mut count = full;
        assert_eq!(append(&mut count, &mut peaks, leaf(b"event")), Err(JournalFull), "{full} leaves");
        assert_eq!((count, peaks), (full, before));
    }
}
