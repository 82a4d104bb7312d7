//! Rule files: what a sound one comes to, and where and how each broken one is told to be broken.

use rebate_client::{
    Pubkey,
    event::{AssetEntry, EffectEntry, LimitsEntry, OffsetEntry, PredicateEntry, RuleDefinition, StepEntry},
    platform_id,
};
use rebate_core::rule::{Field, Operator};
use rebate_rulefile::{RuleFile, RuleFileError};
use std::{fs, path::Path, str::FromStr};

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/rules.toml");

fn asset(name: &str, kind: u8, expiry_months: u8, mint: [u8; 32]) -> AssetEntry {
    let mut padded = [0; 16];
    padded[..name.len()].copy_from_slice(name.as_bytes());
    AssetEntry { name: padded, kind, expiry_months, mint }
}

fn coins() -> AssetEntry {
    asset("coins", 1, 0, [0; 32])
}

/// A rule that always grants `effect`, with everything else left out.
fn plain(id: u16, name: &str, effect: EffectEntry) -> RuleDefinition {
    RuleDefinition {
        id,
        version: 1,
        name: name.to_owned(),
        priority: 0,
        starts_at: 0,
        ends_at: 0,
        group: 0,
        group_mode: 1,
        tags: 0,
        excludes: 0,
        condition: Vec::new(),
        window: 4,
        scope: 1,
        effect,
        limits: LimitsEntry::none(),
        holdout_bps: 0,
    }
}

fn predicate(clause: u8, negated: bool, field: Field, operator: Operator, value: u64) -> PredicateEntry {
    PredicateEntry { clause, negated, field: field as u8, operator: operator as u8, value }
}

#[test]
fn the_rules_of_the_demonstration_and_of_the_benchmark_are_sound() {
    let demo = RuleFile::read(Path::new(DEMO)).unwrap();
    assert!(demo.rules.len() >= 2, "{demo:?}");
    let bench = concat!(env!("CARGO_MANIFEST_DIR"), "/../cli/src/bench/simulate.toml");
    assert_eq!(RuleFile::read(Path::new(bench)).unwrap().rules.len(), 8);
}

/// A sound file in which every key of the specification stands.
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
        priority: 10,
        group: 1,
        starts_at: 1_790_784_000,
        ends_at: 1_793_462_400,
        condition: vec![
            predicate(0, false, Field::PaymentNumber, Operator::Eq, 1),
            predicate(1, false, Field::Product, Operator::Eq, 1),
            predicate(1, true, Field::Product, Operator::Ne, 2),
            predicate(2, false, Field::Weekday, Operator::Any, 0b1100_0000),
        ],
        ..plain(7, "a rule", EffectEntry::Ratio { asset: 1, bps: 2_000, min: 5, max: 100_000 })
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
    let expected = [
        plain(1, "x", EffectEntry::Ratio { asset: 2, bps: 1, min: 0, max: 0 }),
        plain(65_535, "y", EffectEntry::Fixed { asset: 1, amount: u64::MAX }),
    ];
    assert_eq!(file.rules, expected);
}

/// [`SOUND`] with every pair of texts replaced.
fn with(replaced: &[(&str, &str)]) -> RuleFile {
    let text = replaced.iter().fold(SOUND.to_owned(), |text, (old, new)| {
        assert_eq!(text.matches(old).count(), 1, "{old:?} stands once");
        text.replace(old, new)
    });
    RuleFile::parse("rules.toml", &text).unwrap_or_else(|error| panic!("{error}"))
}

const RATIO: &str = "{ kind = \"ratio\", asset = 1, bps = 2000, min = 5, max = 100000 }";
const CONDITION: &str = "\"payment_number == 1\", \"product == 1 or not product != 2\", \"weekday in [6, 7]\"";

