//! What libFuzzer cannot see by itself: the program is not code of this process, so what it answered counts as a place that
//! was reached.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::atomic::{AtomicU8, Ordering},
};

const PLACES: usize = 1 << 14;

// SAFETY: libFuzzer reads and clears the bytes of this section between runs, when nobody else looks at them.
#[expect(unsafe_code, reason = "libFuzzer finds its extra counters by their section")]
#[unsafe(link_section = "__libfuzzer_extra_counters")]
static REACHED: [AtomicU8; PLACES] = [const { AtomicU8::new(0) }; PLACES];

/// Something came to `this`.
pub fn reached(this: impl Hash) {
    let mut hasher = DefaultHasher::new();
    this.hash(&mut hasher);
    let place = usize::try_from(hasher.finish() % PLACES as u64).unwrap_or(0);
    REACHED[place].store(1, Ordering::Relaxed);
}
