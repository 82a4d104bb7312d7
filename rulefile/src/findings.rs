//! What is odd about the rules of a file: nothing of it is an error, and nothing is said that is not so.

use crate::{
    explain::{list, percent},
    file::RuleFile,
    text::condition_text,
    values::{Case, Values, cases, counted_cases, dates},
};
use rebate_client::account::AssetKind;
use rebate_core::{
    rule::{Effect, Field, GroupMode, OnLimit, Predicate, Rule, Step, TierMode, share},
    time::UtcOffset,
    units::{Amount, BasisPoints, Timestamp},
    window::Window,
};
use std::fmt;

/// How many rule versions a rule book on the chain can hold.
pub const MAX_VERSIONS: usize = 128;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Most likely not what was meant.
    Warning,
    /// Worth knowing.
    Note,
}

/// Something odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub weight: Weight,
    /// What it is, a sentence.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.weight {
            Weight::Warning => write!(f, "warning: {}", self.what),
            Weight::Note => write!(f, "note: {}", self.what),
        }
    }
}

/// What is odd about the rules of `file`, `now` being the time.
pub fn findings(file: &RuleFile, now: Timestamp) -> Vec<Finding> {
    let mut rules: Vec<Rule> = file.rules.iter().filter_map(|rule| rule.rule(Timestamp(0)).ok()).collect();
    rules.sort_by_key(Rule::order);
    let offsets: Vec<_> = file.offsets.iter().map(|row| UtcOffset::new(Timestamp(row.from), row.seconds)).collect();
    let book = Book { file, rules: &rules, offsets: &offsets };
    let mut findings = Vec::new();
    if rules.len() > MAX_VERSIONS {
        let what =
            format!("the file has {} rules; a rule book on the chain holds {MAX_VERSIONS} versions", rules.len());
        findings.push(Finding { weight: Weight::Warning, what });
    }
    for (id, asset) in (1..).zip(&file.assets) {
        if asset.kind == AssetKind::Token as u8 && asset.mint == [0; 32] {
            let what = format!("asset {id} is a token without `mint`; a platform on the chain needs one");
            findings.push(Finding { weight: Weight::Note, what });
        }
    }
    for (at, rule) in rules.iter().enumerate() {
        let title = title(rule);
        let mut warn =
            |what: String| findings.push(Finding { weight: Weight::Warning, what: format!("{title} {what}") });
        match book.never(at, rule) {
            Some(why) => warn(format!("can never pay: {why}")),
            // Who never pays costs nothing and doubles nothing.
            None => {
                if let Some(why) = no_budget(rule) {
                    warn(why);
                }
                for why in book.twice(at, rule) {
                    warn(why);
                }
            }
        }
        for why in flat_steps(rule) {
            warn(why);
        }
        let mut note = |what: String| findings.push(Finding { weight: Weight::Note, what: format!("{title} {what}") });
        if rule.ends_at.0 != 0 && rule.ends_at <= now {
            note("is over: it ended before now".to_owned());
        }
        if let Some(tags) = book.nobodys_tags(rule) {
            note(format!("excludes {tags}, which no other rule of the file has"));
        }
    }
    findings
}

/// What a rule is called in a sentence.
pub fn title(rule: &Rule) -> String {
    format!("rule {} {:?}", rule.id, rule.name())
}

struct Book<'a> {
    file: &'a RuleFile,
    /// In order of evaluation.
    rules: &'a [Rule],
    offsets: &'a [UtcOffset],
}