#[test]
fn every_effect_is_read_with_all_its_keys() {
    let step = |threshold, value| StepEntry { threshold, value };
    for (text, expected) in [
        ("{ kind = \"fixed\", asset = 1, amount = 7 }", EffectEntry::Fixed { asset: 1, amount: 7 }),
        ("{ kind = \"ratio\", asset = 1, bps = 0, min = 1 }", EffectEntry::Ratio { asset: 1, bps: 0, min: 1, max: 0 }),
        (
            "{ kind = \"tiers\", asset = 1, mode = \"fixed\", steps = [[0, 18446744073709551615]] }",
            EffectEntry::Tiers { asset: 1, mode: 1, steps: vec![step(0, u64::MAX)] },
        ),
        (
            "{ kind = \"tiers\", asset = 1, mode = \"slab\", steps = [[1000, 0], [5000, 4294967295]] }",
            EffectEntry::Tiers { asset: 1, mode: 2, steps: vec![step(1_000, 0), step(5_000, 4_294_967_295)] },
        ),
        (
            "{ kind = \"tiers\", asset = 1, mode = \"marginal\", steps = [[1, 1], [2, 2], [3, 3], [4, 4], [5, 5], [6, 6], [7, 7], [8, 8]] }",
            EffectEntry::Tiers { asset: 1, mode: 3, steps: (1..=8).map(|at| step(at, at)).collect() },
        ),
        (
            "{ kind = \"streak\", asset = 1, days = 7, amount = 100, recurring = true }",
            EffectEntry::Streak { asset: 1, days: 7, amount: 100, recurring: true },
        ),
        (
            "{ kind = \"streak\", asset = 1, days = 1, amount = 1 }",
            EffectEntry::Streak { asset: 1, days: 1, amount: 1, recurring: false },
        ),
        ("{ kind = \"multiplier\", asset = 1, bps = 10001 }", EffectEntry::Multiplier { asset: 1, bps: 10_001 }),
    ] {
        assert_eq!(with(&[(RATIO, text)]).rules[0].effect, expected, "{text}");
    }
}

#[test]
fn every_field_is_read_with_every_operator_it_has() {
    let signs = [("==", 1), ("!=", 2), ("<", 3), ("<=", 4), (">", 5), (">=", 6)];
    for field in Field::ALL {
        let value = match field {
            Field::Weekday => 7,
            Field::Hour => 23,
            Field::Date => 20_261_003,
            Field::Product => 65_535,
            Field::Tier => 255,
            Field::Segments => 4_294_967_295,
            _ => u64::MAX,
        };
        for (sign, operator) in signs {
            for (not, negated) in [("", false), ("not ", true)] {
                let text = format!("\"{not}{} {sign} {value}\"", field.name());
                let found = with(&[(CONDITION, &text)]).rules[0].condition.clone();
                let expected = PredicateEntry { clause: 0, negated, field: field as u8, operator, value };
                assert_eq!(found, [expected], "{text}");
            }
        }
    }
    for (text, field, value) in [
        ("weekday in [1]", Field::Weekday, 0b10),
        ("weekday in [1, 7]", Field::Weekday, 0b1000_0010),
        ("hour in [0,23]", Field::Hour, 1 << 23 | 1),
        ("segments any 5", Field::Segments, 5),
    ] {
        let found = with(&[(CONDITION, &format!("'not {text}'"))]).rules[0].condition.clone();
        assert_eq!(found, [predicate(0, true, field, Operator::Any, value)], "{text}");
    }
}

