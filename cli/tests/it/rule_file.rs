//! Rule files: what a sound one comes to, and where and how each broken one is told to be broken.

use rebate_cli::rule_file::{RuleFile, RuleFileError};
use rebate_client::event::{AssetEntry, EffectEntry, OffsetEntry, PredicateEntry, RuleDefinition};
use rebate_core::rule::{Field, Operator};
use std::{fs, path::Path};

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/rules.toml");

fn coins() -> AssetEntry {
    let mut name = [0; 16];
    name[..5].copy_from_slice(b"coins");
    AssetEntry { name, kind: 1 }
}

fn predicate(clause: u8, negated: bool, field: Field, operator: Operator, value: u64) -> PredicateEntry {
    PredicateEntry { clause, negated, field: field as u8, operator: operator as u8, value }
}

#[test]
fn the_rules_of_the_demonstration_are_exactly_these() {
    let file = RuleFile::read(Path::new(DEMO)).unwrap();
    let first = RuleDefinition {
        id: 1,
        version: 1,
        name: "first recharge 20%".to_owned(),
        priority: 10,
        starts_at: 0,
        ends_at: 0,
        condition: vec![predicate(0, false, Field::PaymentNumber, Operator::Eq, 1)],
        effect: EffectEntry::Ratio { asset: 1, bps: 2_000, min: 0, max: 100_000 },
    };
    let weekend = RuleDefinition {
        id: 2,
        version: 1,
        name: "weekend bonus".to_owned(),
        priority: 20,
        starts_at: 0,
        ends_at: 0,
        condition: vec![
            predicate(0, false, Field::Weekday, Operator::Any, 0b1100_0000),
            predicate(1, false, Field::Amount, Operator::Ge, 3_000),
            predicate(2, true, Field::Product, Operator::Eq, 9),
        ],
        effect: EffectEntry::Fixed { asset: 1, amount: 1_000 },
    };
    let expected = RuleFile {
        offsets: vec![OffsetEntry { from: 0, seconds: 8 * 3_600 }],
        max_lateness: 7 * 86_400,
        assets: vec![coins()],
        rules: vec![first, weekend],
    };
    assert_eq!(file, expected);
}

/// A sound file in which every key of the specification stands, as far as this version supports their values.
const SOUND: &str = r#"[platform]
utc_offsets = [
    { from = 0, offset = "+08:00" },
    { from = "2027-01-01T00:00:00Z", offset = "-03:30" },
]
max_lateness = "36h"

[[asset]]
id = 1
name = "coins"
kind = "points"
expiry_months = 0

[[group]]
id = 1
mode = "stackable"

[[rule]]
id = 7
name = "a rule"
priority = 10
group = 1
when = ["payment_number == 1", "product == 1 or not product != 2", "weekday in [6, 7]"]
starts_at = "2026-10-01T00:00:00+08:00"
ends_at = "2026-11-01T00:00:00+08:00"
window = "lifetime"
scope = "user"
effect = { kind = "ratio", asset = 1, bps = 2000, min = 5, max = 100000 }
limits = { user_amount = 0, user_count = 0, total_amount = 0, total_count = 0, on_limit = "clip" }
tags = []
excludes = []
holdout_bps = 0
"#;

#[test]
fn every_key_of_the_specification_is_known() {
    let file = RuleFile::parse("rules.toml", SOUND).unwrap();
    let rule = RuleDefinition {
        id: 7,
        version: 1,
        name: "a rule".to_owned(),
        priority: 10,
        starts_at: 1_790_784_000,
        ends_at: 1_793_462_400,
        condition: vec![
            predicate(0, false, Field::PaymentNumber, Operator::Eq, 1),
            predicate(1, false, Field::Product, Operator::Eq, 1),
            predicate(1, true, Field::Product, Operator::Ne, 2),
            predicate(2, false, Field::Weekday, Operator::Any, 0b1100_0000),
        ],
        effect: EffectEntry::Ratio { asset: 1, bps: 2_000, min: 5, max: 100_000 },
    };
    let expected = RuleFile {
        offsets: vec![
            OffsetEntry { from: 0, seconds: 28_800 },
            OffsetEntry { from: 1_798_761_600, seconds: -(3 * 3_600 + 1_800) },
        ],
        max_lateness: 129_600,
        assets: vec![coins()],
        rules: vec![rule],
    };
    assert_eq!(file, expected);
}

