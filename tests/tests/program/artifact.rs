//! What must be true of the built artifact: a wrong target setting silently turns calls of other programs into no-ops.

use rebate_client::{address::PROGRAM, event::TAG};
use rebate_tests::platform::{TestPlatform, payment};
use std::fs;

#[test]
fn the_built_program_moves_balances_and_emits_the_event_by_self_cpi() {
    let platform = TestPlatform::with_sample_rules();
    platform.pay(&[payment("A1", "u1", 5_000)]).expect("a payment");

    assert_eq!(platform.balance("u1"), 2_000, "20 % of 5 000 and the weekend's 1 000");
    let block = platform.chain.block(platform.chain.tip()).expect("the payment's block");
    let transaction = block.transactions.last().expect("the payment's transaction");
    let own: Vec<_> =
        transaction.inner.iter().filter(|inner| transaction.accounts[usize::from(inner.program)] == PROGRAM).collect();
    assert_eq!(own.len(), 1, "one self-CPI");
    assert!(own[0].data.starts_with(&TAG), "with the event tag");
    assert_eq!(transaction.events().expect("a known event").len(), 1);
}

#[test]
fn the_built_program_names_whom_to_tell_of_a_vulnerability() {
    let program = fs::read(rebate_tests::artifacts::program()).expect("the built program");
    let found = |needle: &[u8]| program.windows(needle.len()).any(|window| window == needle);
    assert!(found(b"=======BEGIN SECURITY.TXT V1=======\0"), "the marker that explorers look for");
    assert!(found(b"=======END SECURITY.TXT V1=======\0"));
}
