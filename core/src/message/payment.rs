//! A payment's encoding.

use super::{InvalidMessage, Reader, Record};
use crate::{
    payment::Payment,
    units::{Amount, OrderHash, Timestamp, UserKey},
};
use alloc::vec::Vec;

/// The bytes that are always there.
const HEAD: usize = 1 + 1 + 32 + 32 + 8 + 8 + 2;

const STREAMER: u8 = 1;
const SESSION: u8 = 2;
const TIER: u8 = 4;
const SEGMENTS: u8 = 8;

impl Record for Payment {
    const KIND: u8 = 1;
    const MAX_SIZE: usize = HEAD + 8 + 8 + 1 + 4;

    #[inline]
    fn decode(bytes: &mut Reader<'_>) -> Result<Self, InvalidMessage> {
        let [_kind, fields] = bytes.kind()?;
        if fields & !(STREAMER | SESSION | TIER | SEGMENTS) != 0 {
            return Err(InvalidMessage::NotCanonical);
        }
        // One check of the length for all that is always there; within it the fields' places are constants.
        let mut head = Reader(bytes.array::<HEAD>()?);
        let _ = head.array::<2>()?;
        let order = OrderHash(*head.array()?);
        let user = UserKey(*head.array()?);
        let amount = Amount(u64::from_le_bytes(*head.array()?));
        let paid_at = Timestamp(i64::from_le_bytes(*head.array()?));
        let product = u16::from_le_bytes(*head.array()?);
        let mut payment = Self { order, user, amount, paid_at, product, ..Self::default() };
        if fields != 0 {
            payment.streamer = u64::from_le_bytes(bytes.optional(fields & STREAMER != 0)?);
            payment.session = u64::from_le_bytes(bytes.optional(fields & SESSION != 0)?);
            payment.tier = u8::from_le_bytes(bytes.optional(fields & TIER != 0)?);
            payment.segments = u32::from_le_bytes(bytes.optional(fields & SEGMENTS != 0)?);
        }
        Ok(payment)
    }

    fn encode(&self, message: &mut Vec<u8>) {
        let present = [
            (self.streamer != 0, STREAMER),
            (self.session != 0, SESSION),
            (self.tier != 0, TIER),
            (self.segments != 0, SEGMENTS),
        ];
        let fields = present.iter().filter(|(there, _)| *there).fold(0, |fields, (_, bit)| fields | bit);
        message.extend_from_slice(&[Self::KIND, fields]);
        message.extend_from_slice(&self.order.0);
        message.extend_from_slice(&self.user.0);
        message.extend_from_slice(&self.amount.0.to_le_bytes());
        message.extend_from_slice(&self.paid_at.0.to_le_bytes());
        message.extend_from_slice(&self.product.to_le_bytes());
        if fields & STREAMER != 0 {
            message.extend_from_slice(&self.streamer.to_le_bytes());
        }
        if fields & SESSION != 0 {
            message.extend_from_slice(&self.session.to_le_bytes());
        }
        if fields & TIER != 0 {
            message.push(self.tier);
        }
        if fields & SEGMENTS != 0 {
            message.extend_from_slice(&self.segments.to_le_bytes());
        }
    }
}
