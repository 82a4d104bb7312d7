//! Inclusion paths and consistency proofs, against other people's RFC 6962.

use ct_merkle::{ConsistencyProof, InclusionProof, RootHash, mem_backed_tree::MemoryBackedTree};
use ct_merkle_sha2::Sha256;
use proptest::prelude::*;
use rebate_client::merkle::{Kept, Run, Subtree, TILE_HEIGHT, completed, consistency, inclusion, is_consistent};
use rebate_core::{
    journal::{Hash, MAX_PEAKS, append, leaf, node, root},
    units::JournalIndex,
};
use std::collections::HashMap;

/// The canonical bytes of the event at a position; any bytes will do.
fn event(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(1 + number as usize % 3)
}

type Library = MemoryBackedTree<Sha256, Vec<u8>>;

/// A journal, what is kept of its tree, and the library's tree over the same events.
struct Journal {
    count: u64,
    peaks: [Hash; MAX_PEAKS],
    kept: HashMap<Subtree, Hash>,
    library: Library,
}

impl Journal {
    fn new() -> Self {
        // Peaks that are not there yet must not be read: they hold rubbish.
        Self { count: 0, peaks: [[0xee; 32]; MAX_PEAKS], kept: HashMap::new(), library: Library::new() }
    }

    fn grow_to(&mut self, count: u64) {
        while self.count < count {
            let event = event(self.count);
            self.kept.insert(Subtree { height: 0, position: self.count }, leaf(&event));
            self.kept.extend(completed(self.count, &self.peaks, leaf(&event)));
            append(&mut self.count, &mut self.peaks, leaf(&event)).unwrap();
            self.library.push(event);
        }
    }

    /// Reads what `runs` take besides what was read already, and says how much that was of each height.
    fn read(&self, read: &mut Kept, runs: &[Run]) -> HashMap<u8, usize> {
        let mut rows = HashMap::new();
        for (height, positions) in read.missing(runs) {
            for position in positions {
                let subtree = Subtree { height, position };
                read.insert(subtree, self.kept[&subtree]);
                *rows.entry(height).or_default() += 1;
            }
        }
        assert!(read.missing(runs).iter().all(|(_, positions)| positions.end - positions.start > 1), "read only once");
        rows
    }
}

fn heads(read: &Kept, runs: &[Run]) -> Vec<u8> {
    runs.iter().flat_map(|run| read.head(*run).unwrap()).collect()
}

fn library_inclusion(library: &Library, index: u64) -> Vec<u8> {
    // A path of no nodes is one that the library does not make.
    if library.len() == 1 { Vec::new() } else { library.prove_inclusion(index as usize).as_bytes().to_vec() }
}

/// Every complete subtree of the first `count` events.
fn levels(count: u64) -> Vec<Vec<Hash>> {
    let mut levels = vec![(0..count).map(|number| leaf(&event(number))).collect::<Vec<_>>()];
    while levels.last().unwrap().len() > 1 {
        let pairs = levels.last().unwrap().as_chunks::<2>().0;
        levels.push(pairs.iter().map(|[left, right]| node(left, right)).collect());
    }
    levels
}

fn from_levels(levels: &[Vec<Hash>], runs: &[Run]) -> Vec<u8> {
    let of = |subtree: Subtree| Some(levels[usize::from(subtree.height)][subtree.position as usize]);
    runs.iter().flat_map(|run| run.head(of).unwrap()).collect()
}

#[test]
fn the_paths_and_heads_of_journals_of_up_to_600_events_are_the_librarys() {
    let (mut library, levels) = (Library::new(), levels(600));
    for size in 1..=600 {
        library.push(event(size - 1));
        assert_eq!(from_levels(&levels, &[Run::whole(size)]), library.root().as_bytes().as_slice(), "{size} events");
        // All of the smaller ones; of others every seventh, beginning elsewhere each time, and the last.
        let step = if size <= 130 { 1 } else { 7 };
        for index in (size % step..size).step_by(step as usize).chain([size - 1]) {
            let path = inclusion(JournalIndex(index), size).unwrap();
            assert_eq!(from_levels(&levels, &path), library_inclusion(&library, index), "event {index} of {size}");
        }
    }
}

#[test]
fn the_consistency_proofs_between_journals_of_up_to_600_events_are_the_librarys() {
    let (mut library, levels) = (Library::new(), levels(600));
    for to in 1..=600 {
        library.push(event(to - 1));
        let step = if to <= 130 { 1 } else { 7 };
        for from in (1 + to % step..=to).step_by(step as usize).chain([to]) {
            let proof = consistency(from, to).unwrap();
            let expected = library.prove_consistency((to - from) as usize);
            assert_eq!(from_levels(&levels, &proof), expected.as_bytes(), "from {from} to {to}");
        }
    }
}

