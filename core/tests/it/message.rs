//! The signed message: one encoding for each record, and nothing else is read.

use crate::given::{amounts, payment, payments};
use proptest::{prelude::*, sample::Index};
use rebate_core::{
    message::{DOMAIN, HEADER, InvalidMessage, Record, TooManyRecords, encode, open},
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    units::{Amount, AssetId, OrderHash, Timestamp, UserKey},
    wallet::WalletLink,
};
use std::fmt::Debug;

const PROGRAM: [u8; 32] = [0xaa; 32];
const PLATFORM: [u8; 32] = [0xbb; 32];

fn encoded<R: Record>(records: &[R]) -> Vec<u8> {
    encode(&PROGRAM, &PLATFORM, records).unwrap()
}

/// Reads a message to its end.
fn decode<R: Record>(message: &[u8]) -> Result<Vec<R>, InvalidMessage> {
    let mut records = open(message, &PROGRAM, &PLATFORM)?;
    let mut read = Vec::new();
    while let Some(record) = records.next()? {
        read.push(record);
    }
    Ok(read)
}

fn refunds() -> impl Strategy<Value = Refund> {
    (any::<[u8; 32]>(), any::<[u8; 32]>(), amounts(), any::<i64>()).prop_map(|(order, of, amount, paid_at)| Refund {
        order: OrderHash(order),
        of: OrderHash(of),
        amount: Amount(amount),
        paid_at: Timestamp(paid_at),
    })
}

fn redemptions() -> impl Strategy<Value = Redemption> {
    (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<u8>(), amounts(), any::<i64>()).prop_map(
        |(order, user, asset, amount, redeemed_at)| Redemption {
            order: OrderHash(order),
            user: UserKey(user),
            asset: AssetId(asset),
            amount: Amount(amount),
            redeemed_at: Timestamp(redeemed_at),
        },
    )
}

fn wallet_links() -> impl Strategy<Value = WalletLink> {
    (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<i64>()).prop_map(|(user, wallet, linked_at)| WalletLink {
        user: UserKey(user),
        wallet,
        linked_at: Timestamp(linked_at),
    })
}

/// What can be done to a message.
#[derive(Clone, Debug)]
struct Damage {
    more: Vec<u8>,
    edits: Vec<(Index, u8)>,
}

fn damage() -> impl Strategy<Value = Damage> {
    (prop::collection::vec(any::<u8>(), 1..90), prop::collection::vec((any::<Index>(), any::<u8>()), 1..6))
        .prop_map(|(more, edits)| Damage { more, edits })
}

/// All that holds for a batch of records of any kind.
fn holds<R: Record + Clone + Debug + PartialEq>(batch: &[R], damage: &Damage) -> Result<(), TestCaseError> {
    let message = encoded(batch);
    prop_assert_eq!(decode(&message), Ok(batch.to_vec()), "what was signed is what is read");
    prop_assert!(message.len() <= HEADER + batch.len() * R::MAX_SIZE);
    for length in 0..message.len() {
        prop_assert_eq!(decode::<R>(&message[..length]), Err(InvalidMessage::Truncated), "{} bytes", length);
    }
    let longer = [&message[..], &damage.more].concat();
    prop_assert_eq!(decode::<R>(&longer), Err(InvalidMessage::TrailingBytes));

    for bit in 0..message.len() * 8 {
        let mut flipped = message.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let Ok(decoded) = decode::<R>(&flipped) else { continue };
        prop_assert!(bit / 8 >= HEADER, "bit {} of the header was not looked at", bit);
        prop_assert_ne!(&decoded[..], batch, "bit {} says nothing", bit);
        prop_assert_eq!(encoded(&decoded), flipped, "bit {} makes a second encoding", bit);
    }

    let mut edited = message;
    for (at, byte) in &damage.edits {
        let at = at.index(edited.len());
        edited[at] = *byte;
    }
    if let Ok(decoded) = decode::<R>(&edited) {
        prop_assert_eq!(encoded(&decoded), edited, "two encodings of one record");
    }
    Ok(())
}

/// That records of one kind are read as no other.
fn refused_as<R: Record + Debug + PartialEq>(message: &[u8]) -> Result<(), TestCaseError> {
    prop_assert_eq!(decode::<R>(message), Err(InvalidMessage::UnknownKind));
    Ok(())
}

