//! Payment files: what a line comes to, and which line is told to be wrong.

use rebate_cli::payment_file::{self, DemoRecord, PaymentFileError, PaymentRecord, Record};
use rebate_client::platform_id;
use rebate_core::{
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    units::{Amount, AssetId, OrderHash, Timestamp},
};
use std::{collections::HashSet, fs, path::Path};

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/payments.jsonl");

/// The specification's own example.
const FULL: &str = r#"{"kind":"payment","order":"A1","user":"u1","amount":5000,"paid_at":"2026-10-03T12:00:00+08:00","product":1,"streamer":"s9","session":"x7","tier":2,"segments":5}"#;

const NOW: Timestamp = Timestamp(1_791_000_000);

fn one(line: &str) -> PaymentRecord {
    match payment_file::parse("payments.jsonl", line).unwrap().as_slice() {
        [Record::Payment(payment)] => payment.clone(),
        other => panic!("one payment: {other:?}"),
    }
}

#[test]
fn a_line_with_every_field_is_the_payment_it_says() {
    let user = platform_id::unkeyed_user("u1");
    let expected = Payment {
        order: OrderHash::of("A1"),
        user,
        amount: Amount(5_000),
        paid_at: NOW,
        product: 1,
        streamer: platform_id::number("s9"),
        session: platform_id::number("x7"),
        tier: 2,
        segments: 5,
    };
    assert_eq!(one(FULL).payment(user, Timestamp(0)).unwrap(), expected);
}

#[test]
fn what_may_be_left_out_is_nothing() {
    let line = r#"{"kind":"payment","order":"A1","user":"u1","amount":18446744073709551615,"paid_at":"-0s"}"#;
    let user = platform_id::unkeyed_user("u1");
    let expected =
        Payment { order: OrderHash::of("A1"), user, amount: Amount(u64::MAX), paid_at: NOW, ..Payment::default() };
    assert_eq!(one(line).payment(user, NOW).unwrap(), expected);
}

#[test]
fn a_time_is_absolute_or_so_long_before_the_moment_the_file_is_played() {
    for (text, expected) in [
        ("2026-10-03T04:00:00Z", 1_791_000_000),
        ("2026-10-03T12:00:00.999+08:00", 1_791_000_000),
        ("1969-12-31T23:59:59Z", -1),
        ("-1s", NOW.0 - 1),
        ("-90m", NOW.0 - 5_400),
        ("-36h", NOW.0 - 129_600),
        ("-7d", NOW.0 - 604_800),
        ("-2d5h30m1s", NOW.0 - (2 * 86_400 + 5 * 3_600 + 30 * 60 + 1)),
    ] {
        let paid_at = one(&FULL.replace("2026-10-03T12:00:00+08:00", text)).paid_at(NOW);
        assert_eq!(paid_at, Ok(Timestamp(expected)), "{text}");
    }
}

/// The specification's own example.
const REFUND: &str = r#"{"kind":"refund","order":"R1","of":"A1","amount":2500,"paid_at":"2026-10-03T12:00:00+08:00"}"#;

const REDEMPTION: &str =
    r#"{"kind":"redemption","order":"S1","user":"u1","asset":2,"amount":7,"paid_at":"2026-10-03T12:00:00+08:00"}"#;

#[test]
fn refunds_and_redemptions_are_what_they_say() {
    let records = payment_file::parse("payments.jsonl", &[REFUND, REDEMPTION].join("\n")).unwrap();
    let [Record::Refund(refund), Record::Redemption(redemption)] = records.as_slice() else { panic!("{records:?}") };
    let expected = Refund { order: OrderHash::of("R1"), of: OrderHash::of("A1"), amount: Amount(2_500), paid_at: NOW };
    assert_eq!(refund.refund(Timestamp(0)), Ok(expected));
    let user = platform_id::unkeyed_user("u1");
    let expected =
        Redemption { order: OrderHash::of("S1"), user, asset: AssetId(2), amount: Amount(7), redeemed_at: NOW };
    assert_eq!(redemption.redemption(user, Timestamp(0)), Ok(expected));
}

#[test]
fn the_demonstration_knows_kinds_of_its_own() {
    let text = r#"{"kind":"link","user":"u1","linked_at":"-1h"}
        {"kind":"claim","user":"u1","asset":2}
        {"kind":"deposit","asset":2,"amount":500}
        {"kind":"month_end"}"#;
    let records = payment_file::parse("payments.jsonl", text).unwrap();
    let [Record::Demo(DemoRecord::Link(link)), claim, deposit, end] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!(link.linked_at(NOW), Ok(Timestamp(NOW.0 - 3_600)));
    assert!(matches!(claim, Record::Demo(DemoRecord::Claim(claim)) if claim.asset == 2 && claim.user == "u1"));
    assert!(
        matches!(deposit, Record::Demo(DemoRecord::Deposit(deposit)) if deposit.asset == 2 && deposit.amount == 500)
    );
    assert_eq!(*end, Record::Demo(DemoRecord::MonthEnd));
    let users: Vec<_> = records.iter().map(Record::user).collect();
    assert_eq!(users, [Some("u1"), Some("u1"), None, None]);
}