#[test]
fn a_streamer_and_a_session_are_named_by_platform_id_or_by_number() {
    let s9 = platform_id::number("s9");
    let odd = "a 'b\u{20ac} or 1";
    for (text, expected) in [
        ("'streamer == \"s9\"'", [(Field::Streamer, Operator::Eq, s9)].as_slice()),
        ("\"streamer == 's9'\"", &[(Field::Streamer, Operator::Eq, s9)]),
        ("\"streamer == \\\"s9\\\"\"", &[(Field::Streamer, Operator::Eq, s9)]),
        ("\"session != 's9'\"", &[(Field::Session, Operator::Ne, s9)]),
        ("\"streamer != ''\"", &[(Field::Streamer, Operator::Ne, 0)]),
        (
            "\"streamer == 5 or session == 's9'\"",
            &[(Field::Streamer, Operator::Eq, 5), (Field::Session, Operator::Eq, s9)],
        ),
        ("\"\"\"streamer == \"a 'b\u{20ac} or 1\"\"\"\"", &[(Field::Streamer, Operator::Eq, platform_id::number(odd))]),
    ] {
        let found = with(&[(CONDITION, text)]).rules[0].condition.clone();
        let expected: Vec<_> =
            expected.iter().map(|(field, operator, value)| predicate(0, false, *field, *operator, *value)).collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn windows_scopes_limits_tags_and_the_control_group_are_read() {
    for (at, name) in (1..).zip(["day", "week", "month", "lifetime", "schedule"]) {
        let rule = &with(&[("window = \"lifetime\"", &format!("window = {name:?}"))]).rules[0];
        assert_eq!(rule.window, at, "{name}");
    }
    for (at, name) in (1..).zip(["user", "user_streamer", "user_session"]) {
        let rule = &with(&[("scope = \"user\"", &format!("scope = {name:?}"))]).rules[0];
        assert_eq!(rule.scope, at, "{name}");
    }
    for (at, name) in (1..).zip(["stackable", "first", "best"]) {
        let rule = &with(&[("mode = \"stackable\"", &format!("mode = {name:?}"))]).rules[0];
        assert_eq!((rule.group, rule.group_mode), (1, at), "{name}");
    }
    let rule = &with(&[
        ("user_amount = 0", "user_amount = 1"),
        ("user_count = 0", "user_count = 2"),
        ("total_amount = 0", "total_amount = 3"),
        ("total_count = 0", "total_count = 4"),
        ("on_limit = \"clip\"", "on_limit = \"reject\""),
        ("tags = []", "tags = [0, 31, 31]"),
        ("excludes = []", "excludes = [1]"),
        ("holdout_bps = 0", "holdout_bps = 10000"),
    ])
    .rules[0];
    let limits = LimitsEntry { user_amount: 1, user_count: 2, total_amount: 3, total_count: 4, on_limit: 2 };
    assert_eq!((rule.limits, rule.tags, rule.excludes, rule.holdout_bps), (limits, 1 << 31 | 1, 2, 10_000));
}

#[test]
fn rules_without_a_group_are_in_group_0_which_can_be_listed_too() {
    let rule = &with(&[("id = 1\nmode = \"stackable\"", "id = 0\nmode = \"best\""), ("group = 1\n", "")]).rules[0];
    assert_eq!((rule.group, rule.group_mode), (0, 3));
    let rule = &with(&[("group = 1\n", "group = 255\n")]).rules[0];
    assert_eq!((rule.group, rule.group_mode), (255, 1), "a group that is not listed is stackable");
}

#[test]
fn an_asset_is_points_a_token_or_a_voucher_and_may_expire() {
    let mint = "So11111111111111111111111111111111111111112";
    let file = with(&[(
        "[[group]]",
        &format!(
            "[[asset]]\nid = 2\nname = \"SOL\"\nkind = \"token\"\nmint = {mint:?}\n\
             [[asset]]\nid = 3\nname = \"券\"\nkind = \"voucher\"\nexpiry_months = 24\n\
             [[asset]]\nid = 4\nname = \"later\"\nkind = \"token\"\n[[group]]"
        ),
    )]);
    let expected = [
        coins(),
        asset("SOL", 2, 0, Pubkey::from_str(mint).unwrap().to_bytes()),
        asset("券", 3, 24, [0; 32]),
        asset("later", 2, 0, [0; 32]),
    ];
    assert_eq!(file.assets, expected);
}

#[test]
fn moments_may_stand_without_quotes_as_toml_has_them() {
    let sound = RuleFile::parse("rules.toml", SOUND).unwrap();
    let unquoted = with(&[
        ("\"2026-10-01T00:00:00+08:00\"", "2026-10-01T00:00:00+08:00"),
        ("\"2026-11-01T00:00:00+08:00\"", "2026-10-31 16:00:00Z"),
        ("\"2027-01-01T00:00:00Z\"", "2027-01-01T00:00:00Z"),
    ]);
    assert_eq!(unquoted, sound);
}

/// The message about [`SOUND`] with `old` replaced by `new`, without the file's name.
fn broken(old: &str, new: &str) -> String {
    assert_eq!(SOUND.matches(old).count(), 1, "{old:?} stands once in the sound file");
    message(&SOUND.replace(old, new))
}

fn message(text: &str) -> String {
    let error = match RuleFile::parse("rules.toml", text) {
        Err(error) => error,
        Ok(_) => return "sound".to_owned(),
    };
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
            "12:1: unknown key `expiry`, expected one of `id`, `name`, `kind`, `expiry_months`, `mint`",
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
        ("id = 1\nmode", "id = 256\nmode", "15:6: a group's id is 0 to 255; rules without one are in group 0"),
        (
            "priority = 10",
            "priority = true",
            "21:12: invalid type: boolean `true`, expected a whole number from 0 to 65535",
        ),
        ("group = 1", "group = 256", "22:9: invalid value: integer `256`, expected a whole number from 0 to 255"),
        ("name = \"coins\"", "name = \"\"", "10:8: an asset's name has 1 to 16 bytes"),
        ("name = \"coins\"", "name = \"a name of 17 byte\"", "10:8: an asset's name has 1 to 16 bytes"),
        ("name = \"coins\"", "name = \"co\\u0000ins\"", "10:8: an asset's name has 1 to 16 bytes"),
        (
            "kind = \"points\"",
            "kind = \"money\"",
            "11:8: unknown asset kind \"money\"; expected \"points\", \"token\" or \"voucher\"",
        ),
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
            "28:19: unknown effect \"percent\"; expected \"fixed\", \"ratio\", \"tiers\", \"streak\" or \"multiplier\"",
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
        (
            "window = \"lifetime\"",
            "window = \"year\"",
            "26:10: unknown window \"year\"; expected \"day\", \"week\", \"month\", \"lifetime\" or \"schedule\"",
        ),
        (
            "scope = \"user\"",
            "scope = \"users\"",
            "27:9: unknown scope \"users\"; expected \"user\", \"user_streamer\" or \"user_session\"",
        ),
        (
            "mode = \"stackable\"",
            "mode = \"last\"",
            "16:8: unknown group mode \"last\"; expected \"stackable\", \"first\" or \"best\"",
        ),
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
            "2026-10-01T00:00:00",
            "24:13: 2026-10-01T00:00:00 has no UTC offset; expected a moment like \"2026-10-01T00:00:00+08:00\"",
        ),
        (
            "\"2026-10-01T00:00:00+08:00\"",
            "2026-10-01",
            "24:13: 2026-10-01 has no UTC offset; expected a moment like \"2026-10-01T00:00:00+08:00\"",
        ),
        (
            "\"2027-01-01T00:00:00Z\"",
            "2027-01-01T00:00:00",
            "4:14: 2027-01-01T00:00:00 has no UTC offset; expected a moment like \"2026-10-01T00:00:00+08:00\"",
        ),
        (
            "\"2026-10-01T00:00:00+08:00\"",
            "1790784000",
            "24:13: expected a date and time like \"2026-10-01T00:00:00+08:00\"",
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
        ("\"2027-01-01T00:00:00Z\"", "0", "4:14: utc_offsets must ascend by `from`"),
        ("\"2027-01-01T00:00:00Z\"", "\"1969-01-01T00:00:00Z\"", "4:14: utc_offsets must ascend by `from`"),
        ("\"+08:00\"", "\"8\"", "3:26: \"8\" is no UTC offset; expected one like \"+08:00\""),
        ("\"+08:00\"", "\"+08:60\"", "3:26: \"+08:60\" is no UTC offset; expected one like \"+08:00\""),
        ("\"+08:00\"", "\"++8:00\"", "3:26: \"++8:00\" is no UTC offset; expected one like \"+08:00\""),
        ("\"+08:00\"", "\"+14:01\"", "3:26: an offset is between -14:00 and +14:00"),
        ("\"-03:30\"", "\"-14:01\"", "4:47: an offset is between -14:00 and +14:00"),
        ("\"-03:30\"", "\"-99:59\"", "4:47: an offset is between -14:00 and +14:00"),
        ("\"36h\"", "\"36\"", "6:16: \"36\" is no span from 1s to 366d; expected one like \"7d\", \"36h\", \"90m\""),
        ("\"36h\"", "\"0h\"", "6:16: \"0h\" is no span from 1s to 366d; expected one like \"7d\", \"36h\", \"90m\""),
        ("\"36h\"", "\"h\"", "6:16: \"h\" is no span from 1s to 366d; expected one like \"7d\", \"36h\", \"90m\""),
        ("\"36h\"", "\"+6h\"", "6:16: \"+6h\" is no span from 1s to 366d; expected one like \"7d\", \"36h\", \"90m\""),
        (
            "\"36h\"",
            "\"1d12h\"",
            "6:16: \"1d12h\" is no span from 1s to 366d; expected one like \"7d\", \"36h\", \"90m\"",
        ),
        (
            "\"36h\"",
            "\"367d\"",
            "6:16: \"367d\" is no span from 1s to 366d; expected one like \"7d\", \"36h\", \"90m\"",
        ),
        (
            "\"36h\"",
            "\"31622401s\"",
            "6:16: \"31622401s\" is no span from 1s to 366d; expected one like \"7d\", \"36h\", \"90m\"",
        ),
        (
            "\"36h\"",
            "\"49711d\"",
            "6:16: \"49711d\" is no span from 1s to 366d; expected one like \"7d\", \"36h\", \"90m\"",
        ),
        (
            "\"36h\"",
            "\"99999999999999999999s\"",
            "6:16: \"99999999999999999999s\" is no span from 1s to 366d; expected one like \"7d\", \"36h\", \"90m\"",
        ),
    ]);
    assert!(RuleFile::parse("rules.toml", &SOUND.replace("36h", "366d")).is_ok(), "as long as a platform takes");
    assert!(RuleFile::parse("rules.toml", &SOUND.replace("+08:00\" }", "+14:00\" }")).is_ok(), "the widest offset");
}