impl Book<'_> {
    /// Why the rule can never pay, if that is so.
    fn never(&self, at: usize, rule: &Rule) -> Option<String> {
        let condition = rule.condition();
        let dates = dates(rule.starts_at, rule.ends_at, self.offsets);
        let cases = cases(condition, &dates);
        if cases.is_empty() {
            return Some(contradiction(condition, &dates));
        }
        if u64::from(rule.holdout().0) >= BasisPoints::WHOLE {
            return Some("all users are in its control group".to_owned());
        }
        nothing_due(rule, &cases)
            .or_else(|| limited_to_nothing(rule, &cases))
            .or_else(|| streak_too_long(rule, &counted_cases(condition, &dates)))
            .or_else(|| self.nothing_to_multiply(rule))
            .or_else(|| self.taken_or_excluded(at, rule))
    }

    /// A multiplier without anything it could multiply.
    fn nothing_to_multiply(&self, rule: &Rule) -> Option<String> {
        if !rule.is_multiplier() {
            return None;
        }
        let mut partners = self
            .rules
            .iter()
            .filter(|other| !other.is_multiplier() && other.group == rule.group && other.asset() == rule.asset())
            .filter(|other| overlap(rule, other))
            .peekable();
        if partners.peek().is_none() {
            return Some(format!(
                "no other rule of group {} grants asset {} at the same time",
                rule.group,
                rule.asset()
            ));
        }
        partners
            .all(|partner| partner.tags.meets(rule.excludes))
            .then(|| "it excludes every rule that it could multiply".to_owned())
    }

    /// A rule before which another one always pays.
    fn taken_or_excluded(&self, at: usize, rule: &Rule) -> Option<String> {
        let others = self.rules.iter().enumerate().filter(|(other, _)| *other != at);
        for (other_at, other) in others.filter(|(_, other)| self.is_sure_where(other, rule)) {
            let competes = !rule.is_multiplier() && other.group == rule.group;
            let taken = match rule.group_mode() {
                GroupMode::First => other_at < at,
                GroupMode::Best => outbids(other, other_at < at, rule),
                GroupMode::Stackable => false,
            };
            if competes && taken {
                return Some(format!("{} of its group pays whenever it could", title(other)));
            }
            // Only one that nothing can exclude or take the group from is sure to have paid.
            let pays = other.excludes.0 == 0
                && other.group_mode() == GroupMode::Stackable
                && !self.is_token(other)
                && (other_at < at || rule.is_multiplier());
            if pays && other.tags.meets(rule.excludes) {
                return Some(format!("it excludes {}, which pays whenever it could", title(other)));
            }
        }
        None
    }

    /// Whether `other` is a candidate for every payment that `rule` is one for.
    fn is_sure_where(&self, other: &Rule, rule: &Rule) -> bool {
        let always_something = match other.effect() {
            Some(Effect::Fixed { .. }) => true,
            Some(Effect::Ratio { min, .. }) => min.0 > 0,
            _ => false,
        };
        // Counters of another window could stand in a later one already.
        let never_late = matches!(other.window(), Window::Lifetime | Window::Schedule);
        let clauses = |rule| Rule::condition(rule).chunk_by(|one: &Predicate, next| one.clause == next.clause);
        let same = |one: &[Predicate], other: &[Predicate]| {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| said(one) == said(other))
        };
        let implied = clauses(other)
            .all(|clause| clause.iter().all(Predicate::is_base) && clauses(rule).any(|of_rule| same(clause, of_rule)));
        always_something
            && never_late
            && implied
            && other.limits.is_none()
            && other.holdout().0 == 0
            && covers(other, rule)
    }

    fn is_token(&self, rule: &Rule) -> bool {
        let asset = rule.asset().slot().and_then(|slot| self.file.assets.get(slot));
        asset.is_none_or(|asset| asset.kind == AssetKind::Token as u8)
    }

    /// Rules that grant the same once more.
    fn twice(&self, at: usize, rule: &Rule) -> Vec<String> {
        if rule.group_mode() != GroupMode::Stackable || rule.is_multiplier() {
            return Vec::new();
        }
        let definition = |rule: &Rule| self.file.rules.iter().find(|definition| definition.id == rule.id.0);
        let later = self.rules.iter().skip(at.saturating_add(1)).filter(|later| !later.excludes.meets(rule.tags));
        later
            .filter(|later| match (definition(rule), definition(later)) {
                (Some(one), Some(other)) => {
                    let mut other = other.clone();
                    (other.id, other.priority) = (one.id, one.priority);
                    (other.tags, other.excludes) = (one.tags, one.excludes);
                    other.name.clone_from(&one.name);
                    other == *one
                }
                _ => false,
            })
            .map(|later| format!("says the same as {}: both pay", title(later)))
            .collect()
    }

    /// The tags that the rule excludes and nobody has.
    fn nobodys_tags(&self, rule: &Rule) -> Option<String> {
        let others = self.rules.iter().filter(|other| other.id != rule.id);
        let known = others.fold(0, |known, other| known | other.tags.0);
        let unknown = rule.excludes.0 & !known;
        (unknown != 0).then(|| {
            let numbers: Vec<_> = (0..32).filter(|bit| unknown >> bit & 1 == 1).map(|bit| bit.to_string()).collect();
            format!("{} {}", if numbers.len() == 1 { "tag" } else { "tags" }, list(&numbers, "and"))
        })
    }
}

