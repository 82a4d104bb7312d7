//! Putting a log line together for as few compute units as possible: fixed texts are copied in words, numbers written in
//! place. The general loggers copy byte by byte, at three times the cost.

/// The longest line; text that does not fit is left out.
const CAPACITY: usize = 192;

/// A line being written. Everything put into it is ASCII, or a name that was checked to be UTF-8 when it was stored.
pub struct Line {
    bytes: [u8; CAPACITY],
    length: usize,
}

impl Line {
    #[inline(always)]
    pub fn new() -> Self {
        Self { bytes: [0; CAPACITY], length: 0 }
    }

    #[inline(always)]
    fn room<const N: usize>(&mut self) -> Option<&mut [u8; N]> {
        let room = self.bytes.get_mut(self.length..)?.first_chunk_mut::<N>()?;
        self.length = self.length.saturating_add(N);
        Some(room)
    }

    /// A text whose length is known when the program is built.
    #[inline(always)]
    pub fn text<const N: usize>(&mut self, text: &[u8; N]) {
        if let Some(room) = self.room::<N>() {
            *room = *text;
        }
    }

    /// A text of any length.
    pub fn word(&mut self, text: &[u8]) {
        text.iter().for_each(|byte| self.text(&[*byte]));
    }

    /// The first `length` bytes of a padded name: it is copied whole, and what follows overwrites the padding.
    #[inline(always)]
    pub fn padded<const N: usize>(&mut self, name: &[u8; N], length: usize) {
        let end = self.length.saturating_add(length.min(N));
        self.text(name);
        self.length = self.length.min(end);
    }

    /// Four bytes as eight hexadecimal digits, all digits at once: nibbles are spread to bytes, and each byte becomes
    /// `0`–`9` or `a`–`f`.
    #[inline(always)]
    #[expect(clippy::arithmetic_side_effects, reason = "every byte stays below 256: at most 0x0f + 0x30 + 0x27")]
    pub fn hexadecimal(&mut self, bytes: [u8; 4]) {
        let mut digits = u64::from(u32::from_be_bytes(bytes));
        digits = (digits | digits << 16) & 0x0000_ffff_0000_ffff;
        digits = (digits | digits << 8) & 0x00ff_00ff_00ff_00ff;
        digits = (digits | digits << 4) & 0x0f0f_0f0f_0f0f_0f0f;
        let letters = ((digits + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
        self.text(&(digits + 0x3030_3030_3030_3030 + letters * 0x27).to_be_bytes());
    }

    /// A number in decimal.
    #[inline]
    #[expect(clippy::arithmetic_side_effects, reason = "a digit plus `0` fits a byte; a u64 has at most 20 digits")]
    pub fn number(&mut self, number: u64) {
        let mut width = 1;
        let mut rest = number;
        while rest >= 10 {
            rest /= 10;
            width += 1;
        }
        let Some(end) = self.length.checked_add(width).filter(|end| *end <= CAPACITY) else { return };
        let mut rest = number;
        if let Some(places) = self.bytes.get_mut(self.length..end) {
            for place in places.iter_mut().rev() {
                *place = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        self.length = end;
    }

    /// Logs it.
    #[inline(always)]
    pub fn log(&self) {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        #[cfg(target_os = "solana")]
        // SAFETY: the syscall reads `length` bytes from a slice that has as many; the runtime checks UTF-8.
        unsafe {
            anchor_lang::pinocchio::syscalls::sol_log_(bytes.as_ptr(), bytes.len() as u64);
        }
        #[cfg(not(target_os = "solana"))]
        core::hint::black_box(bytes);
    }
}
