//! A file by blocks of whole lines, without a copy of any line.

use memchr::{memchr, memrchr};
use std::io::{self, Read};

/// How much is read at once.
const CHUNK: usize = 1 << 16;

/// How long a line can be, in bytes: a bound on memory for what is no payment file at all.
pub const MAX_LINE: usize = 1 << 20;

/// The blocks of a reader.
pub struct Blocks<R> {
    reader: R,
    buffer: Vec<u8>,
    /// What of the buffer was handed out.
    begin: usize,
    /// What of the buffer was read.
    end: usize,
    /// Whether anything was handed out.
    begun: bool,
    read: u64,
}

impl<R: Read> Blocks<R> {
    /// The blocks from where `reader` stands.
    pub fn new(reader: R) -> Self {
        Self { reader, buffer: vec![0; CHUNK], begin: 0, end: 0, begun: false, read: 0 }
    }

    /// How many bytes were read so far.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// The next lines; `None` behind the last. A line of more than [`MAX_LINE`] bytes may be cut after that many. A byte
    /// order mark at the beginning is left out.
    ///
    /// # Errors
    /// What the reader fails with.
    pub fn next_block(&mut self) -> io::Result<Option<&[u8]>> {
        let mut searched = self.begin;
        let end = loop {
            let unread = self.buffer.get(searched..self.end).unwrap_or_default();
            if let Some(at) = memrchr(b'\n', unread) {
                break searched.saturating_add(at).saturating_add(1);
            }
            if self.end.saturating_sub(self.begin) > MAX_LINE {
                break self.end;
            }
            searched = self.end.saturating_sub(self.begin);
            if self.fill()? == 0 {
                if self.begin == self.end {
                    return Ok(None);
                }
                break self.end;
            }
        };
        let block = self.buffer.get(self.begin..end).unwrap_or_default();
        self.begin = end;
        let first = !self.begun;
        self.begun = true;
        Ok(Some(if first { block.strip_prefix(b"\xef\xbb\xbf").unwrap_or(block) } else { block }))
    }

    /// Moves what is left to the front and reads on. Returns how much was read.
    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.copy_within(self.begin..self.end, 0);
        self.end = self.end.saturating_sub(self.begin);
        self.begin = 0;
        if self.buffer.len().saturating_sub(self.end) < CHUNK / 2 {
            self.buffer.resize(self.buffer.len().saturating_add(CHUNK), 0);
        }
        loop {
            match self.reader.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(count) => {
                    self.end = self.end.saturating_add(count);
                    self.read = self.read.saturating_add(count as u64);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The lines of a block, without their ends.
pub struct Lines<'a>(pub &'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = memchr(b'\n', self.0).unwrap_or(self.0.len());
        let (line, rest) = self.0.split_at_checked(end)?;
        self.0 = rest.get(1..).unwrap_or_default();
        Some(line)
    }
}
