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

/// What the demo prints once it has played its records: all that is in demo/payments.jsonl, and that it agrees.
pub fn assert_whole(out: &str) {
    assert!(out.contains("playing 80 records of 12 users"), "{out}");
    // Recomputed from the chain alone, every step of it.
    for step in ["✓ events 0 to ", " oracle signatures over ", " accounts as of slot ", " tables with "] {
        let line = out.lines().find(|line| line.contains(step));
        assert!(line.is_some_and(|line| line.starts_with('✓')), "{step}\n{out}");
    }
    assert!(out.lines().any(|line| line.starts_with("platform ") && line.ends_with(" is right")), "{out}");
    assert!(!out.contains("not compared: transactions.position"), "{out}");
    // Whatever the day and the hour: what these say does not depend on either.
    for (order, parts) in [
        // A ratio, and the first of its group.
        ("E001", &["+120 coins (first recharge 20%, now 120)"][..]),
        // Tiers: slab, marginal and fixed.
        (
            "E003",
            &["first recharge 20%, week's cashback", "+1540 stars (fan club, now 1540)", "+1 coupons (month's ladder"],
        ),
        // Excluded by its tag, and a vault that holds too little.
        ("E007", &["fan club: VaultShort"]),
        // A fixed grant, the best of its group, and a multiplier on it.
        ("E019", &["(welcome, ", "gold x1.5"]),
        // A budget that clips.
        ("E013", &["+1420 +"]),
        // A streak.
        ("E062", &["+1 coupons (three days running"]),
        // Spent, taken back, owed, and paid by the next grant.
        ("S001", &["redeems 1500 coins"]),
        ("R001", &["-1420 ", "1500 more is owed, now 0)", "-456 stars"]),
        ("E063", &["1500 of it pays what was owed, now 1192)", "+1540 stars"]),
        // Taken out of the vault, then taken back.
        ("S003", &["redeems 1 coupons"]),
        ("R004", &["-6480 -324 coins", "-770 stars (fan club, 770 more is owed, now 0)"]),
    ] {
        let line = lines(out, order).first().copied().unwrap_or_else(|| panic!("no line about {order}:\n{out}"));
        parts.iter().for_each(|part| assert!(line.contains(part), "{part:?} is not in the line of {order}:\n{out}"));
    }
    for (order, reason, times) in [
        ("E006", "refused, DuplicateOrder: this order was recorded before", 3),
        ("L001", "refused, TooLate: paid longer ago than the platform takes", 1),
        ("Z001", "refused, ZeroAmount: nothing was paid", 2),
        ("X001", "refused, forged: the signature does not verify", 2),
        ("X002", "refused, forged: the signature does not verify", 2),
        ("S002", "refused, InsufficientBalance: the user has less", 1),
        ("S004", "refused, NotRedeemable: tokens are claimed, not redeemed", 1),
        ("R001", "refused, DuplicateOrder: this order was recorded before", 3),
        ("R002", "refused, OverRefund: more than was paid for the order", 1),
        ("R003", "refused, UnknownOrder: nobody recorded the order it refunds", 1),
    ] {
        let lines = lines(out, order);
        assert_eq!(lines.len(), times, "lines about {order}:\n{out}");
        assert_eq!(lines.iter().filter(|line| line.contains(reason)).count(), 1, "{order} {reason}:\n{out}");
    }
    assert_eq!(out.matches("refused, ").count(), 14, "{out}");
    assert_eq!(out.matches("refused, NotWallet: no wallet is linked to the user").count(), 1, "{out}");
    assert_oracle(out);
    assert_wallet(out);
    assert_sums(out);
    let integrity = out.lines().find_map(|line| line.strip_prefix("integrity agrees: ")).expect(out);
    let (stored, rest) = integrity.split_once(" events in the database, ").expect(out);
    let (on_chain, _) = rest.split_once(" on chain, tree head ").expect(out);
    assert_eq!(stored, on_chain, "{out}");
    // Everything that was accepted, and what the platform is made of.
    assert!(stored.parse::<u64>().unwrap() >= 77, "{out}");
    for place in ["API ", "rules ", "integrity ", "oracle ", "last order ", "database "] {
        assert!(out.lines().any(|line| line.starts_with(&format!("  {place}"))), "where to look, {place}:\n{out}");
    }
}

/// Every record came through the oracle: what the provider sent twice is recorded once, what is forged, contradicts itself or
/// is of nothing goes no further, and in the end nothing waits, nothing is dead and the provider's export agrees.
fn assert_oracle(out: &str) {
    for (order, said) in [
        ("E006", "sent again: the oracle answers 200 and records it once"),
        ("E004", "sent again: the oracle answers 200 and records it once"),
        ("E037", "sent again: the oracle answers 200 and records it once"),
        ("R001", "sent again: the oracle answers 200 and records it once"),
        ("E031", "the oracle answers 409: \"E031\" is on record with other content"),
        ("Z001", "the oracle answers 422: "),
        ("X001", "the oracle answers 401: "),
        ("X002", "the oracle answers 401: "),
    ] {
        let lines = lines(out, order);
        let at = lines.iter().position(|line| line.contains(said)).unwrap_or_else(|| panic!("{order} {said}:\n{out}"));
        // And the program says no by itself.
        assert!(lines.get(at + 1).is_some_and(|line| line.contains("refused, ")), "{order}:\n{out}");
    }
    assert_eq!(out.matches("past the oracle, straight to the program").count(), 8, "{out}");
    for line in [
        "oracle: 65 callbacks and 5 records of the platform's server taken, 4 of them sent again; 4 turned away",
        "  61 recorded, 5 refused by the program, 0 dead",
        "  reconciled: 61 orders in the provider's export, 58 on chain, 3 refused by the program; no other difference",
    ] {
        assert!(out.lines().any(|said| said == line), "{line:?} is not in:\n{out}");
    }
}

