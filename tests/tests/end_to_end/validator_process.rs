//! The validator that `rebate-local` starts, whatever happens to it and to whoever started it.

use crate::{
    deadline::until,
    process::{Process, runs_with},
};
use rebate_client::address::PROGRAM;
use rebate_local::validator::{LocalValidator, LocalValidatorError};
use rebate_tests::artifacts;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

fn start(dir: &Path, program: &Path) -> Result<LocalValidator, LocalValidatorError> {
    LocalValidator::start(dir, &PROGRAM.to_string(), program)
}

fn folders(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("validator-"))
        .collect();
    names.sort();
    names
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
}

/// The demo on a validator, with its files in `dir`.
fn demo(dir: &Path, path: Option<&Path>) -> Process {
    Process::start_as("rebate", |command| {
        command.args(["demo", "--chain", "validator", "--listen", "127.0.0.1:0", "--local"]).arg(dir);
        command.env("REBATE_PROGRAM_SO", artifacts::program());
        if let Some(path) = path {
            command.env("PATH", path);
        }
    })
}

/// A folder with a `solana-test-validator` that does what `line` says.
fn fake(line: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("solana-test-validator");
    fs::write(&path, format!("#!/bin/sh\n{line}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn two_validators_run_side_by_side_and_each_goes_with_its_handle() {
    let folder = tempfile::tempdir().unwrap();
    let program = artifacts::program();
    let (one, other) = std::thread::scope(|scope| {
        let start = || start(folder.path(), &program).unwrap();
        let (one, other) = (scope.spawn(start), scope.spawn(start));
        (one.join().unwrap(), other.join().unwrap())
    });
    assert_ne!(one.rpc_url(), other.rpc_url());
    assert_eq!(folders(folder.path()), ["validator-1", "validator-2"]);
    drop(one);
    assert_eq!(folders(folder.path()).len(), 1);
    drop(other);
    assert_eq!(folders(folder.path()), Vec::<String>::new());
    assert_eq!(runs_with(folder.path()), Vec::<String>::new());
}

#[test]
fn one_that_is_killed_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let mut validator = start(folder.path(), &artifacts::program()).unwrap();
    validator.check().unwrap();
    kill(validator.pid());
    let begun = std::time::Instant::now();
    let error = loop {
        match validator.check() {
            Err(error) => break error,
            Ok(()) => assert!(begun.elapsed() < crate::deadline::PATIENCE, "its end is not noticed"),
        }
        std::thread::yield_now();
    };
    assert!(error.to_string().contains("ended with signal: 9"), "{error}");
}

#[test]
fn one_that_cannot_start_says_why_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let missing = start(folder.path(), &folder.path().join("none.so")).unwrap_err();
    assert!(missing.to_string().contains("none.so; `make program` builds it"), "{missing}");

    let broken = folder.path().join("broken.so");
    fs::write(&broken, "no program").unwrap();
    let error = start(folder.path(), &broken).unwrap_err();
    let said = error.to_string();
    assert!(said.starts_with("solana-test-validator ended with exit status: 1; its last words:\n"), "{said}");
    assert!(said.contains("ELF error"), "{said}");
    assert_eq!(folders(folder.path()), Vec::<String>::new());
    assert_eq!(runs_with(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_demo_without_one_or_with_a_broken_one_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = tempfile::tempdir().unwrap();
    let ended = demo(folder.path(), Some(nothing.path())).ended().await;
    ended.assert_refused(&["solana-test-validator is not on PATH; `setup/validator` installs it"]);

    let broken = fake("echo; echo 'Error: the moon is full'; exit 3");
    let ended = demo(folder.path(), Some(broken.path())).ended().await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.err.contains("ended with exit status: 3; its last words:\nError: the moon is full"), "{}", ended.err);
    assert_eq!(folders(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_validator_ends_with_a_process_that_is_killed_and_the_next_start_removes_what_it_left() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = demo(folder.path(), None);
    demo.said_line_with("playing").await;
    let ledger: PathBuf = fs::canonicalize(folder.path()).unwrap().join("validator-1/ledger");
    assert_eq!(runs_with(&ledger).len(), 1, "{:?}", runs_with(&ledger));
    demo.kill();
    until("the validator of a killed demo ends", async || match runs_with(&ledger) {
        none if none.is_empty() => Ok(()),
        left => Err(format!("{left:?} runs on")),
    })
    .await;
    assert_eq!(folders(folder.path()), ["validator-1"]);

    let validator = start(folder.path(), &artifacts::program()).unwrap();
    assert_eq!(folders(folder.path()), ["validator-1"], "the folder of the killed demo's is still there");
    assert_eq!(runs_with(&ledger).len(), 1);
    drop(validator);
    assert_eq!(folders(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_demo_whose_validator_dies_ends_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = demo(folder.path(), None);
    demo.said_line_with("playing").await;
    let ledger = fs::canonicalize(folder.path()).unwrap().join("validator-1/ledger");
    let pid = fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_string_lossy().parse().ok()?;
        let arguments = fs::read(entry.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&arguments).contains(ledger.to_str().unwrap()).then_some(pid)
    });
    kill(pid.expect("the demo's validator"));
    let ended = demo.ended().await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(
        ended.err.contains("solana-test-validator ended") || ended.err.contains("does not answer"),
        "{}",
        ended.err
    );
    assert_eq!(folders(folder.path()), Vec::<String>::new());
}
