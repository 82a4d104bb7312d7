//! RFC 6962 proofs over a journal: which nodes they consist of, and what these follow from.
//!
//! No proof needs all events. Besides them, the roots of the complete subtrees of 2^8, 2^16, 2^24 and 2^32 leaves are kept,
//! as in tiled transparency logs (C2SP tlog-tiles, whose tiles are 8 high too). Every other complete subtree's root follows
//! from at most 128 of those right below, so that a path takes at most 255 for each 8 levels.
//!
//! Nothing here reads: [`inclusion`] and [`consistency`] say of which runs of leaves the heads are the proof, [`Kept`] says
//! what must be read for them, and makes them of it.

use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use ct_merkle_sha2::Sha256;
use rebate_core::{
    journal::{self, Climb, Hash, MAX_PEAKS},
    units::JournalIndex,
};
use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

/// How many levels there are from kept nodes to the next higher ones.
pub const TILE_HEIGHT: u8 = 8;

/// A complete subtree: the `2^height` leaves from number `position · 2^height` on. A leaf is one of height 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subtree {
    /// How high its root stands over the leaves; 0 to 39.
    pub height: u8,
    /// How many others of its height are left of it.
    pub position: u64,
}

impl Subtree {
    /// The kept nodes that its root follows from: their height, a multiple of [`TILE_HEIGHT`], and their positions, of which
    /// there are 1 to 128.
    fn kept(self) -> (u8, Range<u64>) {
        let above = self.height % TILE_HEIGHT;
        (self.height - above, self.position << above..self.position.saturating_add(1) << above)
    }
}

/// Neighbouring leaves whose tree head (RFC 6962 `MTH`) is a node of a proof, or the head of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    first: u64,
    end: u64,
}

impl Run {
    /// The first `size` leaves.
    pub fn whole(size: u64) -> Self {
        Self { first: 0, end: size }
    }

    /// The leaves of a complete subtree.
    pub fn of(subtree: Subtree) -> Self {
        let first = subtree.position << subtree.height;
        Self { first, end: first.saturating_add(1 << subtree.height) }
    }

    /// The complete subtrees it consists of, from the smallest, which is the last, to the largest.
    fn subtrees(self) -> impl Iterator<Item = Subtree> {
        // Runs begin where a subtree as large as any in them begins.
        let length = self.end.saturating_sub(self.first);
        (0..MAX_PEAKS as u8).filter(move |height| length >> height & 1 == 1).map(move |height| {
            let end = self.first.saturating_add(length >> height << height);
            Subtree { height, position: (end >> height).saturating_sub(1) }
        })
    }

    /// Its tree head, where `root` gives those of complete subtrees. `None` where `root` does.
    pub fn head(self, mut root: impl FnMut(Subtree) -> Option<Hash>) -> Option<Hash> {
        let mut peaks = [[0; 32]; MAX_PEAKS];
        for subtree in self.subtrees() {
            *peaks.get_mut(usize::from(subtree.height))? = root(subtree)?;
        }
        Some(journal::root(self.end.saturating_sub(self.first), &peaks))
    }

    /// The two runs that its head is the node of: the left one is the largest complete subtree that leaves something.
    fn halves(self) -> Option<(Self, Self)> {
        let length = self.end.checked_sub(self.first).filter(|length| *length > 1)?;
        let middle = self.first.saturating_add(1 << (length - 1).ilog2());
        Some((Self { first: self.first, end: middle }, Self { first: middle, end: self.end }))
    }
}

/// The inclusion path (RFC 6962 `PATH`) of a leaf of a journal of `size` leaves, from the bottom up; `None` for a leaf that is
/// not there. The nodes up to the leaf's peak are what the program takes as a proof of an order.
pub fn inclusion(index: JournalIndex, size: u64) -> Option<Vec<Run>> {
    let mut at = Run::whole(size);
    if index.0 >= size {
        return None;
    }
    let mut path = Vec::new();
    while let Some((left, right)) = at.halves() {
        let (down, beside) = if index.0 < left.end { (left, right) } else { (right, left) };
        path.push(beside);
        at = down;
    }
    path.reverse();
    Some(path)
}

/// The proof that a journal of `to` leaves begins with the one of `from` leaves (RFC 6962 `PROOF`), from the bottom up: empty
/// where the two are equal. `None` where `from` is 0, for which the RFC has no proof, or more than `to`.
pub fn consistency(from: u64, to: u64) -> Option<Vec<Run>> {
    if from == 0 || from > to {
        return None;
    }
    let mut at = Run::whole(to);
    let mut proof = Vec::new();
    while at.end > from {
        let (left, right) = at.halves()?;
        let (down, beside) = if from <= left.end { (left, right) } else { (right, left) };
        proof.push(beside);
        at = down;
    }
    // Whoever checks it has the head over all `from` leaves.
    proof.extend(Some(at).filter(|at| at.first > 0));
    proof.reverse();
    Some(proof)
}

