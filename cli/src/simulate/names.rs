//! Order numbers and user ids, numbered in the order they are met. Each is kept once, byte for byte.

use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table::Entry};
use std::hash::BuildHasher;

/// A set of names.
#[derive(Debug, Default)]
pub struct Names {
    /// All names, one behind the other.
    text: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    /// Each name's number, found by the name.
    table: HashTable<u32>,
    state: RandomState,
}

/// More names than 2^32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl Names {
    /// Room for `count` names more, of `bytes` bytes in all.
    pub fn reserve(&mut self, count: usize, bytes: usize) {
        self.text.reserve(bytes);
        self.ends.reserve(count);
        let Self { text, ends, table, state } = self;
        table.reserve(count, |at| state.hash_one(at_number(text, ends, *at)));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The number of `name`, which gets the next one if it is new.
    ///
    /// # Errors
    /// [`TooMany`].
    #[inline]
    pub fn number(&mut self, name: &[u8]) -> Result<usize, TooMany> {
        let Self { text, ends, table, state } = self;
        let entry = table.entry(
            state.hash_one(name),
            |at| at_number(text, ends, *at) == name,
            |at| state.hash_one(at_number(text, ends, *at)),
        );
        match entry {
            Entry::Occupied(entry) => Ok(*entry.get() as usize),
            Entry::Vacant(entry) => {
                let number = u32::try_from(ends.len()).map_err(|_| TooMany)?;
                entry.insert(number);
                text.extend_from_slice(name);
                ends.push(text.len());
                Ok(number as usize)
            }
        }
    }
}

#[inline]
fn at_number<'a>(text: &'a [u8], ends: &[usize], number: u32) -> &'a [u8] {
    let number = number as usize;
    let begin = number.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    ends.get(number).and_then(|end| text.get(begin..*end)).unwrap_or_default()
}
