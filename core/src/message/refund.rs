//! A refund's encoding.

use super::{InvalidMessage, Reader, Record};
use crate::{
    refund::Refund,
    units::{Amount, OrderHash, Timestamp},
};
use alloc::vec::Vec;

impl Record for Refund {
    const KIND: u8 = 2;
    const MAX_SIZE: usize = 1 + 32 + 32 + 8 + 8;

    fn decode(bytes: &mut Reader<'_>) -> Result<Self, InvalidMessage> {
        let _kind = bytes.array::<1>()?;
        Ok(Self {
            order: OrderHash(*bytes.array()?),
            of: OrderHash(*bytes.array()?),
            amount: Amount(u64::from_le_bytes(*bytes.array()?)),
            paid_at: Timestamp(i64::from_le_bytes(*bytes.array()?)),
        })
    }

    fn encode(&self, message: &mut Vec<u8>) {
        message.push(Self::KIND);
        message.extend_from_slice(&self.order.0);
        message.extend_from_slice(&self.of.0);
        message.extend_from_slice(&self.amount.0.to_le_bytes());
        message.extend_from_slice(&self.paid_at.0.to_le_bytes());
    }
}