#[test]
fn empty_lines_are_skipped_and_every_other_is_a_record_in_order() {
    let text = format!("\n{FULL}\r\n   \n{}\n", FULL.replace("payment", "forged").replace("A1", "A2"));
    let records = payment_file::parse("payments.jsonl", &text).unwrap();
    let [Record::Payment(first), Record::Demo(DemoRecord::Forged(second))] = records.as_slice() else {
        panic!("{records:?}")
    };
    assert_eq!([&first.order, &second.order], ["A1", "A2"]);
    assert_eq!(payment_file::parse("payments.jsonl", "").unwrap(), []);
}

#[test]
fn the_evening_of_the_demonstration_is_sound() {
    let records = payment_file::read(Path::new(DEMO)).unwrap();
    assert!(records.len() >= 50, "{}", records.len());
    let among = |what: &str, is: fn(&Record) -> bool| assert!(records.iter().any(is), "{what} is among them");
    among("a forged signature", |record| matches!(record, Record::Demo(DemoRecord::Forged(_))));
    among("a refund", |record| matches!(record, Record::Refund(_)));
    among("a redemption", |record| matches!(record, Record::Redemption(_)));
    among("a wallet", |record| matches!(record, Record::Demo(DemoRecord::Link(_))));
    among("a claim", |record| matches!(record, Record::Demo(DemoRecord::Claim(_))));
    among("a deposit", |record| matches!(record, Record::Demo(DemoRecord::Deposit(_))));
    let ends = records.iter().filter(|record| matches!(record, Record::Demo(DemoRecord::MonthEnd))).count();
    assert_eq!(ends, 2, "what was granted in one month expires when the next one ends");
    let week = NOW.0 - 7 * 86_400;
    let payments: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            Record::Payment(payment) | Record::Demo(DemoRecord::Forged(payment)) => Some(payment),
            _ => None,
        })
        .collect();
    let orders: HashSet<_> = payments.iter().map(|payment| &payment.order).collect();
    assert!(orders.len() < payments.len(), "duplicates are among them");
    let late: Vec<_> = payments
        .iter()
        .filter(|payment| !(week..=NOW.0).contains(&payment.paid_at(NOW).unwrap().0))
        .map(|payment| payment.order.as_str())
        .collect();
    assert_eq!(late, ["L001"], "one is older than the rules take, and none is from the future");
}

