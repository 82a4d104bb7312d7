//! Every check of the signed message has a test that forges it.

use rebate_client::{
    address::{Addresses, ED25519, PROGRAM},
    chain::SubmitError,
    instruction,
    oracle::{self, SignedMessage},
};
use rebate_core::{message, payment::Payment, units::Timestamp};
use rebate_tests::platform::{NOON, TestPlatform, payment, refusal, settings};
use solana_keypair::Keypair;
use solana_program::{instruction::Instruction, pubkey::Pubkey};
use solana_signer::Signer;

/// A platform, a payment whose accounts are open, and the payment's signed message.
fn ready() -> (TestPlatform, Payment, SignedMessage) {
    let platform = TestPlatform::with_sample_rules();
    let payment = payment("A1", "u1", 5_000);
    platform.open_for(&payment);
    let signed = platform.sign(&[payment]);
    (platform, payment, signed)
}

fn record(platform: &TestPlatform, payment: &Payment) -> Instruction {
    let [_, record] = platform.record(&[*payment], &platform.sign(&[*payment]));
    record
}

/// The oracle's signature over any bytes.
fn sign_bytes(oracle: &Keypair, message: Vec<u8>) -> SignedMessage {
    let signature = *oracle.sign_message(&message).as_array();
    SignedMessage { key: oracle.pubkey().to_bytes(), signature, message }
}

fn submit_bytes(platform: &TestPlatform, payment: &Payment, message: Vec<u8>) -> &'static str {
    let signed = sign_bytes(&platform.oracle, message);
    let refused = refusal(platform.submit(&[*payment], &signed));
    assert_nothing_happened(platform);
    refused
}

fn assert_nothing_happened(platform: &TestPlatform) {
    assert!(platform.recorded().is_empty(), "no event");
    assert_eq!(platform.balance("u1"), 0, "no balance");
    assert_eq!(platform.user("u1").user.payments, 0, "no payment counted");
}

/// The oracle's valid Ed25519 instruction, altered, then followed by the record instruction.
fn with_altered_signature_instruction(alter: impl FnOnce(&mut Vec<u8>)) -> Result<(), SubmitError> {
    let (platform, payment, signed) = ready();
    let mut ed25519 = instruction::ed25519(&signed);
    alter(&mut ed25519.data);
    let result = platform.run(&[ed25519, record(&platform, &payment)], &[&platform.payer]);
    assert_nothing_happened(&platform);
    result.map(|_| ())
}

fn refused_as(result: Result<(), SubmitError>) -> &'static str {
    match result {
        Err(SubmitError::Refused { error, .. }) => error.name(),
        other => panic!("the program should have refused this: {other:?}"),
    }
}

#[test]
fn a_payment_signed_by_the_oracle_is_recorded() {
    let (platform, payment, signed) = ready();
    platform.submit(&[payment], &signed).expect("a recorded payment");
    assert_eq!(platform.balance("u1"), 2_000);
}

#[test]
fn a_signature_that_does_not_verify_fails_the_transaction() {
    let (platform, payment, mut signed) = ready();
    signed.signature[0] ^= 1;
    let failed = platform.submit(&[payment], &signed);
    assert!(matches!(failed, Err(SubmitError::Failed { .. })), "{failed:?}");
    assert_nothing_happened(&platform);
}

#[test]
fn an_altered_message_fails_the_transaction() {
    let (platform, payment, mut signed) = ready();
    let last = signed.message.len() - 3;
    signed.message[last] ^= 1;
    let failed = platform.submit(&[payment], &signed);
    assert!(matches!(failed, Err(SubmitError::Failed { .. })), "{failed:?}");
    assert_nothing_happened(&platform);
}

#[test]
fn without_an_instruction_before_it_a_record_is_refused() {
    let (platform, payment, _) = ready();
    assert_eq!(refusal(platform.run(&[record(&platform, &payment)], &[&platform.payer])), "NoSignature");
}