/// A user takes all the stars there are to a wallet that was linked before.
fn assert_wallet(out: &str) {
    let linked = out.lines().position(|line| line.contains("links the wallet ")).expect(out);
    let (at, line) = out.lines().enumerate().find(|(_, line)| line.contains(" claims ")).expect(out);
    assert!(linked < at, "{out}");
    let claimed = after(line, "claims ");
    assert!(claimed >= 1_540 && line.contains("(now 0)"), "{line}");
    assert!(line.ends_with(&format!("the wallet holds {claimed}")), "{line}");
}

/// The number behind some words.
fn after(line: &str, words: &str) -> i64 {
    let (_, rest) = line.split_once(words).unwrap_or_else(|| panic!("{words:?} is not in {line:?}"));
    rest.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{line:?}"))
}

/// What expires once two months have ended: every coupon that is left. Nobody can make a month end on a validator.
fn assert_expired(out: &str) {
    assert_eq!(out.matches("a month ends: the chain's clock goes on to ").count(), 2, "{out}");
    assert_eq!(out.matches("nothing expires: what was granted last month is good for this one").count(), 1, "{out}");
    let expired: Vec<_> = out.lines().filter(|line| line.contains(" loses ")).collect();
    // The streak's coupon of one, and the ladder's of others.
    assert!(expired.len() >= 3, "{out}");
    expired.iter().for_each(|line| assert!(line.ends_with(" coupons, expired (now 0)"), "{line}"));
    assert!(balances(out).iter().all(|row| row.held[2] == 0), "{out}");
}

/// A row of the table at the end.
struct Row {
    /// Of coins, stars and coupons.
    held: [i64; 3],
    owed: Vec<(i64, String)>,
}

const ASSETS: [&str; 3] = ["coins", "stars", "coupons"];

/// The table at the end: user, payments, paid, refunded, coins, stars, coupons, owes, entries.
fn balances(out: &str) -> Vec<Row> {
    out.lines()
        .filter_map(|line| {
            let cells: Vec<_> = line.strip_prefix('│')?.trim_end_matches('│').split('┆').map(str::trim).collect();
            let [_, _, _, _, coins, stars, coupons, owes, _] = cells.as_slice() else { return None };
            let held = [coins, stars, coupons].map(|cell| cell.parse::<i64>().ok());
            let [Some(coins), Some(stars), Some(coupons)] = held else { return None };
            let owed = owes.split(", ").filter_map(|owed| owed.split_once(' '));
            let owed = owed.map(|(amount, asset)| (amount.parse().unwrap(), asset.to_owned())).collect();
            Some(Row { held: [coins, stars, coupons], owed })
        })
        .collect()
}

/// What lines say was granted and what went, asset by asset: every "+120 +30 coins", "-5 stars", "redeems 7 coins", "claims 7
/// stars" and "loses 1 coupons".
fn changes(line: &str) -> Vec<(i64, &str)> {
    let mut changes = Vec::new();
    let mut sum = 0;
    let mut verb = false;
    for word in line.split_whitespace() {
        let number = word.parse::<i64>().ok();
        if let Some(asset) = ASSETS.into_iter().find(|asset| word.trim_end_matches(',') == *asset) {
            changes.push((sum, asset));
            (sum, verb) = (0, false);
        } else if ["redeems", "claims", "loses"].contains(&word) {
            verb = true;
        } else if let Some(number) = number.filter(|_| verb || word.starts_with(['+', '-'])) {
            sum += if verb { -number } else { number };
        } else {
            (sum, verb) = (0, false);
        }
    }
    changes.retain(|(sum, _)| *sum != 0);
    changes
}

/// What was granted less what went is what the balances say, less what is owed.
fn assert_sums(out: &str) {
    let rows = balances(out);
    assert_eq!(rows.len(), 12, "{out}");
    for (slot, asset) in ASSETS.into_iter().enumerate() {
        let moved: Vec<_> = out.lines().flat_map(changes).filter(|(_, of)| *of == asset).map(|(sum, _)| sum).collect();
        assert!(moved.iter().any(|sum| *sum > 0) && moved.iter().any(|sum| *sum < 0), "{asset}: {moved:?}\n{out}");
        let held: i64 = rows.iter().map(|row| row.held[slot]).sum();
        let owed: i64 = rows.iter().flat_map(|row| &row.owed).filter(|(_, of)| of == asset).map(|(owed, _)| owed).sum();
        let moved: i64 = moved.iter().sum();
        assert_eq!(moved, held - owed, "{asset}: {held} held, {owed} owed, the lines come to {moved}:\n{out}");
    }
    // Refunds of a claimed token leave a debt that the evening's later grants do not pay in full.
    assert!(rows.iter().flat_map(|row| &row.owed).any(|(owed, asset)| *owed > 0 && asset == "stars"), "{out}");
}

#[tokio::test]
async fn the_demo_ends_with_everything_agreeing_and_prints_what_is_true() {
    let (ended, left) = Demo::start(&["--once"]).ended().await;
    ended.assert_success();
    assert_whole(&ended.out);
    assert_expired(&ended.out);
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
        assert_eq!(api.list("/v1/orders").await.len(), 56);
        let oracle = out.lines().find_map(|line| line.trim().strip_prefix("oracle ")).unwrap().trim();
        let oracle = Api::new(oracle.strip_suffix("/openapi.json").unwrap());
        assert_eq!(oracle.get("/openapi.json").await["info"]["title"], "Rebate oracle");
        assert_eq!(demo.left.databases().await.len(), 3, "the demo's databases have other names than this test thinks");

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
    refuses(&["--rules", &rules], &[&format!("{rules}:44:25: "), "unknown operator"]).await;
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
