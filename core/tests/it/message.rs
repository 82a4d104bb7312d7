//! The signed message: one encoding for each payment, and nothing else is read.

use crate::given::{payment, payments};
use proptest::{prelude::*, sample::Index};
use rebate_core::{
    message::{DOMAIN, HEADER, InvalidMessage, MAX_PAYMENT, TooManyRecords, encode, open},
    payment::Payment,
    units::{Amount, OrderHash, Timestamp, UserKey},
};

const PROGRAM: [u8; 32] = [0xaa; 32];
const PLATFORM: [u8; 32] = [0xbb; 32];

fn encoded(payments: &[Payment]) -> Vec<u8> {
    encode(&PROGRAM, &PLATFORM, payments).unwrap()
}

/// Reads a message to its end.
fn decode(message: &[u8]) -> Result<Vec<Payment>, InvalidMessage> {
    let mut records = open(message, &PROGRAM, &PLATFORM)?;
    let mut payments = Vec::new();
    while let Some(payment) = records.next_payment()? {
        payments.push(payment);
    }
    Ok(payments)
}

fn batches() -> impl Strategy<Value = Vec<Payment>> {
    prop::collection::vec(payments(), 1..=4)
}

proptest! {
    #[test]
    fn what_was_signed_is_what_is_read(batch in batches()) {
        prop_assert_eq!(decode(&encoded(&batch)), Ok(batch));
    }

    #[test]
    fn every_truncation_is_refused(batch in batches()) {
        let message = encoded(&batch);
        for length in 0..message.len() {
            prop_assert_eq!(decode(&message[..length]), Err(InvalidMessage::Truncated), "{} bytes", length);
        }
    }

    #[test]
    fn whatever_follows_the_last_record_is_refused(batch in batches(), more in prop::collection::vec(any::<u8>(), 1..90)) {
        let message = [encoded(&batch), more].concat();
        prop_assert_eq!(decode(&message), Err(InvalidMessage::TrailingBytes));
    }

    #[test]
    fn a_single_flipped_bit_is_refused_or_makes_another_payment(batch in batches()) {
        let message = encoded(&batch);
        for bit in 0..message.len() * 8 {
            let mut flipped = message.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let Ok(decoded) = decode(&flipped) else { continue };
            prop_assert!(bit / 8 >= HEADER, "bit {} of the header was not looked at", bit);
            prop_assert_ne!(&decoded, &batch, "bit {} says nothing", bit);
            prop_assert_eq!(encoded(&decoded), flipped, "bit {} makes a second encoding", bit);
        }
    }

    #[test]
    fn bytes_that_are_read_at_all_are_the_one_encoding_of_what_they_say(
        batch in batches(),
        edits in prop::collection::vec((any::<Index>(), any::<u8>()), 1..6),
    ) {
        let mut message = encoded(&batch);
        for (at, byte) in edits {
            let at = at.index(message.len());
            message[at] = byte;
        }
        if let Ok(decoded) = decode(&message) {
            prop_assert_eq!(encoded(&decoded), message);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        tail in prop::collection::vec(any::<u8>(), 0..300),
        count: u8,
    ) {
        let message = [&DOMAIN[..], &PROGRAM, &PLATFORM, &[count], &tail].concat();
        if let Ok(decoded) = decode(&message) {
            prop_assert_eq!(encoded(&decoded), message);
        }
    }
}

/// A payment with every field there and different from the others.
fn full() -> Payment {
    Payment {
        order: OrderHash([1; 32]),
        user: UserKey([2; 32]),
        amount: Amount(0x0807_0605_0403_0201),
        paid_at: Timestamp(-2),
        product: 0x1211,
        streamer: 0x2827_2625_2423_2221,
        session: 0x3837_3635_3433_3231,
        tier: 0x41,
        segments: 0x5453_5251,
    }
}

#[test]
fn the_bytes_are_those_of_the_specification() {
    let fixed = [
        &[1; 32][..],
        &[2; 32],
        &[1, 2, 3, 4, 5, 6, 7, 8],
        &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x11, 0x12],
    ]
    .concat();
    let header = [&b"rebate/1"[..], &PROGRAM, &PLATFORM].concat();
    let optional = [
        &[0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28][..],
        &[0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38],
        &[0x41],
        &[0x51, 0x52, 0x53, 0x54],
    ]
    .concat();
    let all = [&header[..], &[1], &[1, 15], &fixed, &optional].concat();
    assert_eq!(encoded(&[full()]), all);
    assert_eq!(all.len(), HEADER + MAX_PAYMENT);

    let bare = Payment { streamer: 0, session: 0, tier: 0, segments: 0, ..full() };
    let without = [&header[..], &[2], &[1, 0], &fixed, &[1, 0], &fixed].concat();
    assert_eq!(encoded(&[bare, bare]), without);

    let with_tier = Payment { tier: 3, ..bare };
    assert_eq!(encoded(&[with_tier]), [&header[..], &[1], &[1, 4], &fixed, &[3]].concat());
}

#[test]
fn the_header_names_use_program_and_platform() {
    let message = encoded(&[payment("A1", 1, 1)]);
    for (at, expected) in [
        (0, InvalidMessage::WrongDomain),
        (7, InvalidMessage::WrongDomain),
        (8, InvalidMessage::WrongProgram),
        (39, InvalidMessage::WrongProgram),
        (40, InvalidMessage::WrongPlatform),
        (71, InvalidMessage::WrongPlatform),
        (HEADER, InvalidMessage::UnknownKind),
    ] {
        let mut altered = message.clone();
        altered[at] ^= 0x80;
        assert_eq!(decode(&altered), Err(expected), "byte {at}");
    }
}

#[test]
fn a_message_without_records_is_refused() {
    assert_eq!(decode(&encoded(&[])), Err(InvalidMessage::Empty));
}

#[test]
fn an_optional_field_that_is_zero_or_unknown_is_refused() {
    let there = HEADER + 1;
    let bare = encoded(&[payment("A1", 1, 1)]);
    for (bit, width) in [(1u8, 8), (2, 8), (4, 1), (8, 4)] {
        let mut zero = bare.clone();
        zero[there] = bit;
        zero.resize(bare.len() + width, 0);
        assert_eq!(decode(&zero), Err(InvalidMessage::NotCanonical), "field {bit} is there and 0");
    }
    for bit in [16u8, 32, 64, 128] {
        let mut unknown = bare.clone();
        unknown[there] |= bit;
        assert_eq!(decode(&unknown), Err(InvalidMessage::NotCanonical), "there is no field {bit}");
    }
}

#[test]
fn a_message_announces_up_to_255_records_and_counts_them_down() {
    let all = vec![payment("A1", 1, 1); 255];
    let message = encoded(&all);
    let mut records = open(&message, &PROGRAM, &PLATFORM).ok().unwrap();
    assert_eq!(records.left(), 255);
    assert!(records.next_payment().unwrap().is_some());
    assert_eq!(records.left(), 254);
    assert_eq!(decode(&message), Ok(all));
    assert_eq!(encode(&PROGRAM, &PLATFORM, &vec![payment("A1", 1, 1); 256]), Err(TooManyRecords));
}

#[test]
fn a_message_that_announces_more_or_fewer_records_than_it_has_is_refused() {
    let mut message = encoded(&[payment("A1", 1, 1), payment("A2", 1, 1)]);
    message[HEADER - 1] = 3;
    assert_eq!(decode(&message), Err(InvalidMessage::Truncated));
    message[HEADER - 1] = 1;
    assert_eq!(decode(&message), Err(InvalidMessage::TrailingBytes));
}
