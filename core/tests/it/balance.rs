//! What a user has and owes of one asset.

use proptest::prelude::*;
use rebate_core::{
    balance::{Balance, BalanceOverflow},
    units::{Amount, PeriodIndex},
};

fn of(current: u64, previous: u64, debt: u64) -> Balance {
    Balance { current: Amount(current), previous: Amount(previous), debt: Amount(debt), ..Balance::default() }
}

fn parts(balance: &Balance) -> (u64, u64, u64) {
    (balance.current.0, balance.previous.0, balance.debt.0)
}

#[test]
fn a_grant_pays_the_debt_first_and_adds_the_rest() {
    for (debt, granted, expected, added) in
        [(0, 7, (7, 0, 0), 7), (5, 4, (0, 0, 1), 0), (5, 5, (0, 0, 0), 0), (5, 7, (2, 0, 0), 2), (5, 0, (0, 0, 5), 0)]
    {
        let mut balance = of(0, 0, debt);
        assert_eq!(balance.credit(Amount(granted)), Ok(Amount(added)), "{granted} to who owes {debt}");
        assert_eq!(parts(&balance), expected, "{granted} to who owes {debt}");
    }
}

#[test]
fn what_is_granted_belongs_to_this_period() {
    let mut balance = of(1, 10, 0);
    balance.credit(Amount(5)).unwrap();
    assert_eq!(parts(&balance), (6, 10, 0));
}

#[test]
fn a_debit_takes_the_older_part_first_and_no_more_than_there_is() {
    for (amount, taken, expected) in [
        (0, 0, (5, 10, 0)),
        (9, 9, (5, 1, 0)),
        (10, 10, (5, 0, 0)),
        (12, 12, (3, 0, 0)),
        (15, 15, (0, 0, 0)),
        (16, 15, (0, 0, 0)),
        (u64::MAX, 15, (0, 0, 0)),
    ] {
        let mut balance = of(5, 10, 0);
        assert_eq!(balance.debit(Amount(amount)), Amount(taken), "{amount}");
        assert_eq!(parts(&balance), expected, "{amount}");
    }
}

#[test]
fn what_a_reversal_does_not_find_is_owed() {
    for (amount, taken, expected) in
        [(12, 12, (3, 0, 0)), (15, 15, (0, 0, 0)), (20, 15, (0, 0, 5)), (u64::MAX, 15, (0, 0, u64::MAX - 15))]
    {
        let mut balance = of(5, 10, 0);
        assert_eq!(balance.reverse(Amount(amount)), Ok(Amount(taken)), "{amount}");
        assert_eq!(parts(&balance), expected, "{amount}");
    }
    let mut owing = of(0, 0, 5);
    assert_eq!(owing.reverse(Amount(3)), Ok(Amount(0)));
    assert_eq!(parts(&owing), (0, 0, 8));
}

#[test]
fn the_largest_balance_and_the_largest_debt_can_be_reached_and_not_passed() {
    let mut balance = of(u64::MAX - 20, 15, 0);
    assert_eq!(balance.credit(Amount(6)), Err(BalanceOverflow));
    assert_eq!(parts(&balance), (u64::MAX - 20, 15, 0), "nothing was changed");
    assert_eq!(balance.credit(Amount(5)), Ok(Amount(5)));
    assert_eq!(balance.total(), Amount(u64::MAX));

    let mut owing = of(0, 0, u64::MAX - 5);
    assert_eq!(owing.reverse(Amount(6)), Err(BalanceOverflow));
    assert_eq!(parts(&owing), (0, 0, u64::MAX - 5), "nothing was changed");
    assert_eq!(owing.reverse(Amount(5)), Ok(Amount(0)));
    assert_eq!(owing.debt, Amount(u64::MAX));
}

