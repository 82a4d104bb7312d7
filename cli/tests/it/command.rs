//! The built command: what is wrong is one clear line, a status other than 0, and no more.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
};
use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// An address at which some platform may be.
const SOMEWHERE: &str = "SysvarC1ock11111111111111111111111111111111";

/// The command with what a user has: nothing from the environment of the tests.
fn rebate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rebate"))
        .args(arguments)
        .current_dir(ROOT)
        .env_clear()
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap()
}

/// What the command said on standard error, after it failed as it should: with one line and nothing on standard output.
fn failure(arguments: &[&str]) -> String {
    let output = rebate(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "rebate {arguments:?}: {said}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "", "rebate {arguments:?}");
    let line = said.strip_suffix('\n').expect("a whole line");
    assert!(!line.contains('\n'), "one line: {said}");
    for trace in ["panicked", "backtrace", "RUST_BACKTRACE", ".rs:"] {
        assert!(!line.contains(trace), "{said}");
    }
    line.strip_prefix("rebate: ").expect("the command's name first").to_owned()
}

/// A folder with a key in it.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        assert!(rebate(&["key", &desk.path("key.json")]).status.success());
        desk
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::write(self.folder.path().join(name), content).unwrap();
        self.path(name)
    }

    fn key(&self) -> String {
        self.path("key.json")
    }
}

const PAYMENT: &str = r#"{"kind":"payment","order":"A1","user":"u1","amount":5000,"paid_at":"-1h"}"#;

/// A node on which every account is `account`, for as long as the test runs.
fn node(account: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut request = Vec::new();
                let mut chunk = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut chunk) {
                    request.extend_from_slice(&chunk[..read]);
                    let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                    if body.len() < length.map_or(0, |length| length.parse().unwrap()) {
                        continue;
                    }
                    let id = body.split("\"id\":").nth(1).and_then(|rest| rest.split([',', '}']).next()).unwrap_or("0");
                    // Accounts are asked for one by one or several at once.
                    let value =
                        if body.contains("getmultipleaccounts") { format!("[{account}]") } else { account.to_owned() };
                    let answer =
                        format!(r#"{{"jsonrpc":"2.0","result":{{"context":{{"slot":1}},"value":{value}}},"id":{id}}}"#);
                    let head = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}",
                        answer.len()
                    );
                    if write!(stream, "{head}\r\n\r\n{answer}").is_err() {
                        return;
                    }
                    request.clear();
                }
            });
        }
    });
    url
}

