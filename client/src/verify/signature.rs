//! What an oracle signed: the data of the Ed25519 instruction just before ours, read as the program reads it, and the
//! signature checked once more, since a node can show whatever it likes.

use crate::{address::PROGRAM, event::Event};
use rebate_core::{
    message::{self, HEADER, InvalidMessage, Record, Records},
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    units::{Amount, AssetId, OrderHash, Timestamp, UserKey},
    wallet::WalletLink,
};
use solana_program::pubkey::Pubkey;
use solana_signature::Signature;
use thiserror::Error;

const KEY: usize = 16;
const SIGNATURE: usize = 48;
const MESSAGE: usize = 112;

/// A record that can be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedRecord {
    /// A payment.
    Payment(Payment),
    /// A refund.
    Refund(Refund),
    /// A redemption.
    Redemption(Redemption),
    /// A link of a wallet.
    Link(WalletLink),
}

impl SignedRecord {
    /// The record that an event says it is about; `None` of events that are about none.
    pub fn of(event: &Event) -> Option<Self> {
        Some(match event {
            Event::PaymentRecorded(event) => Self::Payment(Payment::from(event)),
            Event::RefundRecorded(event) => Self::Refund(Refund {
                order: OrderHash(event.order),
                of: OrderHash(event.of),
                amount: Amount(event.amount),
                paid_at: Timestamp(event.paid_at),
            }),
            Event::Redeemed(event) => Self::Redemption(Redemption {
                order: OrderHash(event.order),
                user: UserKey(event.user),
                asset: AssetId(event.asset),
                amount: Amount(event.amount),
                redeemed_at: Timestamp(event.redeemed_at),
            }),
            Event::WalletLinked(event) => Self::Link(WalletLink {
                user: UserKey(event.user),
                wallet: event.wallet,
                linked_at: Timestamp(event.linked_at),
            }),
            _ => return None,
        })
    }
}

/// A message whose signature verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The key that signed it.
    pub oracle: [u8; 32],
    /// What it says, in order.
    pub records: Vec<SignedRecord>,
}

/// Why there is no signed message.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Unsigned {
    /// The instruction before is not one of the Ed25519 program.
    #[error("the instruction before is not one of the Ed25519 program: nobody signed it")]
    Missing,
    /// It verifies something else than the program reads.
    #[error("the Ed25519 instruction before is not laid out as the program reads it")]
    Malformed,
    /// It does not verify.
    #[error("the oracle's signature does not verify: it is forged, or the message was altered")]
    Forged,
    /// The message is none.
    #[error("what was signed is no message to this platform: {}", reason(*.0))]
    Message(InvalidMessage),
}

fn reason(invalid: InvalidMessage) -> &'static str {
    match invalid {
        InvalidMessage::Truncated => "it is cut off",
        InvalidMessage::WrongDomain => "it is not one of records",
        InvalidMessage::WrongProgram => "it was signed for another program",
        InvalidMessage::WrongPlatform => "it was signed for another platform",
        InvalidMessage::Empty => "it holds no records",
        InvalidMessage::UnknownKind => "it holds a record of another kind",
        InvalidMessage::NotCanonical => "a record is not in its one canonical form",
        InvalidMessage::TrailingBytes => "it goes on after its last record",
    }
}

/// Reads the data of an Ed25519 instruction that is to carry records to `platform`, and checks the signature as strictly as
/// the chain does.
///
/// # Errors
/// [`Unsigned`].
pub fn read(data: &[u8], platform: &Pubkey) -> Result<Signed, Unsigned> {
    let (key, signature, bytes) = parts(data).ok_or(Unsigned::Malformed)?;
    if !Signature::from(*signature).verify(key, bytes) {
        return Err(Unsigned::Forged);
    }
    let (program, platform) = (PROGRAM.to_bytes(), platform.to_bytes());
    let open = || message::open(bytes, &program, &platform).map_err(Unsigned::Message);
    let records = match bytes.get(HEADER).copied() {
        Some(Payment::KIND) => all(open()?, SignedRecord::Payment),
        Some(Refund::KIND) => all(open()?, SignedRecord::Refund),
        Some(Redemption::KIND) => all(open()?, SignedRecord::Redemption),
        Some(WalletLink::KIND) => all(open()?, SignedRecord::Link),
        Some(_) => open().and(Err(Unsigned::Message(InvalidMessage::UnknownKind))),
        None => open().and(Err(Unsigned::Message(InvalidMessage::Truncated))),
    };
    Ok(Signed { oracle: *key, records: records? })
}

fn all<R: Record>(mut records: Records<'_>, of: impl Fn(R) -> SignedRecord) -> Result<Vec<SignedRecord>, Unsigned> {
    let mut all = Vec::with_capacity(records.left());
    while let Some(record) = records.next::<R>().map_err(Unsigned::Message)? {
        all.push(of(record));
    }
    Ok(all)
}

/// Key, signature and message of an Ed25519 instruction: one count byte, one padding byte, then seven little-endian `u16`:
/// signature offset and instruction, key offset and instruction, message offset, size and instruction. The program takes no
/// other layout.
fn parts(data: &[u8]) -> Option<(&[u8; 32], &[u8; 64], &[u8])> {
    let (header, rest) = data.split_first_chunk::<KEY>()?;
    let (key, rest) = rest.split_first_chunk::<{ SIGNATURE - KEY }>()?;
    let (signature, message) = rest.split_first_chunk::<{ MESSAGE - SIGNATURE }>()?;
    let here = u16::MAX;
    let size = u16::try_from(message.len()).ok()?;
    let numbers = [SIGNATURE as u16, here, KEY as u16, here, MESSAGE as u16, size, here];
    let mut expected = vec![1, 0];
    expected.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    (header.as_slice() == expected).then_some((key, signature, message))
}
