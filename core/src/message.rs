//! The signed message: what the oracle signs and the program reads.
//!
//! ```text
//! domain    8  "rebate/1"
//! program  32  the program's address
//! platform 32  the platform's address
//! count     1  how many records follow, 1..=255
//! records   …
//! ```
//!
//! A record begins with its kind, and all records of a message are of one kind.
//!
//! ```text
//! payment               refund                redemption            wallet link
//! kind      1  1        kind      1  2        kind       1  3       kind      1  4
//! fields    1           order    32           order     32          user     32
//! order    32           of       32           user      32          wallet   32
//! user     32           amount    8           asset      1          linked_at 8  signed
//! amount    8           paid_at   8  signed   amount     8
//! paid_at   8  signed                         redeemed_at 8  signed
//! product   2
//! streamer  8  optional
//! session   8  optional
//! tier      1  optional
//! segments  4  optional
//! ```
//!
//! Orders are SHA-256 of order numbers. `fields` says which of a payment's optional fields follow: 1 streamer, 2 session,
//! 4 tier, 8 segments. Integers are little-endian. An optional field that is 0 is left out, and one that is there is not 0:
//! a record has one encoding. Nothing follows the last record.

mod payment;
mod redemption;
mod refund;
mod wallet_link;

use alloc::vec::Vec;

/// The domain tag: no other message of the same key can be taken for one of ours.
pub const DOMAIN: [u8; 8] = *b"rebate/1";

/// The bytes before the first record.
pub const HEADER: usize = 8 + 32 + 32 + 1;

/// A record that can be signed.
pub trait Record: Sized {
    /// The byte that its encoding begins with.
    const KIND: u8;

    /// The longest its encoding can be.
    const MAX_SIZE: usize;

    /// Appends its one encoding.
    fn encode(&self, message: &mut Vec<u8>);

    /// Reads one, from its kind on.
    ///
    /// # Errors
    /// If the bytes begin with no record of this kind in its one encoding.
    fn decode(bytes: &mut Reader<'_>) -> Result<Self, InvalidMessage>;
}

/// Why bytes are no message for this program and platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidMessage {
    /// Shorter than a header, or a record is cut off.
    Truncated,
    /// Not signed for this use.
    WrongDomain,
    /// Signed for another program.
    WrongProgram,
    /// Signed for another platform.
    WrongPlatform,
    /// No records.
    Empty,
    /// A record of another kind than the instruction takes.
    UnknownKind,
    /// An optional field that is unknown, or there although it is 0.
    NotCanonical,
    /// Bytes after the last record.
    TrailingBytes,
}

/// The bytes of a message that are still to be read.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The kind of the record that comes, and the byte behind it.
    #[inline(always)]
    fn kind(&self) -> Result<[u8; 2], InvalidMessage> {
        self.0.first_chunk().copied().ok_or(InvalidMessage::Truncated)
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], InvalidMessage> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(InvalidMessage::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    fn optional<const N: usize>(&mut self, there: bool) -> Result<[u8; N], InvalidMessage> {
        if !there {
            return Ok([0; N]);
        }
        let bytes = *self.array::<N>()?;
        if bytes == [0; N] { Err(InvalidMessage::NotCanonical) } else { Ok(bytes) }
    }
}

/// The records of a message, one by one.
pub struct Records<'a> {
    bytes: Reader<'a>,
    left: u8,
}

/// Reads the header and hands out the records behind it.
///
/// # Errors
/// If the header is not one for `program` and `platform`, or announces no records.
pub fn open<'a>(message: &'a [u8], program: &[u8; 32], platform: &[u8; 32]) -> Result<Records<'a>, InvalidMessage> {
    let mut bytes = Reader(message);
    if *bytes.array::<8>()? != DOMAIN {
        return Err(InvalidMessage::WrongDomain);
    }
    if bytes.array::<32>()? != program {
        return Err(InvalidMessage::WrongProgram);
    }
    if bytes.array::<32>()? != platform {
        return Err(InvalidMessage::WrongPlatform);
    }
    match *bytes.array::<1>()? {
        [0] => Err(InvalidMessage::Empty),
        [left] => Ok(Records { bytes, left }),
    }
}

impl Records<'_> {
    /// How many records are still to come.
    pub fn left(&self) -> usize {
        usize::from(self.left)
    }

    /// The next record; `None` after the last, once it is sure that nothing follows.
    ///
    /// # Errors
    /// If the bytes are no record of this kind, or go on after the last one.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "the caller says at each record which kind it takes")]
    pub fn next<R: Record>(&mut self) -> Result<Option<R>, InvalidMessage> {
        let Some(left) = self.left.checked_sub(1) else {
            return if self.bytes.0.is_empty() { Ok(None) } else { Err(InvalidMessage::TrailingBytes) };
        };
        if self.bytes.kind()?[0] != R::KIND {
            return Err(InvalidMessage::UnknownKind);
        }
        let record = R::decode(&mut self.bytes)?;
        self.left = left;
        Ok(Some(record))
    }
}

/// More records than a message can announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyRecords;

/// The message that carries `records` to `platform` of `program`.
///
/// # Errors
/// [`TooManyRecords`] for more than 255.
pub fn encode<R: Record>(program: &[u8; 32], platform: &[u8; 32], records: &[R]) -> Result<Vec<u8>, TooManyRecords> {
    let count = u8::try_from(records.len()).map_err(|_| TooManyRecords)?;
    let mut message = Vec::with_capacity(HEADER.saturating_add(records.len().saturating_mul(R::MAX_SIZE)));
    message.extend_from_slice(&DOMAIN);
    message.extend_from_slice(program);
    message.extend_from_slice(platform);
    message.push(count);
    for record in records {
        record.encode(&mut message);
    }
    Ok(message)
}