#[test]
fn the_instruction_before_must_be_of_the_ed25519_program() {
    let (platform, payment, signed) = ready();
    let mut forged = instruction::ed25519(&signed);
    // The same bytes, run by a program that verifies nothing: the compute budget program ignores nothing, so a
    // transfer of nothing carries no signature at all.
    forged = Instruction { program_id: Pubkey::default(), ..forged };
    forged.accounts = vec![
        solana_program::instruction::AccountMeta::new(platform.payer.pubkey(), true),
        solana_program::instruction::AccountMeta::new(platform.payer.pubkey(), false),
    ];
    forged.data = [2u32.to_le_bytes().as_slice(), 0u64.to_le_bytes().as_slice()].concat();
    let result = platform.run(&[forged, record(&platform, &payment)], &[&platform.payer]);
    assert_eq!(refusal(result), "NoSignature");
    assert_nothing_happened(&platform);
}

#[test]
fn the_signature_must_stand_in_the_instruction_just_before() {
    let (platform, payment, signed) = ready();
    let between = instruction::open_user(
        &platform.payer.pubkey(),
        &platform.addresses,
        &rebate_client::platform_id::unkeyed_user("somebody else"),
        0,
    );
    let result =
        platform.run(&[instruction::ed25519(&signed), between, record(&platform, &payment)], &[&platform.payer]);
    assert_eq!(refusal(result), "NoSignature");
    assert_nothing_happened(&platform);
}

#[test]
fn a_message_is_used_once_within_a_transaction() {
    let (platform, payment, signed) = ready();
    let result = platform.run(
        &[instruction::ed25519(&signed), record(&platform, &payment), record(&platform, &payment)],
        &[&platform.payer],
    );
    assert_eq!(refusal(result), "NoSignature");
    assert_nothing_happened(&platform);
}

#[test]
fn a_message_is_used_once_across_transactions() {
    let (platform, payment, signed) = ready();
    platform.submit(&[payment], &signed).expect("a recorded payment");
    assert_eq!(refusal(platform.submit(&[payment], &signed)), "DuplicateOrder");
    assert_eq!(platform.recorded().len(), 1);
}

#[test]
fn an_instruction_that_verifies_no_signature_is_refused() {
    // The precompile lets a count of 0 pass where nothing follows its two bytes.
    let result = with_altered_signature_instruction(|data| {
        data.truncate(2);
        data[0] = 0;
    });
    assert_eq!(refused_as(result), "MalformedSignature");
}

#[test]
fn an_instruction_that_verifies_two_signatures_is_refused() {
    let (platform, payment, signed) = ready();
    // Two sets of offsets, both naming the one valid signature; everything moves by 14 bytes.
    const HERE: u16 = u16::MAX;
    let size = u16::try_from(signed.message.len()).expect("a short message");
    let mut data = vec![2, 0];
    for _ in 0..2 {
        for field in [62, HERE, 30, HERE, 126, size, HERE] {
            data.extend_from_slice(&field.to_le_bytes());
        }
    }
    data.extend_from_slice(&signed.key);
    data.extend_from_slice(&signed.signature);
    data.extend_from_slice(&signed.message);
    let ed25519 = Instruction { program_id: ED25519, accounts: Vec::new(), data };
    let result = platform.run(&[ed25519, record(&platform, &payment)], &[&platform.payer]);
    assert_eq!(refusal(result), "MalformedSignature");
    assert_nothing_happened(&platform);
}

#[test]
fn a_padding_byte_that_is_not_zero_is_refused() {
    assert_eq!(refused_as(with_altered_signature_instruction(|data| data[1] = 1)), "MalformedSignature");
}

/// An Ed25519 instruction that verifies `honest` (placed further back), while the bytes at the usual places are
/// `shown`.
fn split_view(
    shown: &SignedMessage,
    honest: &SignedMessage,
    fields: impl FnOnce([u16; 7], u16) -> [u16; 7],
) -> Instruction {
    const HERE: u16 = u16::MAX;
    let size = u16::try_from(shown.message.len()).expect("a short message");
    let behind = 112 + size;
    let mut data = vec![1, 0];
    for field in fields([48, HERE, 16, HERE, 112, size, HERE], behind) {
        data.extend_from_slice(&field.to_le_bytes());
    }
    for signed in [shown, honest] {
        data.extend_from_slice(&signed.key);
        data.extend_from_slice(&signed.signature);
        data.extend_from_slice(&signed.message);
    }
    Instruction { program_id: ED25519, accounts: Vec::new(), data }
}