#[test]
fn of_what_is_kept_a_path_takes_at_most_255_nodes_for_each_8_levels() {
    let mut journal = Journal::new();
    // Around where nodes of the first and of the second kept level are completed, and where neither is.
    for size in [1, 2, 255, 256, 257, 300, 511, 512, 513, 767, 1_000, 4_095, 33_333, 65_535, 65_536, 65_537, 66_300] {
        journal.grow_to(size);
        for index in [0, 1, 255, 256, 300, 511, 512, 40_000, 65_535, 65_536, size / 3, size - 1] {
            let Some(path) = inclusion(JournalIndex(index), size) else {
                assert!(index >= size);
                continue;
            };
            let mut read = Kept::of_peaks(size, &journal.peaks);
            let rows = journal.read(&mut read, &path);
            assert!(rows.values().all(|rows| *rows < 256), "event {index} of {size}: {rows:?}");
            assert!(rows.keys().all(|height| height.is_multiple_of(TILE_HEIGHT)), "{rows:?}");
            assert_eq!(heads(&read, &path), library_inclusion(&journal.library, index), "event {index} of {size}");
        }
        for from in [1, 2, 255, 256, 257, 300, 512, 700, 65_536, size / 2, size].into_iter().filter(|from| *from > 0) {
            let Some(proof) = consistency(from, size) else {
                assert!(from > size);
                continue;
            };
            let mut read = Kept::default();
            let rows = journal.read(&mut read, &proof);
            assert!(rows.values().all(|rows| *rows < 512), "from {from} to {size}: {rows:?}");
            let expected = journal.library.prove_consistency((size - from) as usize);
            assert_eq!(heads(&read, &proof), expected.as_bytes(), "from {from} to {size}");
        }
    }
    let kept = |height: u8| journal.kept.keys().filter(|subtree| subtree.height == height).count();
    assert_eq!([8, 16].map(kept), [66_300 / 256, 1]);
    assert_eq!(journal.kept.len(), 66_300 + 258 + 1, "and nothing else");
}

#[test]
fn a_head_of_which_something_was_not_read_is_not_made_up() {
    let mut journal = Journal::new();
    journal.grow_to(600);
    let path = inclusion(JournalIndex(5), 600).unwrap();
    let needed: Vec<Subtree> = Kept::default()
        .missing(&path)
        .into_iter()
        .flat_map(|(height, positions)| positions.map(move |position| Subtree { height, position }))
        .collect();
    let unknown = |without: Option<Subtree>| {
        let mut read = Kept::default();
        for subtree in needed.iter().filter(|subtree| Some(**subtree) != without) {
            read.insert(*subtree, journal.kept[subtree]);
        }
        path.iter().filter(|run| read.head(**run).is_none()).count()
    };
    assert_eq!(unknown(None), 0);
    for subtree in &needed {
        assert_eq!(unknown(Some(*subtree)), 1, "{subtree:?}");
    }
}

#[test]
fn there_is_no_proof_of_what_is_not_there() {
    for (index, size) in [(0, 0), (1, 1), (600, 600), (u64::MAX, 600), (u64::MAX, u64::MAX)] {
        assert_eq!(inclusion(JournalIndex(index), size), None, "event {index} of {size}");
    }
    for (from, to) in [(0, 0), (0, 1), (2, 1), (u64::MAX, 600)] {
        assert_eq!(consistency(from, to), None, "from {from} to {to}");
    }
    for size in [1, 2, 600, 1 << 40] {
        assert_eq!(consistency(size, size), Some(Vec::new()), "a journal begins with itself");
    }
    assert_eq!(inclusion(JournalIndex(0), 1), Some(Vec::new()), "one event is its own head");
}

/// Journals far too large to build: what is in the complete subtrees that end before, or begin after, each of `edges` is
/// made up.
fn made_up(subtree: Subtree, edges: &[u64], leaf_at: u64) -> Hash {
    let Subtree { height, position } = subtree;
    let (first, end) = (position << height, (position + 1) << height);
    if height == 0 && position == leaf_at {
        return leaf(&event(leaf_at));
    }
    if edges.iter().any(|edge| first < *edge && *edge < end) {
        let child = |right| made_up(Subtree { height: height - 1, position: position << 1 | right }, edges, leaf_at);
        return node(&child(0), &child(1));
    }
    leaf(&[[height].as_slice(), &position.to_le_bytes()].concat())
}

fn library_root(hash: Hash, size: u64) -> RootHash<Sha256> {
    RootHash::new(hash.into(), size)
}

