//! `rebate simulate`: what each kind of rule comes to, what is said of bad input, and what it costs in memory.

use proptest::prelude::*;
use rebate_cli::simulate::{
    Progress,
    record::{self, Reader},
    simulate,
};
use rebate_rulefile::RuleFile;
use std::{
    fs::{self, File},
    io::{Cursor, Read, Write},
    path::PathBuf,
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/golden")).join(name)
}

fn rebate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rebate"));
    command.env_clear().arg("simulate");
    command
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// A folder with rules and payments in it.
struct Desk(TempDir);

impl Desk {
    fn new(rules: &str, payments: impl AsRef<[u8]>) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        fs::write(desk.path("rules.toml"), rules).unwrap();
        fs::write(desk.path("payments.jsonl"), payments).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = rebate();
        command.current_dir(self.0.path()).args(["--rules", "rules.toml", "--payments", "payments.jsonl"]);
        command
    }
}

/// Fixed 10 for everything, and a control group of half the users.
const RULES: &str = r#"
platform = { max_lateness = "7d" }
asset = [{ id = 1, name = "coins", kind = "points" }]
rule = [{ id = 1, name = "ten", effect = { kind = "fixed", asset = 1, amount = 10 }, holdout_bps = 5000 }]
"#;

fn payment(order: &str, user: &str) -> String {
    format!(
        r#"{{"kind":"payment","order":"{order}","user":"{user}","amount":100,"paid_at":"2026-10-03T12:00:00+08:00"}}"#
    )
}

const EFFECTS: [&str; 11] = [
    "example",
    "fixed",
    "ratio",
    "tiers_fixed",
    "tiers_slab",
    "tiers_marginal",
    "streak",
    "multiplier",
    "groups_and_tags",
    "refunds",
    "redemptions_and_expiry",
];

#[test]
fn every_effect_comes_to_what_the_specification_says_byte_for_byte() {
    for name in EFFECTS {
        let file = |kind: &str| golden(&format!("{name}.{kind}"));
        let output = rebate().arg("--rules").arg(file("toml")).arg("--payments").arg(file("jsonl")).output().unwrap();
        assert_eq!(text(output.stderr), "", "{name}");
        assert!(output.status.success(), "{name}");
        assert_eq!(text(output.stdout), fs::read_to_string(file("out.jsonl")).unwrap(), "{name}");
    }
}

#[test]
fn the_example_of_the_specification_is_answered_as_it_says() {
    let expected = r#"{"order":"A1","status":"accepted","outcomes":[{"rule":1,"version":1,"reason":"Granted","asset":1,"amount":1000,"before":0,"after":1000}]}
{"order":"R1","status":"accepted","outcomes":[{"rule":1,"version":1,"reason":"Reversed","asset":1,"amount":500,"before":1000,"after":500}]}
{"order":"A1","status":"refused","reason":"DuplicateOrder","outcomes":[]}
"#;
    assert_eq!(fs::read_to_string(golden("example.out.jsonl")).unwrap(), expected);
}

#[test]
fn it_reads_a_pipe_and_writes_a_file_alike() {
    let rules = golden("refunds.toml");
    let payments = fs::read(golden("refunds.jsonl")).unwrap();
    let expected = fs::read_to_string(golden("refunds.out.jsonl")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.jsonl");
    fs::write(&out, "what was there before").unwrap();

    let mut child = rebate()
        .arg("--rules")
        .arg(&rules)
        .args(["--payments", "-", "--out"])
        .arg(&out)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&payments).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(text(output.stdout), "");
    assert_eq!(fs::read_to_string(&out).unwrap(), expected);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "and nothing is left beside it");

    let device = rebate()
        .arg("--rules")
        .arg(&rules)
        .args(["--payments", "/dev/stdin", "--out", "/dev/stdout"])
        .stdin(File::open(golden("refunds.jsonl")).unwrap())
        .output()
        .unwrap();
    assert_eq!(text(device.stdout), expected);
}

#[test]
fn who_stops_reading_stops_it_without_a_word() {
    let payments: String = (0..50_000).map(|at| payment(&format!("A{at}"), "u1") + "\n").collect();
    let desk = Desk::new(RULES, payments);
    let mut child = desk.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(output.stderr)), (Some(0), String::new()));
}