/// The bytes shown at the usual places claim 50 000 instead of 5 000; what the precompile verifies is honest.
fn forge(fields: impl FnOnce([u16; 7], u16) -> [u16; 7]) -> &'static str {
    let (platform, payment, honest) = ready();
    let greedy = Payment { amount: rebate_core::units::Amount(50_000), ..payment };
    let message =
        message::encode(&PROGRAM.to_bytes(), &platform.addresses.platform.to_bytes(), &[greedy]).expect("a message");
    let shown = SignedMessage { message, ..honest.clone() };
    let ed25519 = split_view(&shown, &honest, fields);
    let result = platform.run(&[ed25519, record(&platform, &greedy)], &[&platform.payer]);
    assert_nothing_happened(&platform);
    refusal(result)
}

#[test]
fn offsets_that_verify_other_bytes_than_the_program_reads_are_refused() {
    // Where the second copy begins, its key, signature and message stand at 0, 32 and 96 behind it.
    let all_behind = |[_, h, _, _, _, size, _]: [u16; 7], behind| [behind + 32, h, behind, h, behind + 96, size, h];
    assert_eq!(forge(all_behind), "MalformedSignature");
}

#[test]
fn bytes_behind_the_verified_message_are_refused() {
    // Everything is as it should be, only that more follows than was verified.
    let (platform, payment, honest) = ready();
    let ed25519 = split_view(&honest, &honest, |fields, _| fields);
    let result = platform.run(&[ed25519, record(&platform, &payment)], &[&platform.payer]);
    assert_eq!(refusal(result), "MalformedSignature");
    assert_nothing_happened(&platform);
}

/// A record behind an Ed25519 instruction (at index 1) whose field `field` names instruction 0, where another valid
/// copy stands at the same offsets.
fn elsewhere(field: usize) -> &'static str {
    let (platform, payment, signed) = ready();
    let copy = instruction::ed25519(&signed);
    let mut naming = copy.clone();
    naming.data[2 + 2 * field..4 + 2 * field].copy_from_slice(&0u16.to_le_bytes());
    let result = platform.run(&[copy, naming, record(&platform, &payment)], &[&platform.payer]);
    assert_nothing_happened(&platform);
    refusal(result)
}

#[test]
fn a_signature_in_another_instruction_is_refused() {
    assert_eq!(elsewhere(1), "MalformedSignature");
}

#[test]
fn a_key_in_another_instruction_is_refused() {
    assert_eq!(elsewhere(3), "MalformedSignature");
}

#[test]
fn a_message_in_another_instruction_is_refused() {
    assert_eq!(elsewhere(6), "MalformedSignature");
}

#[test]
fn this_instructions_own_index_is_refused_where_the_marker_is_due() {
    // Index 0 names the Ed25519 instruction itself, which verifies; only one encoding of "here" is taken.
    let result = with_altered_signature_instruction(|data| data[4..6].copy_from_slice(&0u16.to_le_bytes()));
    assert_eq!(refused_as(result), "MalformedSignature");
}

#[test]
fn a_key_that_is_no_oracle_of_the_platform_is_refused() {
    let (platform, payment, _) = ready();
    let stranger = Keypair::new();
    let signed = oracle::sign(&stranger, &platform.addresses.platform, &[payment]).expect("a message");
    assert_eq!(refusal(platform.submit(&[payment], &signed)), "UnknownOracle");
    assert_nothing_happened(&platform);
}