/// A predicate but for the number of its clause.
fn said(predicate: &Predicate) -> (Option<Field>, Option<rebate_core::rule::Operator>, bool, u64) {
    (predicate.field(), predicate.operator(), predicate.negated(), predicate.value)
}

/// The first and the last moment of a schedule.
fn schedule(rule: &Rule) -> (i64, i64) {
    let first = if rule.starts_at.0 == 0 { i64::MIN } else { rule.starts_at.0 };
    let last = if rule.ends_at.0 == 0 { i64::MAX } else { rule.ends_at.0.saturating_sub(1) };
    (first, last)
}

fn overlap(one: &Rule, other: &Rule) -> bool {
    let ((a, b), (c, d)) = (schedule(one), schedule(other));
    a.max(c) <= b.min(d)
}

/// Whether `one` is in force whenever `other` is.
fn covers(one: &Rule, other: &Rule) -> bool {
    let ((a, b), (c, d)) = (schedule(one), schedule(other));
    a <= c && d <= b
}

/// Whether `other` pays more than `rule` on every payment, or as much and comes first.
fn outbids(other: &Rule, is_first: bool, rule: &Rule) -> bool {
    match (other.effect(), rule.effect()) {
        (Some(Effect::Fixed { amount, .. }), Some(Effect::Fixed { amount: of_rule, .. })) => {
            amount > of_rule || amount == of_rule && is_first
        }
        _ => false,
    }
}

/// Which conditions do not go together.
fn contradiction(condition: &[Predicate], dates: &Values) -> String {
    let clauses: Vec<_> = condition.chunk_by(|one, next| one.clause == next.clause).collect();
    let everyday = Values::range(0, u64::MAX);
    let text = |clause: &[Predicate]| format!("`{}`", condition_text(clause));
    if let Some(clause) = clauses.iter().find(|clause| cases(clause, &everyday).is_empty()) {
        return format!("{} never holds", text(clause));
    }
    for (at, one) in clauses.iter().enumerate() {
        for other in clauses.iter().skip(at.saturating_add(1)) {
            if cases(&[*one, *other].concat(), &everyday).is_empty() {
                return format!("{} and {} exclude each other", text(one), text(other));
            }
        }
    }
    match clauses.iter().find(|clause| cases(clause, dates).is_empty()) {
        Some(clause) => format!("{} never holds while it is in force", text(clause)),
        None => "its conditions exclude each other".to_owned(),
    }
}

/// An effect that comes to nothing for every payment of the condition.
fn nothing_due(rule: &Rule, cases: &[Case]) -> Option<String> {
    let greatest = |field| cases.iter().filter_map(|case| case.of(field).greatest()).max();
    match rule.effect()? {
        Effect::Ratio { bps, min: Amount(0), max, .. } => {
            let most = greatest(Field::Amount)?;
            let nothing = share(Amount(most), bps, Amount(0), max).is_ok_and(|share| share.0 == 0);
            nothing.then(|| format!("{} of at most {most} is less than 1", percent(bps.0.into())))
        }
        Effect::Tiers { steps, .. } => {
            let (most, least) = (greatest(Field::Spend)?, first_step(steps)?);
            (most < least.threshold.0)
                .then(|| format!("the spend is at most {most}, and its first step is at {}", least.threshold))
        }
        _ => None,
    }
}

/// The first step that is worth something.
fn first_step(steps: &[Step]) -> Option<&Step> {
    steps.iter().find(|step| step.value > 0)
}

/// Limits that no grant keeps, where a grant that passes one is none.
fn limited_to_nothing(rule: &Rule, cases: &[Case]) -> Option<String> {
    if rule.on_limit() != OnLimit::Reject {
        return None;
    }
    let least = match rule.effect()? {
        Effect::Fixed { amount, .. } | Effect::Streak { amount, .. } => amount,
        Effect::Ratio { bps, min, max, .. } => {
            let paid = cases.iter().filter_map(|case| case.of(Field::Amount).least()).min()?;
            share(Amount(paid), bps, min, max).ok()?
        }
        Effect::Tiers { mode: TierMode::Fixed, steps, .. } => Amount(first_step(steps)?.value),
        Effect::Tiers { .. } | Effect::Multiplier { .. } => return None,
    };
    [("user_amount", rule.limits.user_amount), ("total_amount", rule.limits.total_amount)]
        .into_iter()
        .find(|(_, limit)| limit.0 != 0 && *limit < least)
        .map(|(name, limit)| format!("it grants at least {least} at a time, and rejects what passes {name} = {limit}"))
}

