//! The built programs that tests run. A test that needs one fails where it is missing: it never passes by doing nothing.

use std::path::PathBuf;

/// The rebate program, `target/program/rebate.so`.
pub fn program() -> PathBuf {
    artifact("REBATE_PROGRAM_SO", "rebate.so")
}

/// The self-test of the build in `sbf/`, `target/program/selftest.so`.
pub fn selftest() -> PathBuf {
    artifact("REBATE_SELFTEST_SO", "selftest.so")
}

#[expect(clippy::panic, reason = "this is how a test fails")]
fn artifact(variable: &str, name: &str) -> PathBuf {
    let path = match std::env::var_os(variable) {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/program")).join(name),
    };
    if path.is_file() {
        return path;
    }
    panic!("no built program at {}: run `make program` first, or name another with {variable}", path.display())
}
