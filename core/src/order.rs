//! Order pages: which orders of one day were taken, as an open-addressed set of 8-byte fingerprints.
//!
//! A page is a slice of slots, 0 for an empty one. A fingerprint is the first 8 bytes, little-endian, of the order's
//! SHA-256, and 1 where those are 0. Two different orders of one day and shard share one with a probability of
//! `n² / 2^65`; the later would be refused as a duplicate. With a million orders in a shard that is 3 in 10^8.

use crate::units::OrderHash;

/// The fewest slots a page can have.
pub const MIN_SLOTS: u16 = 8;

/// The most slots a page can be opened with; growing it makes more. The header has 104 bytes and a slot 8, and one
/// instruction creates an account of 10,240 bytes at most.
pub const MAX_OPENED_SLOTS: u16 = 1_267;

/// The key of an order within its page; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of an order.
    pub fn of(order: &OrderHash) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = order.0;
        Self(u64::from_le_bytes([a, b, c, d, e, f, g, h]).max(1))
    }
}

/// The shard of an order among `shards`: bytes 8 and 9 of its hash, little-endian, modulo the number of shards.
pub fn shard(order: &OrderHash, shards: u16) -> u16 {
    let [_, _, _, _, _, _, _, _, low, high, ..] = order.0;
    u16::from_le_bytes([low, high]).checked_rem(shards).unwrap_or(0)
}

/// Where an order stands in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It was taken before.
    Taken,
    /// It was not; it belongs into this slot.
    Free(usize),
    /// It was not, and the page takes no more.
    Full,
}

/// How many orders a page of `slots` slots takes: seven eighths, so that looking one up stays short.
pub fn page_limit(slots: usize) -> usize {
    slots.saturating_sub(slots.div_ceil(8))
}

/// Looks an order up in a page that holds `taken` orders.
pub fn find(slots: &[u64], taken: usize, fingerprint: Fingerprint) -> Place {
    let Some(start) = (fingerprint.0 as usize).checked_rem(slots.len()) else { return Place::Full };
    let (head, tail) = slots.split_at(start);
    for (offset, &slot) in tail.iter().chain(head).enumerate() {
        if slot == fingerprint.0 {
            return Place::Taken;
        }
        if slot == 0 {
            if taken >= page_limit(slots.len()) {
                return Place::Full;
            }
            let at = start.saturating_add(offset);
            return Place::Free(if at < slots.len() { at } else { at.saturating_sub(slots.len()) });
        }
    }
    Place::Full
}

/// Takes the order: writes its fingerprint into the slot that [`find`] named.
pub fn take(slots: &mut [u64], place: usize, fingerprint: Fingerprint) {
    if let Some(slot) = slots.get_mut(place) {
        *slot = fingerprint.0;
    }
}
