//! Redemption: points and vouchers spent with the platform.

use crate::{
    given::{NOON, always, amounts, fixed, key, payment},
    platform::Platform,
};
use proptest::prelude::*;
use rebate_core::{
    balance::{Balance, Balances},
    redemption::{Redemption, redeem},
    refusal::Refusal,
    units::{Amount, AssetId, OrderHash, Seconds, Timestamp},
};

/// 5 of this period and 10 of the last one, of asset 2.
fn balances() -> Balances {
    let mut balances = Balances::default();
    balances[1] = Balance { current: Amount(5), previous: Amount(10), ..Balance::default() };
    balances
}

#[test]
fn a_redemption_takes_the_older_part_first_and_tells_before_and_after() {
    for (amount, current, previous) in [(1, 5, 9), (10, 5, 0), (12, 3, 0), (15, 0, 0)] {
        let mut balances = balances();
        let moved = redeem(&mut balances, AssetId(2), Amount(amount));
        assert_eq!(moved, Ok((Amount(15), Amount(15 - amount))), "{amount}");
        assert_eq!((balances[1].current, balances[1].previous), (Amount(current), Amount(previous)), "{amount}");
        assert_eq!((balances[0], balances[2]), (Balance::default(), Balance::default()), "no other asset moves");
    }
}

#[test]
fn nobody_redeems_more_than_there_is_and_nothing_moves() {
    for (asset, amount, expected) in [
        (2, 16, Refusal::InsufficientBalance),
        (2, u64::MAX, Refusal::InsufficientBalance),
        (1, 1, Refusal::InsufficientBalance),
        (0, 1, Refusal::NotRedeemable),
        (9, 1, Refusal::NotRedeemable),
        (255, 0, Refusal::NotRedeemable),
    ] {
        let mut after = balances();
        assert_eq!(redeem(&mut after, AssetId(asset), Amount(amount)), Err(expected), "{amount} of {asset}");
        assert_eq!(after, balances());
    }
}

#[test]
fn a_redemption_makes_no_debt_and_pays_none() {
    let mut balances = balances();
    balances[1] = Balance { debt: Amount(7), ..Balance::default() };
    assert_eq!(redeem(&mut balances, AssetId(2), Amount(1)), Err(Refusal::InsufficientBalance));
    assert_eq!(balances[1].debt, Amount(7));
}

#[test]
fn redemptions_are_refused_as_records_are_and_change_nothing() {
    let mut platform = Platform::of(&[always(1, fixed(1, 5))]);
    platform.max_lateness = Seconds(100);
    platform.told(&payment("A1", 1, 100));
    let redemption = |order: &str, amount, after| Redemption {
        order: OrderHash::of(order),
        user: key(1),
        asset: AssetId(1),
        amount: Amount(amount),
        redeemed_at: Timestamp(NOON.0 + after),
    };
    assert_eq!(platform.redeem(&redemption("S1", 2, 0)), Ok((Amount(5), Amount(3))));
    let before = platform.state.clone();
    for (redemption, expected) in [
        (redemption("S2", 0, -101), Refusal::ZeroAmount),
        (redemption("S2", 1, -101), Refusal::TooLate),
        (redemption("S2", 1, 61), Refusal::FromTheFuture),
        (redemption("S1", 1, 0), Refusal::DuplicateOrder),
        (redemption("A1", 1, 0), Refusal::DuplicateOrder),
        (redemption("S2", 4, 0), Refusal::InsufficientBalance),
        (Redemption { user: key(2), ..redemption("S2", 1, 0) }, Refusal::InsufficientBalance),
    ] {
        assert_eq!(platform.redeem(&redemption), Err(expected));
        assert_eq!(platform.state, before, "{expected}");
    }
}

proptest! {
    #[test]
    fn a_redemption_takes_exactly_its_amount_or_nothing(
        current in amounts(), previous in amounts(), amount in amounts(),
    ) {
        let previous = previous.min(u64::MAX - current);
        let mut balances = Balances::default();
        balances[0] = Balance { current: Amount(current), previous: Amount(previous), ..Balance::default() };
        let before = balances;
        let all = current + previous;
        match redeem(&mut balances, AssetId(1), Amount(amount)) {
            Ok(moved) => {
                prop_assert_eq!(moved, (Amount(all), Amount(all - amount)));
                prop_assert_eq!(balances[0].total(), moved.1);
                prop_assert!(balances[0].previous.0 == 0 || balances[0].current.0 == current);
            }
            Err(refusal) => {
                prop_assert_eq!((refusal, all < amount), (Refusal::InsufficientBalance, true));
                prop_assert_eq!(balances, before);
            }
        }
    }
}
