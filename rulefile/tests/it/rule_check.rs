//! What `rebate rule check` says about sound rules: each in a sentence, and what is odd about it.

use proptest::prelude::*;
use rebate_client::replay::{Replay, Terms};
use rebate_core::{
    outcome::Reason,
    payment::Payment,
    units::{Amount, OrderHash, Seconds, Timestamp, UserKey},
};
use rebate_rulefile::{RuleFile, explain::explanations, findings::findings};
use std::{collections::HashSet, path::Path};

/// 2026-10-03T12:00:00+08:00, a Saturday.
const NOW: Timestamp = Timestamp(1_791_000_000);

const PLATFORM: &str = r#"
platform = { max_lateness = "7d", utc_offsets = [{ from = 0, offset = "+08:00" }] }
asset = [
    { id = 1, name = "coins", kind = "points" },
    { id = 2, name = "SOL", kind = "token", mint = "So11111111111111111111111111111111111111112" },
]
group = [{ id = 1, mode = "first" }, { id = 2, mode = "best" }]
"#;

fn file(rules: &str) -> RuleFile {
    RuleFile::parse("rules.toml", &format!("{PLATFORM}{rules}")).unwrap_or_else(|error| panic!("{rules}\n{error}"))
}

/// A rule with a budget, by what else it says.
fn rule(id: u16, rest: &str) -> String {
    let has = |key: &str| rest.contains(key);
    let effect = if has("effect") { "" } else { "effect = { kind = \"fixed\", asset = 1, amount = 100 }\n" };
    let limits = if has("limits") { "" } else { "limits = { total_amount = 1000000 }\n" };
    let priority = if has("priority") { "" } else { "priority = 10\n" };
    format!("[[rule]]\nid = {id}\nname = \"r{id}\"\n{priority}{effect}{limits}{rest}\n")
}

fn found(rules: &str) -> Vec<String> {
    findings(&file(rules), NOW).iter().map(ToString::to_string).collect()
}