#[test]
fn an_oracle_key_is_refused_before_and_after_its_validity() {
    let (platform, payment, _) = ready();
    let key = Keypair::new();
    let register = instruction::register_oracle_key(
        &platform.admin.pubkey(),
        &platform.addresses,
        &key.pubkey(),
        Timestamp(NOON - 10),
        Timestamp(NOON + 10),
    );
    platform.run(&[register], &[&platform.admin]).expect("a key");
    let signed = oracle::sign(&key, &platform.addresses.platform, &[payment]).expect("a message");
    for outside in [NOON - 11, NOON + 10] {
        platform.chain.set_clock(Some(outside));
        assert_eq!(refusal(platform.submit(&[payment], &signed)), "OracleNotValid", "at {outside}");
    }
    platform.chain.set_clock(Some(NOON + 9));
    platform.submit(&[payment], &signed).expect("valid until just before its end");
}

#[test]
fn a_message_of_another_domain_is_refused() {
    let (platform, payment, signed) = ready();
    let mut message = signed.message;
    message[..8].copy_from_slice(b"rebate/2");
    assert_eq!(submit_bytes(&platform, &payment, message), "WrongDomain");
}

#[test]
fn a_message_for_another_program_is_refused() {
    let (platform, payment, _) = ready();
    let message = message::encode(&[7; 32], &platform.addresses.platform.to_bytes(), &[payment]).expect("a message");
    assert_eq!(submit_bytes(&platform, &payment, message), "MessageForAnotherProgram");
}

#[test]
fn a_message_for_another_platform_is_refused_even_from_a_shared_oracle() {
    let (platform, payment, _) = ready();
    let create = instruction::create_platform(
        &platform.payer.pubkey(),
        &settings(2, &platform.admin.pubkey(), &platform.pauser.pubkey()),
    );
    platform.run(&[create], &[&platform.payer]).expect("a second platform");
    let other = Addresses::of(2);
    let register = instruction::register_oracle_key(
        &platform.admin.pubkey(),
        &other,
        &platform.oracle.pubkey(),
        Timestamp(0),
        Timestamp(0),
    );
    platform.run(&[register], &[&platform.admin]).expect("the same key there");
    let signed = oracle::sign(&platform.oracle, &other.platform, &[payment]).expect("a message");
    assert_eq!(refusal(platform.submit(&[payment], &signed)), "MessageForAnotherPlatform");
    assert_nothing_happened(&platform);
}

#[test]
fn a_message_without_records_is_refused() {
    let (platform, payment, _) = ready();
    let message = message::encode::<Payment>(&PROGRAM.to_bytes(), &platform.addresses.platform.to_bytes(), &[])
        .expect("a message");
    assert_eq!(submit_bytes(&platform, &payment, message), "EmptyMessage");
}

#[test]
fn a_message_cut_off_anywhere_is_refused() {
    let (platform, payment, signed) = ready();
    for length in [0, 7, 8, 39, 71, 72, 73, 74, signed.message.len() - 1] {
        let message = signed.message[..length].to_vec();
        let refused = submit_bytes(&platform, &payment, message);
        assert!(refused == "MessageTruncated", "at {length}: {refused}");
    }
}

#[test]
fn a_message_with_trailing_bytes_is_refused() {
    let (platform, payment, signed) = ready();
    let mut message = signed.message;
    message.push(0);
    assert_eq!(submit_bytes(&platform, &payment, message), "TrailingBytes");
}

#[test]
fn a_record_of_an_unknown_kind_is_refused() {
    let (platform, payment, signed) = ready();
    let mut message = signed.message;
    message[message::HEADER] = 99;
    assert_eq!(submit_bytes(&platform, &payment, message), "UnknownRecord");
}

#[test]
fn an_optional_field_that_is_there_although_zero_is_refused() {
    let (platform, payment, signed) = ready();
    let mut message = signed.message;
    message[message::HEADER + 1] |= 4;
    message.push(0);
    assert_eq!(submit_bytes(&platform, &payment, message), "NotCanonical");
}

#[test]
fn the_instructions_sysvar_must_be_the_real_one() {
    let (platform, payment, signed) = ready();
    let mut record = record(&platform, &payment);
    record.accounts[3].pubkey = platform.payer.pubkey();
    let failed = platform.run(&[instruction::ed25519(&signed), record], &[&platform.payer]);
    assert!(matches!(failed, Err(SubmitError::Failed { .. })), "{failed:?}");
    assert_nothing_happened(&platform);
}
