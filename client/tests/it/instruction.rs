//! Instructions byte by byte where the program reads bytes; the rest is held against the IDL.

use rebate_client::{
    address::{Addresses, ED25519, PROGRAM},
    instruction,
    oracle::{self, SignedMessage},
};
use rebate_core::{
    message,
    payment::Payment,
    units::{Amount, OrderHash, Timestamp, UserKey},
};
use solana_keypair::Keypair;
use solana_signature::Signature;
use solana_signer::Signer;

fn payment(order: &str, user: u8, paid_at: i64) -> Payment {
    Payment {
        order: OrderHash::of(order),
        user: UserKey([user; 32]),
        amount: Amount(5_000),
        paid_at: Timestamp(paid_at),
        ..Payment::default()
    }
}

#[test]
fn what_the_oracle_signs_is_the_message_and_its_signature_verifies() {
    let (oracle, platform) = (Keypair::new(), Addresses::of(1).platform);
    let payments = [payment("A1", 1, 0), payment("A2", 2, 0)];
    let signed = oracle::sign(&oracle, &platform, &payments).unwrap();
    assert_eq!(signed.message, message::encode(&PROGRAM.to_bytes(), &platform.to_bytes(), &payments).unwrap());
    assert_eq!(signed.key, oracle.pubkey().to_bytes());
    assert!(Signature::from(signed.signature).verify(&signed.key, &signed.message));
    assert!(!Signature::from(signed.signature).verify(&signed.key, &signed.message[1..]));
    assert!(oracle::sign(&oracle, &platform, &vec![payment("A1", 1, 0); 256]).is_err());
}

#[test]
fn the_signature_instruction_has_the_one_layout_that_the_program_accepts() {
    let signed = SignedMessage { key: [1; 32], signature: [2; 64], message: vec![3; 300] };
    let instruction = instruction::ed25519(&signed);
    assert_eq!(instruction.program_id, ED25519);
    assert!(instruction.accounts.is_empty());
    let header = [
        1, 0, // one signature, padding
        48, 0, 0xff, 0xff, // the signature, in this instruction
        16, 0, 0xff, 0xff, // the key, in this instruction
        112, 0, 44, 1, 0xff, 0xff, // the message, 300 bytes, in this instruction
    ];
    assert_eq!(instruction.data, [&header[..], &[1; 32], &[2; 64], &[3; 300]].concat());
}

#[test]
fn recording_names_user_and_page_of_each_payment_in_order_and_follows_the_signature_at_once() {
    let addresses = Addresses::of(1);
    let payments = [payment("A1", 1, 0), payment("A2", 2, 86_400), payment("A3", 1, 0)];
    let signed = oracle::sign(&Keypair::new(), &addresses.platform, &payments).unwrap();
    let [verify, record] = instruction::record_payments(&addresses, 7, &payments, &signed);
    assert_eq!(verify, instruction::ed25519(&signed));
    let declared = instruction::record(&addresses, 7, &[]).accounts.len();
    let (_, behind) = record.accounts.split_at(declared);
    let expected: Vec<_> = payments
        .iter()
        .flat_map(|payment| {
            let (day, shard) = Addresses::page_of(payment, 7);
            [addresses.user(&payment.user), addresses.order_page(day, shard)]
        })
        .collect();
    assert_eq!(behind.iter().map(|meta| meta.pubkey).collect::<Vec<_>>(), expected);
    assert!(behind.iter().all(|meta| meta.is_writable && !meta.is_signer));
}
