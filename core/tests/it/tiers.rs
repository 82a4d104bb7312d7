//! Tiers: more the more is spent in the window, less what was granted in it already.

use crate::{
    given::{NOON, always, amounts, payment, step, steps, tiers},
    platform::Platform,
};
use proptest::prelude::*;
use rebate_core::{
    outcome::Reason,
    payment::Payment,
    refusal::Refusal,
    rule::{Definition, Overflow, Step, TierMode, entitled},
    time::DAY,
    units::{Amount, Timestamp},
    window::Window,
};

/// From 10.00 on 1.00 or 1 %, from 50.00 on 5.00 or 5 %, from 100.00 on 10.00 or 10 %.
const LADDER: [Step; 3] = [step(1_000, 100), step(5_000, 500), step(10_000, 1_000)];

fn spent(mode: TierMode, steps: &[Step], spend: u64) -> Result<u64, Overflow> {
    entitled(mode, steps, Amount(spend)).map(|amount| amount.0)
}

#[test]
fn fixed_tiers_add_up_the_values_of_all_thresholds_reached() {
    for (spend, expected) in
        [(0, 0), (999, 0), (1_000, 100), (4_999, 100), (5_000, 600), (9_999, 600), (10_000, 1_600), (u64::MAX, 1_600)]
    {
        assert_eq!(spent(TierMode::Fixed, &LADDER, spend), Ok(expected), "{spend}");
    }
}

#[test]
fn a_slab_takes_the_whole_spend_at_the_highest_threshold_reached() {
    for (spend, expected) in [
        (0, 0),
        (999, 0),
        (1_000, 10),
        (1_099, 10),
        (1_100, 11),
        (4_999, 49),
        (5_000, 250),
        (9_999, 499),
        (10_000, 1_000),
        (20_000, 2_000),
    ] {
        assert_eq!(spent(TierMode::Slab, &LADDER, spend), Ok(expected), "{spend}");
    }
}

#[test]
fn marginal_tiers_take_each_part_of_the_spend_at_its_own_share_and_round_once() {
    for (spend, expected) in [
        (0, 0),
        (1_000, 0),
        (1_099, 0),
        (1_100, 1),
        (5_000, 40),
        // 40 for the part from 10.00 to 50.00, 5 % of the next 50.00, 10 % of the rest.
        (10_000, 290),
        (20_000, 1_290),
    ] {
        assert_eq!(spent(TierMode::Marginal, &LADDER, spend), Ok(expected), "{spend}");
    }
    // Three parts of 99 at 100 bps: 0.99 each, rounded down once to 2 and not thrice to 0.
    let thirds = [step(0, 100), step(99, 100), step(198, 100)];
    assert_eq!(spent(TierMode::Marginal, &thirds, 297), Ok(2));
}

#[test]
fn a_first_threshold_of_zero_is_reached_by_nothing_spent() {
    assert_eq!(spent(TierMode::Fixed, &[step(0, 7)], 0), Ok(7));
    assert_eq!(spent(TierMode::Slab, &[step(0, 10_000)], u64::MAX), Ok(u64::MAX));
    assert_eq!(spent(TierMode::Marginal, &[step(0, 10_000)], u64::MAX), Ok(u64::MAX));
}

#[test]
fn a_step_worth_nothing_ends_a_slab_and_pauses_a_margin() {
    let pause = [step(0, 1_000), step(100, 0), step(200, 1_000)];
    assert_eq!(spent(TierMode::Slab, &pause, 150), Ok(0));
    assert_eq!(spent(TierMode::Marginal, &pause, 150), Ok(10));
    assert_eq!(spent(TierMode::Marginal, &pause, 300), Ok(20));
}

#[test]
fn tiers_beyond_all_numbers_overflow_at_the_first_that_is_too_much() {
    let halves = [step(1, 1 << 63), step(2, 1 << 63)];
    assert_eq!(spent(TierMode::Fixed, &halves, 1), Ok(1 << 63));
    assert_eq!(spent(TierMode::Fixed, &halves, 2), Err(Overflow));
    assert_eq!(spent(TierMode::Slab, &[step(0, 10_001)], u64::MAX), Err(Overflow));
    assert_eq!(spent(TierMode::Marginal, &[step(0, 10_001)], u64::MAX), Err(Overflow));
    assert_eq!(spent(TierMode::Marginal, &[step(0, 10_000), step(u64::MAX, 20_000)], u64::MAX), Ok(u64::MAX));
    let most = u64::from(u32::MAX);
    assert_eq!(spent(TierMode::Marginal, &[step(0, most), step(1, most)], u64::MAX), Err(Overflow));
}

