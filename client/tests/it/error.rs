//! The program's errors by their numbers.

use rebate_client::error::{ERRORS, FIRST, ProgramError};
use rebate_core::refusal::Refusal;
use std::collections::HashSet;

/// Every error of the program, by number.
fn all() -> impl Iterator<Item = ProgramError> {
    (FIRST..).take(ERRORS.len()).map(|code| ProgramError { code })
}

fn named(name: &str) -> ProgramError {
    all().find(|error| error.name() == name).unwrap()
}

#[test]
fn a_number_of_the_program_has_its_name_and_advice() {
    let error = ProgramError { code: FIRST + 3 };
    assert_eq!(error.name(), "DuplicateOrder");
    let said = "DuplicateOrder (error 6003): This order was recorded before; nothing is left to do";
    assert_eq!(error.to_string(), said);
    for (error, (name, advice)) in all().zip(ERRORS) {
        assert_eq!((error.name(), error.advice()), (*name, *advice));
        assert!(!name.is_empty() && !advice.is_empty() && !advice.ends_with('.'), "{name}");
    }
}

#[test]
fn any_other_number_is_the_frameworks() {
    let beyond = FIRST + u32::try_from(ERRORS.len()).unwrap();
    for code in [0, 1, 2_003, FIRST - 1, beyond, u32::MAX] {
        let error = ProgramError { code };
        assert_eq!(error.name(), "FrameworkError", "{code}");
        assert!(!error.is_refusal() && !error.is_outdated(), "{code}");
        assert!(error.to_string().contains(&code.to_string()), "{error}");
    }
}

#[test]
fn every_refusal_is_an_error_and_no_other_error_is_one() {
    let refusals: Vec<_> = all().filter(ProgramError::is_refusal).collect();
    let names: Vec<_> = refusals.iter().map(ProgramError::name).collect();
    assert_eq!(names, Refusal::ALL.map(Refusal::name), "in the same order");
    // Those that any record can meet come first, one after the other.
    for refusal in Refusal::ALL.into_iter().take(5) {
        assert_eq!(ProgramError { code: FIRST + refusal as u32 - 1 }.name(), refusal.name());
    }
}

#[test]
fn looking_again_helps_where_accounts_or_rules_can_have_changed_meanwhile_and_nowhere_else() {
    let outdated: HashSet<_> = all().filter(ProgramError::is_outdated).map(|error| error.name()).collect();
    let expected = ["WrongAccounts", "WrongOrderPage", "OrderPageFull", "CounterMissing", "WrongCounter", "NoRoom"];
    assert_eq!(outdated, HashSet::from(expected));
    for name in expected {
        assert!(!named(name).is_refusal(), "{name} is no word on a record");
    }
    for name in ["DuplicateOrder", "WrongUser", "WrongRefund", "UnknownOrder", "Paused"] {
        assert!(!named(name).is_outdated(), "{name}: the same again would be refused again");
    }
}

#[test]
fn no_two_errors_share_a_name() {
    let names: HashSet<_> = ERRORS.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), ERRORS.len());
}
