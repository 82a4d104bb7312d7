//! Order numbers and user ids, numbered in the order they are met. Each is kept once, byte for byte.

use foldhash::fast::RandomState;
use std::{hash::BuildHasher, hint::black_box};

/// A set of names.
#[derive(Debug, Default)]
pub struct Names {
    /// All names, one behind the other.
    text: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    /// An open-addressed table, at most three quarters full: what it takes to find a name, or to see that it is new, lies
    /// together. Its length is a power of two, or 0.
    slots: Vec<Slot>,
    state: RandomState,
}

/// The low half of a name's hash, and its number, from 1; 0 for nobody's slot.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    hash: u32,
    number: u32,
}

/// Where a name is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Place(u32);

/// More names than 2^32 − 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl Names {
    /// Room for `count` names more, of `bytes` bytes in all.
    pub fn reserve(&mut self, count: usize, bytes: usize) {
        self.text.reserve(bytes);
        self.ends.reserve(count);
        self.grow_for(self.len().saturating_add(count));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Where to look for `name`; [`at`](Self::at) takes it.
    #[inline]
    pub fn place(&self, name: &[u8]) -> Place {
        // The low half.
        Place(self.state.hash_one(name) as u32)
    }

    /// Looks at what names will be found by. Who knows several of them calls this for all, and waits for memory once rather
    /// than for each.
    #[inline]
    pub fn look_ahead(&self, places: &[Place]) {
        let slot = |place: &Place| self.slots.get(self.slot(*place));
        for place in places {
            black_box(slot(place).map(|slot| slot.number));
        }
        let taken = || places.iter().filter_map(slot).filter_map(|slot| slot.number.checked_sub(1));
        for number in taken() {
            black_box(self.ends.get(number as usize));
        }
        for number in taken() {
            black_box(name_of(&self.text, &self.ends, number as usize).first());
        }
    }

    /// The number of `name`, which gets the next one if it is new.
    ///
    /// # Errors
    /// [`TooMany`].
    #[inline]
    pub fn number(&mut self, name: &[u8]) -> Result<usize, TooMany> {
        self.at(self.place(name), name)
    }

    /// The number of `name`, which belongs to the place `place`.
    ///
    /// # Errors
    /// [`TooMany`].
    #[inline]
    pub fn at(&mut self, place: Place, name: &[u8]) -> Result<usize, TooMany> {
        if self.is_full_with(self.len().saturating_add(1)) {
            self.grow_for(self.len().saturating_add(1));
        }
        let Self { text, ends, slots, .. } = self;
        let mask = slots.len().wrapping_sub(1);
        let mut at = place.0 as usize & mask;
        loop {
            // There is one, and a free one: the table was made for more.
            let slot = slots.get_mut(at).ok_or(TooMany)?;
            let Some(number) = slot.number.checked_sub(1) else {
                let number = u32::try_from(ends.len()).ok().and_then(|number| number.checked_add(1)).ok_or(TooMany)?;
                *slot = Slot { hash: place.0, number };
                text.extend_from_slice(name);
                ends.push(text.len());
                return Ok(number as usize - 1);
            };
            if slot.hash == place.0 && name_of(text, ends, number as usize) == name {
                return Ok(number as usize);
            }
            at = at.wrapping_add(1) & mask;
        }
    }

    #[inline]
    fn slot(&self, place: Place) -> usize {
        place.0 as usize & self.slots.len().wrapping_sub(1)
    }

    #[inline]
    fn is_full_with(&self, count: usize) -> bool {
        count > self.slots.len() / 4 * 3
    }

    /// Makes the table large enough for `count` names.
    #[cold]
    fn grow_for(&mut self, count: usize) {
        if !self.is_full_with(count) {
            return;
        }
        let length = (count / 3).saturating_mul(4).saturating_add(8).next_power_of_two();
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); length]);
        for slot in old.into_iter().filter(|slot| slot.number != 0) {
            let mut at = self.slot(Place(slot.hash));
            while self.slots.get(at).is_some_and(|taken| taken.number != 0) {
                at = at.wrapping_add(1) & length.wrapping_sub(1);
            }
            if let Some(free) = self.slots.get_mut(at) {
                *free = slot;
            }
        }
    }
}

#[inline]
fn name_of<'a>(text: &'a [u8], ends: &[usize], number: usize) -> &'a [u8] {
    let begin = number.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    ends.get(number).and_then(|end| text.get(begin..*end)).unwrap_or_default()
}
