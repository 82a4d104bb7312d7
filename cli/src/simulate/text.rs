//! Text that is written behind one another, in pieces of which most are short and some known beforehand.

/// The longest a [`Piece`] can be.
const PIECE: usize = 96;

/// How many digits 2^64 − 1 has.
const DIGITS: usize = 20;

/// Text so far.
#[derive(Debug, Default)]
pub struct Text {
    /// What was written, and room behind it.
    bytes: Vec<u8>,
    end: usize,
}

/// A piece that is written often. Pieces are copied with what is behind them, so that all copies are of one length, which
/// the processor does in few steps; what is written next overwrites the rest.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    bytes: [u8; PIECE],
    length: usize,
}

impl Piece {
    /// The piece `text`, without what is beyond 96 bytes.
    pub fn new(text: &str) -> Self {
        let mut bytes = [0; PIECE];
        for (byte, from) in bytes.iter_mut().zip(text.bytes()) {
            *byte = from;
        }
        Self { bytes, length: text.len().min(PIECE) }
    }
}

impl Text {
    /// Room for `size` bytes.
    pub fn with_capacity(size: usize) -> Self {
        Self { bytes: vec![0; size], end: 0 }
    }

    /// What was written.
    pub fn written(&self) -> &[u8] {
        self.bytes.get(..self.end).unwrap_or_default()
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        self.end = 0;
    }

    /// Writes `N` bytes, of which `length` stay.
    #[inline(always)]
    fn copy<const N: usize>(&mut self, from: &[u8; N], length: usize) {
        loop {
            if let Some(room) = self.bytes.get_mut(self.end..).and_then(<[u8]>::first_chunk_mut::<N>) {
                *room = *from;
                self.end = self.end.wrapping_add(length);
                return;
            }
            self.grow(N);
        }
    }

    #[cold]
    fn grow(&mut self, by: usize) {
        self.bytes.resize(self.bytes.len().saturating_mul(2).saturating_add(by), 0);
    }

    /// Writes a text known beforehand.
    #[inline(always)]
    pub fn put<const N: usize>(&mut self, text: &[u8; N]) {
        self.copy(text, N);
    }

    /// Writes a piece.
    #[inline(always)]
    pub fn piece(&mut self, piece: &Piece) {
        self.copy(&piece.bytes, piece.length);
    }

    /// Writes any text.
    pub fn any(&mut self, text: &[u8]) {
        while self.bytes.len().saturating_sub(self.end) < text.len() {
            self.grow(text.len());
        }
        if let Some(room) = self.bytes.get_mut(self.end..self.end.saturating_add(text.len())) {
            room.copy_from_slice(text);
            self.end = self.end.saturating_add(text.len());
        }
    }

    /// Writes a number.
    #[inline(always)]
    pub fn number(&mut self, number: u64) {
        if number < 10 {
            // One digit.
            self.put(&[b'0'.wrapping_add(number as u8)]);
        } else {
            let digits = Number::new(number);
            self.copy(digits.text(), digits.length);
        }
    }

    /// Writes a number, `between`, and the number again.
    #[inline(always)]
    pub fn twice<const N: usize>(&mut self, number: u64, between: &[u8; N]) {
        let digits = Number::new(number);
        self.copy(digits.text(), digits.length);
        self.put(between);
        self.copy(digits.text(), digits.length);
    }
}

/// A number's digits, and room behind them.
struct Number {
    digits: [u8; 2 * DIGITS],
    length: usize,
}

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut at = 0;
    while at < 100 {
        pairs[at] = [b'0' + (at / 10) as u8, b'0' + (at % 10) as u8];
        at += 1;
    }
    pairs
};

impl Number {
    #[inline(always)]
    fn new(mut number: u64) -> Self {
        let mut digits = [0; 2 * DIGITS];
        let mut length = 0;
        // From the last pair of digits on.
        for pair in digits.as_chunks_mut::<2>().0.iter_mut().take(DIGITS / 2).rev() {
            let last = (number % 100) as usize;
            *pair = PAIRS.get(last).copied().unwrap_or_default();
            number /= 100;
            length += 2;
            if number == 0 {
                length -= usize::from(last < 10);
                break;
            }
        }
        Self { digits, length }
    }

    #[inline(always)]
    fn text(&self) -> &[u8; DIGITS] {
        let begin = DIGITS.wrapping_sub(self.length);
        // There is always so much: at most half of the digits lie before it.
        self.digits.get(begin..).and_then(<[u8]>::first_chunk).unwrap_or(&[0; DIGITS])
    }
}