/// Whether an inclusion path leads from an event, leaf `index`, to a tree head over `size` leaves. Checked by other people's
/// code, as for consistency.
pub fn is_included(index: JournalIndex, event: &[u8], (size, head): (u64, Hash), path: &[Hash]) -> bool {
    let root = RootHash::<Sha256>::new(head.into(), size);
    InclusionProof::try_from_bytes(path.concat())
        .is_ok_and(|path| root.verify_inclusion(&event, index.0, &path).is_ok())
}

/// The inclusion path of a leaf of a journal whose leaves are `leaves`; `None` for a leaf that is not there.
pub fn path_among(index: JournalIndex, leaves: &[Hash]) -> Option<Vec<Hash>> {
    let root = |subtree: Subtree| {
        let (mut count, mut peaks) = (0, [[0; 32]; MAX_PEAKS]);
        let first = usize::try_from(subtree.position.checked_shl(u32::from(subtree.height))?).ok()?;
        let length = 1usize.checked_shl(u32::from(subtree.height))?;
        for leaf in leaves.get(first..first.checked_add(length)?)? {
            journal::append(&mut count, &mut peaks, *leaf).ok()?;
        }
        Some(journal::root(count, &peaks))
    };
    inclusion(index, leaves.len() as u64)?.into_iter().map(|run| run.head(root)).collect()
}

/// Whether a consistency proof leads from one tree head, over that many leaves, to another. This is for what is handed out: it
/// is checked by other people's code, as whoever gets it will.
pub fn is_consistent((from, old): (u64, Hash), (to, new): (u64, Hash), proof: &[Hash]) -> bool {
    let root = |size, head: Hash| RootHash::<Sha256>::new(head.into(), size);
    ConsistencyProof::try_from_bytes(proof.concat())
        .is_ok_and(|proof| root(to, new).verify_consistency(&root(from, old), &proof).is_ok())
}

/// The nodes to keep that the next leaf completes, of a journal of `count` leaves before it, from the bottom up. One leaf in
/// 256 completes any.
pub fn completed(count: u64, peaks: &[Hash], leaf: Hash) -> Vec<(Subtree, Hash)> {
    let heights = count.trailing_ones();
    if heights < u32::from(TILE_HEIGHT) {
        return Vec::new();
    }
    let mut climb = Climb::new(JournalIndex(count), leaf);
    let mut nodes = Vec::new();
    for peak in peaks.iter().take(heights as usize) {
        if climb.step(peak).is_err() {
            break;
        }
        if climb.height.is_multiple_of(TILE_HEIGHT) {
            nodes.push((Subtree { height: climb.height, position: count >> climb.height }, climb.node));
        }
    }
    nodes
}

/// Nodes of a journal, as far as they were read.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    nodes: HashMap<Subtree, Hash>,
}

impl Kept {
    /// The peaks of a journal of `count` leaves.
    pub fn of_peaks(count: u64, peaks: &[Hash]) -> Self {
        let nodes = Run::whole(count).subtrees();
        Self { nodes: nodes.filter_map(|subtree| Some((subtree, *peaks.get(usize::from(subtree.height))?))).collect() }
    }

    /// Adds a node that was read.
    pub fn insert(&mut self, subtree: Subtree, root: Hash) {
        self.nodes.insert(subtree, root);
    }

    /// What must be read for the heads of these runs: height, which is 0 for leaves or a multiple of [`TILE_HEIGHT`], and
    /// positions.
    pub fn missing(&self, runs: &[Run]) -> Vec<(u8, Range<u64>)> {
        let subtrees: BTreeSet<Subtree> = runs.iter().flat_map(|run| run.subtrees()).collect();
        subtrees.into_iter().filter(|subtree| !self.nodes.contains_key(subtree)).map(Subtree::kept).collect()
    }

    /// The head of a run; `None` where something for it was not read.
    pub fn head(&self, run: Run) -> Option<Hash> {
        run.head(|subtree| self.root(subtree))
    }

    fn root(&self, subtree: Subtree) -> Option<Hash> {
        if let Some(root) = self.nodes.get(&subtree) {
            return Some(*root);
        }
        let (height, positions) = subtree.kept();
        let (mut count, mut peaks) = (0, [[0; 32]; TILE_HEIGHT as usize]);
        for position in positions {
            let node = self.nodes.get(&Subtree { height, position })?;
            journal::append(&mut count, &mut peaks, *node).ok()?;
        }
        Some(journal::root(count, &peaks))
    }
}
