//! The program's errors by their numbers.

use rebate_client::error::{ERRORS, FIRST, ProgramError};
use rebate_core::refusal::Refusal;
use std::collections::HashSet;

#[test]
fn a_number_of_the_program_has_its_name_and_advice() {
    let error = ProgramError { code: FIRST + 3 };
    assert_eq!(error.name(), "DuplicateOrder");
    let said = "DuplicateOrder (error 6003): This order was recorded before; nothing is left to do";
    assert_eq!(error.to_string(), said);
}

#[test]
fn any_other_number_is_the_frameworks() {
    let beyond = FIRST + u32::try_from(ERRORS.len()).unwrap();
    for code in [0, 1, 2_003, FIRST - 1, beyond, u32::MAX] {
        let error = ProgramError { code };
        assert_eq!(error.name(), "FrameworkError", "{code}");
        assert!(!error.is_refusal(), "{code}");
        assert!(error.to_string().contains(&code.to_string()), "{error}");
    }
}

#[test]
fn the_refusals_are_the_first_errors_and_no_other_error_is_one() {
    let refusals: Vec<_> =
        (FIRST..).take(ERRORS.len()).map(|code| ProgramError { code }).filter(ProgramError::is_refusal).collect();
    let names: Vec<_> = refusals.iter().map(ProgramError::name).collect();
    assert_eq!(names, Refusal::ALL.map(Refusal::name));
    for refusal in Refusal::ALL {
        assert_eq!(ProgramError { code: FIRST + refusal as u32 - 1 }.name(), refusal.name());
    }
}

#[test]
fn no_two_errors_share_a_name() {
    let names: HashSet<_> = ERRORS.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), ERRORS.len());
}
