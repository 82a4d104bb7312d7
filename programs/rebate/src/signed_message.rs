//! Reading the message that the Ed25519 program verified in the instruction just before.
//!
//! The precompile verifies whatever its offsets point at, in whatever instruction they name. The message is only what
//! was verified if every offset is the one we read by.

use crate::{
    error::RebateError,
    state::{OracleKey, Platform},
};
use anchor_lang::{pinocchio::sysvars::instructions::IntrospectedInstruction, prelude::*};
use rebate_core::units::Timestamp;

/// `Ed25519SigVerify111111111111111111111111111`.
const ED25519_PROGRAM: Address = Address::from_str_const("Ed25519SigVerify111111111111111111111111111");

const KEY: usize = 16;
const SIGNATURE: usize = 48;
const MESSAGE: usize = 112;
/// An instruction index that means "this instruction".
const HERE: u16 = u16::MAX;

/// A verified message and the oracle key that signed it.
pub struct SignedMessage<'a> {
    pub oracle: OracleKey,
    pub bytes: &'a [u8],
}

/// The instruction just before this one, if the Ed25519 program ran it.
///
/// # Errors
/// [`RebateError::NoSignature`] if there is none, or another program ran it.
pub fn instruction_before(instructions: &SysvarInstructions) -> Result<IntrospectedInstruction<'_>> {
    let before = instructions.get_instruction_relative(-1).map_err(|_| RebateError::NoSignature)?;
    require!(anchor_lang::address_eq(before.get_program_id(), &ED25519_PROGRAM), RebateError::NoSignature);
    Ok(before)
}

/// The message that `ed25519` verified, signed by a key of `platform` that is valid at `now`.
///
/// # Errors
/// [`RebateError::MalformedSignature`] unless it is laid out exactly as we read it; [`RebateError::UnknownOracle`] and
/// [`RebateError::OracleNotValid`].
pub fn read<'a>(
    ed25519: &'a IntrospectedInstruction<'_>,
    platform: &Platform,
    now: Timestamp,
) -> Result<SignedMessage<'a>> {
    let (key, bytes) = verified(ed25519.get_instruction_data()).ok_or(RebateError::MalformedSignature)?;
    let oracle = platform.oracles().iter().find(|oracle| oracle.key == *key).ok_or(RebateError::UnknownOracle)?;
    require!(oracle.valid_at(now), RebateError::OracleNotValid);
    Ok(SignedMessage { oracle: *oracle, bytes })
}

/// The key and the message of an Ed25519 instruction: one count byte, one padding byte, then seven little-endian
/// `u16`: signature offset and instruction, key offset and instruction, message offset, size and instruction. All of
/// it has one value only, so that it is compared whole.
fn verified(data: &[u8]) -> Option<(&[u8; 32], &[u8])> {
    let (header, rest) = data.split_first_chunk::<KEY>()?;
    let (key, rest) = rest.split_first_chunk::<{ SIGNATURE - KEY }>()?;
    let (_signature, message) = rest.split_first_chunk::<{ MESSAGE - SIGNATURE }>()?;
    let size = u16::try_from(message.len()).ok()?.to_le_bytes();
    let [here_low, here_high] = HERE.to_le_bytes();
    let expected = [
        1,
        0, // count, padding
        SIGNATURE as u8,
        0,
        here_low,
        here_high,
        KEY as u8,
        0,
        here_low,
        here_high,
        MESSAGE as u8,
        0,
        size[0],
        size[1],
        here_low,
        here_high,
    ];
    (*header == expected).then_some((key, message))
}
