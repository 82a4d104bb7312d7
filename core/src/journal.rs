//! The journal: a Merkle mountain range over every event a platform ever emitted.
//!
//! Hashes are those of RFC 6962 §2.1: `SHA-256(0x00 ‖ event bytes)` for a leaf, `SHA-256(0x01 ‖ left ‖ right)` for a
//! node. The root over all leaves is the RFC's tree head, so any certificate-transparency library can check a proof.

use crate::units::JournalIndex;
use solana_sha256_hasher::hashv;

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// How many peaks a journal has. They are room for 2^40 − 1 events: a million a second for twelve days, or a million a
/// day for three thousand years.
pub const MAX_PEAKS: usize = 40;

/// The hash of an event as a leaf.
pub fn leaf(event: &[u8]) -> Hash {
    hashv(&[&[0], event]).to_bytes()
}

/// The hash of two neighbouring nodes.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    hashv(&[&[1], left, right]).to_bytes()
}

/// The journal holds 2^40 − 1 events and takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalFull;

/// Appends a leaf to a journal of `count` leaves and returns its index.
///
/// `peaks[h]` is the root of a complete tree of `2^h` leaves, meaningful where bit `h` of `count` is set.
///
/// # Errors
/// [`JournalFull`] where `peaks` has no room for the next one, with [`MAX_PEAKS`] that is at 2^40 − 1 leaves; nothing was
/// changed.
pub fn append(count: &mut u64, peaks: &mut [Hash], leaf: Hash) -> Result<JournalIndex, JournalFull> {
    let next = count.checked_add(1).ok_or(JournalFull)?;
    let height = count.trailing_ones() as usize;
    let (complete, rest) = peaks.split_at_mut_checked(height).ok_or(JournalFull)?;
    let slot = rest.first_mut().ok_or(JournalFull)?;
    *slot = complete.iter().fold(leaf, |right, left| node(left, &right));
    let index = JournalIndex(*count);
    *count = next;
    Ok(index)
}

/// The tree head over `count` leaves (RFC 6962 `MTH`). SHA-256 of nothing for an empty journal.
pub fn root(count: u64, peaks: &[Hash]) -> Hash {
    peaks
        .iter()
        .enumerate()
        .filter(|(height, _)| count.checked_shr(*height as u32).is_some_and(|bits| bits & 1 == 1))
        .fold(None, |right: Option<Hash>, (_, peak)| Some(right.map_or(*peak, |right| node(peak, &right))))
        .unwrap_or_else(|| hashv(&[]).to_bytes())
}

/// How far the proof has come that an event is in a journal: the root of the complete tree of `2^height` leaves that the
/// leaf stands in. Such a tree never changes, so that a proof can be given in parts while the journal grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Climb {
    /// The leaf's position in the journal.
    pub index: JournalIndex,
    /// How high the node reached stands over the leaves.
    pub height: u8,
    /// Its hash.
    pub node: Hash,
}

/// The path goes on above the highest peak a journal can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooHigh;

impl Climb {
    /// At the leaf.
    pub fn new(index: JournalIndex, leaf: Hash) -> Self {
        Self { index, height: 0, node: leaf }
    }

    /// One step up, with the node beside the one reached.
    ///
    /// # Errors
    /// [`TooHigh`]; nothing was changed.
    pub fn step(&mut self, sibling: &Hash) -> Result<(), TooHigh> {
        if usize::from(self.height) >= MAX_PEAKS {
            return Err(TooHigh);
        }
        // Below 40.
        let is_right = self.index.0 >> self.height & 1 == 1;
        self.node = if is_right { node(sibling, &self.node) } else { node(&self.node, sibling) };
        self.height = self.height.saturating_add(1);
        Ok(())
    }

    /// Whether the node reached is a peak of the journal of `count` leaves: then the leaf is in it.
    pub fn is_at_peak(&self, count: u64, peaks: &[Hash]) -> bool {
        let height = u32::from(self.height);
        let (Some(node), Some(trees)) = (self.index.0.checked_shr(height), count.checked_shr(height)) else {
            return false;
        };
        // The peak of a height is the last complete tree of that height, and there is one where their number is odd.
        trees & 1 == 1 && node.checked_add(1) == Some(trees) && peaks.get(usize::from(self.height)) == Some(&self.node)
    }
}