#[test]
fn a_period_that_closes_takes_what_is_left_of_the_one_before() {
    let mut balance = of(5, 0, 0);
    balance.period = PeriodIndex(8);
    assert_eq!(balance.expire(PeriodIndex(8)), Amount(0));
    assert_eq!(balance.expire(PeriodIndex(9)), Amount(0));
    assert_eq!((parts(&balance), balance.period), ((0, 5, 0), PeriodIndex(9)));
    balance.credit(Amount(7)).unwrap();
    assert_eq!(balance.expire(PeriodIndex(9)), Amount(0), "a period closes once");
    assert_eq!(balance.expire(PeriodIndex(10)), Amount(5));
    assert_eq!((parts(&balance), balance.period), ((0, 7, 0), PeriodIndex(10)));
    assert_eq!(balance.expire(PeriodIndex(11)), Amount(7));
    assert_eq!(parts(&balance), (0, 0, 0));
}

#[test]
fn after_two_periods_nothing_is_left() {
    for later in [2, 3, 100, i32::MAX - 8] {
        let mut balance = of(5, 10, 0);
        balance.period = PeriodIndex(8);
        assert_eq!(balance.expire(PeriodIndex(8 + later)), Amount(15), "{later} later");
        assert_eq!((parts(&balance), balance.period), ((0, 0, 0), PeriodIndex(8 + later)));
    }
}

#[test]
fn an_earlier_period_closes_nothing() {
    let mut balance = of(5, 10, 0);
    balance.period = PeriodIndex(8);
    assert_eq!(balance.expire(PeriodIndex(7)), Amount(0));
    assert_eq!((parts(&balance), balance.period), ((5, 10, 0), PeriodIndex(8)));
}

#[test]
fn a_debt_does_not_expire() {
    let mut owing = of(0, 0, 5);
    assert_eq!(owing.expire(PeriodIndex(100)), Amount(0));
    assert_eq!(parts(&owing), (0, 0, 5));
}

#[test]
fn a_balance_takes_32_bytes_and_is_of_an_asset_that_does_not_expire_unless_said_otherwise() {
    assert_eq!(size_of::<Balance>(), 32);
    assert_eq!(Balance::of(Amount(7)), of(7, 0, 0));
    let balance = Balance { period: PeriodIndex(4), ..of(1, 2, 3) };
    let mut expected = [0; 32];
    (expected[0], expected[8], expected[16], expected[24]) = (1, 2, 3, 4);
    assert_eq!(bytemuck::cast::<_, [u8; 32]>(balance), expected);
}

/// Something that happens to a balance.
#[derive(Clone, Copy, Debug)]
enum Move {
    Credit(u64),
    Debit(u64),
    Reverse(u64),
    Expire(i32),
}

fn moves() -> impl Strategy<Value = Move> {
    let amount = || prop_oneof![4 => 0..100u64, 1 => any::<u64>()];
    prop_oneof![
        4 => amount().prop_map(Move::Credit),
        2 => amount().prop_map(Move::Debit),
        3 => amount().prop_map(Move::Reverse),
        2 => (0..4i32).prop_map(Move::Expire),
    ]
}

proptest! {
    #[test]
    fn what_came_less_what_went_is_what_there_is_less_what_is_owed(moves in prop::collection::vec(moves(), 0..60)) {
        let mut balance = Balance::default();
        let mut sum = 0i128;
        for one in moves {
            let before = balance;
            match one {
                Move::Credit(amount) if balance.credit(Amount(amount)).is_ok() => sum += i128::from(amount),
                Move::Reverse(amount) if balance.reverse(Amount(amount)).is_ok() => sum -= i128::from(amount),
                Move::Credit(_) | Move::Reverse(_) => prop_assert_eq!(balance, before, "what is refused changes nothing"),
                Move::Debit(amount) => sum -= i128::from(balance.debit(Amount(amount)).0),
                Move::Expire(later) => sum -= i128::from(balance.expire(PeriodIndex(balance.period.0 + later)).0),
            }
            let (current, previous, debt) = parts(&balance);
            prop_assert_eq!(i128::from(current) + i128::from(previous) - i128::from(debt), sum);
            prop_assert_eq!(u128::from(current) + u128::from(previous), u128::from(balance.total().0));
            prop_assert!(debt == 0 || balance.total().0 == 0, "who owes has nothing");
        }
    }
}
