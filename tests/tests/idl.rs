//! The interface that clients in other languages are made from.

use std::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[test]
fn the_committed_idl_is_the_one_that_the_program_prints() {
    let checked = Command::new(format!("{ROOT}/setup/idl")).arg("--check").output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