/// That bytes behind a header are read as nothing but their own encoding.
fn sound<R: Record + Debug + PartialEq>(message: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(decoded) = decode::<R>(message) {
        prop_assert_eq!(encoded(&decoded), message);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn payments_are_read_as_signed_and_in_one_encoding_only(
        batch in prop::collection::vec(payments(), 1..=3), damage in damage(),
    ) {
        holds(&batch, &damage)?;
    }

    #[test]
    fn refunds_are_read_as_signed_and_in_one_encoding_only(
        batch in prop::collection::vec(refunds(), 1..=3), damage in damage(),
    ) {
        holds(&batch, &damage)?;
    }

    #[test]
    fn redemptions_are_read_as_signed_and_in_one_encoding_only(
        batch in prop::collection::vec(redemptions(), 1..=3), damage in damage(),
    ) {
        holds(&batch, &damage)?;
    }

    #[test]
    fn wallet_links_are_read_as_signed_and_in_one_encoding_only(
        batch in prop::collection::vec(wallet_links(), 1..=3), damage in damage(),
    ) {
        holds(&batch, &damage)?;
    }

    #[test]
    fn a_record_of_one_kind_is_read_as_no_other(
        payment in payments(), refund in refunds(), redemption in redemptions(), link in wallet_links(),
    ) {
        for message in [encoded(&[refund]), encoded(&[redemption]), encoded(&[link])] {
            refused_as::<Payment>(&message)?;
        }
        for message in [encoded(&[payment]), encoded(&[redemption]), encoded(&[link])] {
            refused_as::<Refund>(&message)?;
        }
        for message in [encoded(&[payment]), encoded(&[refund]), encoded(&[link])] {
            refused_as::<Redemption>(&message)?;
        }
        for message in [encoded(&[payment]), encoded(&[refund]), encoded(&[redemption])] {
            refused_as::<WalletLink>(&message)?;
        }
    }

    #[test]
    fn a_message_of_two_kinds_is_refused_at_the_first_of_the_other(payment in payments(), refund in refunds()) {
        let mut message = encoded(&[payment]);
        refund.encode(&mut message);
        message[HEADER - 1] = 2;
        prop_assert_eq!(decode::<Payment>(&message), Err(InvalidMessage::UnknownKind));
        prop_assert_eq!(decode::<Refund>(&message), Err(InvalidMessage::UnknownKind));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(
        tail in prop::collection::vec(any::<u8>(), 0..300), (kind, fields) in (0..6u8, 0..18u8), count: u8,
    ) {
        let header = [&DOMAIN[..], &PROGRAM, &PLATFORM, &[count]].concat();
        for message in [[&header[..], &tail].concat(), [&header[..], &[kind, fields], &tail].concat()] {
            sound::<Payment>(&message)?;
            sound::<Refund>(&message)?;
            sound::<Redemption>(&message)?;
            sound::<WalletLink>(&message)?;
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

/// The header of a message of `count` records.
fn header(count: u8) -> Vec<u8> {
    [&b"rebate/1"[..], &PROGRAM, &PLATFORM, &[count]].concat()
}

/// -2 as 8 bytes.
const MINUS_TWO: [u8; 8] = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

#[test]
fn the_bytes_of_a_payment_are_those_of_the_specification() {
    let fixed = [&[1; 32][..], &[2; 32], &[1, 2, 3, 4, 5, 6, 7, 8], &MINUS_TWO, &[0x11, 0x12]].concat();
    let optional = [
        &[0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28][..],
        &[0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38],
        &[0x41],
        &[0x51, 0x52, 0x53, 0x54],
    ]
    .concat();
    let all = [&header(1)[..], &[1, 15], &fixed, &optional].concat();
    assert_eq!(encoded(&[full()]), all);
    assert_eq!(all.len(), HEADER + Payment::MAX_SIZE);

    let bare = Payment { streamer: 0, session: 0, tier: 0, segments: 0, ..full() };
    let without = [&header(2)[..], &[1, 0], &fixed, &[1, 0], &fixed].concat();
    assert_eq!(encoded(&[bare, bare]), without);

    let with_tier = Payment { tier: 3, ..bare };
    assert_eq!(encoded(&[with_tier]), [&header(1)[..], &[1, 4], &fixed, &[3]].concat());
}

#[test]
fn the_bytes_of_the_other_records_are_those_of_the_specification() {
    let amount = Amount(0x0807_0605_0403_0201);
    let eight = [1, 2, 3, 4, 5, 6, 7, 8];
    let at = Timestamp(-2);
    let refund = Refund { order: OrderHash([1; 32]), of: OrderHash([2; 32]), amount, paid_at: at };
    let bytes = [&header(1)[..], &[2], &[1; 32], &[2; 32], &eight, &MINUS_TWO].concat();
    assert_eq!(encoded(&[refund]), bytes);
    assert_eq!(bytes.len(), HEADER + Refund::MAX_SIZE);

    let (order, user) = (OrderHash([1; 32]), UserKey([2; 32]));
    let redemption = Redemption { order, user, asset: AssetId(9), amount, redeemed_at: at };
    let bytes = [&header(1)[..], &[3], &[1; 32], &[2; 32], &[9], &eight, &MINUS_TWO].concat();
    assert_eq!(encoded(&[redemption]), bytes);
    assert_eq!(bytes.len(), HEADER + Redemption::MAX_SIZE);

    let link = WalletLink { user: UserKey([1; 32]), wallet: [2; 32], linked_at: at };
    let bytes = [&header(1)[..], &[4], &[1; 32], &[2; 32], &MINUS_TWO].concat();
    assert_eq!(encoded(&[link]), bytes);
    assert_eq!(bytes.len(), HEADER + WalletLink::MAX_SIZE);
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
        assert_eq!(decode::<Payment>(&altered), Err(expected), "byte {at}");
    }
}

#[test]
fn a_message_without_records_is_refused() {
    assert_eq!(decode::<Payment>(&encoded::<Payment>(&[])), Err(InvalidMessage::Empty));
    assert_eq!(decode::<WalletLink>(&encoded::<WalletLink>(&[])), Err(InvalidMessage::Empty));
}

#[test]
fn an_optional_field_that_is_zero_or_unknown_is_refused() {
    let there = HEADER + 1;
    let bare = encoded(&[payment("A1", 1, 1)]);
    for (bit, width) in [(1u8, 8), (2, 8), (4, 1), (8, 4)] {
        let mut zero = bare.clone();
        zero[there] = bit;
        zero.resize(bare.len() + width, 0);
        assert_eq!(decode::<Payment>(&zero), Err(InvalidMessage::NotCanonical), "field {bit} is there and 0");
    }
    for bit in [16u8, 32, 64, 128] {
        let mut unknown = bare.clone();
        unknown[there] |= bit;
        assert_eq!(decode::<Payment>(&unknown), Err(InvalidMessage::NotCanonical), "there is no field {bit}");
    }
}

#[test]
fn a_message_announces_up_to_255_records_and_counts_them_down() {
    let all = vec![payment("A1", 1, 1); 255];
    let message = encoded(&all);
    let mut records = open(&message, &PROGRAM, &PLATFORM).ok().unwrap();
    assert_eq!(records.left(), 255);
    assert!(records.next::<Payment>().unwrap().is_some());
    assert_eq!(records.left(), 254);
    assert_eq!(decode(&message), Ok(all));
    assert_eq!(encode(&PROGRAM, &PLATFORM, &vec![payment("A1", 1, 1); 256]), Err(TooManyRecords));
    assert_eq!(encode(&PROGRAM, &PLATFORM, &vec![WalletLink::default(); 256]), Err(TooManyRecords));
}

#[test]
fn a_record_that_was_refused_is_still_to_come() {
    let message = encoded(&[payment("A1", 1, 1)]);
    let mut records = open(&message, &PROGRAM, &PLATFORM).ok().unwrap();
    assert_eq!(records.next::<Refund>(), Err(InvalidMessage::UnknownKind));
    assert_eq!(records.left(), 1);
    assert_eq!(records.next::<Payment>(), Ok(Some(payment("A1", 1, 1))));
}

#[test]
fn a_message_that_announces_more_or_fewer_records_than_it_has_is_refused() {
    let mut message = encoded(&[payment("A1", 1, 1), payment("A2", 1, 1)]);
    message[HEADER - 1] = 3;
    assert_eq!(decode::<Payment>(&message), Err(InvalidMessage::Truncated));
    message[HEADER - 1] = 1;
    assert_eq!(decode::<Payment>(&message), Err(InvalidMessage::TrailingBytes));
}
