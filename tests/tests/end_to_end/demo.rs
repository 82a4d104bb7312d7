//! `rebate demo` as people run it.

use crate::{
    api::Api,
    deadline::until,
    process::{Ended, Process, runs_with},
};
use rebate_tests::artifacts;
use rustix::process::Signal;
use sqlx::{Connection, PgConnection};
use std::{env, fs, path::Path};
use tempfile::TempDir;

/// A running demo with files of its own.
pub struct Demo {
    pub process: Process,
    left: Left,
}

/// What a demo could leave behind.
pub struct Left {
    folder: TempDir,
    pid: u32,
}

impl Demo {
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_as(arguments, true)
    }

    /// On the tests' Postgres, or on one that it starts itself.
    pub fn start_as(arguments: &[&str], on_tests_postgres: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Process::start_as("rebate", |command| {
            command.arg("demo").args(["--listen", "127.0.0.1:0", "--local"]).arg(folder.path()).args(arguments);
            command.env("REBATE_PROGRAM_SO", artifacts::program());
            if !on_tests_postgres {
                command.env_remove("DATABASE_URL");
            }
        });
        let pid = process.pid();
        Self { process, left: Left { folder, pid } }
    }

    pub async fn ended(self) -> (Ended, Left) {
        (self.process.ended().await, self.left)
    }
}

impl Left {
    /// Neither processes, nor a database, nor a validator's folder.
    pub async fn assert_left_nothing(&self) {
        let running = runs_with(self.folder.path());
        assert!(running.is_empty(), "left running: {running:#?}");
        let databases = self.databases().await;
        assert!(databases.is_empty(), "left databases: {databases:?}");
        let files: Vec<_> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "postgres" && name != "validators.lock")
            .collect();
        assert!(files.is_empty(), "left files: {files:?}");
    }

    async fn databases(&self) -> Vec<String> {
        let url = env::var("DATABASE_URL").expect("DATABASE_URL, which `make test` sets");
        let mut connection = PgConnection::connect(&url).await.unwrap();
        sqlx::query_scalar("SELECT datname::text FROM pg_database WHERE datname LIKE 'rebate\\_%\\_' || $1")
            .bind(self.pid.to_string())
            .fetch_all(&mut connection)
            .await
            .unwrap()
    }
}

/// The lines that say something about an order.
fn lines<'a>(out: &'a str, order: &str) -> Vec<&'a str> {
    out.lines().filter(|line| line.split_whitespace().any(|word| word == order)).collect()
}

/// What the demo prints once it has played its payments: all that is in demo/payments.jsonl, and that it agrees.
pub fn assert_whole(out: &str) {
    assert!(out.contains("playing 60 records of 12 users"), "{out}");
    assert!(lines(out, "E001")[0].contains("+120 coins (first recharge 20%, now 120)"), "{out}");
    for (order, reason, times) in [
        ("E006", "refused, DuplicateOrder: this order was recorded before", 2),
        ("L001", "refused, TooLate: paid longer ago than the platform takes", 1),
        ("Z001", "refused, ZeroAmount: nothing was paid", 1),
        ("X001", "refused, forged: the signature does not verify", 1),
        ("X002", "refused, forged: the signature does not verify", 1),
    ] {
        let lines = lines(out, order);
        assert_eq!(lines.len(), times, "lines about {order}:\n{out}");
        assert_eq!(lines.iter().filter(|line| line.contains(reason)).count(), 1, "{order} {reason}:\n{out}");
    }
    assert_eq!(out.matches("refused, ").count(), 8, "{out}");
    let granted: u64 = out.lines().flat_map(grants).sum();
    let balances: u64 = out.lines().filter_map(balance).sum();
    assert!(granted > 0 && granted == balances, "{granted} were granted, the balances come to {balances}:\n{out}");
    assert_eq!(out.lines().filter_map(balance).count(), 12, "{out}");
    assert!(out.contains("integrity agrees: 56 events in the database, 56 on chain, tree head "), "{out}");
    for place in ["API ", "rules ", "integrity ", "last order ", "database "] {
        assert!(out.lines().any(|line| line.starts_with(&format!("  {place}"))), "where to look, {place}:\n{out}");
    }
}

/// What a line says was granted: every "+120 coins".
fn grants(line: &str) -> Vec<u64> {
    line.split_whitespace().filter_map(|word| word.strip_prefix('+')?.parse().ok()).collect()
}

/// The balance in a row of the table at the end: user, payments, paid, balance, entries.
fn balance(line: &str) -> Option<u64> {
    let cells: Vec<_> = line.strip_prefix('│')?.split('┆').collect();
    match cells.as_slice() {
        [_, _, _, balance, _] => balance.trim().strip_suffix(" coins")?.parse().ok(),
        _ => None,
    }
}

#[tokio::test]
async fn the_demo_ends_with_everything_agreeing_and_prints_what_is_true() {
    let (ended, left) = Demo::start(&["--once"]).ended().await;
    ended.assert_success();
    assert_whole(&ended.out);
    assert_eq!(ended.err, "");
    left.assert_left_nothing().await;
}

#[tokio::test]
async fn two_demos_at_the_same_time_do_not_disturb_each_other() {
    let (one, other) = (Demo::start(&["--once"]), Demo::start(&["--once"]));
    for (ended, left) in [one.ended().await, other.ended().await] {
        ended.assert_success();
        assert_whole(&ended.out);
        left.assert_left_nothing().await;
    }
}

