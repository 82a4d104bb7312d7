//! Which counters can be given up.

use crate::{
    given::{NOON, always, fixed, key, midnight, payment, published, utc_plus, when},
    histories::{Draft, books, paid, time_zones},
    platform::Platform,
};
use proptest::prelude::*;
use rebate_core::{
    book::{end, is_closable},
    counters::Counters,
    outcome::Outcome,
    payment::Payment,
    rule::{Definition, Field, Rule},
    time::{DAY, UtcOffset},
    units::{Amount, Day, LocalDay, OrderHash, RuleId, RuleVersion, Timestamp, WindowIndex},
    window::Window,
};

/// 2026-10-03, the day of NOON.
const TODAY: i32 = 20_729;

fn rule(window: Window) -> Rule {
    published(&Definition { window, ..always(1, fixed(1, 5)) })
}

fn counted(window: i32, streak: u32, streak_day: i32) -> Counters {
    Counters {
        rule: RuleId(1),
        epoch: RuleVersion(1),
        window: WindowIndex(window),
        streak,
        streak_day: LocalDay(streak_day),
        ..Counters::default()
    }
}

/// The first day on which counters can be given up, of the 100 after NOON's; `None` if there is none.
fn from_when(counters: &Counters, rules: &[Rule], offsets: &[UtcOffset]) -> Option<i32> {
    let closable = |day: i32| is_closable(counters, rules, offsets, Day(day as u32));
    let first = (TODAY..TODAY + 100).find(|day| closable(*day))?;
    assert!((first..TODAY + 100).all(closable), "what can be given up stays so");
    Some(first - TODAY)
}

#[test]
fn counters_of_a_calendar_window_can_be_given_up_once_it_is_over_in_every_time_zone() {
    // The earliest clock is up to two days behind; a payment of such a day could still fall into the window.
    assert_eq!(from_when(&counted(TODAY, 0, 0), &[rule(Window::Day)], &[]), Some(3));
    assert_eq!(from_when(&counted(TODAY, 0, 0), &[rule(Window::Day)], &utc_plus(14, 0)), Some(2));
    assert_eq!(from_when(&counted(TODAY, 0, 0), &[rule(Window::Day)], &utc_plus(-14, 0)), Some(3));
    // The week goes on to Sunday, the 4th, the month to the 31st.
    assert_eq!(from_when(&counted(2_961, 0, 0), &[rule(Window::Week)], &[]), Some(4));
    assert_eq!(from_when(&counted(56 * 12 + 9, 0, 0), &[rule(Window::Month)], &[]), Some(31));
    assert_eq!(midnight(2026, 11, 1) / DAY, i64::from(TODAY + 29));
}

#[test]
fn counters_with_a_streak_can_be_given_up_once_it_cannot_be_lengthened() {
    let of = |streak| from_when(&counted(TODAY, streak, TODAY), &[rule(Window::Day)], &[]);
    assert_eq!((of(0), of(1), of(50)), (Some(3), Some(4), Some(4)));
    let streak_of_later_day = counted(TODAY, 3, TODAY + 5);
    assert_eq!(from_when(&streak_of_later_day, &[rule(Window::Day)], &[]), Some(9));
}

#[test]
fn counters_of_a_window_without_an_end_can_be_given_up_once_no_version_takes_payments() {
    for window in [Window::Lifetime, Window::Schedule] {
        let mut rules = vec![rule(window)];
        assert_eq!(from_when(&counted(0, 1, TODAY), &rules, &[]), None, "{window:?}");
        end(&mut rules, RuleId(1), Timestamp(NOON.0 + 5 * DAY)).unwrap();
        assert_eq!(from_when(&counted(0, 1, TODAY), &rules, &[]), Some(6), "{window:?}: ended at noon of the 5th day");
    }
}

#[test]
fn every_version_of_the_rule_must_be_done_with_the_counters() {
    let mut platform = Platform::of(&[Definition { window: Window::Day, ..always(1, fixed(1, 5)) }]);
    let later = Definition { version: RuleVersion(2), window: Window::Lifetime, ..always(1, fixed(1, 5)) };
    platform.publish(&later, NOON.0 + 10 * DAY).unwrap();
    assert_eq!(from_when(&counted(TODAY, 0, 0), &platform.state.rules, &[]), None);
    end(&mut platform.state.rules, RuleId(1), Timestamp(NOON.0 + 20 * DAY)).unwrap();
    assert_eq!(from_when(&counted(TODAY, 0, 0), &platform.state.rules, &[]), Some(21));
}