/// The three modes with room for every intermediate value.
fn by_definition(mode: TierMode, steps: &[Step], spend: u64) -> Result<u64, Overflow> {
    let reached = || steps.iter().filter(|step| step.threshold.0 <= spend);
    let sum: u128 = match mode {
        TierMode::Fixed => reached().map(|step| u128::from(step.value)).sum(),
        TierMode::Slab => reached().next_back().map_or(0, |step| u128::from(spend) * u128::from(step.value) / 10_000),
        TierMode::Marginal => {
            let ends = steps.iter().skip(1).map(|step| step.threshold.0).chain([u64::MAX]);
            let parts = steps.iter().zip(ends).map(|(step, end)| {
                u128::from(spend.min(end).saturating_sub(step.threshold.0)) * u128::from(step.value)
            });
            parts.sum::<u128>() / 10_000
        }
    };
    u64::try_from(sum).map_err(|_| Overflow)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_mode_is_what_unbounded_integers_say(
        low in steps(20_000, 20_000), high in steps(u64::MAX, u64::from(u32::MAX)), spend in amounts(),
    ) {
        for mode in TierMode::ALL {
            for steps in [&low, &high] {
                prop_assert_eq!(spent(mode, steps, spend), by_definition(mode, steps, spend), "{:?}", mode);
            }
        }
    }

    #[test]
    fn paid_in_parts_tiers_grant_in_all_what_the_whole_spend_entitles_to(
        steps in steps(3_000, 3_000), parts in prop::collection::vec(1..1_000u64, 1..12),
        mode in prop::sample::select(&[TierMode::Fixed, TierMode::Marginal][..]),
    ) {
        let mut platform = Platform::of(&[always(1, tiers(mode, &steps))]);
        let mut granted = 0;
        for (number, part) in parts.iter().enumerate() {
            granted += platform.told(&payment(&number.to_string(), 1, *part))[0].1;
        }
        prop_assert_eq!(spent(mode, &steps, parts.iter().sum()), Ok(granted));
    }
}

#[test]
fn each_payment_gets_what_it_entitles_to_beyond_what_was_granted() {
    let mut platform = Platform::of(&[always(1, tiers(TierMode::Fixed, &LADDER))]);
    for (order, amount, expected) in [
        ("A1", 999, (Reason::NothingDue, 0)),
        ("A2", 1, (Reason::Granted, 100)),
        ("A3", 3_999, (Reason::NothingDue, 0)),
        ("A4", 5_001, (Reason::Granted, 1_500)),
        ("A5", 90_000, (Reason::NothingDue, 0)),
    ] {
        assert_eq!(platform.told(&payment(order, 1, amount)), [expected], "{order}");
    }
}

#[test]
fn tiers_grant_nothing_where_less_is_due_than_was_granted() {
    let falling = [step(0, 1_000), step(200, 100)];
    let mut platform = Platform::of(&[always(1, tiers(TierMode::Slab, &falling))]);
    assert_eq!(platform.told(&payment("A1", 1, 199)), [(Reason::Granted, 19)]);
    assert_eq!(platform.told(&payment("A2", 1, 1)), [(Reason::NothingDue, 0)], "2 are due of 200, 19 were granted");
    assert_eq!(platform.told(&payment("A3", 1, 1_800)), [(Reason::Granted, 1)], "20 are due of 2 000");
}

#[test]
fn a_new_window_begins_the_ladder_anew() {
    let mut platform =
        Platform::of(&[Definition { window: Window::Day, ..always(1, tiers(TierMode::Fixed, &LADDER)) }]);
    assert_eq!(platform.told(&payment("A1", 1, 5_000)), [(Reason::Granted, 600)]);
    platform.now = Timestamp(NOON.0 + DAY);
    let tomorrow = Payment { paid_at: platform.now, ..payment("A2", 1, 1_000) };
    assert_eq!(platform.told(&tomorrow), [(Reason::Granted, 100)]);
}

#[test]
fn tiers_that_overflow_refuse_the_payment() {
    let too_much = [step(0, 20_000)];
    let mut platform = Platform::of(&[always(1, tiers(TierMode::Slab, &too_much))]);
    assert_eq!(platform.pay(&payment("A1", 1, u64::MAX)), Err(Refusal::AmountOverflow));
}

#[test]
fn modes_keep_their_numbers_and_names() {
    let modes = TierMode::ALL.map(|mode| (mode as u8, mode.name()));
    assert_eq!(modes, [(1, "fixed"), (2, "slab"), (3, "marginal")]);
    for number in 0..=u8::MAX {
        assert_eq!(TierMode::from_number(number).map(|mode| mode as u8), (1..=3).contains(&number).then_some(number));
    }
}
