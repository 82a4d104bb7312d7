//! Signing records as the platform's payment oracle.

use crate::address::PROGRAM;
use rebate_core::message::{self, Record, TooManyRecords};
use solana_keypair::Keypair;
use solana_program::pubkey::Pubkey;
use solana_signer::Signer;

/// A message and who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedMessage {
    /// The oracle's key.
    pub key: [u8; 32],
    /// Its signature over `message`.
    pub signature: [u8; 64],
    /// The message.
    pub message: Vec<u8>,
}

/// Signs a message that carries `records`, all of one kind, to `platform`.
///
/// # Errors
/// [`TooManyRecords`] for more than 255; what fits into a transaction is far less.
pub fn sign<R: Record>(oracle: &Keypair, platform: &Pubkey, records: &[R]) -> Result<SignedMessage, TooManyRecords> {
    let message = message::encode(&PROGRAM.to_bytes(), &platform.to_bytes(), records)?;
    Ok(SignedMessage { key: oracle.pubkey().to_bytes(), signature: *oracle.sign_message(&message).as_array(), message })
}