#[test]
fn counters_begun_by_a_later_version_stay_while_an_earlier_one_takes_payments() {
    let mut platform = Platform::of(&[Definition { window: Window::Week, ..always(1, fixed(1, 5)) }]);
    let later = Definition { version: RuleVersion(2), window: Window::Day, ..always(1, fixed(1, 5)) };
    platform.publish(&later, NOON.0 + 10 * DAY).unwrap();
    // Without them a late payment for the first version would be counted anew instead of being late.
    let of_the_later = Counters { epoch: RuleVersion(2), ..counted(TODAY, 0, 0) };
    assert_eq!(from_when(&of_the_later, &platform.state.rules, &[]), Some(11));
}

#[test]
fn room_and_counters_of_a_rule_that_is_gone_can_be_given_up() {
    let rules = [rule(Window::Lifetime)];
    assert!(is_closable(&Counters::default(), &rules, &[], Day(0)));
    assert!(is_closable(&Counters { rule: RuleId(2), ..counted(0, 1, TODAY) }, &rules, &[], Day(0)));
    assert!(is_closable(&counted(0, 1, TODAY), &[], &[], Day(0)));
    assert!(!is_closable(&counted(0, 1, TODAY), &rules, &[], Day(u32::MAX)));
}

/// What later payments come to, where counters are given up in between or not; and how many were.
fn told(
    (book, offsets): (&[Draft], &[UtcOffset]),
    (before, after): (&[Payment], &[Payment]),
    open_from: Day,
    give_up: bool,
) -> (Vec<Vec<Outcome>>, usize) {
    let mut platform = Platform::of(&[]);
    platform.offsets = offsets.to_vec();
    platform.now = Timestamp(NOON.0 + 200 * DAY);
    for draft in book {
        let from = if draft.version == 1 { 0 } else { NOON.0 + 20 * DAY };
        platform.publish(&draft.definition(), from).unwrap();
    }
    for payment in before {
        platform.pay(payment).unwrap();
    }
    let mut given_up = 0;
    for counters in platform.state.counters.values_mut().flatten().filter(|_| give_up) {
        if !counters.is_free() && is_closable(counters, &platform.state.rules, offsets, open_from) {
            *counters = Counters::default();
            given_up += 1;
        }
    }
    (after.iter().map(|payment| platform.pay(payment).unwrap()).collect(), given_up)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn giving_up_counters_that_can_be_changes_no_outcome(
        mut book in books(4), second in books(4), offsets in time_zones(),
        before in prop::collection::vec((paid(), 0..40 * DAY), 1..12),
        after in prop::collection::vec((paid(), prop_oneof![0..3 * DAY, 0..40 * DAY]), 1..12),
        closed in 0..50i64,
    ) {
        for (next, last) in second.into_iter().zip(book.clone()).take(2) {
            book.push(Draft { version: 2, ..next });
            let kept = last.scope;
            if let Some(next) = book.last_mut() {
                (next.scope, next.id) = (kept, last.id);
            }
        }
        let open_from = Day((i64::from(TODAY) + closed) as u32);
        let first = i64::from(open_from.0) * DAY;
        // What is reported of a condition that fails at two clauses can depend on a streak of long ago.
        let reads_streak = |draft: &Draft| draft.condition.iter().any(|one| one.field() == Some(Field::StreakDays));
        for draft in book.iter_mut().filter(|draft| reads_streak(draft)) {
            draft.condition.clear();
        }
        let timed = |payments: Vec<(Payment, i64)>, from: i64, name: &str| -> Vec<Payment> {
            (0..)
                .zip(payments)
                .map(|(number, (payment, after))| Payment {
                    order: OrderHash::of(&format!("{name}{number}")),
                    amount: Amount(payment.amount.0 % 3_000 + 1),
                    paid_at: Timestamp(from + after),
                    ..payment
                })
                .collect()
        };
        let (before, after) = (timed(before, NOON.0, "A"), timed(after, first, "B"));
        let (kept, _) = told((&book, &offsets), (&before, &after), open_from, false);
        let (given_up, how_many) = told((&book, &offsets), (&before, &after), open_from, true);
        prop_assume!(how_many > 0);
        prop_assert_eq!(kept, given_up);
    }
}

#[test]
fn given_up_counters_are_begun_again_as_those_of_a_stranger() {
    let again = [when(0, Field::Payments, rebate_core::rule::Operator::Eq, 1)];
    let draft = Definition { window: Window::Day, condition: &again, ..always(1, fixed(1, 5)) };
    let mut platform = Platform::of(&[draft]);
    platform.told(&payment("A1", 1, 1));
    let place = platform.state.counters.values_mut().next().unwrap();
    assert!(is_closable(&place[0], &platform.state.rules, &[], Day(TODAY as u32 + 4)));
    place[0] = Counters::default();
    platform.now = Timestamp(NOON.0 + 4 * DAY);
    let outcomes = platform.pay(&Payment { paid_at: platform.now, ..payment("A2", 1, 1) }).unwrap();
    assert_eq!(outcomes[0].amount, Amount(5));
    assert_eq!(platform.own(key(1), 1).payments, 1);
}
