//! Proving to the program that an order is in the journal, so that it can be refunded.

use crate::{
    account::{CLIMBING, Refund, WRITING},
    address::Addresses,
    instruction,
};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle_sha2::Sha256;
use rebate_core::{
    journal::{Climb, Hash},
    units::{JournalIndex, OrderHash},
};
use solana_program::{instruction::Instruction, pubkey::Pubkey};

/// How many bytes of an event one transaction carries.
const PIECE: usize = 900;

/// How many nodes of a path one transaction carries.
const NODES: usize = 24;

/// Every event of a journal, as a tree that knows paths.
#[derive(Default)]
pub struct JournalTree {
    tree: MemoryBackedTree<Sha256, Vec<u8>>,
}

impl JournalTree {
    /// A tree of the canonical bytes of events, from the first on.
    pub fn of(events: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut tree = Self::default();
        events.into_iter().for_each(|event| tree.push(event));
        tree
    }

    /// Adds the next event's canonical bytes.
    pub fn push(&mut self, event: Vec<u8>) {
        self.tree.push(event);
    }

    /// How many events there are.
    pub fn len(&self) -> u64 {
        self.tree.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tree.is_empty()
    }

    /// The canonical bytes of an event.
    pub fn event(&self, index: JournalIndex) -> Option<&[u8]> {
        self.tree.get(usize::try_from(index.0).ok()?).map(Vec::as_slice)
    }

    /// The nodes beside the way from an event up to the peak it stands under, from the bottom on; `None` for an event that
    /// is not there.
    pub fn path_to_peak(&self, index: JournalIndex) -> Option<Vec<Hash>> {
        let at = usize::try_from(index.0).ok().filter(|at| self.tree.get(*at).is_some())?;
        let proof = self.tree.prove_inclusion(at);
        // Within the peak's complete tree the path of RFC 6962 goes up level by level; what follows joins the peaks.
        let nodes = proof.as_bytes().chunks_exact(32).map(|node| node.try_into().unwrap_or_default());
        Some(nodes.take(peak_height(self.len(), index)).collect())
    }
}

/// How high the peak stands under which an event of a journal of `count` events stands.
pub(crate) fn peak_height(count: u64, index: JournalIndex) -> usize {
    // Peaks from the highest, which is the first, to the lowest: the first that ends behind the event.
    (0..u64::BITS)
        .rev()
        .filter(|height| count >> height & 1 == 1)
        .find(|height| index.0 < count >> height << height)
        .map_or(0, |height| height as usize)
}

/// The transactions that prove `order`, one after the other: its event, then the path.
pub fn transactions(
    payer: &Pubkey,
    addresses: &Addresses,
    order: &OrderHash,
    event: &[u8],
    path: &[Hash],
) -> Vec<Instruction> {
    let length = u32::try_from(event.len()).unwrap_or(u32::MAX);
    let mut all = vec![instruction::open_refund(payer, addresses, order, length)];
    all.extend(writing(payer, addresses, order, event));
    all.extend(climbing(payer, addresses, order, path));
    all
}

/// What is left of them where a proof was begun, of whose event `written` is there already; `None` if it was begun with
/// another event or another path, so that going on with these leads nowhere.
pub fn rest(
    payer: &Pubkey,
    addresses: &Addresses,
    order: &OrderHash,
    event: &[u8],
    path: &[Hash],
    begun: &Refund,
    written: &[u8],
) -> Option<Vec<Instruction>> {
    match begun.stage {
        WRITING if begun.event_length as usize == event.len() => {
            let mut all = writing(payer, addresses, order, event.strip_prefix(written)?);
            all.extend(climbing(payer, addresses, order, path));
            Some(all)
        }
        CLIMBING => {
            let (done, left) = path.split_at_checked(usize::from(begun.height))?;
            let mut climb = Climb::new(JournalIndex(begun.journal_index), rebate_core::journal::leaf(event));
            done.iter().try_for_each(|node| climb.step(node)).ok()?;
            (climb.node == begun.node).then(|| climbing(payer, addresses, order, left))
        }
        _ => None,
    }
}

fn writing(payer: &Pubkey, addresses: &Addresses, order: &OrderHash, event: &[u8]) -> Vec<Instruction> {
    event.chunks(PIECE).map(|piece| instruction::write_refund(payer, addresses, order, piece)).collect()
}

/// One step at least: where the path is empty, the program still has to look.
fn climbing(payer: &Pubkey, addresses: &Addresses, order: &OrderHash, path: &[Hash]) -> Vec<Instruction> {
    let pieces = if path.is_empty() { vec![path] } else { path.chunks(NODES).collect() };
    pieces.into_iter().map(|nodes| instruction::prove_refund(payer, addresses, order, nodes)).collect()
}

/// Whether the path leads from the event to a peak of the journal of `count` leaves: what the program will find.
pub fn leads_to_peak(index: JournalIndex, event: &[u8], path: &[Hash], count: u64, peaks: &[Hash]) -> bool {
    let mut climb = Climb::new(index, rebate_core::journal::leaf(event));
    path.iter().all(|node| climb.step(node).is_ok()) && climb.is_at_peak(count, peaks)
}