#[test]
fn what_may_be_left_out_has_its_default() {
    let file = RuleFile::parse(
        "rules.toml",
        r#"
            platform = { max_lateness = "1s" }
            asset = [{ id = 1, name = "coins", kind = "points" }, { id = 2, name = "sixteen bytes!!!", kind = "points" }]
            rule = [
                { id = 1, name = "x", effect = { kind = "ratio", asset = 2, bps = 1 } },
                { id = 65535, name = "y", effect = { kind = "fixed", asset = 1, amount = 18446744073709551615 } },
            ]
        "#,
    )
    .unwrap();
    assert_eq!((file.max_lateness, file.offsets.len(), file.assets.len()), (1, 0, 2));
    let seen: Vec<_> =
        file.rules.iter().map(|rule| (rule.id, rule.priority, rule.starts_at, rule.ends_at, rule.effect)).collect();
    assert_eq!(
        seen,
        [
            (1, 0, 0, 0, EffectEntry::Ratio { asset: 2, bps: 1, min: 0, max: 0 }),
            (65_535, 0, 0, 0, EffectEntry::Fixed { asset: 1, amount: u64::MAX }),
        ]
    );
    assert!(file.rules.iter().all(|rule| rule.condition.is_empty()));
}

/// The message about [`SOUND`] with `old` replaced by `new`, without the file's name.
fn broken(old: &str, new: &str) -> String {
    assert_eq!(SOUND.matches(old).count(), 1, "{old:?} stands once in the sound file");
    message(&SOUND.replace(old, new))
}

fn message(text: &str) -> String {
    let error = RuleFile::parse("rules.toml", text).expect_err(text);
    error.to_string().strip_prefix("rules.toml:").expect("the file's name").to_owned()
}