/// Sizes of any number of digits up to the largest journal.
fn size() -> impl Strategy<Value = u64> {
    (1..=40u32).prop_flat_map(|bits| 1 << (bits - 1)..=(1u64 << bits) - 1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_path_of_any_event_of_any_journal_convinces_the_library_of_it_alone(
        size in size(), at: prop::sample::Index, byte: prop::sample::Index, bit in 0..8u8,
    ) {
        let index = at.index(size as usize) as u64;
        let edges = [index, index + 1];
        let of = |subtree| Some(made_up(subtree, &edges, index));
        let runs = inclusion(JournalIndex(index), size).unwrap();
        let path: Vec<u8> = runs.iter().flat_map(|run| run.head(of).unwrap()).collect();
        let head = library_root(Run::whole(size).head(of).unwrap(), size);
        let holds = |event: &Vec<u8>, index, path: Vec<u8>| {
            head.verify_inclusion(event, index, &InclusionProof::try_from_bytes(path).unwrap()).is_ok()
        };
        prop_assert!(holds(&event(index), index, path.clone()));
        let mut other = event(index);
        let byte = byte.index(other.len());
        other[byte] ^= 1 << bit;
        prop_assert!(!holds(&other, index, path.clone()), "another event");
        prop_assert!(size == 1 || !holds(&event(index), (index + 1) % size, path.clone()), "another place");
        if let Some((_, shorter)) = path.split_first_chunk::<32>() {
            prop_assert!(!holds(&event(index), index, shorter.to_vec()), "a node less");
        }
    }

    #[test]
    fn the_consistency_proof_of_any_two_journals_convinces_the_library_of_them_alone(
        to in size(), at: prop::sample::Index,
    ) {
        let from = 1 + at.index(to as usize) as u64;
        let of = |subtree| Some(made_up(subtree, &[from], u64::MAX));
        let runs = consistency(from, to).unwrap();
        let proof: Vec<u8> = runs.iter().flat_map(|run| run.head(of).unwrap()).collect();
        let head = |size| Run::whole(size).head(of).unwrap();
        let (old, new) = (library_root(head(from), from), library_root(head(to), to));
        let holds = |old: &RootHash<Sha256>, proof: Vec<u8>| {
            new.verify_consistency(old, &ConsistencyProof::try_from_bytes(proof).unwrap()).is_ok()
        };
        prop_assert!(holds(&old, proof.clone()));
        let mut other = head(from);
        other[0] ^= 1;
        prop_assert!(!holds(&library_root(other, from), proof.clone()), "another head");
        if let Some((_, shorter)) = proof.split_first_chunk::<32>() {
            prop_assert!(!holds(&old, shorter.to_vec()), "a node less");
        }
        let nodes: Vec<Hash> = runs.iter().map(|run| run.head(of).unwrap()).collect();
        prop_assert!(is_consistent((from, head(from)), (to, head(to)), &nodes));
        prop_assert!(!is_consistent((from, other), (to, head(to)), &nodes));
        prop_assert!(!is_consistent((from, head(from)), (to, other), &nodes));
        prop_assert!(!is_consistent((from, head(from)), (to, head(to)), &[&nodes[..], &[other]].concat()));
    }

    #[test]
    fn a_leaf_completes_the_kept_nodes_above_it_and_no_others(bits in 0..40u32, above in 0..1u64 << 20, seed: u8) {
        // As many trailing ones as there are bits, and then anything.
        let count = ((above << 1 << bits) | ((1u64 << bits) - 1)) & ((1 << 40) - 1);
        let mut peaks: Vec<Hash> = (0..MAX_PEAKS).map(|height| [seed ^ height as u8; 32]).collect();
        let nodes = completed(count, &peaks, [7; 32]);
        let heights: Vec<u8> = nodes.iter().map(|(subtree, _)| subtree.height).collect();
        let expected: Vec<u8> = (1..=5).map(|tile| tile * TILE_HEIGHT)
            .filter(|height| (count + 1).is_multiple_of(1 << height)).collect();
        prop_assert_eq!(heights, expected);
        for (subtree, hash) in nodes {
            prop_assert_eq!((subtree.position + 1) << subtree.height, count + 1, "it ends with the leaf");
            let below = &peaks[..usize::from(subtree.height)];
            prop_assert_eq!(hash, below.iter().fold([7; 32], |right, left| node(left, &right)));
        }
        let mut after = count;
        if append(&mut after, &mut peaks, [7; 32]).is_ok() {
            prop_assert_eq!(Kept::of_peaks(after, &peaks).head(Run::whole(after)), Some(root(after, &peaks)));
        }
    }
}