#[test]
fn the_rules_of_the_demonstration_are_checked_and_found_sound() {
    let output = rebate(&["rule", "check", "demo/rules.toml"]);
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("demo/rules.toml is sound: "), "{said}");
    assert!(!said.contains("can never pay"), "{said}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn a_sound_rule_file_is_explained_and_what_is_odd_about_it_told() {
    let desk = Desk::new();
    let rules = desk.file(
        "rules.toml",
        r#"
        platform = { max_lateness = "7d" }
        asset = [{ id = 1, name = "coins", kind = "points" }]
        rule = [
            { id = 2, name = "b", priority = 9, effect = { kind = "fixed", asset = 1, amount = 5 } },
            { id = 1, name = "a", when = ["amount == 0"], effect = { kind = "ratio", asset = 1, bps = 50 } },
        ]
        "#,
    );
    let output = rebate(&["rule", "check", &rules]);
    let expected = format!(
        "{rules} is sound: 2 rules, 1 assets\n\
         rule 1 \"a\": at any time, a user's payment where the amount is 0, grants 0.5 % of its amount in coins.\n\
         rule 2 \"b\": at any time, a user's payment grants 5 coins.\n\
         warning: rule 1 \"a\" can never pay: `amount == 0` never holds\n\
         warning: rule 2 \"b\" has no budget: without `total_amount` there is no bound to what it grants in all\n"
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
}

#[test]
fn a_key_is_made_once_for_its_owner_alone_and_never_overwritten() {
    let desk = Desk::new();
    let made = fs::read_to_string(desk.key()).unwrap();
    let numbers: Vec<u8> = serde_json::from_str(&made).expect("what Solana's tools read: an array of bytes");
    assert_eq!(numbers.len(), 64);
    let mode = fs::metadata(desk.key()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let again = failure(&["key", &desk.key()]);
    assert_eq!(again, format!("{} exists; a key is never overwritten, choose another name", desk.key()));
    assert_eq!(fs::read_to_string(desk.key()).unwrap(), made);

    let link = PathBuf::from(desk.path("link.json"));
    std::os::unix::fs::symlink(desk.path("nowhere.json"), &link).unwrap();
    failure(&["key", &link.display().to_string()]);
    assert!(!Path::new(&desk.path("nowhere.json")).exists(), "nor is anything made where a dangling link points");

    let nowhere = failure(&["key", &desk.path("no/folder.json")]);
    let expected =
        format!("cannot write the key file {}: No such file or directory (os error 2)", desk.path("no/folder.json"));
    assert_eq!(nowhere, expected);
}

#[test]
fn a_new_key_prints_its_address_and_nothing_of_itself() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.json");
    let output = rebate(&["key", &file.display().to_string()]);
    let printed = String::from_utf8(output.stdout).unwrap();
    let key = solana_keypair::read_keypair_file(&file).unwrap();
    assert_eq!(printed, format!("{}\n", solana_signer::Signer::pubkey(&key)));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn a_broken_rule_file_is_told_with_its_place_by_every_command_that_reads_one() {
    let desk = Desk::new();
    let rules = desk.file(
        "rules.toml",
        "[platform]\nmax_lateness = \"7 days\"\n[[asset]]\nid = 1\nname = \"x\"\nkind = \"points\"\n",
    );
    let expected =
        format!("{rules}:2:16: \"7 days\" is no span from 1s to 366d; expected one like \"7d\", \"36h\", \"90m\"");
    let key = desk.key();
    for arguments in [
        &["rule", "check", &rules][..],
        &["rule", "publish", "--payer", &key, SOMEWHERE, &rules],
        &["platform", "create", "--payer", &key, "--id", "1", "--rules", &rules],
        &["demo", "--once", "--rules", &rules],
    ] {
        assert_eq!(failure(arguments), expected);
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let desk = Desk::new();
    let (key, missing) = (desk.key(), desk.path("missing"));
    let payments = desk.file("payments.jsonl", PAYMENT);
    let rules = "demo/rules.toml";
    for (arguments, what) in [
        (&["rule", "check", &missing][..], "rule file"),
        (&["rule", "publish", "--payer", &missing, SOMEWHERE, rules], "key file"),
        (&["platform", "pause", "--payer", &missing, SOMEWHERE], "key file"),
        (&["demo", "--rules", &missing], "rule file"),
        (&["demo", "--payments", &missing], "payment file"),
        (&["pay", "--payer", &key, "--platform", SOMEWHERE, "--oracle", &key, &missing], "payment file"),
        (&["pay", "--payer", &key, "--platform", SOMEWHERE, "--oracle", &missing, &payments], "key file"),
        (&["pay", "--payer", &missing, "--platform", SOMEWHERE, "--oracle", &key, &payments], "key file"),
    ] {
        assert_eq!(
            failure(arguments),
            format!("cannot read the {what} {missing}: No such file or directory (os error 2)")
        );
    }
    let secret = ["--platform-secret-file", &missing];
    let pay = ["pay", "--payer", &key, "--platform", SOMEWHERE, "--oracle", &key, &payments];
    let said = failure(&[&pay[..], &secret].concat());
    assert_eq!(
        said,
        format!("cannot read the platform's secret from {missing}: No such file or directory (os error 2)")
    );
}

#[test]
fn a_file_that_holds_no_key_is_told_without_what_it_holds() {
    let desk = Desk::new();
    let made = fs::read_to_string(desk.key()).unwrap();
    for (name, content) in [
        ("empty.json", String::new()),
        ("short.json", made.replacen(',', "", 1)),
        ("secret.json", "\"correct horse battery staple\"".to_owned()),
        ("torn.json", made[..made.len() / 2].to_owned()),
    ] {
        let file = desk.file(name, content);
        let said = failure(&["platform", "pause", "--payer", &file, SOMEWHERE]);
        assert_eq!(said, format!("{file} holds no key; `rebate key FILE` or solana-keygen makes one"));
    }
    let binary = desk.file("binary.json", [0xff, 0xfe, 0x00]);
    let said = failure(&["platform", "pause", "--payer", &binary, SOMEWHERE]);
    assert_eq!(said, format!("{binary} holds no key; `rebate key FILE` or solana-keygen makes one"));
}

#[test]
fn an_empty_platform_secret_is_refused_before_anything_is_hashed_with_it() {
    let desk = Desk::new();
    let (key, payments, secret) = (desk.key(), desk.file("payments.jsonl", PAYMENT), desk.file("secret", "\n"));
    let said = failure(&[
        "pay",
        "--payer",
        &key,
        "--platform",
        SOMEWHERE,
        "--oracle",
        &key,
        "--platform-secret-file",
        &secret,
        &payments,
    ]);
    assert_eq!(said, format!("the platform's secret in {secret} is empty"));
}

#[test]
fn a_broken_or_forged_payment_stops_the_whole_file_before_the_node_is_asked() {
    let desk = Desk::new();
    let key = desk.key();
    let pay = |file: &str| failure(&["pay", "--payer", &key, "--platform", SOMEWHERE, "--oracle", &key, file]);
    let broken = desk.file("broken.jsonl", format!("{PAYMENT}\n{}\n", PAYMENT.replace("5000", "-1")));
    let expected = format!(
        "{broken}:2: invalid value: integer `-1`, expected a whole number from 0 to 18446744073709551615, at column 54"
    );
    assert_eq!(pay(&broken), expected);
    let forged =
        desk.file("forged.jsonl", format!("{PAYMENT}\n{}\n", PAYMENT.replace("payment", "forged").replace("A1", "A2")));
    assert_eq!(pay(&forged), "order A2: only the demo plays forged records");
    for (kind, expected) in [
        (r#"{"kind":"link","user":"u1","linked_at":"-1h"}"#, "only the demo plays links of wallets"),
        (r#"{"kind":"claim","user":"u1","asset":2}"#, "only the demo plays claims; the user's own wallet signs one"),
        (r#"{"kind":"deposit","asset":2,"amount":500}"#, "only the demo plays deposits"),
        (r#"{"kind":"month_end"}"#, "only the demo lets months end"),
    ] {
        assert_eq!(pay(&desk.file("demo.jsonl", kind)), expected);
    }
}

/// A mint for the token of the demonstration's rules: that of wrapped SOL, which every chain has.
const STARS: &str = "stars=So11111111111111111111111111111111111111112";

#[test]
fn a_token_without_a_mint_is_told_with_how_to_name_one() {
    let desk = Desk::new();
    let (key, rules) = (desk.key(), "demo/rules.toml");
    let create = ["platform", "create", "--payer", &key, "--id", "1", "--rules", rules];
    let expected =
        "stars is a token without a mint; write `mint = \"…\"` into the rule file, or say --mint stars=ADDRESS";
    assert_eq!(failure(&create), expected);
    for name in ["coins", "moons"] {
        let mint = STARS.replace("stars", name);
        let expected = format!("--mint {name}: the rule file has no such token without a mint");
        assert_eq!(failure(&[&create[..], &["--mint", &mint]].concat()), expected);
    }
}

#[test]
fn a_node_that_does_not_answer_is_named_without_the_secrets_in_its_address() {
    let desk = Desk::new();
    let payments = desk.file("payments.jsonl", PAYMENT);
    let key = desk.key();
    let rpc = "http://operator:hunter2@127.0.0.1:1/v1/k3y?api-key=s3cret";
    let expected = "the node http://127.0.0.1:1 does not answer: connection refused; \
                    check that it runs and that the address is right";
    let commands = [
        vec!["platform", "show", "--rpc", rpc, SOMEWHERE],
        vec!["rule", "list", "--rpc", rpc, SOMEWHERE],
        vec!["rule", "publish", "--rpc", rpc, "--payer", &key, SOMEWHERE, "demo/rules.toml"],
        vec![
            "platform",
            "create",
            "--rpc",
            rpc,
            "--payer",
            &key,
            "--id",
            "1",
            "--rules",
            "demo/rules.toml",
            "--mint",
            STARS,
        ],
        vec!["platform", "unpause", "--rpc", rpc, "--payer", &key, SOMEWHERE],
        vec!["platform", "add-oracle", "--rpc", rpc, "--payer", &key, SOMEWHERE, SOMEWHERE],
        vec!["pay", "--rpc", rpc, "--payer", &key, "--platform", SOMEWHERE, "--oracle", &key, &payments],
        vec!["vault", "show", "--rpc", rpc, SOMEWHERE],
        vec!["vault", "deposit", "--rpc", rpc, "--payer", &key, SOMEWHERE, "stars", "5"],
    ];
    // Each asks several times before it gives up; all at once it takes as long as one.
    thread::scope(|scope| {
        let running: Vec<_> = commands.iter().map(|command| scope.spawn(|| failure(command))).collect();
        for (command, said) in commands.iter().zip(running) {
            assert_eq!(said.join().unwrap(), expected, "rebate {command:?}");
        }
    });
}

#[test]
fn an_address_that_is_none_is_told_as_such() {
    for rpc in ["127.0.0.1:8899", "not a url", "ftp://127.0.0.1", ""] {
        let said = failure(&["platform", "show", "--rpc", rpc, SOMEWHERE]);
        assert_eq!(said, "--rpc is no address of a node; expected one like http://127.0.0.1:8899", "{rpc:?}");
    }
}

#[test]
fn a_platform_that_is_not_there_is_told_with_how_to_make_one() {
    let desk = Desk::new();
    let payments = desk.file("payments.jsonl", PAYMENT);
    let (key, rpc) = (desk.key(), node("null"));
    let nowhere = format!("there is no platform at {SOMEWHERE}");
    for (arguments, expected) in [
        (&["platform", "show", "--rpc", &rpc, SOMEWHERE][..], format!("{nowhere}; `rebate platform create` makes one")),
        (&["rule", "list", "--rpc", &rpc, SOMEWHERE], nowhere.clone()),
        (
            &["rule", "publish", "--rpc", &rpc, "--payer", &key, SOMEWHERE, "demo/rules.toml"],
            format!("{nowhere}; `rebate platform create` makes one"),
        ),
        (
            &["pay", "--rpc", &rpc, "--payer", &key, "--platform", SOMEWHERE, "--oracle", &key, &payments],
            format!("{nowhere} on this chain; create it first, with `rebate platform create`"),
        ),
        (&["vault", "show", "--rpc", &rpc, SOMEWHERE], format!("{nowhere}; `rebate platform create` makes one")),
        (
            &["vault", "open", "--rpc", &rpc, "--payer", &key, SOMEWHERE, "stars"],
            format!("{nowhere}; `rebate platform create` makes one"),
        ),
    ] {
        assert_eq!(failure(arguments), expected);
    }
}

#[test]
fn an_account_that_is_no_platform_is_not_taken_for_one() {
    // Sixteen zero bytes, owned by nobody in particular.
    let rpc = node(
        r#"{"data":["AAAAAAAAAAAAAAAAAAAAAA==","base64"],"executable":false,"lamports":1,"owner":"11111111111111111111111111111111","rentEpoch":0,"space":16}"#,
    );
    let said = failure(&["platform", "show", "--rpc", &rpc, SOMEWHERE]);
    assert_eq!(said, format!("the account at {SOMEWHERE}: not a Platform account of the rebate program"));
}

#[test]
fn a_demonstration_without_the_built_program_says_so() {
    let desk = Desk::new();
    let missing = desk.path("rebate.so");
    let output = rebate(&["demo", "--once", "--program", &missing, "--local", &desk.path("local")]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&missing), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn what_the_command_line_cannot_be_is_told_with_how_it_is_used() {
    for arguments in [
        &["platform", "show", "not-an-address"][..],
        &["platform", "create", "--payer", "x", "--id", "-1", "--rules", "x"],
        &["platform", "create", "--payer", "x", "--id", "1", "--rules", "x", "--timelock", "soon"],
        &["platform", "create", "--payer", "x", "--id", "1", "--rules", "x", "--order-shards", "0"],
        &["platform", "create", "--payer", "x", "--id", "1", "--rules", "x", "--timelock", "367d"],
        &["platform", "create", "--payer", "x", "--id", "1", "--rules", "x", "--page-slots", "7"],
        &["platform", "create", "--payer", "x", "--id", "1", "--rules", "x", "--page-slots", "1268"],
        &["vault", "deposit", "--payer", "x", SOMEWHERE, "stars", "-5"],
        &["vault", "deposit", "--payer", "x", SOMEWHERE, "stars"],
        &["vault", "withdraw-surplus", "--payer", "x", SOMEWHERE, "stars", "5", "--to", "me"],
        &["rule", "check"],
        &["rule", "chekc", "x"],
        &["demo", "--chain", "mainnet"],
        &[],
    ] {
        let output = rebate(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "rebate {arguments:?}: {said}");
        assert!(said.contains("Usage") || said.contains("--help"), "rebate {arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}