/// What the command said on standard error, after it failed as it should: with one line, and nothing printed.
fn failure(output: Output) -> String {
    let said = text(output.stderr);
    assert_eq!((output.status.code(), text(output.stdout)), (Some(1), String::new()), "{said}");
    let line = said.strip_prefix("rebate: ").and_then(|line| line.strip_suffix('\n')).expect("one line of the command");
    assert!(!line.contains('\n'), "{said}");
    line.to_owned()
}

#[test]
fn a_bad_line_is_told_before_anything_is_printed_or_written() {
    let lines = [payment("A1", "u1"), String::new(), payment("A2", "u1").replace("100", "-100"), payment("A3", "u1")];
    let desk = Desk::new(RULES, lines.join("\n"));
    let expected = "payments.jsonl:3: invalid value: integer `-100`, expected a whole number from 0 to \
                    18446744073709551615, at column 56";
    assert_eq!(failure(desk.command().output().unwrap()), expected);
    fs::write(desk.path("out"), "what was there before").unwrap();
    assert_eq!(failure(desk.command().args(["--out", "out"]).output().unwrap()), expected);
    assert_eq!(fs::read_to_string(desk.path("out")).unwrap(), "what was there before");
    assert_eq!(fs::read_dir(desk.0.path()).unwrap().count(), 3, "and nothing is left beside it");

    fs::write(desk.path("payments.jsonl"), payment("A1", "u1")).unwrap();
    fs::write(desk.path("rules.toml"), RULES.replace("\"fixed\"", "\"fix\"")).unwrap();
    assert_eq!(
        failure(desk.command().output().unwrap()),
        "rules.toml:4:51: unknown effect \"fix\"; expected \"fixed\", \"ratio\", \"tiers\", \"streak\" or \"multiplier\""
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let desk = Desk::new(RULES, "");
    let run = |arguments: &[&str]| failure(rebate().current_dir(desk.0.path()).args(arguments).output().unwrap());
    let missing = "No such file or directory (os error 2)";
    assert_eq!(
        run(&["--rules", "rules.toml", "--payments", "missing"]),
        format!("cannot read the payment file missing: {missing}")
    );
    assert_eq!(
        run(&["--rules", "missing", "--payments", "payments.jsonl"]),
        format!("cannot read the rule file missing: {missing}")
    );
    let usual = ["--rules", "rules.toml", "--payments", "payments.jsonl"];
    assert_eq!(
        run(&[&usual[..], &["--platform-secret-file", "missing"]].concat()),
        format!("cannot read the platform's secret from missing: {missing}")
    );
    assert_eq!(run(&[&usual[..], &["--out", "no/folder"]].concat()), format!("cannot write no/folder: {missing}"));
    fs::write(desk.path("secret"), "\n").unwrap();
    assert_eq!(
        run(&[&usual[..], &["--platform-secret-file", "secret"]].concat()),
        "the platform's secret in secret is empty"
    );
    assert_eq!(
        run(&["--rules", "rules.toml", "--payments", "."]),
        "cannot read the payment file .: Is a directory (os error 21)"
    );
}

#[test]
fn each_wrong_line_is_told_with_what_was_expected() {
    let full = r#"{"kind":"payment","order":"A1","user":"u1","amount":5000,"paid_at":"2026-10-03T12:00:00+08:00","product":1,"streamer":"s9","session":"x7","tier":2,"segments":5}"#;
    let refund = r#"{"kind":"refund","order":"R1","of":"A1","amount":2500,"paid_at":"2026-10-04T12:00:00+08:00"}"#;
    let redemption =
        r#"{"kind":"redemption","order":"D1","user":"u1","asset":1,"amount":5,"paid_at":"2026-10-04T12:00:00Z"}"#;
    let time = "\"2026-10-03T12:00:00+08:00\"";
    let cases = [
        ("A1".to_owned(), "expected value, at column 1"),
        (
            "{".to_owned(),
            "the line is cut off at column 1; expected an object like {\"kind\":\"payment\",\"order\":\"A1\", …}",
        ),
        (
            full[..60].to_owned(),
            "the line is cut off at column 60; expected an object like {\"kind\":\"payment\",\"order\":\"A1\", …}",
        ),
        (
            full[..full.len() - 1].to_owned(),
            "the line is cut off at column 159; expected an object like {\"kind\":\"payment\",\"order\":\"A1\", …}",
        ),
        (
            "[]".to_owned(),
            "invalid length 0, expected an object like {\"kind\":\"payment\",\"order\":\"A1\", …}, at column 2",
        ),
        ("{}".to_owned(), "missing key `kind`, at column 2"),
        (
            "null".to_owned(),
            "invalid type: null, expected an object like {\"kind\":\"payment\",\"order\":\"A1\", …}, at column 4",
        ),
        (format!("{full} {full}"), "trailing characters, at column 162"),
        (format!("{full},"), "trailing characters, at column 161"),
        (
            full.replace("\"payment\"", "\"forged\""),
            "unknown kind \"forged\"; expected \"payment\", \"refund\" or \"redemption\"",
        ),
        (
            full.replace("\"payment\"", "\"link\""),
            "unknown kind \"link\"; expected \"payment\", \"refund\" or \"redemption\"",
        ),
        (full.replace("\"payment\"", "1"), "invalid type: integer `1`, expected a text in quotes, at column 9"),
        (full.replace("\"order\":\"A1\",", ""), "missing key `order`, at column 147"),
        (full.replace("\"A1\"", "\"\""), "order must not be empty"),
        (full.replace("\"u1\"", "\"\""), "user must not be empty"),
        (full.replace("\"A1\"", "17"), "invalid type: integer `17`, expected a text in quotes, at column 28"),
        (
            full.replace("\"A1\"", "\"A\t1\""),
            "control character (\\u0000-\\u001F) found while parsing a string, at column 28",
        ),
        (full.replace("\"A1\"", "\"A\\x1\""), "invalid escape, at column 30"),
        (full.replace("\"A1\"", "\"A\\ud8001\""), "unexpected end of hex escape, at column 35"),
        (
            full.replace("5000", "-5000"),
            "invalid value: integer `-5000`, expected a whole number from 0 to 18446744073709551615, at column 57",
        ),
        (
            full.replace("5000", "50.00"),
            "invalid type: floating point `50.0`, expected a whole number from 0 to 18446744073709551615, at column 57",
        ),
        (full.replace("5000", "05000"), "invalid number, at column 54"),
        (
            full.replace("5000", "\"5000\""),
            "invalid type: string \"5000\", expected a whole number from 0 to 18446744073709551615, at column 58",
        ),
        (
            full.replace("5000", "18446744073709551616"),
            "invalid type: floating point `1.8446744073709552e+19`, expected a whole number from 0 to 18446744073709551615, at column 72",
        ),
        (
            full.replace("\"product\":1", "\"product\":65536"),
            "invalid value: integer `65536`, expected a whole number from 0 to 65535, at column 110",
        ),
        (
            full.replace("\"product\"", "\"produkt\""),
            "unknown key `produkt`, expected one of `kind`, `order`, `user`, `amount`, `paid_at`, `product`, `streamer`, `session`, `tier`, `segments`, at column 104",
        ),
        (
            full.replace("\"tier\":2", "\"tier\":256"),
            "invalid value: integer `256`, expected a whole number from 0 to 255, at column 148",
        ),
        (
            full.replace("\"tier\":2", "\"of\":\"A1\""),
            "unknown key `of`, expected one of `kind`, `order`, `user`, `amount`, `paid_at`, `product`, `streamer`, `session`, `tier`, `segments`, at column 142",
        ),
        (full.replace("\"tier\":2", "\"amount\":2"), "duplicate key `amount`, at column 146"),
        (
            full.replace("\"segments\":5", "\"segments\":4294967296"),
            "invalid value: integer `4294967296`, expected a whole number from 0 to 4294967295, at column 168",
        ),
        (full.replace("\"s9\"", "null"), "invalid type: null, expected a text in quotes, at column 122"),
        (
            full.replace(time, "\"2026-10-03\""),
            "paid_at is \"2026-10-03\"; expected a date and time like \"2026-10-03T12:00:00+08:00\"",
        ),
        (
            full.replace(time, "\"2026-10-03T12:00:00\""),
            "paid_at is \"2026-10-03T12:00:00\"; expected a date and time like \"2026-10-03T12:00:00+08:00\"",
        ),
        (
            full.replace(time, "\"2026-02-30T12:00:00Z\""),
            "paid_at is \"2026-02-30T12:00:00Z\"; expected a date and time like \"2026-10-03T12:00:00+08:00\"",
        ),
        (
            full.replace(time, "\"2026-10-03T24:00:00Z\""),
            "paid_at is \"2026-10-03T24:00:00Z\"; expected a date and time like \"2026-10-03T12:00:00+08:00\"",
        ),
        (
            full.replace(time, "\"2026-10-03T12:00:00+24:00\""),
            "paid_at is \"2026-10-03T12:00:00+24:00\"; expected a date and time like \"2026-10-03T12:00:00+08:00\"",
        ),
        (
            full.replace(time, "\"-2d\""),
            "paid_at is \"-2d\"; expected a date and time like \"2026-10-03T12:00:00+08:00\"",
        ),
        (
            full.replace(time, "1791000000"),
            "invalid type: integer `1791000000`, expected a text in quotes, at column 77",
        ),
        (refund.replace("\"A1\"", "\"\""), "of must not be empty"),
        (refund.replace("\"of\":\"A1\",", ""), "missing key `of`, at column 82"),
        (
            refund.replace("\"of\"", "\"user\""),
            "unknown key `user`, expected one of `kind`, `order`, `of`, `amount`, `paid_at`, at column 36",
        ),
        (
            redemption.replace("\"asset\":1", "\"asset\":256"),
            "invalid value: integer `256`, expected a whole number from 0 to 255, at column 57",
        ),
        (redemption.replace("\"asset\":1,", ""), "missing key `asset`, at column 90"),
    ];
    let differing: Vec<_> = cases
        .iter()
        .map(|(line, expected)| (line, *expected, Reader::default().read(line.as_bytes()).expect_err(line)))
        .filter(|(_, expected, found)| expected != found)
        .map(|(line, expected, found)| format!("{line}\n  expected {expected}\n  found    {found}"))
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    let latin = [full.as_bytes(), b"\xe9"].concat();
    assert_eq!(Reader::default().read(&latin).unwrap_err(), "this is no UTF-8; save the file as UTF-8");
}

/// All answers to a file in memory.
fn answers(rules: &str, payments: impl AsRef<[u8]>) -> Result<String, String> {
    let rules = RuleFile::parse("rules.toml", rules).unwrap();
    let mut out = Vec::new();
    let mut payments = Cursor::new(payments.as_ref());
    simulate(&rules, None, &mut payments, "payments.jsonl", &mut out, &Progress::hidden())
        .map(|_| text(out))
        .map_err(|error| error.to_string())
}

#[test]
fn lines_are_read_however_they_are_written() {
    let plain = r#"{"kind":"payment","order":"A1","user":"u1","amount":100,"paid_at":"2026-10-03T12:00:00+08:00","product":0,"streamer":"","session":"","tier":0,"segments":0}"#;
    let expected = Reader::default().read(plain.as_bytes()).unwrap();
    for line in [
        r#"{"kind":"payment","order":"A1","user":"u1","amount":100,"paid_at":"2026-10-03T12:00:00+08:00"}"#,
        r#"{ "paid_at": "2026-10-03T04:00:00Z", "amount": 100, "user": "u1", "order": "A1", "kind": "payment" }"#,
        r#"  {"kind" : "payment" , "order":"A1","user":"u1","amount":100,"paid_at":"2026-10-03T12:00:00.25+08:00"}  "#,
        "{\"kind\":\"payment\",\t\"order\":\"\\u00411\",\"user\":\"u1\",\"amount\":100,\"paid_at\":\"2026-10-02T22:30:00-05:30\"}\r",
    ] {
        assert_eq!(Reader::default().read(line.as_bytes()).as_ref(), Ok(&expected), "{line}");
    }
    let chinese = plain.replace("A1", "订单\u{1f600}").replace("u1", "用户");
    let read = Reader::default();
    let mut reader = read;
    assert_eq!(reader.read(chinese.as_bytes()), record::exact(chinese.as_bytes()));
    assert_eq!(reader.read(chinese.as_bytes()).unwrap().order().as_ref(), "订单\u{1f600}".as_bytes());
}

#[test]
fn orders_are_the_same_by_what_they_say_and_come_back_as_they_can_be_written() {
    let rules = RULES.replace("holdout_bps = 5000", "holdout_bps = 0");
    let payments =
        [payment("A\\u00e4\\n\\\"", "u1"), payment("A\u{e4}\\n\\\"", "u1"), payment("A\u{e4}", "u1")].join("\r\n");
    let outcome = |before: u64| {
        let after = before + 10;
        format!(
            r#"[{{"rule":1,"version":1,"reason":"Granted","asset":1,"amount":10,"before":{before},"after":{after}}}]"#
        )
    };
    let expected = [
        format!("{{\"order\":\"A\u{e4}\\n\\\"\",\"status\":\"accepted\",\"outcomes\":{}}}\n", outcome(0)),
        "{\"order\":\"A\u{e4}\\n\\\"\",\"status\":\"refused\",\"reason\":\"DuplicateOrder\",\"outcomes\":[]}\n"
            .to_owned(),
        format!("{{\"order\":\"A\u{e4}\",\"status\":\"accepted\",\"outcomes\":{}}}\n", outcome(10)),
    ];
    assert_eq!(answers(&rules, payments).unwrap(), expected.concat());
}

#[test]
fn empty_lines_a_byte_order_mark_and_a_last_line_without_an_end_change_nothing() {
    let lines = [payment("A1", "u1"), payment("A2", "u2")];
    let plain = answers(RULES, lines.join("\n") + "\n").unwrap();
    assert_eq!(plain.lines().count(), 2);
    assert_eq!(answers(RULES, format!("\u{feff}{}\n\n  \r\n{}", lines[0], lines[1])).unwrap(), plain);
    assert_eq!(answers(RULES, "").unwrap(), "");
    assert_eq!(answers(RULES, "\n\n").unwrap(), "");
}

#[test]
fn a_file_of_any_size_is_told_by_the_right_line() {
    // More than is read at once, so that lines are cut where they are read.
    let mut lines: Vec<_> = (0..5_000).map(|at| payment(&format!("A{at}"), &"u".repeat(at % 300 + 1))).collect();
    assert_eq!(answers(RULES, lines.join("\n")).unwrap().lines().count(), 5_000);
    lines[4_321] = "{}".to_owned();
    assert_eq!(answers(RULES, lines.join("\n")).unwrap_err(), "payments.jsonl:4322: missing key `kind`, at column 2");
    lines[4_321] = payment("A", &"u".repeat(1 << 20));
    assert_eq!(
        answers(RULES, lines.join("\n")).unwrap_err(),
        "payments.jsonl:4322: the line is longer than 1048576 bytes"
    );
    lines[4_321] = payment("A", &"u".repeat(1_000_000));
    assert_eq!(answers(RULES, lines.join("\n")).unwrap().lines().count(), 5_000);
}

#[test]
fn the_clock_is_the_latest_moment_read_so_far() {
    let rules = RULES.replace("holdout_bps = 5000", "holdout_bps = 0");
    let at = |order: &str, time: &str| payment(order, "u1").replace("2026-10-03T12:00:00+08:00", time);
    let payments = [
        at("A1", "2026-10-08T00:00:00Z"),
        at("A2", "2026-10-01T00:00:00Z"),
        at("A3", "2026-09-30T23:59:59Z"),
        at("A4", "2026-10-08T00:00:01Z").replace("100", "0"),
        at("A5", "2026-10-01T00:00:00Z"),
    ];
    let answers = answers(&rules, payments.join("\n")).unwrap();
    let fates: Vec<_> =
        answers.lines().map(|line| line.split('"').nth(if line.contains("refused") { 11 } else { 7 })).collect();
    let expected = ["accepted", "accepted", "TooLate", "ZeroAmount", "TooLate"].map(Some);
    assert_eq!(fates, expected);
}

#[test]
fn the_platforms_secret_decides_who_is_in_a_control_group() {
    let payments: String = (0..64).map(|at| payment(&format!("A{at}"), &format!("u{at}")) + "\n").collect();
    let desk = Desk::new(RULES, &payments);
    let held_out = |answers: &str| answers.lines().map(|line| line.contains("Holdout")).collect::<Vec<_>>();
    let plain = held_out(&answers(RULES, &payments).unwrap());
    assert!((16..=48).contains(&plain.iter().filter(|held| **held).count()), "about half: {plain:?}");

    fs::write(desk.path("secret"), "correct horse\n").unwrap();
    let mut command = desk.command();
    let with_secret = command.args(["--platform-secret-file", "secret"]);
    let keyed = held_out(&text(with_secret.output().unwrap().stdout));
    assert_ne!(keyed, plain);
    // By the definition of the user key and of the control group.
    let expected: Vec<_> = (0..64)
        .map(|at| {
            let key = rebate_client::platform_id::user(b"correct horse", &format!("u{at}"));
            rebate_core::holdout::is_held_out(
                rebate_core::units::RuleId(1),
                &key,
                rebate_core::units::BasisPoints(5_000),
            )
        })
        .collect();
    assert_eq!(keyed, expected);
}

#[test]
fn a_streamers_id_in_a_rule_is_the_one_in_a_payment() {
    let rules = RULES.replace("holdout_bps = 5000", "when = [\"streamer == 's9'\", \"session != 'x7'\"]");
    let line = |order: &str, rest: &str| payment(order, "u1").replace('}', &format!("{rest}}}"));
    let payments = [
        line("A1", ",\"streamer\":\"s9\""),
        line("A2", ",\"streamer\":\"s9\",\"session\":\"x7\""),
        line("A3", ",\"streamer\":\"s8\""),
        line("A4", ""),
        line("A5", ",\"streamer\":\"s\\u0039\",\"session\":\"x8\""),
    ];
    let answers = answers(&rules, payments.join("\n")).unwrap();
    let granted: Vec<_> = answers.lines().map(|line| line.contains("Granted")).collect();
    assert_eq!(granted, [true, false, false, false, true]);
}

#[test]
fn memory_grows_with_users_and_what_is_refunded_and_not_with_records() {
    let rules = fs::read_to_string(golden("tiers_marginal.toml")).unwrap();
    let rules = RuleFile::parse("rules.toml", &rules).unwrap();
    let run = |records: usize| {
        let mut payments: String = (0..records)
            .map(|at| {
                payment(&format!("A{at}"), &format!("u{}", at % 3))
                    .replace('}', &format!(",\"streamer\":\"s{}\"}}", at % 5))
                    + "\n"
            })
            .collect();
        for at in 0..7 {
            payments.push_str(&format!(
                "{{\"kind\":\"refund\",\"order\":\"R{at}\",\"of\":\"A{at}\",\"amount\":1,\"paid_at\":\"2026-10-03T12:00:00Z\"}}\n"
            ));
        }
        let mut payments = Cursor::new(payments.into_bytes());
        simulate(&rules, None, &mut payments, "p", &mut std::io::sink(), &Progress::hidden()).unwrap()
    };
    let (few, many) = (run(150), run(30_000));
    assert_eq!((few.records, many.records), (157, 30_007));
    assert_eq!((few.users, many.users), (3, 3));
    // Three users with each of five streamers, one rule.
    assert_eq!((few.ledger.counters_kept(), many.ledger.counters_kept()), (15, 15));
    assert_eq!((few.ledger.orders_kept(), many.ledger.orders_kept()), (7, 7));
}

/// Lines as they are, and broken in all ways.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let value = || {
        prop_oneof![
            Just("1".to_owned()),
            any::<u64>().prop_map(|number| number.to_string()),
            any::<i64>().prop_map(|number| number.to_string()),
            Just("1.5".to_owned()),
            Just("null".to_owned()),
            Just("\"2026-10-03T12:00:00+08:00\"".to_owned()),
            Just("\"2026-10-03T12:00:00Z\"".to_owned()),
            "\"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](Z|[+-][0-2][0-9]:[0-6][0-9])\"",
            "\"[a-z0-9 ]{0,20}\"",
            any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
            any::<String>().prop_map(|text| format!("\"{text}\"")),
        ]
    };
    let kind = prop_oneof![Just("\"payment\""), Just("\"refund\""), Just("\"redemption\""), Just("\"gift\"")];
    let key = prop::sample::select(vec![
        "order",
        "user",
        "amount",
        "paid_at",
        "product",
        "streamer",
        "session",
        "tier",
        "segments",
        "of",
        "asset",
        "kind",
        "other",
        "a_longer_key",
    ]);
    let space = || prop::sample::select(vec!["", "", "", " ", "\t", "  "]);
    let pairs = prop::collection::vec((key, space(), value()), 0..12);
    let mut sound = vec![
        r#"{"kind":"payment","order":"A1","user":"u1","amount":5000,"paid_at":"2026-10-03T12:00:00+08:00","product":1,"streamer":"s9","session":"x7","tier":2,"segments":5}"#.to_owned(),
        r#"{"kind":"refund","order":"R1","of":"A1","amount":2500,"paid_at":"2026-10-04T12:00:00+08:00"}"#.to_owned(),
        r#"{"kind":"redemption","order":"D1","user":"u1","asset":1,"amount":5,"paid_at":"2026-10-04T12:00:00Z"}"#.to_owned(),
    ];
    sound.push(sound[0].replace("A1", "A\u{4e00}\u{1f600}"));
    let sound = || prop::sample::select(sound.clone()).prop_map(String::into_bytes);
    prop_oneof![
        sound(),
        (kind, pairs, space()).prop_map(|(kind, pairs, space)| {
            let pairs: String =
                pairs.iter().map(|(key, space, value)| format!(",{space}\"{key}\"{space}:{value}")).collect();
            format!("{{\"kind\":{kind}{pairs}{space}}}").into_bytes()
        }),
        (sound(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut line, at, byte)| {
            let at = at.index(line.len());
            line[at] = byte;
            line
        }),
        (sound(), any::<prop::sample::Index>()).prop_map(|(mut line, at)| {
            line.truncate(at.index(line.len()));
            line
        }),
        (sound(), any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(mut line, from, to)| {
            let (from, to) = (from.index(line.len()), to.index(line.len()));
            line.drain(from.min(to)..from.max(to));
            line
        }),
        prop::collection::vec(any::<u8>(), 0..200),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// The quick reader takes what the exact one takes, and for the same.
    #[test]
    fn both_readers_say_the_same(line in lines()) {
        prop_assert_eq!(Reader::default().read(&line), record::exact(&line));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever stands in the file, the answer is one line a record, or one error.
    #[test]
    fn no_file_makes_it_panic(lines in prop::collection::vec(lines(), 0..8)) {
        let records = lines.iter().filter(|line| !line.trim_ascii().is_empty()).count();
        let file = lines.join(&b'\n');
        match answers(RULES, &file) {
            Ok(answers) => prop_assert!(answers.lines().count() >= records, "{answers}"),
            Err(error) => prop_assert!(error.starts_with("payments.jsonl:"), "{error}"),
        }
    }

    /// Whatever stands in a rule file, it is a rule file or an error with its place.
    #[test]
    fn no_rule_file_makes_it_panic(
        text in prop::sample::select(EFFECTS.to_vec()).prop_map(|name| fs::read_to_string(golden(&format!("{name}.toml"))).unwrap()),
        cut in any::<(prop::sample::Index, prop::sample::Index)>(),
        new in prop_oneof!["\\PC{0,12}", Just("\"".to_owned()), Just("18446744073709551616".to_owned()), Just("[[rule]]".to_owned())],
    ) {
        let chars: Vec<char> = text.chars().collect();
        let (from, length) = (cut.0.index(chars.len()), cut.1.index(12));
        let broken: String =
            chars[..from].iter().copied().chain(new.chars()).chain(chars[from..].iter().copied().skip(length)).collect();
        match RuleFile::parse("rules.toml", &broken) {
            Ok(file) => {
                rebate_rulefile::explain::explanations(&file);
                rebate_rulefile::findings::findings(&file, rebate_core::units::Timestamp(0));
            }
            Err(error) => prop_assert!(error.to_string().starts_with("rules.toml:"), "{error}"),
        }
    }
}
