//! A wallet link's encoding.

use super::{InvalidMessage, Reader, Record};
use crate::{
    units::{Timestamp, UserKey},
    wallet::WalletLink,
};
use alloc::vec::Vec;

impl Record for WalletLink {
    const KIND: u8 = 4;
    const MAX_SIZE: usize = 1 + 32 + 32 + 8;

    fn decode(bytes: &mut Reader<'_>) -> Result<Self, InvalidMessage> {
        let _kind = bytes.array::<1>()?;
        Ok(Self {
            user: UserKey(*bytes.array()?),
            wallet: *bytes.array()?,
            linked_at: Timestamp(i64::from_le_bytes(*bytes.array()?)),
        })
    }

    fn encode(&self, message: &mut Vec<u8>) {
        message.push(Self::KIND);
        message.extend_from_slice(&self.user.0);
        message.extend_from_slice(&self.wallet);
        message.extend_from_slice(&self.linked_at.0.to_le_bytes());
    }
}
