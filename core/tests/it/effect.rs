//! What a rule grants for a payment, before any limit.

use crate::given::{amounts, fixed, ratio};
use proptest::prelude::*;
use rebate_core::{
    rule::{EffectKind, Overflow},
    units::{Amount, AssetId},
};

#[test]
fn a_fixed_reward_is_the_same_for_every_payment() {
    for paid in [0, 1, u64::MAX] {
        assert_eq!(fixed(1, 1_000).raw_reward(Amount(paid)), Ok(Amount(1_000)));
    }
}

#[test]
fn a_ratio_is_rounded_down_and_clamped_to_its_bounds() {
    for (bps, min, max, paid, expected) in [
        (2_000, 0, 0, 5_000, 1_000),
        (2_000, 0, 0, 4, 0),
        (2_000, 0, 0, 5, 1),
        (1, 0, 0, 9_999, 0),
        (1, 0, 0, 10_000, 1),
        (2_000, 0, 999, 5_000, 999),
        (2_000, 0, 1_000, 5_000, 1_000),
        (2_000, 1_001, 0, 5_000, 1_001),
        (2_000, 1_000, 1_000, 1, 1_000),
        (0, 7, 0, 1, 7),
        (10_000, 0, 0, u64::MAX, u64::MAX),
    ] {
        let reward = ratio(1, bps, min, max).raw_reward(Amount(paid));
        assert_eq!(reward, Ok(Amount(expected)), "{bps} bps of {paid} in [{min}, {max}]");
    }
}

#[test]
fn a_ratio_beyond_all_numbers_overflows_unless_a_maximum_keeps_it() {
    assert_eq!(ratio(1, 10_001, 0, 0).raw_reward(Amount(u64::MAX)), Err(Overflow));
    assert_eq!(ratio(1, 10_001, 0, 500).raw_reward(Amount(u64::MAX)), Ok(Amount(500)));
    assert_eq!(ratio(1, u32::MAX, 500, 500).raw_reward(Amount(u64::MAX)), Ok(Amount(500)));
    assert_eq!(ratio(1, 10_001, 0, u64::MAX).raw_reward(Amount(u64::MAX)), Ok(Amount(u64::MAX)));
}

proptest! {
    #[test]
    fn a_ratio_is_the_clamped_quotient_of_unbounded_integers(bps: u32, a in amounts(), b in amounts(), paid in amounts()) {
        let (min, max) = if b == 0 { (a, 0) } else { (a.min(b), a.max(b)) };
        let share = u128::from(paid) * u128::from(bps) / 10_000;
        let most = if max == 0 { u128::MAX } else { u128::from(max) };
        let expected = u64::try_from(share.max(u128::from(min)).min(most)).map(Amount).map_err(|_| Overflow);
        prop_assert_eq!(ratio(1, bps, min, max).raw_reward(Amount(paid)), expected);
    }
}

#[test]
fn effects_name_their_asset_and_kinds_keep_their_numbers() {
    assert_eq!(fixed(3, 1).asset(), AssetId(3));
    assert_eq!(ratio(8, 1, 0, 0).asset(), AssetId(8));
    let kinds: Vec<_> =
        (0..=u8::MAX).filter_map(|number| EffectKind::from_number(number).map(|kind| (number, kind))).collect();
    assert_eq!(kinds, [(1, EffectKind::Fixed), (2, EffectKind::Ratio)]);
}