/// Holds every case against its message, and shows all that differ at once.
fn hold(cases: &[(&str, &str, &str)]) {
    let differing: Vec<_> = cases
        .iter()
        .map(|(old, new, expected)| (format!("{old} -> {new}"), *expected, broken(old, new)))
        .filter(|(_, expected, found)| expected != found)
        .map(|(case, expected, found)| format!("{case}\n  expected {expected}\n  found    {found}"))
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn what_is_no_toml_is_told_where_it_stops_being_some() {
    for (text, expected) in [
        ("", "1:1: missing key `platform`"),
        ("hello world\n", "1:7: key with no value, expected `=`"),
        ("{\"platform\": 1}", "1:1: invalid key-value pair, expected key"),
        ("[platform]\nmax_lateness = \"7d\n", "2:19: invalid basic string, expected `\"`"),
        ("[platform\n", "1:10: unclosed table, expected `]`"),
    ] {
        assert_eq!(message(text), expected, "{text:?}");
    }
}
#[test]
fn keys_that_are_unknown_missing_or_there_twice_are_errors() {
    hold(&[
        (
            "[platform]",
            "[platfrom]",
            "1:2: unknown key `platfrom`, expected one of `platform`, `asset`, `group`, `rule`",
        ),
        ("max_lateness = \"36h\"\n", "", "1:1: missing key `max_lateness`"),
        ("max_lateness", "max_latenes", "6:1: unknown key `max_latenes`, expected `utc_offsets` or `max_lateness`"),
        ("max_lateness = \"36h\"", "max_lateness = \"36h\"\nmax_lateness = \"7d\"", "7:1: duplicate key"),
        ("from = 0, offset", "from = 0, ofset", "3:17: unknown key `ofset`, expected `from` or `offset`"),
        ("from = 0, ", "", "3:5: missing key `from`"),
        ("kind = \"points\"", "", "8:1: missing key `kind`"),
        (
            "expiry_months",
            "expiry",
            "12:1: unknown key `expiry`, expected one of `id`, `name`, `kind`, `expiry_months`",
        ),
        ("mode = \"stackable\"", "modus = \"stackable\"", "16:1: unknown key `modus`, expected `id` or `mode`"),
        (
            "name = \"a rule\"",
            "nam = \"a rule\"",
            "20:1: unknown key `nam`, expected one of `id`, `name`, `priority`, `group`, `when`, `starts_at`, `ends_at`, `window`, `scope`, `effect`, `limits`, `tags`, `excludes`, `holdout_bps`",
        ),
        ("name = \"a rule\"", "", "18:1: missing key `name`"),
        (
            "effect = { kind = \"ratio\", asset = 1, bps = 2000, min = 5, max = 100000 }",
            "",
            "18:1: missing key `effect`",
        ),
        ("kind = \"ratio\", ", "", "28:10: missing key `kind`"),
        ("asset = 1, bps", "bps", "28:10: effect \"ratio\" needs the key `asset`"),
        ("bps = 2000, ", "", "28:10: effect \"ratio\" needs the key `bps`"),
        (
            "kind = \"ratio\", asset = 1, bps = 2000, min = 5, max = 100000",
            "kind = \"fixed\", asset = 1",
            "28:10: effect \"fixed\" needs the key `amount`",
        ),
        (
            "min = 5",
            "minimum = 5",
            "28:51: unknown key `minimum`, expected one of `kind`, `asset`, `amount`, `bps`, `min`, `max`, `mode`, `steps`, `days`, `recurring`",
        ),
        ("min = 5", "amount = 5", "28:60: effect \"ratio\" has no key `amount`; expected kind, asset, bps, min, max"),
        (
            "kind = \"ratio\"",
            "kind = \"fixed\"",
            "28:45: effect \"fixed\" has no key `bps`; expected kind, asset, amount",
        ),
        (
            "user_amount",
            "users_amount",
            "29:12: unknown key `users_amount`, expected one of `user_amount`, `user_count`, `total_amount`, `total_count`, `on_limit`",
        ),
        (
            "holdout_bps = 0",
            "holdout_bps = 0\n[[rules]]",
            "33:3: unknown key `rules`, expected one of `platform`, `asset`, `group`, `rule`",
        ),
        ("[[asset]]", "[asset]", "8:1: expected [[asset]], twice in brackets"),
        ("[[rule]]", "[rule]", "18:1: expected [[rule]], twice in brackets"),
    ]);
}

#[test]
fn values_of_the_wrong_type_or_out_of_range_say_what_was_expected() {
    hold(&[
        ("max_lateness = \"36h\"", "max_lateness = 36", "6:16: invalid type: integer `36`, expected a text in quotes"),
        ("id = 7", "id = \"7\"", "19:6: invalid type: string \"7\", expected a whole number from 0 to 65535"),
        ("id = 7", "id = -7", "19:6: invalid value: integer `-7`, expected a whole number from 0 to 65535"),
        ("id = 7", "id = 65536", "19:6: invalid value: integer `65536`, expected a whole number from 0 to 65535"),
        ("id = 7", "id = 7.5", "19:6: invalid type: floating point `7.5`, expected a whole number from 0 to 65535"),
        (
            "id = 1\nname = \"coins\"",
            "id = 2\nname = \"coins\"",
            "9:6: assets are numbered 1, 2, 3 … in order, at most 8; expected 1 here",
        ),
        ("id = 1\nmode", "id = 0\nmode", "15:6: a group's id is 1 to 255"),
        ("id = 1\nmode", "id = 256\nmode", "15:6: a group's id is 1 to 255"),
        (
            "priority = 10",
            "priority = true",
            "21:12: invalid type: boolean `true`, expected a whole number from 0 to 65535",
        ),
        ("group = 1", "group = 256", "22:9: invalid value: integer `256`, expected a whole number from 0 to 255"),
        ("name = \"coins\"", "name = \"\"", "10:8: an asset's name has 1 to 16 bytes"),
        ("name = \"coins\"", "name = \"a name of 17 byte\"", "10:8: an asset's name has 1 to 16 bytes"),
        ("name = \"coins\"", "name = \"co\\u0000ins\"", "10:8: an asset's name has 1 to 16 bytes"),
        ("kind = \"points\"", "kind = \"money\"", "11:8: unknown asset kind \"money\"; expected \"points\""),
        ("name = \"a rule\"", "name = \"\"", "20:8: a rule's name has 1 to 32 bytes"),
        ("name = \"a rule\"", "name = \"首充返利百分之二十封顶\"", "20:8: a rule's name has 1 to 32 bytes"),
        (
            "when = [\"payment_number == 1\", ",
            "when = [1, ",
            "23:9: invalid type: integer `1`, expected a text in quotes",
        ),
        (
            "effect = { kind = \"ratio\", asset = 1, bps = 2000, min = 5, max = 100000 }",
            "effect = \"ratio\"",
            "28:10: invalid type: string \"ratio\", expected a table like { kind = \"fixed\", asset = 1, amount = 1000 }",
        ),
        (
            "kind = \"ratio\"",
            "kind = \"percent\"",
            "28:19: unknown effect \"percent\"; expected \"fixed\" or \"ratio\"",
        ),
        ("asset = 1, bps", "asset = 2, bps", "28:36: there is no [[asset]] 2 in this file; expected 1 to 1"),
        ("asset = 1, bps", "asset = 0, bps", "28:36: there is no [[asset]] 0 in this file; expected 1 to 1"),
        (
            "asset = 1, bps",
            "asset = 300, bps",
            "28:36: invalid value: integer `300`, expected a whole number from 0 to 255",
        ),
        (
            "bps = 2000",
            "bps = \"20%\"",
            "28:45: invalid type: string \"20%\", expected a whole number from 0 to 4294967295",
        ),
        (
            "bps = 2000",
            "bps = 4294967296",
            "28:45: invalid value: integer `4294967296`, expected a whole number from 0 to 4294967295",
        ),
        ("bps = 2000, min = 5", "bps = 0, min = 0", "28:45: a ratio of 0 without a min grants nothing"),
        ("min = 5", "min = 100001", "28:57: min is above max, which is 100000; 0 is no maximum"),
        (
            "max = 100000",
            "max = 18446744073709551616",
            "28:66: invalid type: integer `18446744073709551616`, expected a whole number from 0 to 18446744073709551615",
        ),
        (
            "max = 100000",
            "max = -1",
            "28:66: invalid value: integer `-1`, expected a whole number from 0 to 18446744073709551615",
        ),
        (
            "kind = \"ratio\", asset = 1, bps = 2000, min = 5, max = 100000",
            "kind = \"fixed\", asset = 1, amount = 0",
            "28:48: an amount of 0 grants nothing",
        ),
        (
            "on_limit = \"clip\"",
            "on_limit = \"cut\"",
            "29:91: unknown on_limit \"cut\"; expected \"clip\" or \"reject\"",
        ),
        ("window = \"lifetime\"", "window = \"year\"", "26:10: unknown window \"year\"; expected \"lifetime\""),
        ("scope = \"user\"", "scope = \"users\"", "27:9: unknown scope \"users\"; expected \"user\""),
        ("mode = \"stackable\"", "mode = \"last\"", "16:8: unknown group mode \"last\"; expected \"stackable\""),
        ("tags = []", "tags = 1", "30:8: invalid type: integer `1`, expected a list, like [ … ]"),
        (
            "limits = { user_amount = 0",
            "limits = { user_amount = \"0\"",
            "29:26: invalid type: string \"0\", expected a whole number from 0 to 18446744073709551615",
        ),
    ]);
}

#[test]
fn dates_offsets_and_spans_are_told_apart_from_what_is_none() {
    hold(&[
        (
            "\"2026-10-01T00:00:00+08:00\"",
            "\"2026-10-01\"",
            "24:13: \"2026-10-01\" is no date and time; expected one like \"2026-10-01T00:00:00+08:00\"",
        ),
        (
            "\"2026-10-01T00:00:00+08:00\"",
            "\"2026-02-29T00:00:00+08:00\"",
            "24:13: \"2026-02-29T00:00:00+08:00\" is no date and time; expected one like \"2026-10-01T00:00:00+08:00\"",
        ),
        (
            "\"2026-10-01T00:00:00+08:00\"",
            "2026-10-01T00:00:00+08:00",
            "24:13: expected a date and time in quotes, like \"2026-10-01T00:00:00+08:00\"",
        ),
        (
            "\"2026-10-01T00:00:00+08:00\"",
            "1790784000",
            "24:13: expected a date and time in quotes, like \"2026-10-01T00:00:00+08:00\"",
        ),
        ("\"2026-11-01T00:00:00+08:00\"", "\"2026-10-01T00:00:00+08:00\"", "25:11: ends_at must be after starts_at"),
        ("\"2026-11-01T00:00:00+08:00\"", "\"2026-09-01T00:00:00+08:00\"", "25:11: ends_at must be after starts_at"),
        (
            "\"2026-11-01T00:00:00+08:00\"",
            "\"1970-01-01T00:00:00Z\"",
            "25:11: 1970-01-01T00:00:00Z cannot be said; leave the key out for open",
        ),
        (
            "\"2027-01-01T00:00:00Z\"",
            "\"tomorrow\"",
            "4:14: \"tomorrow\" is no date and time; expected one like \"2026-10-01T00:00:00+08:00\"",
        ),
        (
            "\"2027-01-01T00:00:00Z\"",
            "2027-01-01T00:00:00Z",
            "4:14: expected Unix seconds or a date and time like \"2026-10-01T00:00:00+08:00\"",
        ),
        ("\"2027-01-01T00:00:00Z\"", "0", "4:14: utc_offsets must ascend by `from`"),
        ("\"2027-01-01T00:00:00Z\"", "\"1969-01-01T00:00:00Z\"", "4:14: utc_offsets must ascend by `from`"),
        ("\"+08:00\"", "\"8\"", "3:26: \"8\" is no UTC offset; expected one like \"+08:00\""),
        ("\"+08:00\"", "\"+08:60\"", "3:26: \"+08:60\" is no UTC offset; expected one like \"+08:00\""),
        ("\"+08:00\"", "\"++8:00\"", "3:26: \"++8:00\" is no UTC offset; expected one like \"+08:00\""),
        ("\"+08:00\"", "\"+14:01\"", "3:26: an offset is between -14:00 and +14:00"),
        ("\"-03:30\"", "\"-14:01\"", "4:47: an offset is between -14:00 and +14:00"),
        ("\"-03:30\"", "\"-99:59\"", "4:47: an offset is between -14:00 and +14:00"),
        (
            "\"36h\"",
            "\"36\"",
            "6:16: \"36\" is no span of a second or more; expected one like \"7d\", \"36h\", \"90m\"",
        ),
        (
            "\"36h\"",
            "\"0h\"",
            "6:16: \"0h\" is no span of a second or more; expected one like \"7d\", \"36h\", \"90m\"",
        ),
        ("\"36h\"", "\"h\"", "6:16: \"h\" is no span of a second or more; expected one like \"7d\", \"36h\", \"90m\""),
        (
            "\"36h\"",
            "\"+6h\"",
            "6:16: \"+6h\" is no span of a second or more; expected one like \"7d\", \"36h\", \"90m\"",
        ),
        (
            "\"36h\"",
            "\"1d12h\"",
            "6:16: \"1d12h\" is no span of a second or more; expected one like \"7d\", \"36h\", \"90m\"",
        ),
        (
            "\"36h\"",
            "\"49711d\"",
            "6:16: \"49711d\" is no span of a second or more; expected one like \"7d\", \"36h\", \"90m\"",
        ),
    ]);
    assert!(RuleFile::parse("rules.toml", &SOUND.replace("36h", "49710d")).is_ok(), "the longest span there is");
    assert!(RuleFile::parse("rules.toml", &SOUND.replace("+08:00\" }", "+14:00\" }")).is_ok(), "the widest offset");
}

#[test]
fn a_broken_condition_is_told_with_the_column_within_it() {
    hold(&[
        ("payment_number == 1", "", "23:9: expected a field: amount, product, weekday, payment_number"),
        (
            "payment_number == 1",
            "paymentnumber == 1",
            "23:10: unknown field \"paymentnumber\"; expected amount, product, weekday, payment_number",
        ),
        ("payment_number == 1", "payment_number", "23:24: expected ==, !=, <, <=, >, >=, or `in`"),
        (
            "payment_number == 1",
            "payment_number = 1",
            "23:25: unknown operator \"=\"; expected ==, !=, <, <=, >, >=, or `in`",
        ),
        (
            "payment_number == 1",
            "payment_number =< 1",
            "23:25: unknown operator \"=\"; expected ==, !=, <, <=, >, >=, or `in`",
        ),
        ("payment_number == 1", "payment_number == ", "23:28: expected a whole number"),
        ("payment_number == 1", "payment_number == one", "23:28: expected a whole number"),
        ("payment_number == 1", "payment_number == -1", "23:28: expected a whole number"),
        (
            "payment_number == 1",
            "payment_number == 1 and",
            "23:30: expected `or` or the end; what must hold as well is another text of the list",
        ),
        (
            "payment_number == 1",
            "payment_number == 1 or",
            "23:32: expected a field: amount, product, weekday, payment_number",
        ),
        (
            "payment_number == 1",
            "payment_number == 1 2",
            "23:30: expected `or` or the end; what must hold as well is another text of the list",
        ),
        (
            "payment_number == 1",
            "not not payment_number == 1",
            "23:14: unknown field \"not\"; expected amount, product, weekday, payment_number",
        ),
        ("payment_number == 1", "payment_number == 18446744073709551616", "23:28: the number is above 2^64 - 1"),
        (
            "payment_number == 1",
            "payment_number in [1]",
            "23:25: `in` is for weekday; write `x == 1 or x == 2` instead",
        ),
        (
            "payment_number == 1",
            "1 == payment_number",
            "23:10: expected a field: amount, product, weekday, payment_number",
        ),
        ("payment_number == 1", "客户 == 1", "23:10: expected a field: amount, product, weekday, payment_number"),
        ("product == 1 or not", "product == 65536 or not", "23:44: a product is at most 65535"),
        ("weekday in [6, 7]", "weekday == 0", "23:80: a weekday is 1 (Monday) to 7 (Sunday)"),
        ("weekday in [6, 7]", "weekday in [6, 8]", "23:84: a weekday is 1 (Monday) to 7 (Sunday)"),
        ("weekday in [6, 7]", "weekday in []", "23:81: expected a whole number"),
        ("weekday in [6, 7]", "weekday in 6", "23:80: expected a list like [6, 7]"),
        ("weekday in [6, 7]", "weekday in [6 7]", "23:83: expected `,` or `]`"),
        ("weekday in [6, 7]", "weekday in [6, 7", "23:85: expected `,` or `]`"),
        ("weekday in [6, 7]", "weekday any 5", "23:77: expected ==, !=, <, <=, >, >=, or `in`"),
        // What comes behind letters of more than one byte: columns are letters.
        (
            "\"payment_number == 1\", \"product",
            "\"amount > 0\", '客户', \"product",
            "23:24: expected a field: amount, product, weekday, payment_number",
        ),
        // A text with escapes stands nowhere in the file as it is; the whole of it is named.
        (
            "\"payment_number == 1\"",
            "\"payment\\u005fnumber =\"",
            "23:9: unknown operator \"=\"; expected ==, !=, <, <=, >, >=, or `in`",
        ),
        (
            "\"payment_number == 1\"",
            "\"\"\"\n  payment_number = 1\"\"\"",
            "24:18: unknown operator \"=\"; expected ==, !=, <, <=, >, >=, or `in`",
        ),
        (
            "\"payment_number == 1\", ",
            "\"amount == 1 or amount == 2 or amount == 3 or amount == 4 or amount == 5 or amount == 6\", \
             \"amount == 1 or amount == 2 or amount == 3 or amount == 4\", ",
            "23:196: a condition has at most 12 predicates",
        ),
    ]);
}

#[test]
fn what_this_version_does_not_support_is_refused_rather_than_ignored() {
    let ratio = "{ kind = \"ratio\", asset = 1, bps = 2000, min = 5, max = 100000 }";
    hold(&[
        (
            "window = \"lifetime\"",
            "window = \"day\"",
            "26:10: window \"day\" is not supported by this version of the program; use \"lifetime\"",
        ),
        (
            "scope = \"user\"",
            "scope = \"user_streamer\"",
            "27:9: scope \"user_streamer\" is not supported by this version of the program; use \"user\"",
        ),
        (
            "user_amount = 0",
            "user_amount = 5",
            "29:26: a limit is not supported by this version of the program; use 0 for no limit, or a condition on payment_number",
        ),
        (
            "user_count = 0",
            "user_count = 1",
            "29:42: a limit is not supported by this version of the program; use 0 for no limit, or a condition on payment_number",
        ),
        (
            "total_amount = 0",
            "total_amount = 1",
            "29:60: a limit is not supported by this version of the program; use 0 for no limit, or a condition on payment_number",
        ),
        (
            "total_count = 0",
            "total_count = 1",
            "29:77: a limit is not supported by this version of the program; use 0 for no limit, or a condition on payment_number",
        ),
        ("tags = []", "tags = [1]", "30:8: a rule with tags is not supported by this version of the program; use []"),
        (
            "excludes = []",
            "excludes = [1, 2]",
            "31:12: a rule with excludes is not supported by this version of the program; use []",
        ),
        (
            "holdout_bps = 0",
            "holdout_bps = 500",
            "32:15: a holdout is not supported by this version of the program; use holdout_bps = 0",
        ),
        (
            "expiry_months = 0",
            "expiry_months = 12",
            "12:17: an asset that expires is not supported by this version of the program; use expiry_months = 0",
        ),
        (
            "kind = \"points\"",
            "kind = \"token\"",
            "11:8: asset kind \"token\" is not supported by this version of the program; use \"points\"",
        ),
        (
            "kind = \"points\"",
            "kind = \"voucher\"",
            "11:8: asset kind \"voucher\" is not supported by this version of the program; use \"points\"",
        ),
        (
            "mode = \"stackable\"",
            "mode = \"first\"",
            "16:8: group mode \"first\" is not supported by this version of the program; use \"stackable\"",
        ),
        (
            ratio,
            "{ kind = \"tiers\", asset = 1, mode = \"slab\", steps = [[1000, 5], [5000, 10]] }",
            "28:19: effect \"tiers\" is not supported by this version of the program; use \"fixed\" or \"ratio\"",
        ),
        (
            ratio,
            "{ kind = \"streak\", asset = 1, days = 7, amount = 100, recurring = true }",
            "28:19: effect \"streak\" is not supported by this version of the program; use \"fixed\" or \"ratio\"",
        ),
        (
            ratio,
            "{ kind = \"multiplier\", asset = 1, bps = 20000 }",
            "28:19: effect \"multiplier\" is not supported by this version of the program; use \"fixed\" or \"ratio\"",
        ),
        (
            "payment_number == 1",
            "hour in [20, 21]",
            "23:10: a condition on hour is not supported by this version of the program; use amount, product, weekday, payment_number",
        ),
        (
            "payment_number == 1",
            "segments any 5",
            "23:10: a condition on segments is not supported by this version of the program; use amount, product, weekday, payment_number",
        ),
        (
            "payment_number == 1",
            "streamer == 's9'",
            "23:10: a condition on streamer is not supported by this version of the program; use amount, product, weekday, payment_number",
        ),
        (
            "payment_number == 1",
            "spend >= 1000",
            "23:10: a condition on spend is not supported by this version of the program; use amount, product, weekday, payment_number",
        ),
    ]);
}

#[test]
fn a_rule_can_have_twelve_predicates() {
    let twelve: Vec<_> = (0..12).map(|at| format!("\"amount != {at}\"")).collect();
    let text = SOUND.replace(
        "\"payment_number == 1\", \"product == 1 or not product != 2\", \"weekday in [6, 7]\"",
        &twelve.join(", "),
    );
    let file = RuleFile::parse("rules.toml", &text).unwrap();
    assert_eq!(file.rules[0].condition.len(), 12);
    assert_eq!(file.rules[0].condition[11], predicate(11, false, Field::Amount, Operator::Ne, 11));
}

#[test]
fn rules_and_assets_are_told_apart_by_their_numbers() {
    let again = &SOUND[SOUND.find("[[rule]]").unwrap()..];
    assert_eq!(message(&format!("{SOUND}{again}")), "34:6: rule 7 is there twice; give each its own id");

    let assets = |count: usize| {
        let assets: String =
            (2..=count).map(|id| format!("[[asset]]\nid = {id}\nname = \"x\"\nkind = \"points\"\n")).collect();
        format!("{SOUND}{assets}")
    };
    assert_eq!(RuleFile::parse("rules.toml", &assets(8)).unwrap().assets.len(), 8);
    assert_eq!(message(&assets(9)), "62:6: assets are numbered 1, 2, 3 … in order, at most 8; expected 9 here");
    let none = "platform = { max_lateness = \"1d\" }\n";
    assert_eq!(message(none), "1:1: there is no [[asset]]; a platform has at least one thing to grant");
}

#[test]
fn a_table_of_offsets_has_at_most_sixteen_rows() {
    let rows = |count: i64| {
        let rows: String = (0..count).map(|from| format!("    {{ from = {from}, offset = \"+01:00\" }},\n")).collect();
        format!(
            "[platform]\nmax_lateness = \"1d\"\nutc_offsets = [\n{rows}]\n[[asset]]\nid = 1\nname = \"x\"\nkind = \"points\"\n"
        )
    };
    assert_eq!(RuleFile::parse("rules.toml", &rows(16)).unwrap().offsets.len(), 16);
    assert_eq!(message(&rows(17)), "20:14: utc_offsets has at most 16 rows");
}

#[test]
fn a_file_that_cannot_be_read_as_text_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.toml");
    let error = RuleFile::read(&missing).unwrap_err();
    let expected = format!("cannot read the rule file {}: No such file or directory (os error 2)", missing.display());
    assert_eq!(error.to_string(), expected);

    let latin = folder.path().join("latin.toml");
    fs::write(&latin, b"[platform]\n# caf\xe9\n").unwrap();
    let error = RuleFile::read(&latin).unwrap_err();
    assert!(matches!(error, RuleFileError::Wrong { line: 2, column: 6, .. }), "{error}");
    assert!(error.to_string().ends_with("this is no UTF-8; save the file as UTF-8"), "{error}");
}

#[test]
fn a_file_saved_with_windows_line_ends_or_a_byte_order_mark_is_read_alike() {
    let sound = RuleFile::parse("rules.toml", SOUND).unwrap();
    assert_eq!(RuleFile::parse("rules.toml", &SOUND.replace('\n', "\r\n")).unwrap(), sound);
    assert_eq!(RuleFile::parse("rules.toml", &format!("\u{feff}{SOUND}")).unwrap(), sound);
}
