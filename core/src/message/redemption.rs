//! A redemption's encoding.

use super::{InvalidMessage, Reader, Record};
use crate::{
    redemption::Redemption,
    units::{Amount, AssetId, OrderHash, Timestamp, UserKey},
};
use alloc::vec::Vec;

impl Record for Redemption {
    const KIND: u8 = 3;
    const MAX_SIZE: usize = 1 + 32 + 32 + 1 + 8 + 8;

    fn decode(bytes: &mut Reader<'_>) -> Result<Self, InvalidMessage> {
        let _kind = bytes.array::<1>()?;
        let order = OrderHash(*bytes.array()?);
        let user = UserKey(*bytes.array()?);
        let [asset] = *bytes.array()?;
        Ok(Self {
            order,
            user,
            asset: AssetId(asset),
            amount: Amount(u64::from_le_bytes(*bytes.array()?)),
            redeemed_at: Timestamp(i64::from_le_bytes(*bytes.array()?)),
        })
    }

    fn encode(&self, message: &mut Vec<u8>) {
        message.push(Self::KIND);
        message.extend_from_slice(&self.order.0);
        message.extend_from_slice(&self.user.0);
        message.push(self.asset.0);
        message.extend_from_slice(&self.amount.0.to_le_bytes());
        message.extend_from_slice(&self.redeemed_at.0.to_le_bytes());
    }
}