#[test]
fn a_broken_condition_is_told_with_the_column_within_it() {
    hold(&[
        (
            "payment_number == 1",
            "",
            "23:9: expected a field: amount, product, weekday, payment_number, hour, date, spend, payments, streak_days, tier, segments, streamer, session",
        ),
        (
            "payment_number == 1",
            "paymentnumber == 1",
            "23:10: unknown field \"paymentnumber\"; expected amount, product, weekday, payment_number, hour, date, spend, payments, streak_days, tier, segments, streamer, session",
        ),
        ("payment_number == 1", "payment_number", "23:24: expected ==, !=, <, <=, >, >=, `in` or `any`"),
        (
            "payment_number == 1",
            "payment_number = 1",
            "23:25: unknown operator \"=\"; expected ==, !=, <, <=, >, >=, `in` or `any`",
        ),
        (
            "payment_number == 1",
            "payment_number =< 1",
            "23:25: unknown operator \"=\"; expected ==, !=, <, <=, >, >=, `in` or `any`",
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
            "23:32: expected a field: amount, product, weekday, payment_number, hour, date, spend, payments, streak_days, tier, segments, streamer, session",
        ),
        (
            "payment_number == 1",
            "payment_number == 1 2",
            "23:30: expected `or` or the end; what must hold as well is another text of the list",
        ),
        (
            "payment_number == 1",
            "not not payment_number == 1",
            "23:14: unknown field \"not\"; expected amount, product, weekday, payment_number, hour, date, spend, payments, streak_days, tier, segments, streamer, session",
        ),
        ("payment_number == 1", "payment_number == 18446744073709551616", "23:28: the number is above 2^64 - 1"),
        (
            "payment_number == 1",
            "payment_number in [1]",
            "23:25: `in` is for weekday and hour; write `x == 1 or x == 2` instead",
        ),
        (
            "payment_number == 1",
            "1 == payment_number",
            "23:10: expected a field: amount, product, weekday, payment_number, hour, date, spend, payments, streak_days, tier, segments, streamer, session",
        ),
        (
            "payment_number == 1",
            "客户 == 1",
            "23:10: expected a field: amount, product, weekday, payment_number, hour, date, spend, payments, streak_days, tier, segments, streamer, session",
        ),
        ("product == 1 or not", "product == 65536 or not", "23:44: a product is at most 65535"),
        ("weekday in [6, 7]", "weekday == 0", "23:80: a weekday is 1 (Monday) to 7 (Sunday)"),
        ("weekday in [6, 7]", "weekday in [6, 8]", "23:84: a weekday is 1 (Monday) to 7 (Sunday)"),
        ("weekday in [6, 7]", "weekday in []", "23:81: expected a whole number"),
        ("weekday in [6, 7]", "weekday in 6", "23:80: expected a list like [6, 7]"),
        ("weekday in [6, 7]", "weekday in [6 7]", "23:83: expected `,` or `]`"),
        ("weekday in [6, 7]", "weekday in [6, 7", "23:85: expected `,` or `]`"),
        ("weekday in [6, 7]", "weekday any 5", "23:77: `any` is for segments; for weekday and hour write `in [6, 7]`"),
        (
            "weekday in [6, 7]",
            "weekday any 192",
            "23:77: `any` is for segments; for weekday and hour write `in [6, 7]`",
        ),
        ("weekday in [6, 7]", "hour in [24]", "23:78: an hour is 0 to 23"),
        ("weekday in [6, 7]", "hour == 24", "23:77: an hour is 0 to 23"),
        ("weekday in [6, 7]", "date == 20261301", "23:77: a date is a number like 20261003"),
        ("weekday in [6, 7]", "date >= 2026", "23:77: a date is a number like 20261003"),
        ("weekday in [6, 7]", "tier >= 256", "23:77: a tier is at most 255"),
        ("weekday in [6, 7]", "segments any 0", "23:82: no segment is in 0; expected a bit set from 1 to 4294967295"),
        ("weekday in [6, 7]", "segments any 4294967296", "23:82: segments are a bit set of at most 4294967295"),
        ("weekday in [6, 7]", "segments any [1]", "23:82: expected a whole number"),
        ("weekday in [6, 7]", "segments == 4294967296", "23:81: segments are a bit set of at most 4294967295"),
        ("weekday in [6, 7]", "streamer == s9", "23:81: expected a whole number"),
        ("weekday in [6, 7]", "streamer == 's9", "23:81: the platform id does not end; expected another '"),
        (
            "weekday in [6, 7]",
            "streamer >= 's9'",
            "23:81: platform ids are the same or not; expected == or != before one",
        ),
        (
            "weekday in [6, 7]",
            "streamer == 's9' 's8'",
            "23:86: expected `or` or the end; what must hold as well is another text of the list",
        ),
        ("weekday in [6, 7]", "product == 's9'", "23:80: expected a whole number; product has no platform id"),
        (
            "weekday in [6, 7]",
            "'s9' == streamer",
            "23:69: expected a field: amount, product, weekday, payment_number, hour, date, spend, payments, streak_days, tier, segments, streamer, session",
        ),
        (
            "weekday in [6, 7]",
            "streamer in ['s9']",
            "23:78: `in` is for weekday and hour; write `x == 1 or x == 2` instead",
        ),
        (
            "weekday in [6, 7]",
            "streak_days >= 3 and spend > 5",
            "23:86: expected `or` or the end; what must hold as well is another text of the list",
        ),
        // What comes behind letters of more than one byte: columns are letters.
        (
            "\"payment_number == 1\", \"product",
            "\"amount > 0\", '客户', \"product",
            "23:24: expected a field: amount, product, weekday, payment_number, hour, date, spend, payments, streak_days, tier, segments, streamer, session",
        ),
        // A text with escapes stands nowhere in the file as it is; the whole of it is named.
        (
            "\"payment_number == 1\"",
            "\"payment\\u005fnumber =\"",
            "23:9: unknown operator \"=\"; expected ==, !=, <, <=, >, >=, `in` or `any`",
        ),
        (
            "\"payment_number == 1\"",
            "\"\"\"\n  payment_number = 1\"\"\"",
            "24:18: unknown operator \"=\"; expected ==, !=, <, <=, >, >=, `in` or `any`",
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
fn each_kind_of_effect_has_its_own_keys_and_ranges() {
    let effects = [
        ("{ kind = \"tiers\", asset = 1, steps = [[1, 1]] }", "28:10: effect \"tiers\" needs the key `mode`"),
        ("{ kind = \"tiers\", asset = 1, mode = \"slab\" }", "28:10: effect \"tiers\" needs the key `steps`"),
        (
            "{ kind = \"tiers\", asset = 1, mode = \"steep\", steps = [[1, 1]] }",
            "28:46: unknown mode of tiers \"steep\"; expected \"fixed\", \"slab\" or \"marginal\"",
        ),
        (
            "{ kind = \"tiers\", asset = 1, mode = 2, steps = [[1, 1]] }",
            "28:46: invalid type: integer `2`, expected a text in quotes",
        ),
        (
            "{ kind = \"tiers\", asset = 1, mode = \"slab\", steps = 5 }",
            "28:62: invalid type: integer `5`, expected a list, like [ … ]",
        ),
        (
            "{ kind = \"tiers\", asset = 1, mode = \"slab\", steps = [] }",
            "28:62: tiers need a step with a value above 0, like [[1000, 50]]",
        ),
        (
            "{ kind = \"tiers\", asset = 1, mode = \"slab\", steps = [1000, 5] }",
            "28:63: invalid type: integer `1000`, expected a list, like [ … ]",
        ),
        (
            "{ kind = \"tiers\", asset = 1, mode = \"slab\", steps = [[1000]] }",
            "28:63: a step is a threshold and a value, like [1000, 50]",
        ),
        (
            "{ kind = \"tiers\", asset = 1, mode = \"slab\", steps = [[1000, 5, 6]] }",
            "28:63: a step is a threshold and a value, like [1000, 50]",
        ),
        (
            "{ kind = \"tiers\", asset = 1, mode = \"slab\", steps = [[1000, 5], [1000, 6]] }",
            "28:75: the steps' thresholds must ascend",
        ),
        (
            "{ kind = \"tiers\", asset = 1, mode = \"slab\", steps = [[1000, 5], [999, 6]] }",
            "28:75: the steps' thresholds must ascend",
        ),
        (
            "{ kind = \"tiers\", asset = 1, mode = \"slab\", steps = [[1000, 0], [2000, 0]] }",
            "28:62: tiers need a step with a value above 0, like [[1000, 50]]",
        ),
        (
            "{ kind = \"tiers\", asset = 1, mode = \"marginal\", steps = [[1000, 4294967296]] }",
            "28:74: the value is basis points here, at most 4294967295",
        ),
        (
            "{ kind = \"tiers\", asset = 1, mode = \"slab\", steps = [[-1, 5]] }",
            "28:64: invalid value: integer `-1`, expected a whole number from 0 to 18446744073709551615",
        ),
        (
            "{ kind = \"tiers\", asset = 1, mode = \"slab\", steps = [[1, 1], [2, 2], [3, 3], [4, 4], [5, 5], [6, 6], [7, 7], [8, 8], [9, 9]] }",
            "28:127: tiers have at most 8 steps",
        ),
        (
            "{ kind = \"tiers\", asset = 1, mode = \"slab\", steps = [[1, 1]], days = 3 }",
            "28:79: effect \"tiers\" has no key `days`; expected kind, asset, mode, steps",
        ),
        ("{ kind = \"streak\", asset = 1, amount = 100 }", "28:10: effect \"streak\" needs the key `days`"),
        ("{ kind = \"streak\", asset = 1, days = 7 }", "28:10: effect \"streak\" needs the key `amount`"),
        (
            "{ kind = \"streak\", asset = 1, days = 0, amount = 100 }",
            "28:47: a streak of 0 days is none; expected 1 or more",
        ),
        ("{ kind = \"streak\", asset = 1, days = 7, amount = 0 }", "28:59: an amount of 0 grants nothing"),
        (
            "{ kind = \"streak\", asset = 1, days = 7, amount = 100, recurring = 1 }",
            "28:76: invalid type: integer `1`, expected true or false",
        ),
        (
            "{ kind = \"streak\", asset = 1, days = \"7d\", amount = 100 }",
            "28:47: invalid type: string \"7d\", expected a whole number from 0 to 4294967295",
        ),
        ("{ kind = \"multiplier\", asset = 1 }", "28:10: effect \"multiplier\" needs the key `bps`"),
        (
            "{ kind = \"multiplier\", asset = 1, bps = 10000 }",
            "28:50: a multiplier of 10000 basis points or less adds nothing; 20000 doubles what the group grants",
        ),
        (
            "{ kind = \"multiplier\", asset = 1, bps = 20000, amount = 1 }",
            "28:66: effect \"multiplier\" has no key `amount`; expected kind, asset, bps",
        ),
    ];
    let cases: Vec<_> = effects.iter().map(|(effect, expected)| (RATIO, *effect, *expected)).collect();
    hold(&cases);
}

#[test]
fn tags_the_control_group_assets_and_groups_are_told_when_out_of_range() {
    hold(&[
        ("tags = []", "tags = [1, 32]", "30:12: a tag is a number from 0 to 31"),
        ("tags = []", "tags = [-1]", "30:9: a tag is a number from 0 to 31"),
        ("excludes = []", "excludes = [\"vip\"]", "31:13: invalid type: string \"vip\", expected a whole number"),
        (
            "holdout_bps = 0",
            "holdout_bps = 10001",
            "32:15: holdout_bps is 0 to 10000, in hundredths of a percent of the users",
        ),
        (
            "holdout_bps = 0",
            "holdout_bps = 70000",
            "32:15: holdout_bps is 0 to 10000, in hundredths of a percent of the users",
        ),
        (
            "expiry_months = 0",
            "expiry_months = 25",
            "12:17: expiry_months is 1 to 24, or 0 for an asset that never expires",
        ),
        (
            "expiry_months = 0",
            "expiry_months = 256",
            "12:17: expiry_months is 1 to 24, or 0 for an asset that never expires",
        ),
        (
            "expiry_months = 0",
            "mint = \"So11111111111111111111111111111111111111112\"",
            "12:8: only an asset of the kind \"token\" has a mint",
        ),
        (
            "kind = \"points\"",
            "kind = \"token\"\nmint = \"nonsense\"",
            "12:8: \"nonsense\" is no address; expected a mint's in base 58",
        ),
        (
            "[[group]]",
            "[[group]]\nid = 1\nmode = \"best\"\n[[group]]",
            "18:6: group 1 is there twice; a group has one mode",
        ),
        (
            "name = \"a rule\"",
            "name = \"a\\nrule\"",
            "20:8: a rule's name holds no line breaks or other control characters",
        ),
        ("group = 1", "group = -1", "22:9: invalid value: integer `-1`, expected a whole number from 0 to 255"),
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