/// Holds the findings about one rule against what is expected, all at once.
fn hold(cases: &[(&str, &str)]) {
    let differing: Vec<_> = cases
        .iter()
        .map(|(text, expected)| (*text, *expected, found(&rule(1, text)).join(" | ")))
        .filter(|(_, expected, found)| expected != found)
        .map(|(case, expected, found)| format!("{case}\n  expected {expected}\n  found    {found}"))
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn a_rule_whose_conditions_exclude_each_other_can_never_pay() {
    hold(&[
        (
            "when = [\"amount < 100\", \"amount >= 200\"]",
            "warning: rule 1 \"r1\" can never pay: `amount < 100` and `amount >= 200` exclude each other",
        ),
        ("when = [\"payment_number == 0\"]", "warning: rule 1 \"r1\" can never pay: `payment_number == 0` never holds"),
        ("when = [\"amount == 0\"]", "warning: rule 1 \"r1\" can never pay: `amount == 0` never holds"),
        (
            "when = [\"weekday in [1, 2]\", \"not weekday in [1, 2, 3]\"]",
            "warning: rule 1 \"r1\" can never pay: `weekday in [1, 2]` and `not weekday in [1, 2, 3]` exclude each other",
        ),
        (
            "when = [\"weekday in [1, 2]\", \"weekday >= 3\"]",
            "warning: rule 1 \"r1\" can never pay: `weekday in [1, 2]` and `weekday >= 3` exclude each other",
        ),
        (
            "when = [\"product == 1 or product == 2\", \"not product == 1\", \"product != 2\"]",
            "warning: rule 1 \"r1\" can never pay: its conditions exclude each other",
        ),
        (
            "when = [\"hour in [20]\", \"hour < 20 or amount == 0\"]",
            "warning: rule 1 \"r1\" can never pay: `hour in [20]` and `hour < 20 or amount == 0` exclude each other",
        ),
        (
            "when = [\"segments any 3\", \"not segments any 7\"]",
            "warning: rule 1 \"r1\" can never pay: `segments any 3` and `not segments any 7` exclude each other",
        ),
        (
            "when = [\"segments == 4\", \"segments any 3\"]",
            "warning: rule 1 \"r1\" can never pay: `segments == 4` and `segments any 3` exclude each other",
        ),
        (
            "when = [\"amount >= 500\", \"spend < 500\"]",
            "warning: rule 1 \"r1\" can never pay: `amount >= 500` and `spend < 500` exclude each other",
        ),
        (
            "when = [\"payments >= 3\", \"payment_number <= 2\"]",
            "warning: rule 1 \"r1\" can never pay: `payments >= 3` and `payment_number <= 2` exclude each other",
        ),
        (
            "when = [\"streak_days > 1\", \"payment_number == 1\"]",
            "warning: rule 1 \"r1\" can never pay: `streak_days > 1` and `payment_number == 1` exclude each other",
        ),
        (
            "when = [\"date == 20261003\", \"not weekday == 6\"]",
            "warning: rule 1 \"r1\" can never pay: `date == 20261003` and `not weekday == 6` exclude each other",
        ),
        ("when = [\"date == 20260231\"]", "warning: rule 1 \"r1\" can never pay: `date == 20260231` never holds"),
        (
            "when = [\"date >= 20261101\"]\nends_at = \"2026-10-20T00:00:00+08:00\"",
            "warning: rule 1 \"r1\" can never pay: `date >= 20261101` never holds while it is in force",
        ),
        (
            "when = [\"streamer == 's9'\", \"streamer == 's8'\"]",
            "warning: rule 1 \"r1\" can never pay: `streamer == 5494147157679222247` and `streamer == 6749866052074845980` exclude each other",
        ),
        // Not so.
        ("when = [\"amount < 100 or product == 1\", \"amount >= 200\"]", ""),
        ("when = [\"segments any 3\", \"not segments any 1\"]", ""),
        ("when = [\"spend < 500\", \"amount < 500\"]", ""),
        ("when = [\"date == 20261003\", \"weekday == 6\"]", ""),
        (
            "when = [\"date >= 20261020\"]\nends_at = \"2026-10-20T00:00:00+08:00\"",
            "warning: rule 1 \"r1\" can never pay: `date >= 20261020` never holds while it is in force",
        ),
        ("when = [\"streak_days > 1\", \"payments == 1\"]", ""),
        ("when = [\"payments > 1\", \"streak_days == 1\"]", ""),
    ]);
}

#[test]
fn an_effect_that_comes_to_nothing_can_never_pay() {
    hold(&[
        (
            "effect = { kind = \"ratio\", asset = 1, bps = 50 }\nwhen = [\"amount < 200\"]",
            "warning: rule 1 \"r1\" can never pay: 0.5 % of at most 199 is less than 1",
        ),
        ("effect = { kind = \"ratio\", asset = 1, bps = 50 }\nwhen = [\"amount <= 200\"]", ""),
        ("effect = { kind = \"ratio\", asset = 1, bps = 50, min = 1 }\nwhen = [\"amount < 200\"]", ""),
        (
            "effect = { kind = \"tiers\", asset = 1, mode = \"fixed\", steps = [[500, 0], [1000, 5]] }\nwhen = [\"spend < 1000\"]",
            "warning: rule 1 \"r1\" can never pay: the spend is at most 999, and its first step is at 1000 | warning: rule 1 \"r1\" grants nothing at its step from 500 on",
        ),
        (
            "effect = { kind = \"tiers\", asset = 1, mode = \"fixed\", steps = [[500, 1], [1000, 5]] }\nwhen = [\"spend < 1000\"]",
            "",
        ),
        ("holdout_bps = 10000", "warning: rule 1 \"r1\" can never pay: all users are in its control group"),
        ("holdout_bps = 9999", ""),
    ]);
}

#[test]
fn limits_that_leave_nothing_can_never_pay() {
    hold(&[
        (
            "limits = { user_amount = 99, total_amount = 1000, on_limit = \"reject\" }",
            "warning: rule 1 \"r1\" can never pay: it grants at least 100 at a time, and rejects what passes user_amount = 99",
        ),
        ("limits = { user_amount = 100, total_amount = 1000, on_limit = \"reject\" }", ""),
        ("limits = { user_amount = 99, total_amount = 1000 }", ""),
        (
            "limits = { total_amount = 99, on_limit = \"reject\" }",
            "warning: rule 1 \"r1\" can never pay: it grants at least 100 at a time, and rejects what passes total_amount = 99",
        ),
        (
            "effect = { kind = \"streak\", asset = 1, days = 2, amount = 5 }\nlimits = { total_amount = 4, on_limit = \"reject\" }",
            "warning: rule 1 \"r1\" can never pay: it grants at least 5 at a time, and rejects what passes total_amount = 4",
        ),
        (
            "effect = { kind = \"ratio\", asset = 1, bps = 1000 }\nwhen = [\"amount >= 1000\"]\nlimits = { total_amount = 99, on_limit = \"reject\" }",
            "warning: rule 1 \"r1\" can never pay: it grants at least 100 at a time, and rejects what passes total_amount = 99",
        ),
        (
            "effect = { kind = \"ratio\", asset = 1, bps = 1000 }\nlimits = { total_amount = 99, on_limit = \"reject\" }",
            "",
        ),
        (
            "effect = { kind = \"ratio\", asset = 1, bps = 1, min = 100 }\nlimits = { total_amount = 99, on_limit = \"reject\" }",
            "warning: rule 1 \"r1\" can never pay: it grants at least 100 at a time, and rejects what passes total_amount = 99",
        ),
        (
            "effect = { kind = \"tiers\", asset = 1, mode = \"fixed\", steps = [[1, 100], [2, 1]] }\nlimits = { total_amount = 99, on_limit = \"reject\" }",
            "warning: rule 1 \"r1\" can never pay: it grants at least 100 at a time, and rejects what passes total_amount = 99",
        ),
    ]);
}

#[test]
fn a_streak_that_its_payments_cannot_make_can_never_pay() {
    let streak = |rest: &str| format!("effect = {{ kind = \"streak\", asset = 1, days = 3, amount = 5 }}\n{rest}");
    let cases = [
        (
            "when = [\"weekday in [6, 7]\"]",
            "warning: rule 1 \"r1\" can never pay: it counts payments on at most 2 days in a row, by their weekdays, and needs 3",
        ),
        ("when = [\"weekday in [1, 6, 7]\"]", ""),
        ("when = [\"not weekday in [2, 5]\"]", ""),
        (
            "when = [\"weekday in [1, 3, 5]\"]",
            "warning: rule 1 \"r1\" can never pay: it counts payments on at most 1 day in a row, by their weekdays, and needs 3",
        ),
        ("when = [\"weekday in [6, 7] or product == 1\"]", ""),
        // This clause reads what is counted, and so decides nothing about what counts.
        ("when = [\"weekday in [6, 7] or spend > 5\"]", ""),
        (
            "when = [\"payment_number <= 2\"]",
            "warning: rule 1 \"r1\" can never pay: it counts no payment after a user's number 2, and needs 3 days in a row",
        ),
        ("when = [\"payment_number <= 3\"]", ""),
        ("when = [\"date == 20261001 or date == 20261003 or date == 20261002\"]", ""),
        (
            "when = [\"date == 20261001 or date == 20261003 or date == 20261004\"]",
            "warning: rule 1 \"r1\" can never pay: it counts payments on at most 2 days in a row, by their dates, and needs 3",
        ),
        (
            "starts_at = \"2026-10-01T00:00:00+08:00\"\nends_at = \"2026-10-02T00:00:00+08:00\"",
            "warning: rule 1 \"r1\" can never pay: it counts payments on at most 1 day in a row, by their dates, and needs 3 | note: rule 1 \"r1\" is over: it ended before now",
        ),
        ("window = \"day\"", ""),
    ];
    let texts: Vec<_> = cases.iter().map(|(rest, expected)| (streak(rest), *expected)).collect();
    let cases: Vec<_> = texts.iter().map(|(text, expected)| (text.as_str(), *expected)).collect();
    hold(&cases);
    hold(&[(
        "when = [\"streak_days >= 3\", \"weekday in [6, 7]\"]",
        "warning: rule 1 \"r1\" can never pay: it counts payments on at most 2 days in a row, by their weekdays, and needs 3",
    )]);
}

#[test]
fn a_rule_without_a_bound_is_told() {
    hold(&[
        (
            "limits = {}",
            "warning: rule 1 \"r1\" has no budget: without `total_amount` there is no bound to what it grants in all",
        ),
        (
            "limits = { user_amount = 5, user_count = 5 }",
            "warning: rule 1 \"r1\" has no budget: without `total_amount` there is no bound to what it grants in all",
        ),
        ("limits = { total_count = 5 }", ""),
        (
            "limits = { total_count = 5 }\neffect = { kind = \"ratio\", asset = 1, bps = 5 }",
            "warning: rule 1 \"r1\" has no budget: without `total_amount` there is no bound to what it grants in all",
        ),
        ("limits = { total_count = 5 }\neffect = { kind = \"ratio\", asset = 1, bps = 5, max = 5 }", ""),
    ]);
}

#[test]
fn steps_at_which_nothing_becomes_more_are_told() {
    let tiers = |mode: &str, steps: &str| {
        format!("effect = {{ kind = \"tiers\", asset = 1, mode = {mode:?}, steps = {steps} }}")
    };
    let cases = [
        (tiers("fixed", "[[1, 5], [2, 0], [3, 5]]"), "warning: rule 1 \"r1\" grants nothing at its step from 2 on"),
        (
            tiers("slab", "[[1, 0], [2, 100], [3, 100], [4, 50]]"),
            "warning: rule 1 \"r1\" changes nothing at its step from 3 on | warning: rule 1 \"r1\" grants less at its step from 4 on: 0.5 % of the whole spend after 1 %; what was granted stays, and nothing more is due until the spend makes up for it",
        ),
        (
            tiers("marginal", "[[1, 0], [2, 100], [3, 100], [4, 50]]"),
            "warning: rule 1 \"r1\" changes nothing at its step from 3 on",
        ),
        (tiers("marginal", "[[1, 200], [2, 100]]"), ""),
    ];
    let cases: Vec<_> = cases.iter().map(|(text, expected)| (text.as_str(), *expected)).collect();
    hold(&cases);
}

#[test]
fn what_is_worth_knowing_is_noted() {
    hold(&[
        ("ends_at = \"2026-10-03T12:00:00+08:00\"", "note: rule 1 \"r1\" is over: it ended before now"),
        ("ends_at = \"2026-10-03T12:00:01+08:00\"", ""),
        (
            "tags = [1]\nexcludes = [1, 2, 31]",
            "note: rule 1 \"r1\" excludes tags 1, 2 and 31, which no other rule of the file has",
        ),
    ]);
    let token = "[[asset]]\nid = 1\nname = \"SOL\"\nkind = \"token\"\n";
    let text = format!("[platform]\nmax_lateness = \"1d\"\n{token}");
    let file = RuleFile::parse("rules.toml", &text).unwrap();
    let notes: Vec<_> = findings(&file, NOW).iter().map(ToString::to_string).collect();
    assert_eq!(notes, ["note: asset 1 is a token without `mint`; a platform on the chain needs one"]);
}

#[test]
fn more_versions_than_a_book_holds_are_told() {
    let rules =
        |count: u16| (1..=count).map(|id| rule(id, &format!("when = [\"product == {id}\"]"))).collect::<String>();
    assert_eq!(found(&rules(128)), [""; 0]);
    assert_eq!(found(&rules(129)), ["warning: the file has 129 rules; a rule book on the chain holds 128 versions"]);
}

#[test]
fn rules_that_shadow_exclude_or_repeat_each_other_are_told() {
    let cases: &[(&[&str], &str)] = &[
        // Of a group of which the first pays.
        (
            &["group = 1\nlimits = {}", "group = 1"],
            "warning: rule 2 \"r2\" can never pay: rule 1 \"r1\" of its group pays whenever it could",
        ),
        (
            &[
                "group = 1\nlimits = {}\nwhen = [\"product == 1\"]",
                "group = 1\nwhen = [\"product == 1\", \"amount > 5\"]",
            ],
            "warning: rule 2 \"r2\" can never pay: rule 1 \"r1\" of its group pays whenever it could",
        ),
        (&["group = 1\nlimits = {}\nwhen = [\"product == 1\"]", "group = 1\nwhen = [\"product == 2\"]"], ""),
        (&["group = 1\nlimits = { user_count = 1 }", "group = 1"], ""),
        (&["group = 1\nlimits = {}\nwhen = [\"spend > 5\"]", "group = 1\nwhen = [\"spend > 5\"]"], ""),
        (&["group = 1\nlimits = {}\nwindow = \"day\"", "group = 1"], ""),
        (&["group = 1\nlimits = {}\nholdout_bps = 1", "group = 1"], ""),
        (&["group = 1\nlimits = {}\nstarts_at = \"2026-10-01T00:00:00+08:00\"", "group = 1"], ""),
        (&["group = 1\nlimits = {}\npriority = 11", "group = 1"], ""),
        (&["group = 1\nlimits = {}\neffect = { kind = \"ratio\", asset = 1, bps = 100 }", "group = 1"], ""),
        (
            &["group = 1\nlimits = {}\neffect = { kind = \"ratio\", asset = 1, bps = 100, min = 1 }", "group = 1"],
            "warning: rule 2 \"r2\" can never pay: rule 1 \"r1\" of its group pays whenever it could",
        ),
        // Of a group of which the best pays.
        (
            &["group = 2\nlimits = {}", "group = 2"],
            "warning: rule 2 \"r2\" can never pay: rule 1 \"r1\" of its group pays whenever it could",
        ),
        (&["group = 2\nlimits = {}", "group = 2\neffect = { kind = \"fixed\", asset = 1, amount = 101 }"], ""),
        (
            &["group = 2", "group = 2\nlimits = {}\neffect = { kind = \"fixed\", asset = 1, amount = 101 }"],
            "warning: rule 1 \"r1\" can never pay: rule 2 \"r2\" of its group pays whenever it could",
        ),
        // By tags.
        (
            &["limits = {}\ntags = [3]", "excludes = [3]\nwhen = [\"product == 1\"]"],
            "warning: rule 2 \"r2\" can never pay: it excludes rule 1 \"r1\", which pays whenever it could",
        ),
        (&["limits = {}\ntags = [3]\npriority = 11", "excludes = [3]\nwhen = [\"product == 1\"]"], ""),
        (&["limits = {}\ntags = [3]\ngroup = 1", "excludes = [3]\nwhen = [\"product == 1\"]"], ""),
        (&["tags = [3]", "excludes = [3]\nwhen = [\"product == 1\"]"], ""),
        (
            &[
                "limits = {}\ntags = [3]\neffect = { kind = \"fixed\", asset = 2, amount = 1 }",
                "excludes = [3]\nwhen = [\"product == 1\"]",
            ],
            "",
        ),
        // Multipliers.
        (
            &["effect = { kind = \"multiplier\", asset = 1, bps = 20000 }\ngroup = 7", ""],
            "warning: rule 1 \"r1\" can never pay: no other rule of group 7 grants asset 1 at the same time",
        ),
        (&["effect = { kind = \"multiplier\", asset = 1, bps = 20000 }", ""], ""),
        (
            &["effect = { kind = \"multiplier\", asset = 2, bps = 20000 }", ""],
            "warning: rule 1 \"r1\" can never pay: no other rule of group 0 grants asset 2 at the same time",
        ),
        (
            &["effect = { kind = \"multiplier\", asset = 1, bps = 20000 }\nexcludes = [0]", "tags = [0]"],
            "warning: rule 1 \"r1\" can never pay: it excludes every rule that it could multiply",
        ),
        (
            &[
                "effect = { kind = \"multiplier\", asset = 1, bps = 20000 }\nends_at = \"2026-11-01T00:00:00Z\"",
                "starts_at = \"2026-11-01T00:00:00Z\"",
            ],
            "warning: rule 1 \"r1\" can never pay: no other rule of group 0 grants asset 1 at the same time",
        ),
        // The same once more.
        (
            &["when = [\"product == 1\"]", "when = [\"product == 1\"]"],
            "warning: rule 1 \"r1\" says the same as rule 2 \"r2\": both pay",
        ),
        (&["when = [\"product == 1\"]\ntags = [1]", "when = [\"product == 1\"]\nexcludes = [1]"], ""),
        (&["when = [\"product == 1\"]", "when = [\"product == 1\"]\nholdout_bps = 5"], ""),
    ];
    let differing: Vec<_> = cases
        .iter()
        .map(|(rules, expected)| {
            let text: String = (1..).zip(*rules).map(|(id, rest)| rule(id, rest)).collect();
            let mut found = found(&text);
            found.retain(|finding| !finding.contains("no budget"));
            (rules, *expected, found.join(" | "))
        })
        .filter(|(_, expected, found)| expected != found)
        .map(|(rules, expected, found)| format!("{rules:?}\n  expected {expected}\n  found    {found}"))
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn every_rule_is_explained_in_a_sentence() {
    let rules = [
        "rule 1 \"first recharge 20%\": from 2026-10-01T00:00:00+08:00 until before 2026-11-01T00:00:00+08:00, a user's payment where it is the user's first, and the product is 1 or the product is 2, grants 20 % of its amount in coins, at most 100000; at most once a user, and what is more is cut off; of it and rule 2, only the first that grants anything.",
        "rule 2 \"weekend bonus\": at any time, a user's payment where the day is a Saturday or Sunday, and the amount is at least 3000, and the product is not 9, grants 1000 coins; at most 5000 coins and 3 times a user and day and at most 1000000 coins in all, and what would be more is not granted at all; 5.25 % of the users never get it, as a control group; of it and rule 1, only the first that grants anything.",
        "rule 3 \"monthly tiers\": until before 2026-11-01T08:00:00+08:00, a user's payment grants what the user's spend for the same streamer in that month entitles to and was not granted for it yet, in SOL: 0.5 % of what is beyond 0 and 1 % of what is beyond 10000, each up to the next; not where rule 1 has paid.",
        "rule 4 \"steps\": at any time, a user's payment where the user is in none of the segments 0 or 2, and the user is in segment 1 or the user's tier is at least 3, and what the user spent in that week is at most 5000, and the hour is 20, 21 or 22, and the date is other than 2026-10-03, grants what the user's spend in that week entitles to and was not granted for it yet, in coins: 5 from 1000 on, 7 more from 2000 on and 9 more from 3000 on.",
        "rule 5 \"slab\": from 2026-10-01T08:00:00+08:00 on, a user's payment where the streamer is other than number 5494147157679222247, and there is a session, grants what the user's spend in the same live session since the rule began entitles to and was not granted for it yet, in coins: 0.05 % of all of it from 1000 on.",
        "rule 6 \"a week\": at any time, a user's payment where the amount is not below 100, grants 100 coins, each time the user paid on another 7 days in a row; days are counted for each streamer by itself.",
        "rule 7 \"once\": at any time, a user's payment where the number of the user's payments so far is 1 or the number of days in a row with a payment is at least 2, grants 100 coins, once the user paid on 7 days in a row.",
        "rule 8 \"double\": at any time, a user's payment grants another 100 % of what the other rules of group 1 grant it in coins; at most 7 times in all, and what is more is cut off; not where rule 1 has paid.",
        "rule 9 \"best\": at any time, a user's payment grants 0.05 % of its amount in SOL, at least 1; group 2 has no other rule to compete with.",
    ];
    assert_eq!(explanations(&file(EXPLAINED)), rules);
}

const EXPLAINED: &str = r#"
[[rule]]
id = 1
name = "first recharge 20%"
priority = 10
group = 1
when = ["payment_number == 1", "product == 1 or product == 2"]
starts_at = "2026-10-01T00:00:00+08:00"
ends_at = "2026-11-01T00:00:00+08:00"
effect = { kind = "ratio", asset = 1, bps = 2000, max = 100000 }
limits = { user_count = 1 }
tags = [1]

[[rule]]
id = 2
name = "weekend bonus"
priority = 20
group = 1
when = ["weekday in [6, 7]", "amount >= 3000", "not product == 9"]
effect = { kind = "fixed", asset = 1, amount = 1000 }
window = "day"
limits = { user_amount = 5000, user_count = 3, total_amount = 1000000, on_limit = "reject" }
holdout_bps = 525

[[rule]]
id = 3
name = "monthly tiers"
priority = 30
window = "month"
scope = "user_streamer"
effect = { kind = "tiers", asset = 2, mode = "marginal", steps = [[0, 50], [10000, 100]] }
excludes = [1]
ends_at = "2026-11-01T00:00:00Z"

[[rule]]
id = 4
name = "steps"
priority = 40
window = "week"
effect = { kind = "tiers", asset = 1, mode = "fixed", steps = [[1000, 5], [2000, 7], [3000, 9]] }
when = ["not segments any 5", "segments any 2 or tier >= 3", "spend <= 5000", "hour in [20, 21, 22]", "date != 20261003"]

[[rule]]
id = 5
name = "slab"
priority = 50
window = "schedule"
scope = "user_session"
effect = { kind = "tiers", asset = 1, mode = "slab", steps = [[1000, 5]] }
when = ["streamer != 's9'", "session != 0"]
starts_at = "2026-10-01T00:00:00Z"

[[rule]]
id = 6
name = "a week"
priority = 60
scope = "user_streamer"
effect = { kind = "streak", asset = 1, days = 7, amount = 100, recurring = true }
when = ["not amount < 100"]

[[rule]]
id = 7
name = "once"
priority = 70
effect = { kind = "streak", asset = 1, days = 7, amount = 100 }
when = ["payments == 1 or streak_days >= 2"]

[[rule]]
id = 8
name = "double"
priority = 80
group = 1
effect = { kind = "multiplier", asset = 1, bps = 20000 }
excludes = [1, 9]
limits = { total_count = 7 }

[[rule]]
id = 9
name = "best"
priority = 90
group = 2
effect = { kind = "ratio", asset = 2, bps = 5, min = 1 }
"#;

#[test]
fn the_rules_of_the_demonstration_are_explained() {
    let demo = RuleFile::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/rules.toml"))).unwrap();
    let sentences = explanations(&demo);
    assert_eq!(sentences.len(), demo.rules.len());
    assert!(sentences.iter().all(|sentence| sentence.starts_with("rule ") && sentence.ends_with('.')), "{sentences:?}");
}

/// What rules are made of by chance: little, so that it meets.
fn some(texts: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(texts)
}

fn any_rule(id: u16) -> impl Strategy<Value = String> {
    let predicate = || {
        some(&[
            "amount < 3",
            "amount >= 3",
            "amount == 5",
            "not amount <= 4",
            "product == 1",
            "product != 1",
            "weekday in [6]",
            "weekday in [6, 7]",
            "not weekday in [1, 2]",
            "weekday <= 2",
            "hour in [12]",
            "hour < 12",
            "date == 20261003",
            "date >= 20261005",
            "not date <= 20261004",
            "payment_number == 1",
            "payment_number <= 2",
            "payment_number > 2",
            "spend <= 5",
            "spend > 5",
            "payments == 1",
            "payments >= 3",
            "streak_days == 1",
            "streak_days >= 2",
            "streak_days >= 3",
            "tier == 0",
            "tier > 0",
            "segments any 1",
            "segments any 6",
            "not segments any 3",
            "segments == 2",
            "streamer == 1",
            "not streamer == 1",
            "session == 0",
        ])
    };
    let clause = prop::collection::vec(predicate(), 1..3).prop_map(|predicates| predicates.join(" or "));
    let when = prop::collection::vec(clause, 0..4);
    let effect = some(&[
        "{ kind = \"fixed\", asset = 1, amount = 3 }",
        "{ kind = \"fixed\", asset = 2, amount = 5 }",
        "{ kind = \"ratio\", asset = 1, bps = 2000 }",
        "{ kind = \"ratio\", asset = 1, bps = 5000, min = 1, max = 3 }",
        "{ kind = \"tiers\", asset = 1, mode = \"fixed\", steps = [[4, 2], [8, 3]] }",
        "{ kind = \"tiers\", asset = 1, mode = \"slab\", steps = [[2, 5000], [8, 2500]] }",
        "{ kind = \"tiers\", asset = 1, mode = \"marginal\", steps = [[6, 5000]] }",
        "{ kind = \"streak\", asset = 1, days = 2, amount = 3 }",
        "{ kind = \"streak\", asset = 1, days = 3, amount = 3, recurring = true }",
        "{ kind = \"multiplier\", asset = 1, bps = 20000 }",
        "{ kind = \"multiplier\", asset = 1, bps = 20000 }",
    ]);
    let limits = some(&[
        "{}",
        "{}",
        "{}",
        "{ user_count = 1 }",
        "{ user_amount = 2, on_limit = \"reject\" }",
        "{ total_amount = 4, on_limit = \"reject\" }",
        "{ total_amount = 2 }",
    ]);
    let rest = some(&[
        "",
        "",
        "tags = [1]",
        "tags = [1, 2]",
        "excludes = [1]",
        "excludes = [2]",
        "starts_at = \"2026-10-04T00:00:00+08:00\"",
        "ends_at = \"2026-10-05T00:00:00+08:00\"",
        "holdout_bps = 5000",
        "holdout_bps = 10000",
    ]);
    let window = some(&["day", "week", "month", "lifetime", "lifetime", "schedule"]);
    let scope = some(&["user", "user", "user_streamer", "user_session"]);
    (when, effect, limits, rest, window, scope, 0..3u8, 0..3u16).prop_map(
        move |(when, effect, limits, rest, window, scope, group, priority)| {
            format!(
                "[[rule]]\nid = {id}\nname = \"r{id}\"\nwhen = {when:?}\neffect = {effect}\nlimits = {limits}\nwindow = {window:?}\n\
                 scope = {scope:?}\ngroup = {group}\npriority = {priority}\n{rest}\n"
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever is said never to pay does not, whoever pays what and when.
    #[test]
    fn a_rule_that_can_never_pay_never_pays(
        rules in (any_rule(1), any_rule(2), any_rule(3)),
        payments in prop::collection::vec((0..2u8, 1..10u64, 0..240i64, 0..3u16, 0..2u64, 0..2u8, 0..8u32), 1..40),
    ) {
        let file = file(&format!("{}{}{}", rules.0, rules.1, rules.2));
        let never: HashSet<u16> = findings(&file, NOW)
            .iter()
            .filter(|finding| finding.what.contains("can never pay"))
            .map(|finding| finding.what.split(' ').nth(1).unwrap().parse().unwrap())
            .collect();
        let mut replay = Replay::new(Terms::new(&file.offsets, Seconds(u32::MAX), &file.assets));
        for rule in &file.rules {
            replay.ledger_mut().publish(rule, Timestamp(0)).unwrap();
        }
        let mut hours: Vec<_> = payments.iter().map(|payment| payment.2).collect();
        hours.sort_unstable();
        for ((at, (user, amount, _, product, streamer, tier, segments)), hours) in (0..).zip(payments).zip(hours) {
            let paid_at = Timestamp(NOW.0 - 2 * 86_400 + hours * 3_600);
            let payment = Payment {
                order: OrderHash([at; 32]),
                user: UserKey([user; 32]),
                amount: Amount(amount),
                paid_at,
                product,
                streamer,
                session: streamer,
                tier,
                segments,
            };
            let decided = replay.pay(&payment, paid_at).unwrap();
            for outcome in decided.outcomes.iter().filter(|outcome| outcome.reason == Reason::Granted) {
                prop_assert!(!never.contains(&outcome.rule.0), "{:?}\n{file:#?}", findings(&file, NOW));
            }
        }
    }
}
