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
//! A record begins with its kind. A payment (kind 1):
//!
//! ```text
//! kind      1  1
//! fields    1  which of the optional fields follow: 1 streamer, 2 session, 4 tier, 8 segments
//! order    32  SHA-256 of the order number
//! user     32  the user's key
//! amount    8
//! paid_at   8  signed
//! product   2
//! streamer  8  optional
//! session   8  optional
//! tier      1  optional
//! segments  4  optional
//! ```
//!
//! Integers are little-endian. An optional field that is 0 is left out, and one that is there is not 0: a payment has
//! one encoding. Nothing follows the last record.

use crate::{
    payment::Payment,
    units::{Amount, OrderHash, Timestamp, UserKey},
};
use alloc::vec::Vec;

/// The domain tag: no other message of the same key can be taken for one of ours.
pub const DOMAIN: [u8; 8] = *b"rebate/1";

/// The bytes before the first record.
pub const HEADER: usize = 8 + 32 + 32 + 1;

/// The kind of a payment record.
pub const PAYMENT: u8 = 1;

/// The longest a payment record can be.
pub const MAX_PAYMENT: usize = 1 + 1 + 32 + 32 + 8 + 8 + 2 + 8 + 8 + 1 + 4;

/// The bytes of a payment record that are always there.
const PAYMENT_HEAD: usize = 1 + 1 + 32 + 32 + 8 + 8 + 2;

const STREAMER: u8 = 1;
const SESSION: u8 = 2;
const TIER: u8 = 4;
const SEGMENTS: u8 = 8;

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
    /// A kind of record this code does not know.
    UnknownKind,
    /// An optional field that is unknown, or there although it is 0.
    NotCanonical,
    /// Bytes after the last record.
    TrailingBytes,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
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
    /// If the bytes are no record, or go on after the last one.
    #[inline]
    pub fn next_payment(&mut self) -> Result<Option<Payment>, InvalidMessage> {
        let Some(left) = self.left.checked_sub(1) else {
            return if self.bytes.0.is_empty() { Ok(None) } else { Err(InvalidMessage::TrailingBytes) };
        };
        let [kind, fields] = *self.bytes.0.first_chunk().ok_or(InvalidMessage::Truncated)?;
        if kind != PAYMENT {
            return Err(InvalidMessage::UnknownKind);
        }
        if fields & !(STREAMER | SESSION | TIER | SEGMENTS) != 0 {
            return Err(InvalidMessage::NotCanonical);
        }
        // One check of the length for all that is always there; within it the fields' places are constants.
        let mut head = Reader(self.bytes.array::<PAYMENT_HEAD>()?);
        let _ = head.array::<2>()?;
        let order = OrderHash(*head.array()?);
        let user = UserKey(*head.array()?);
        let amount = Amount(u64::from_le_bytes(*head.array()?));
        let paid_at = Timestamp(i64::from_le_bytes(*head.array()?));
        let product = u16::from_le_bytes(*head.array()?);
        let mut payment = Payment { order, user, amount, paid_at, product, ..Payment::default() };
        if fields != 0 {
            let bytes = &mut self.bytes;
            payment.streamer = u64::from_le_bytes(bytes.optional(fields & STREAMER != 0)?);
            payment.session = u64::from_le_bytes(bytes.optional(fields & SESSION != 0)?);
            payment.tier = u8::from_le_bytes(bytes.optional(fields & TIER != 0)?);
            payment.segments = u32::from_le_bytes(bytes.optional(fields & SEGMENTS != 0)?);
        }
        self.left = left;
        Ok(Some(payment))
    }
}

/// More records than a message can announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyRecords;

/// The message that carries `payments` to `platform` of `program`.
///
/// # Errors
/// [`TooManyRecords`] for more than 255.
pub fn encode(program: &[u8; 32], platform: &[u8; 32], payments: &[Payment]) -> Result<Vec<u8>, TooManyRecords> {
    let count = u8::try_from(payments.len()).map_err(|_| TooManyRecords)?;
    let mut message = Vec::with_capacity(HEADER.saturating_add(payments.len().saturating_mul(MAX_PAYMENT)));
    message.extend_from_slice(&DOMAIN);
    message.extend_from_slice(program);
    message.extend_from_slice(platform);
    message.push(count);
    for payment in payments {
        encode_payment(payment, &mut message);
    }
    Ok(message)
}

fn encode_payment(payment: &Payment, message: &mut Vec<u8>) {
    let present = [
        (payment.streamer != 0, STREAMER),
        (payment.session != 0, SESSION),
        (payment.tier != 0, TIER),
        (payment.segments != 0, SEGMENTS),
    ];
    let fields = present.iter().filter(|(there, _)| *there).fold(0, |fields, (_, bit)| fields | bit);
    message.extend_from_slice(&[PAYMENT, fields]);
    message.extend_from_slice(&payment.order.0);
    message.extend_from_slice(&payment.user.0);
    message.extend_from_slice(&payment.amount.0.to_le_bytes());
    message.extend_from_slice(&payment.paid_at.0.to_le_bytes());
    message.extend_from_slice(&payment.product.to_le_bytes());
    if fields & STREAMER != 0 {
        message.extend_from_slice(&payment.streamer.to_le_bytes());
    }
    if fields & SESSION != 0 {
        message.extend_from_slice(&payment.session.to_le_bytes());
    }
    if fields & TIER != 0 {
        message.push(payment.tier);
    }
    if fields & SEGMENTS != 0 {
        message.extend_from_slice(&payment.segments.to_le_bytes());
    }
}
