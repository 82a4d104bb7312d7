//! Which records are let in.

use crate::{
    given::{NOON, always, fixed, payment},
    platform::Platform,
};
use proptest::prelude::*;
use rebate_core::{
    admission::{Admission, MAX_AHEAD},
    payment::Payment,
    refusal::Refusal,
    time::DAY,
    units::{Amount, Day, Seconds, Timestamp},
};

const WEEK: Seconds = Seconds(7 * 86_400);

fn admit(paid_at: i64, now: i64, max_lateness: Seconds) -> Result<(), Refusal> {
    Admission::new(Timestamp(now), max_lateness).check(Amount(1), Timestamp(paid_at))
}

#[test]
fn a_payment_of_nothing_is_refused_before_anything_else() {
    let admission = Admission::new(NOON, WEEK);
    for at in [Timestamp(0), NOON, Timestamp(i64::MAX)] {
        assert_eq!(admission.check(Amount(0), at), Err(Refusal::ZeroAmount), "{at}");
    }
}

#[test]
fn refusals_come_in_the_order_of_the_specification() {
    let mut platform = Platform::of(&[always(1, fixed(1, 5))]);
    platform.max_lateness = WEEK;
    platform.pay(&payment("A1", 1, 1)).unwrap();
    let again = payment("A1", 1, 1);
    for (payment, expected) in [
        (Payment { amount: Amount(0), paid_at: Timestamp(0), ..again }, Refusal::ZeroAmount),
        (Payment { paid_at: Timestamp(0), ..again }, Refusal::TooLate),
        (Payment { paid_at: Timestamp(NOON.0 + 61), ..again }, Refusal::FromTheFuture),
        (again, Refusal::DuplicateOrder),
        (Payment { amount: Amount(2), user: rebate_core::units::UserKey([9; 32]), ..again }, Refusal::DuplicateOrder),
    ] {
        assert_eq!(platform.pay(&payment), Err(expected));
    }
}

#[test]
fn a_payment_is_admitted_up_to_its_lateness_and_a_minute_ahead_to_the_second() {
    let now = NOON.0;
    for (paid_at, expected) in [
        (now, Ok(())),
        (now - 604_800, Ok(())),
        (now - 604_801, Err(Refusal::TooLate)),
        (now + 60, Ok(())),
        (now + 61, Err(Refusal::FromTheFuture)),
        (i64::MIN, Err(Refusal::TooLate)),
        (i64::MAX, Err(Refusal::FromTheFuture)),
    ] {
        assert_eq!(admit(paid_at, now, WEEK), expected, "paid at {paid_at}");
    }
}

#[test]
fn no_lateness_admits_the_present_second_and_nothing_before() {
    assert_eq!(admit(NOON.0, NOON.0, Seconds(0)), Ok(()));
    assert_eq!(admit(NOON.0 - 1, NOON.0, Seconds(0)), Err(Refusal::TooLate));
}

#[test]
fn nothing_of_a_closed_day_is_admitted_however_late_payments_may_come() {
    let admission = Admission::new(NOON, Seconds(u32::MAX)).closed_before(Day(20_729));
    for (at, expected) in [
        (20_729 * DAY - 1, Err(Refusal::TooLate)),
        (20_729 * DAY, Ok(())),
        (NOON.0 + 60, Ok(())),
        (NOON.0 + 61, Err(Refusal::FromTheFuture)),
    ] {
        assert_eq!(admission.check_time(Timestamp(at)), expected, "{at}");
        assert_eq!(admission.check(Amount(1), Timestamp(at)), expected, "{at}");
    }
    assert_eq!(admission.check(Amount(0), Timestamp(0)), Err(Refusal::ZeroAmount));
    let last = Admission::new(NOON, WEEK).closed_before(Day(u32::MAX));
    assert_eq!(last.check_time(NOON), Err(Refusal::TooLate));
}

#[test]
fn a_closed_day_further_back_than_the_lateness_changes_nothing() {
    let open = Admission::new(NOON, WEEK);
    let closed = open.closed_before(Day(20_000));
    for at in [NOON.0 - 604_801, NOON.0 - 604_800, NOON.0, NOON.0 + 60, NOON.0 + 61].map(Timestamp) {
        assert_eq!(closed.check_time(at), open.check_time(at), "{at}");
    }
}

#[test]
fn nothing_before_1970_is_admitted() {
    assert_eq!(admit(-1, 0, WEEK), Err(Refusal::TooLate), "no day page knows it");
    assert_eq!(admit(0, 0, WEEK), Ok(()));
}

#[test]
fn clocks_at_the_ends_of_time_do_not_overflow() {
    let most = Seconds(u32::MAX);
    assert_eq!(admit(i64::MIN + 61, i64::MIN, most), Err(Refusal::TooLate), "before 1970");
    assert_eq!(admit(i64::MAX, i64::MAX, most), Ok(()));
    assert_eq!(admit(i64::MIN, i64::MAX, most), Err(Refusal::TooLate));
    assert_eq!(admit(i64::MAX, i64::MIN, most), Err(Refusal::FromTheFuture));
}

proptest! {
    #[test]
    fn admission_is_what_unbounded_integers_say(
        now: i64,
        away in prop_oneof![-5_000_000_000..5_000_000_000i64, any::<i64>()],
        lateness: u32,
        closed in prop_oneof![Just(0u32), any::<u32>()],
    ) {
        let paid_at = now.saturating_add(away);
        let age = i128::from(now) - i128::from(paid_at);
        let expected = if age > i128::from(lateness) || i128::from(paid_at) < i128::from(closed) * 86_400 {
            Err(Refusal::TooLate)
        } else if -age > i128::from(MAX_AHEAD) {
            Err(Refusal::FromTheFuture)
        } else {
            Ok(())
        };
        let admission = Admission::new(Timestamp(now), Seconds(lateness)).closed_before(Day(closed));
        prop_assert_eq!(admission.check(Amount(1), Timestamp(paid_at)), expected);
    }
}
