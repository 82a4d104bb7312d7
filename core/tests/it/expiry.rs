//! Expiry by calendar period.

use crate::{
    given::{NOON, always, fixed, key, midnight, payment, utc_plus},
    platform::Platform,
};
use proptest::prelude::*;
use rebate_core::{
    balance::{Balance, Balances},
    expiry::{Expired, MAX_MONTHS, Periods, expire},
    payment::Payment,
    rule::Definition,
    time::LocalTime,
    units::{Amount, AssetId, Months, PeriodIndex, Timestamp},
};

fn at(year: i64, month: i64, day: i64) -> Timestamp {
    Timestamp(midnight(year, month, day))
}

fn period(months: u8, at: Timestamp) -> Option<i32> {
    Months(months).period(LocalTime::at(at, &[])).map(|period| period.0)
}

#[test]
fn a_period_is_months_since_january_of_the_year_0_by_its_length() {
    assert_eq!(period(1, at(2026, 10, 3)), Some(2026 * 12 + 9));
    assert_eq!(period(12, at(2026, 10, 3)), Some(2026), "twelve months are years");
    assert_eq!(period(3, at(2026, 10, 3)), Some(2026 * 4 + 3), "and three are quarters");
    assert_eq!(period(24, at(2026, 10, 3)), Some(1_013));
    assert_eq!(period(1, Timestamp(0)), Some(1970 * 12));
    assert_eq!(period(0, NOON), None, "what never expires has none");
    assert_eq!(MAX_MONTHS, 24);
}

#[test]
fn periods_begin_on_the_first_of_their_months() {
    for (months, first, last_before) in [
        (1, at(2026, 3, 1), at(2026, 2, 28)),
        (1, at(2024, 3, 1), at(2024, 2, 29)),
        (3, at(2026, 10, 1), at(2026, 9, 30)),
        (6, at(2027, 1, 1), at(2026, 12, 31)),
        (12, at(2027, 1, 1), at(2026, 12, 31)),
        (24, at(2026, 1, 1), at(2025, 12, 31)),
    ] {
        let [before, after] = [Timestamp(first.0 - 1), first].map(|at| period(months, at).unwrap());
        assert_eq!(after, before + 1, "{months} months");
        assert_eq!(period(months, last_before), Some(before), "{months} months");
    }
    assert_eq!(period(24, at(2026, 1, 1)), period(24, at(2027, 12, 31)));
}

#[test]
fn a_period_closes_at_local_midnight() {
    for (hours, minutes) in [(8, 0), (5, 30), (-3, -30), (12, 45)] {
        let first = midnight(2026, 11, 1) - i64::from(hours * 3_600 + minutes * 60);
        let period = |at| Months(1).period(LocalTime::at(Timestamp(at), &utc_plus(hours, minutes))).unwrap();
        assert_eq!((period(first - 1), period(first)), (PeriodIndex(2026 * 12 + 9), PeriodIndex(2026 * 12 + 10)));
    }
}

#[test]
fn every_asset_expires_by_its_own_period_and_what_expired_is_told() {
    let mut balances = Balances::default();
    for (slot, balance) in (1..).zip(&mut balances) {
        *balance = Balance {
            current: Amount(slot),
            previous: Amount(10 * slot),
            period: PeriodIndex(2026 * 12 + 9),
            ..Balance::default()
        };
    }
    (balances[2].period, balances[7].period) = (PeriodIndex(2026), PeriodIndex(2025));
    let mut periods = Periods::default();
    (periods[0], periods[2], periods[4], periods[7]) = (Months(1), Months(12), Months(1), Months(12));
    let mut told = Vec::new();
    expire(&mut balances, &periods, LocalTime::at(at(2026, 11, 1), &[]), |one| told.push(one));
    let expired = |asset, amount, before, after| Expired {
        asset: AssetId(asset),
        amount: Amount(amount),
        before: Amount(before),
        after: Amount(after),
    };
    assert_eq!(told, [expired(1, 10, 11, 1), expired(5, 50, 55, 5), expired(8, 80, 88, 8)]);
    assert_eq!((balances[0].current, balances[0].previous), (Amount(0), Amount(1)));
    assert_eq!((balances[1].current, balances[1].previous), (Amount(2), Amount(20)), "asset 2 never expires");
    assert_eq!((balances[2].current, balances[2].previous), (Amount(3), Amount(30)), "the year goes on");

    told.clear();
    expire(&mut balances, &periods, LocalTime::at(at(2026, 11, 30), &[]), |one| told.push(one));
    assert_eq!(told, [], "a period closes once");
}

#[test]
fn where_nothing_is_left_nothing_is_told() {
    let mut periods = Periods::default();
    periods[0] = Months(1);
    let mut balances = Balances::default();
    expire(&mut balances, &periods, LocalTime::at(NOON, &[]), |one| panic!("{one:?}"));
    assert_eq!(balances[0].period, PeriodIndex(2026 * 12 + 9), "and the balance is in its period");
    balances[0].debt = Amount(5);
    expire(&mut balances, &periods, LocalTime::at(at(2030, 1, 1), &[]), |one| panic!("{one:?}"));
    assert_eq!(balances[0].debt, Amount(5), "a debt does not expire");
}

