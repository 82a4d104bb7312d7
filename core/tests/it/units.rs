//! Basis points, asset slots, and how quantities are written.

use crate::given::amounts;
use proptest::prelude::*;
use rebate_core::{
    outcome::Reason,
    refusal::Refusal,
    units::{Amount, AssetId, BasisPoints, OrderHash, Tags, UserKey},
};

/// The definition, with room for every intermediate value.
fn share(amount: u64, bps: u32) -> Option<Amount> {
    u64::try_from(u128::from(amount) * u128::from(bps) / 10_000).ok().map(Amount)
}

proptest! {
    #[test]
    fn a_share_in_basis_points_is_the_128_bit_product_divided_rounded_down(amount in amounts(), bps: u32) {
        prop_assert_eq!(BasisPoints(bps).of(Amount(amount)), share(amount, bps));
    }

    #[test]
    fn a_share_around_the_largest_that_fits_is_exact_or_none(bps in 1..=u32::MAX, around in -3..=3i128) {
        // The smallest amount whose share no longer fits, and its neighbours.
        let edge = (u128::from(u64::MAX) + 1) * 10_000 / u128::from(bps);
        let amount = u64::try_from((edge as i128 + around).clamp(0, i128::from(u64::MAX))).unwrap();
        prop_assert_eq!(BasisPoints(bps).of(Amount(amount)), share(amount, bps));
    }
}

#[test]
fn a_share_at_the_limits_of_its_inputs_is_exact_or_none() {
    for amount in [0, 1, 4, 5, 9_999, 10_000, 10_001, u64::MAX / 10_000, u64::MAX - 1, u64::MAX] {
        for bps in [0, 1, 9_999, 10_000, 10_001, 20_000, u32::MAX - 1, u32::MAX] {
            assert_eq!(BasisPoints(bps).of(Amount(amount)), share(amount, bps), "{bps} of {amount}");
        }
    }
    assert_eq!(BasisPoints(10_000).of(Amount(u64::MAX)), Some(Amount(u64::MAX)), "the whole is the whole");
    assert_eq!(BasisPoints(10_001).of(Amount(u64::MAX)), None, "and more than the largest amount is none");
}

#[test]
fn assets_one_to_eight_have_slots_and_no_other_does() {
    let slots: Vec<_> = (0..=u8::MAX).filter_map(|id| AssetId(id).slot().map(|slot| (id, slot))).collect();
    assert_eq!(slots, [(1, 0), (2, 1), (3, 2), (4, 3), (5, 4), (6, 5), (7, 6), (8, 7)]);
}

#[test]
fn an_orders_hash_is_the_sha_256_of_its_number_and_is_written_in_hexadecimal() {
    // FIPS 180-2, appendix B.1.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(OrderHash::of("abc").to_string(), abc);
    assert_eq!(format!("{:?}", OrderHash::of("abc")), format!("OrderHash({abc})"));
    assert_eq!(UserKey([0x0a; 32]).to_string(), "0a".repeat(32));
}

#[test]
fn quantities_are_written_as_their_numbers() {
    assert_eq!(format!("{:>5}", Amount(12)), "   12");
    assert_eq!(BasisPoints(2_000).to_string(), "2000");
}

#[test]
fn reasons_and_refusals_keep_their_numbers_and_names() {
    let reasons = Reason::ALL.map(|reason| (reason as u8, reason.to_string()));
    let expected = [
        (0, "Granted"),
        (1, "NotMatched"),
        (2, "NothingDue"),
        (3, "LateForWindow"),
        (4, "Holdout"),
        (5, "UserLimit"),
        (6, "BudgetSpent"),
        (7, "GroupTaken"),
        (8, "Excluded"),
        (9, "VaultShort"),
        (10, "Reversed"),
    ];
    assert_eq!(reasons, expected.map(|(number, name)| (number, name.to_string())));
    for number in 0..=u8::MAX {
        let known = Reason::from_number(number).map(|reason| reason as u8);
        assert_eq!(known, (number <= 10).then_some(number));
    }

    let refusals = Refusal::ALL.map(|refusal| (refusal as u8, refusal.to_string()));
    let expected = [
        (1, "ZeroAmount"),
        (2, "TooLate"),
        (3, "FromTheFuture"),
        (4, "DuplicateOrder"),
        (5, "AmountOverflow"),
        (6, "UnknownOrder"),
        (7, "OverRefund"),
        (8, "InsufficientBalance"),
        (9, "NotRedeemable"),
        (10, "StaleLink"),
    ];
    assert_eq!(refusals, expected.map(|(number, name)| (number, name.to_string())));
}

#[test]
fn tags_meet_where_they_have_one_in_common_and_join_to_all_of_both() {
    for (one, other, meet, both) in
        [(0, 0, false, 0), (0b01, 0b10, false, 0b11), (0b11, 0b10, true, 0b11), (1 << 31, 1 << 31, true, 1 << 31)]
    {
        assert_eq!(Tags(one).meets(Tags(other)), meet, "{one:#b} and {other:#b}");
        assert_eq!(Tags(one).with(Tags(other)), Tags(both), "{one:#b} and {other:#b}");
    }
}
