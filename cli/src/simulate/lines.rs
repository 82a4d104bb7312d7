//! A file line by line, without a copy of any line.

use memchr::memchr;
use std::io::{self, Read};

/// How much is read at once.
const CHUNK: usize = 1 << 18;

/// How long a line can be, in bytes: a bound on memory for what is no payment file at all.
pub const MAX_LINE: usize = 1 << 20;

/// The lines of a reader.
pub struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    /// What of the buffer was handed out.
    begin: usize,
    /// What of the buffer was read.
    end: usize,
    number: usize,
    read: u64,
}

/// A line, without its end.
pub struct Line<'a> {
    /// From 1.
    pub number: usize,
    /// What it says; more than [`MAX_LINE`] bytes, and not all of it, if it is too long.
    pub text: &'a [u8],
}

impl<R: Read> Lines<R> {
    /// The lines from where `reader` stands.
    pub fn new(reader: R) -> Self {
        Self { reader, buffer: vec![0; CHUNK], begin: 0, end: 0, number: 0, read: 0 }
    }

    /// How many bytes were read so far.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// The next line; `None` behind the last. A byte order mark before the first is no part of it.
    ///
    /// # Errors
    /// What the reader fails with.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut searched = self.begin;
        let (end, next) = loop {
            let unread = self.buffer.get(searched..self.end).unwrap_or_default();
            if let Some(at) = memchr(b'\n', unread) {
                let end = searched.saturating_add(at);
                break (end, end.saturating_add(1));
            }
            if self.end.saturating_sub(self.begin) > MAX_LINE {
                break (self.end, self.end);
            }
            searched = self.end.saturating_sub(self.begin);
            if self.fill()? == 0 {
                if self.begin == self.end {
                    return Ok(None);
                }
                break (self.end, self.end);
            }
        };
        let begin = self.begin;
        self.begin = next;
        self.number = self.number.saturating_add(1);
        let text = self.buffer.get(begin..end).unwrap_or_default();
        let text = if self.number == 1 { text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text) } else { text };
        Ok(Some(Line { number: self.number, text }))
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
