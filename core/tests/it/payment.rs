//! Which payments are admitted.

use crate::given::{NOON, payment};
use proptest::prelude::*;
use rebate_core::{
    payment::{MAX_AHEAD, Payment},
    refusal::Refusal,
    units::{Amount, Seconds, Timestamp},
};

const WEEK: Seconds = Seconds(7 * 86_400);

fn admit(paid_at: i64, now: i64, max_lateness: Seconds) -> Result<(), Refusal> {
    Payment { paid_at: Timestamp(paid_at), ..payment("A1", 1, 1) }.admit(Timestamp(now), max_lateness)
}

#[test]
fn a_payment_of_nothing_is_refused_before_anything_else() {
    let nothing = Payment { amount: Amount(0), paid_at: Timestamp(0), ..payment("A1", 1, 1) };
    assert_eq!(nothing.admit(NOON, WEEK), Err(Refusal::ZeroAmount));
    let nothing = Payment { amount: Amount(0), ..payment("A1", 1, 1) };
    assert_eq!(nothing.admit(NOON, WEEK), Err(Refusal::ZeroAmount));
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
fn clocks_at_the_ends_of_time_do_not_overflow() {
    let most = Seconds(u32::MAX);
    assert_eq!(admit(i64::MIN, i64::MIN, most), Ok(()));
    assert_eq!(admit(i64::MIN + 61, i64::MIN, most), Err(Refusal::FromTheFuture));
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
    ) {
        let paid_at = now.saturating_add(away);
        let age = i128::from(now) - i128::from(paid_at);
        let expected = if age > i128::from(lateness) {
            Err(Refusal::TooLate)
        } else if -age > i128::from(MAX_AHEAD) {
            Err(Refusal::FromTheFuture)
        } else {
            Ok(())
        };
        prop_assert_eq!(admit(paid_at, now, Seconds(lateness)), expected);
    }
}
