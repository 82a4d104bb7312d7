//! What a rule grants for a payment, before any limit.

use crate::{
    given::{always, amounts, fixed, multiplier, payment, ratio, step, streak, tiers},
    platform::Platform,
};
use proptest::prelude::*;
use rebate_core::{
    outcome::Reason,
    rule::{EffectKind, Overflow, TierMode, multiplied, share},
    units::{Amount, AssetId, BasisPoints},
};

fn shared(bps: u32, min: u64, max: u64, paid: u64) -> Result<u64, Overflow> {
    share(Amount(paid), BasisPoints(bps), Amount(min), Amount(max)).map(|amount| amount.0)
}

#[test]
fn a_fixed_reward_is_the_same_for_every_payment() {
    for paid in [1, 1_000, u64::MAX] {
        let mut platform = Platform::of(&[always(1, fixed(1, 1_000))]);
        assert_eq!(platform.told(&payment("A1", 1, paid)), [(Reason::Granted, 1_000)], "{paid}");
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
        assert_eq!(shared(bps, min, max, paid), Ok(expected), "{bps} bps of {paid} in [{min}, {max}]");
        let mut platform = Platform::of(&[always(1, ratio(1, bps, min, max))]);
        let reason = if expected == 0 { Reason::NothingDue } else { Reason::Granted };
        assert_eq!(platform.told(&payment("A1", 1, paid)), [(reason, expected)]);
    }
}

#[test]
fn a_ratio_beyond_all_numbers_overflows_unless_a_maximum_keeps_it() {
    assert_eq!(shared(10_001, 0, 0, u64::MAX), Err(Overflow));
    assert_eq!(shared(10_001, 0, 500, u64::MAX), Ok(500));
    assert_eq!(shared(u32::MAX, 500, 500, u64::MAX), Ok(500));
    assert_eq!(shared(10_001, 0, u64::MAX, u64::MAX), Ok(u64::MAX));
}

proptest! {
    #[test]
    fn a_ratio_is_the_clamped_quotient_of_unbounded_integers(bps: u32, a in amounts(), b in amounts(), paid in amounts()) {
        let (min, max) = if b == 0 { (a, 0) } else { (a.min(b), a.max(b)) };
        let share = u128::from(paid) * u128::from(bps) / 10_000;
        let most = if max == 0 { u128::MAX } else { u128::from(max) };
        let expected = u64::try_from(share.max(u128::from(min)).min(most)).map_err(|_| Overflow);
        prop_assert_eq!(shared(bps, min, max, paid), expected);
    }

    #[test]
    fn a_multiplier_adds_what_it_has_beyond_the_whole(bps in 10_000..=u32::MAX, sum in amounts()) {
        let more = u128::from(sum) * (u128::from(bps) - 10_000) / 10_000;
        let expected = u64::try_from(more).map(Amount).map_err(|_| Overflow);
        prop_assert_eq!(multiplied(Amount(sum), BasisPoints(bps)), expected);
    }
}

#[test]
fn effects_name_their_asset_and_kinds_keep_their_numbers_and_names() {
    assert_eq!(fixed(3, 1).asset(), AssetId(3));
    assert_eq!(ratio(8, 1, 0, 0).asset(), AssetId(8));
    assert_eq!(multiplier(5, 20_000).asset(), AssetId(5));
    let steps = [step(1, 1)];
    let all =
        [fixed(1, 1), ratio(1, 1, 0, 0), tiers(TierMode::Fixed, &steps), streak(1, 1, true), multiplier(1, 20_000)];
    assert_eq!(all.map(|effect| (effect.asset(), effect.kind())), EffectKind::ALL.map(|kind| (AssetId(1), kind)));
    let kinds: Vec<_> = (0..=u8::MAX)
        .filter_map(|number| EffectKind::from_number(number).map(|kind| (number, kind, kind.name())))
        .collect();
    assert_eq!(
        kinds,
        [
            (1, EffectKind::Fixed, "fixed"),
            (2, EffectKind::Ratio, "ratio"),
            (3, EffectKind::Tiers, "tiers"),
            (4, EffectKind::Streak, "streak"),
            (5, EffectKind::Multiplier, "multiplier"),
        ]
    );
}