#[tokio::test]
async fn two_demos_in_the_same_folder_share_its_postgres_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        Process::start_as("rebate", |command| {
            command.args(["demo", "--once", "--listen", "127.0.0.1:0", "--local"]).arg(folder.path());
            command.env("REBATE_PROGRAM_SO", artifacts::program()).env_remove("DATABASE_URL");
        })
    };
    let (one, other) = (start(), start());
    for ended in [one.ended().await, other.ended().await] {
        ended.assert_success();
        assert_whole(&ended.out);
    }
    assert_eq!(runs_with(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn it_stays_up_until_it_is_told_to_stop_and_then_leaves_nothing() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut demo = Demo::start(&[]);
        demo.process.said_line_with("everything stays up until Ctrl-C").await;
        let out = demo.process.out();
        assert_whole(&out);
        let base = out.lines().find_map(|line| line.trim().strip_prefix("API ")).unwrap().trim();
        let api = Api::new(base.strip_suffix("/openapi.json").unwrap());
        // The connection is kept open, and must not keep the demo up.
        assert_eq!(api.get("/v1/integrity").await["status"], "agrees");
        assert_eq!(api.list("/v1/orders").await.len(), 52);
        assert_eq!(demo.left.databases().await.len(), 1, "the demo's database has another name than this test thinks");

        demo.process.signal(signal);
        let (ended, left) = demo.ended().await;
        ended.assert_success();
        assert_eq!(ended.err, "");
        left.assert_left_nothing().await;
    }
}

#[tokio::test]
async fn a_demo_with_a_postgres_of_its_own_stops_it() {
    let mut demo = Demo::start_as(&[], false);
    demo.process.said_line_with("everything stays up until Ctrl-C").await;
    assert_ne!(
        runs_with(demo.left.folder.path()).len(),
        1,
        "a Postgres of its own runs with its folder among its arguments"
    );
    demo.process.signal(Signal::INT);
    let (ended, left) = demo.ended().await;
    ended.assert_success();
    left.assert_left_nothing().await;
}

/// The demo with one thing wrong.
async fn refuses(arguments: &[&str], parts: &[&str]) {
    for on_tests_postgres in [true, false] {
        let (ended, left) = Demo::start_as(arguments, on_tests_postgres).ended().await;
        ended.assert_refused(parts);
        left.assert_left_nothing().await;
    }
}

#[tokio::test]
async fn a_missing_program_is_refused_in_one_line() {
    refuses(&["--program", "nowhere/rebate.so"], &["nowhere/rebate.so", "`make program` builds it"]).await;
    refuses(&["--chain", "validator", "--program", "nowhere/rebate.so"], &["nowhere/rebate.so", "`make program`"])
        .await;
}

#[tokio::test]
async fn a_broken_program_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rebate.so");
    fs::write(&path, "no program").unwrap();
    refuses(&["--program", path.to_str().unwrap()], &[path.to_str().unwrap(), "`make program` builds it"]).await;
}

/// A copy of a file of the demo, with one thing changed.
fn changed(folder: &Path, file: &str, from: &str, to: &str) -> String {
    let text = fs::read_to_string(crate::process::repository("demo").join(file)).unwrap();
    assert!(text.contains(from), "{file} has no {from:?} any more");
    let path = folder.join(file);
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn broken_rules_and_payments_are_refused_with_their_place_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let rules = changed(folder.path(), "rules.toml", "payment_number == 1", "payment_number ~ 1");
    refuses(&["--rules", &rules], &[&format!("{rules}:17:25: "), "unknown operator"]).await;
    refuses(&["--rules", "nowhere/rules.toml"], &["nowhere/rules.toml"]).await;
    let payments = changed(folder.path(), "payments.jsonl", "\"amount\":1200", "\"amount\":-1200");
    refuses(&["--payments", &payments], &[&format!("{payments}:2")]).await;
    refuses(&["--payments", "nowhere/payments.jsonl"], &["nowhere/payments.jsonl"]).await;
}

#[tokio::test]
async fn a_postgres_that_does_not_answer_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Process::start_as("rebate", |command| {
        command.args(["demo", "--once", "--listen", "127.0.0.1:0", "--local"]).arg(folder.path());
        command.env("DATABASE_URL", "postgres://nobody:secret@127.0.0.1:1/none");
        command.env("REBATE_PROGRAM_SO", artifacts::program());
    });
    let ended = demo.ended().await;
    ended.assert_refused(&["rebate: "]);
    assert!(!ended.err.contains("secret"), "{}", ended.err);
}

#[tokio::test]
async fn whoever_stops_listening_to_it_ends_it_without_a_panic() {
    // As in `rebate demo --once | head -1`.
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let demo = Process::start_as("rebate", |command| {
        command.args(["demo", "--once", "--listen", "127.0.0.1:0", "--local"]).arg(folder.path());
        command.env("REBATE_PROGRAM_SO", artifacts::program()).stdout(writer);
    });
    drop(reader);
    let pid = demo.pid();
    let ended = demo.ended().await;
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
    let left = Left { folder, pid };
    until("nothing is left", async || match left.databases().await {
        none if none.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    })
    .await;
}
