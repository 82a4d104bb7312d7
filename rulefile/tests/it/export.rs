//! Rules written as a file, drafts as JSON, and versions compared.

use proptest::prelude::*;
use rebate_client::event::{AssetEntry, EffectEntry, LimitsEntry, OffsetEntry, RuleDefinition, StepEntry};
use rebate_core::rule::GroupMode;
use rebate_rulefile::{RuleFile, compare::differences, json};
use rebate_tests::draw::{Draw, rule};
use serde_json::{Value, json};
use std::path::Path;

const FILES: [&str; 2] = [
    concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/rules.toml"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../cli/src/bench/simulate.toml"),
];

fn assets() -> Vec<AssetEntry> {
    ["coins", "cups \"a\" \\", "tokens"]
        .into_iter()
        .zip([1u8, 3, 2])
        .map(|(name, kind)| {
            let mut padded = [0; 16];
            padded[..name.len()].copy_from_slice(name.as_bytes());
            AssetEntry { name: padded, kind, expiry_months: kind - 1, mint: if kind == 2 { [7; 32] } else { [0; 32] } }
        })
        .collect()
}

fn written(rules: Vec<RuleDefinition>) -> RuleFile {
    let offsets = vec![
        OffsetEntry { from: 0, seconds: 8 * 3_600 },
        OffsetEntry { from: 1_791_000_000, seconds: -(3 * 3_600 + 1_800) },
    ];
    RuleFile { offsets, max_lateness: 604_800, assets: assets(), rules }
}

#[test]
fn the_files_of_the_demonstration_and_of_the_benchmark_say_the_same_once_written_again() {
    for file in FILES {
        let read = RuleFile::read(Path::new(file)).unwrap();
        let text = read.to_toml().unwrap();
        assert_eq!(RuleFile::parse("written", &text).unwrap(), read, "{text}");
    }
}

proptest! {
    #[test]
    fn any_rule_that_can_be_published_is_read_back_as_it_was(seed in any::<u64>()) {
        let draw = &mut Draw::of(seed);
        let modes = [(); 4].map(|()| draw.one(&GroupMode::ALL));
        let rules = (1..=draw.between(1, 8)).map(|id| rule(draw, u16::try_from(id).unwrap(), modes)).collect();
        let file = written(rules);
        match file.to_toml() {
            Ok(text) => prop_assert_eq!(RuleFile::parse("written", &text).unwrap(), file, "{}", text),
            Err(error) => prop_assert!(false, "seed {seed}: {error}"),
        }
    }

    /// Whatever JSON it is, it is a rule file, or refused with a reason.
    #[test]
    fn no_json_makes_it_panic(
        key in "\\PC{0,8}",
        text in "\\PC{0,12}",
        number in any::<f64>(),
        nested in 0usize..12,
    ) {
        let mut value = json!({ key.clone(): text, "n": number, "l": [null, text, { key.clone(): [text] }] });
        for _ in 0..nested {
            value = json!({ key.clone(): [value] });
        }
        let draft = json!({ "platform": value, "rule": [value], key: text });
        if let Ok(toml) = json::to_toml(&draft) {
            prop_assert!(RuleFile::parse("made", &toml).is_err());
        }
    }
}

#[test]
fn amounts_and_times_at_their_bounds_are_read_back_as_they_were() {
    let limits = LimitsEntry {
        user_amount: u64::MAX,
        user_count: 1,
        total_amount: u64::MAX,
        total_count: u64::MAX,
        on_limit: 2,
    };
    let steps = vec![StepEntry { threshold: 0, value: 1 }, StepEntry { threshold: u64::MAX, value: u64::MAX }];
    let rule = RuleDefinition {
        id: u16::MAX,
        version: 1,
        name: "\"quoted\" 'and' \\ é 乐".to_owned(),
        priority: u16::MAX,
        starts_at: -1,
        ends_at: 253_402_300_799,
        group: 255,
        group_mode: GroupMode::Best as u8,
        tags: u32::MAX,
        excludes: 1 << 31,
        condition: Vec::new(),
        window: 5,
        scope: 3,
        effect: EffectEntry::Tiers { asset: 2, mode: 1, steps },
        limits,
        holdout_bps: 10_000,
    };
    let file = written(vec![rule.clone()]);
    let text = file.to_toml().unwrap();
    assert_eq!(RuleFile::parse("written", &text).unwrap(), file, "{text}");
    // Every version is a first one in a file.
    assert_eq!(written(vec![RuleDefinition { version: 7, ..rule.clone() }]).to_toml().unwrap(), text);
    // There is no date for this one.
    let never = written(vec![RuleDefinition { ends_at: i64::MAX, ..rule }]).to_toml();
    assert!(never.unwrap_err().to_string().starts_with("these rules cannot be written as a rule file"));
}

#[test]
fn a_draft_in_json_says_what_the_same_keys_say_in_toml() {
    for file in FILES {
        let text = std::fs::read_to_string(file).unwrap();
        let value: Value = toml::from_str(&text).unwrap();
        let made = json::to_toml(&value).unwrap();
        assert_eq!(RuleFile::parse("made", &made).unwrap(), RuleFile::parse("file", &text).unwrap(), "{made}");
    }
    let said = |draft: Value| json::to_toml(&draft).map_err(|error| error.to_string());
    assert_eq!(
        said(json!([])).unwrap_err(),
        "a draft is an object with the keys of a rule file: platform, asset, group, rule"
    );
    assert_eq!(said(json!({ "asset": [null] })).unwrap_err(), "a list has no null in it; leave it out");
    assert_eq!(said(json!({ "asset": null })).unwrap(), "");
}

#[test]
fn two_versions_differ_by_field_in_the_words_of_rule_files() {
    let file = RuleFile::read(Path::new(FILES[1])).unwrap();
    let before = &file.rules[1];
    assert_eq!(differences(before, &RuleDefinition { version: 9, ..before.clone() }), []);
    let after = RuleDefinition {
        name: "three percent back".to_owned(),
        condition: Vec::new(),
        effect: EffectEntry::Ratio { asset: 1, bps: 300, min: 0, max: 5_000 },
        limits: LimitsEntry { user_amount: 0, ..before.limits },
        tags: 0b101,
        ..before.clone()
    };
    let said: Vec<_> =
        differences(before, &after).into_iter().map(|of| format!("{}: {} -> {}", of.field, of.from, of.to)).collect();
    assert_eq!(
        said,
        [
            "name: two percent back -> three percent back",
            "when: amount >= 1000 and not product == 9 -> always",
            "effect: 2.00 % of the payment in asset 1, at most 5000 -> 3.00 % of the payment in asset 1, at most 5000",
            "limits.user_amount: 10000 -> none",
            "tags: none -> 0, 2",
        ]
    );
}