/// A streak that payments of the condition cannot make.
fn streak_too_long(rule: &Rule, counted: &[Case]) -> Option<String> {
    let effect_days = match rule.effect()? {
        Effect::Streak { days, .. } => u64::from(days),
        _ => 0,
    };
    let condition = rule.condition();
    let only = condition
        .chunk_by(|one, next| one.clause == next.clause)
        .filter_map(|clause| match clause {
            [predicate] if predicate.field() == Some(Field::StreakDays) => {
                cases(clause, &Values::range(0, u64::MAX)).first().and_then(|case| case.of(Field::StreakDays).least())
            }
            _ => None,
        })
        .max();
    let needed = effect_days.max(only.unwrap_or(0));
    let weekdays: Vec<bool> = (1..=7).map(|day| counted.iter().any(|case| case.of(Field::Weekday).has(day))).collect();
    let run = longest_run(&weekdays);
    if needed > run {
        return Some(format!(
            "it counts payments on at most {}, by their weekdays, and needs {needed}",
            days_in_a_row(run)
        ));
    }
    let number = counted.iter().filter_map(|case| case.of(Field::PaymentNumber).greatest()).max()?;
    if needed > number {
        return Some(format!("it counts no payment after a user's number {number}, and needs {needed} days in a row"));
    }
    let mut days = Vec::new();
    for case in counted {
        days.extend(case.days()?);
    }
    days.sort_unstable();
    days.dedup();
    let (mut run, mut longest, mut last) = (0u64, 0u64, None::<i64>);
    for day in days {
        run = if last.and_then(|last| last.checked_add(1)) == Some(day) { run.saturating_add(1) } else { 1 };
        longest = longest.max(run);
        last = Some(day);
    }
    (needed > longest).then(|| {
        format!("it counts payments on at most {}, by their dates, and needs {needed}", days_in_a_row(longest))
    })
}

fn days_in_a_row(days: u64) -> String {
    format!("{days} {} in a row", if days == 1 { "day" } else { "days" })
}

/// The longest run of days of the week, round and round; without an end where it is every day.
fn longest_run(weekdays: &[bool]) -> u64 {
    if weekdays.iter().all(|day| *day) {
        return u64::MAX;
    }
    let twice = weekdays.iter().chain(weekdays);
    twice
        .fold((0u64, 0u64), |(run, longest), day| {
            let run = if *day { run.saturating_add(1) } else { 0 };
            (run, longest.max(run))
        })
        .1
}

/// A rule that can cost any amount.
fn no_budget(rule: &Rule) -> Option<String> {
    if rule.limits.total_amount.0 != 0 {
        return None;
    }
    let most = match rule.effect()? {
        Effect::Fixed { amount, .. } | Effect::Streak { amount, .. } => Some(amount.0),
        Effect::Ratio { max, .. } => Some(max.0).filter(|max| *max != 0),
        Effect::Tiers { mode: TierMode::Fixed, steps, .. } => {
            steps.iter().try_fold(0u64, |sum, step| sum.checked_add(step.value))
        }
        Effect::Tiers { .. } | Effect::Multiplier { .. } => None,
    };
    match (most, rule.limits.total_count) {
        (Some(_), 1..) => None,
        _ => Some("has no budget: without `total_amount` there is no bound to what it grants in all".to_owned()),
    }
}

/// Steps of tiers at which nothing becomes more.
fn flat_steps(rule: &Rule) -> Vec<String> {
    let Some(Effect::Tiers { mode, steps, .. }) = rule.effect() else { return Vec::new() };
    let pairs = steps.iter().zip(steps.iter().skip(1));
    match mode {
        TierMode::Fixed => steps
            .iter()
            .filter(|step| step.value == 0)
            .map(|step| format!("grants nothing at its step from {} on", step.threshold))
            .collect(),
        TierMode::Slab => pairs
            .filter(|(step, next)| next.value <= step.value)
            .map(|(step, next)| match next.value == step.value {
                true => format!("changes nothing at its step from {} on", next.threshold),
                false => format!(
                    "grants less at its step from {} on: {} of the whole spend after {}; what was granted stays, and nothing \
                     more is due until the spend makes up for it",
                    next.threshold,
                    percent(next.value),
                    percent(step.value)
                ),
            })
            .collect(),
        TierMode::Marginal => pairs
            .filter(|(step, next)| next.value == step.value)
            .map(|(_, next)| format!("changes nothing at its step from {} on", next.threshold))
            .collect(),
    }
}