#[test]
fn each_wrong_line_is_told_with_its_number_and_what_was_expected() {
    let time = "\"2026-10-03T12:00:00+08:00\"";
    let cases = [
        ("A1".to_owned(), "expected value, at column 1"),
        ("{".to_owned(), "EOF while parsing an object, at column 1"),
        (
            "[]".to_owned(),
            "invalid length 0, expected an object like {\"kind\":\"payment\",\"order\":\"A1\", …}, at column 2",
        ),
        ("{}".to_owned(), "missing key `kind`, at column 2"),
        (format!("{FULL} {FULL}"), "trailing characters, at column 162"),
        (FULL.replace("\"kind\":\"payment\",", ""), "missing key `kind`, at column 143"),
        (FULL.replace("\"payment\"", "1"), "invalid type: integer `1`, expected a text in quotes, at column 9"),
        (
            FULL.replace("\"payment\"", "\"refund\""),
            "unknown key `user`, expected one of `kind`, `order`, `of`, `amount`, `paid_at`, at column 36",
        ),
        (REFUND.replace("\"A1\"", "\"\""), "of must not be empty"),
        (REDEMPTION.replace("\"S1\"", "\"\""), "order must not be empty"),
        (REDEMPTION.replace("\"u1\"", "\"\""), "user must not be empty"),
        (
            REDEMPTION.replace(time, "\"5d\""),
            "paid_at is \"5d\"; expected a date and time like \"2026-10-03T12:00:00+08:00\", or a span like \"-2d5h\"",
        ),
        (
            r#"{"kind":"link","user":"u1","linked_at":"now"}"#.to_owned(),
            "linked_at is \"now\"; expected a date and time like \"2026-10-03T12:00:00+08:00\", or a span like \"-2d5h\"",
        ),
        (r#"{"kind":"claim","asset":2}"#.to_owned(), "missing key `user`, at column 26"),
        (r#"{"kind":"month_end","user":"u1"}"#.to_owned(), "unknown key `user`, expected `kind`, at column 26"),
        (
            FULL.replace("\"payment\"", "\"gift\""),
            "unknown kind \"gift\"; expected \"payment\", \"refund\" or \"redemption\"",
        ),
        (FULL.replace("\"order\":\"A1\",", ""), "missing key `order`, at column 147"),
        (FULL.replace("\"A1\"", "\"\""), "order must not be empty"),
        (FULL.replace("\"A1\"", "17"), "invalid type: integer `17`, expected a text in quotes, at column 28"),
        (FULL.replace("\"u1\"", "\"\""), "user must not be empty"),
        (
            FULL.replace("5000", "-5000"),
            "invalid value: integer `-5000`, expected a whole number from 0 to 18446744073709551615, at column 57",
        ),
        (
            FULL.replace("5000", "50.00"),
            "invalid type: floating point `50.0`, expected a whole number from 0 to 18446744073709551615, at column 57",
        ),
        (
            FULL.replace("5000", "\"5000\""),
            "invalid type: string \"5000\", expected a whole number from 0 to 18446744073709551615, at column 58",
        ),
        (
            FULL.replace("5000", "18446744073709551616"),
            "invalid type: floating point `1.8446744073709552e+19`, expected a whole number from 0 to 18446744073709551615, at column 72",
        ),
        (
            FULL.replace("\"product\":1", "\"product\":65536"),
            "invalid value: integer `65536`, expected a whole number from 0 to 65535, at column 110",
        ),
        (
            FULL.replace("\"product\"", "\"produkt\""),
            "unknown key `produkt`, expected one of `kind`, `order`, `user`, `amount`, `paid_at`, `product`, `streamer`, `session`, `tier`, `segments`, at column 104",
        ),
        (
            FULL.replace("\"tier\":2", "\"tier\":256"),
            "invalid value: integer `256`, expected a whole number from 0 to 255, at column 148",
        ),
        (
            FULL.replace("\"segments\":5", "\"segments\":4294967296"),
            "invalid value: integer `4294967296`, expected a whole number from 0 to 4294967295, at column 168",
        ),
        (FULL.replace("\"tier\":2", "\"amount\":2"), "duplicate key `amount`, at column 146"),
        (
            FULL.replace(time, "\"2026-10-03\""),
            "paid_at is \"2026-10-03\"; expected a date and time like \"2026-10-03T12:00:00+08:00\", or a span like \"-2d5h\"",
        ),
        (
            FULL.replace(time, "\"2026-10-03T12:00:00\""),
            "paid_at is \"2026-10-03T12:00:00\"; expected a date and time like \"2026-10-03T12:00:00+08:00\", or a span like \"-2d5h\"",
        ),
        (
            FULL.replace(time, "\"2026-02-30T12:00:00Z\""),
            "paid_at is \"2026-02-30T12:00:00Z\"; expected a date and time like \"2026-10-03T12:00:00+08:00\", or a span like \"-2d5h\"",
        ),
        (
            FULL.replace(time, "\"\""),
            "paid_at is \"\"; expected a date and time like \"2026-10-03T12:00:00+08:00\", or a span like \"-2d5h\"",
        ),
        (
            FULL.replace(time, "\"-\""),
            "paid_at is \"-\"; expected a date and time like \"2026-10-03T12:00:00+08:00\", or a span like \"-2d5h\"",
        ),
        (
            FULL.replace(time, "\"-5\""),
            "paid_at is \"-5\"; expected a date and time like \"2026-10-03T12:00:00+08:00\", or a span like \"-2d5h\"",
        ),
        (
            FULL.replace(time, "\"-5w\""),
            "paid_at is \"-5w\"; expected a date and time like \"2026-10-03T12:00:00+08:00\", or a span like \"-2d5h\"",
        ),
        (
            FULL.replace(time, "\"--5d\""),
            "paid_at is \"--5d\"; expected a date and time like \"2026-10-03T12:00:00+08:00\", or a span like \"-2d5h\"",
        ),
        (
            FULL.replace(time, "\"5d\""),
            "paid_at is \"5d\"; expected a date and time like \"2026-10-03T12:00:00+08:00\", or a span like \"-2d5h\"",
        ),
        (
            FULL.replace(time, "\"-2d -5h\""),
            "paid_at is \"-2d -5h\"; expected a date and time like \"2026-10-03T12:00:00+08:00\", or a span like \"-2d5h\"",
        ),
        (
            FULL.replace(time, "1791000000"),
            "invalid type: integer `1791000000`, expected a text in quotes, at column 77",
        ),
    ];
    let differing: Vec<_> = cases
        .iter()
        .map(|(line, expected)| {
            let text = format!("{FULL}\n\n{line}\n{FULL}\n");
            let error = payment_file::parse("payments.jsonl", &text).expect_err(line).to_string();
            (line, *expected, error.strip_prefix("payments.jsonl:3: ").expect(&error).to_owned())
        })
        .filter(|(_, expected, found)| expected != found)
        .map(|(line, expected, found)| format!("{line}\n  expected {expected}\n  found    {found}"))
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn a_file_that_cannot_be_read_as_text_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = payment_file::read(folder.path()).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("cannot read the payment file {}: Is a directory (os error 21)", folder.path().display())
    );

    let latin = folder.path().join("latin.jsonl");
    fs::write(&latin, [FULL.as_bytes(), b"\n{\"order\":\"caf\xe9\"}\n"].concat()).unwrap();
    let expected = PaymentFileError::Wrong {
        file: latin.display().to_string(),
        line: 2,
        what: "this is no UTF-8; save the file as UTF-8".to_owned(),
    };
    assert_eq!(payment_file::read(&latin), Err(expected));
}