#[test]
fn what_is_granted_lasts_to_the_end_of_the_next_period() {
    let mut platform = Platform::of(&[always(1, fixed(1, 5))]);
    platform.periods[0] = Months(1);
    for (month, day, order, expected) in [
        (10, 31, "A1", (5, 0)),
        (11, 1, "A2", (10, 0)),
        (11, 30, "A3", (15, 0)),
        // October's 5 are gone, November's 10 are there.
        (12, 1, "A4", (15, 0)),
        (12, 31, "A5", (20, 0)),
    ] {
        platform.now = at(2026, month, day);
        platform.told(&Payment { paid_at: platform.now, ..payment(order, 1, 1) });
        assert_eq!(platform.balance(key(1), 1), expected, "{order}");
    }
    platform.now = at(2027, 2, 1);
    platform.close_periods();
    assert_eq!(platform.balance(key(1), 1), (0, 0), "nothing came in January");
    assert_eq!(platform.expired, 2);
}

#[test]
fn debits_take_what_expires_first() {
    let mut platform = Platform::of(&[always(1, fixed(1, 5))]);
    platform.periods[0] = Months(1);
    platform.now = at(2026, 10, 31);
    platform.told(&Payment { paid_at: platform.now, ..payment("A1", 1, 1) });
    platform.now = at(2026, 11, 1);
    platform.told(&Payment { paid_at: platform.now, ..payment("A2", 1, 1) });
    // The refund of November's order takes October's grant.
    platform.give_back("R1", "A2", 1).unwrap();
    let balance = platform.state.users[&key(1)].balances[0];
    assert_eq!((balance.current, balance.previous), (Amount(5), Amount(0)));
}

#[test]
fn a_refund_of_what_has_expired_is_a_debt() {
    let mut platform = Platform::of(&[always(1, fixed(1, 5))]);
    platform.periods[0] = Months(1);
    platform.told(&payment("A1", 1, 100));
    platform.now = at(2026, 12, 1);
    let outcomes = platform.give_back("R1", "A1", 100).unwrap();
    assert_eq!((outcomes[0].amount, outcomes[0].before, outcomes[0].after), (Amount(5), Amount(0), Amount(0)));
    assert_eq!(platform.balance(key(1), 1), (0, 5));
}

#[test]
fn a_late_payment_is_granted_in_the_period_it_comes_in() {
    let mut platform = Platform::of(&[Definition { ..always(1, fixed(1, 5)) }]);
    platform.periods[0] = Months(1);
    platform.now = at(2026, 11, 5);
    platform.told(&payment("A1", 1, 1));
    platform.now = at(2026, 12, 5);
    platform.close_periods();
    assert_eq!(platform.balance(key(1), 1), (5, 0), "paid in October, granted in November");
}

#[test]
fn what_expired_is_free_in_the_vault() {
    let mut platform = Platform::of(&[always(1, fixed(1, 5))]);
    platform.periods[0] = Months(1);
    platform.vaults[0] = Some(5);
    platform.told(&payment("A1", 1, 1));
    platform.now = at(2026, 12, 1);
    let again = Payment { paid_at: platform.now, ..payment("A2", 1, 1) };
    assert_eq!(platform.told(&again)[0].1, 5);
}

proptest! {
    #[test]
    fn grants_of_each_month_last_to_the_end_of_the_next_period(
        months in 1..=24u8, steps in prop::collection::vec((0..5i64, 0..100u64, 0..80u64), 1..30),
    ) {
        let mut periods = Periods::default();
        periods[0] = Months(months);
        let (mut balances, mut month) = (Balances::default(), 0);
        // What is left of what was granted in each month; months since January 2026, the first of a period of any length
        // that divides 24 312.
        let mut lots: Vec<(i64, u64)> = Vec::new();
        for (wait, granted, spent) in steps {
            month += wait;
            let now = at(2026 + month / 12, month % 12 + 1, 15);
            let of = |month: i64| (24_312 + month) / i64::from(months);
            let gone: u64 = lots.iter().filter(|lot| of(lot.0) + 1 < of(month)).map(|lot| lot.1).sum();
            lots.retain(|lot| of(lot.0) + 1 >= of(month));
            let mut told = 0;
            expire(&mut balances, &periods, LocalTime::at(now, &[]), |one| told += one.amount.0);
            prop_assert_eq!(told, gone);

            balances[0].credit(Amount(granted)).unwrap();
            lots.push((month, granted));
            let mut left = balances[0].debit(Amount(spent)).0;
            for lot in &mut lots {
                let part = left.min(lot.1);
                (lot.1, left) = (lot.1 - part, left - part);
            }
            prop_assert_eq!(balances[0].total().0, lots.iter().map(|lot| lot.1).sum::<u64>());
        }
    }
}
