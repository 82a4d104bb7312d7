//! A rule in a plain English sentence.

use crate::{file::RuleFile, findings::title, text::open_or};
use rebate_core::{
    rule::{Effect, Field, GroupMode, Limits, OnLimit, Operator, Predicate, Rule, Step, TierMode},
    time::UtcOffset,
    units::{Amount, AssetId, BasisPoints, Timestamp},
    window::{Scope, Window},
};
use time::{OffsetDateTime, UtcOffset as Offset, format_description::well_known::Rfc3339};

/// Every rule of a file, in order of evaluation.
pub fn explanations(file: &RuleFile) -> Vec<String> {
    explained(file).into_iter().map(|(_, sentence)| sentence).collect()
}

/// The same, each with the rule's number.
pub fn explained(file: &RuleFile) -> Vec<(u16, String)> {
    let mut rules: Vec<Rule> = file.rules.iter().filter_map(|rule| rule.rule(Timestamp(0)).ok()).collect();
    rules.sort_by_key(Rule::order);
    rules.iter().map(|rule| (rule.id.0, Explained { file, rules: &rules, rule }.sentence())).collect()
}

/// `a, b and c`, with another word for the last.
pub fn list(items: &[String], word: &str) -> String {
    match items.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} {word} {last}", rest.join(", ")),
        _ => items.concat(),
    }
}

/// Basis points as people say them: `20 %`, `0.05 %`.
pub fn percent(bps: u64) -> String {
    let (whole, part) = (bps / 100, bps % 100);
    match (part, part % 10) {
        (0, _) => format!("{whole} %"),
        (_, 0) => format!("{whole}.{} %", part / 10),
        _ => format!("{whole}.{part:02} %"),
    }
}

struct Explained<'a> {
    file: &'a RuleFile,
    /// In order of evaluation.
    rules: &'a [Rule],
    rule: &'a Rule,
}

impl Explained<'_> {
    fn sentence(&self) -> String {
        let mut sentence = format!("{}: {} a user's payment", title(self.rule), self.schedule());
        sentence.push_str(&self.when());
        sentence.push_str(&self.grants());
        let parts = [self.limits(), self.counted(), self.held_out(), self.competes(), self.excluded()];
        for part in parts.into_iter().flatten() {
            sentence.push_str("; ");
            sentence.push_str(&part);
        }
        sentence.push('.');
        sentence
    }

    fn asset(&self, asset: AssetId) -> String {
        let entry = asset.slot().and_then(|slot| self.file.assets.get(slot));
        entry.map_or_else(|| format!("asset {asset}"), |entry| entry.name())
    }

    fn amount(&self, amount: Amount) -> String {
        format!("{amount} {}", self.asset(self.rule.asset()))
    }

    /// A moment on the platform's clocks.
    fn moment(&self, at: Timestamp) -> String {
        let table: Vec<_> =
            self.file.offsets.iter().map(|row| UtcOffset::new(Timestamp(row.from), row.seconds)).collect();
        let seconds = table.iter().rev().find(|row| row.from <= at).map_or(0, |row| row.seconds);
        let local = OffsetDateTime::from_unix_timestamp(at.0).ok().zip(Offset::from_whole_seconds(seconds).ok());
        let text = local.and_then(|(moment, offset)| moment.checked_to_offset(offset)?.format(&Rfc3339).ok());
        text.unwrap_or_else(|| open_or(at))
    }

    fn schedule(&self) -> String {
        match (self.rule.starts_at.0, self.rule.ends_at.0) {
            (0, 0) => "at any time,".to_owned(),
            (_, 0) => format!("from {} on,", self.moment(self.rule.starts_at)),
            (0, _) => format!("until before {},", self.moment(self.rule.ends_at)),
            _ => format!("from {} until before {},", self.moment(self.rule.starts_at), self.moment(self.rule.ends_at)),
        }
    }

    fn when(&self) -> String {
        let condition = self.rule.condition();
        if condition.is_empty() {
            return String::new();
        }
        let clauses = condition.chunk_by(|one, next| one.clause == next.clause);
        let clauses: Vec<_> = clauses
            .map(|clause| list(&clause.iter().map(|predicate| self.predicate(predicate)).collect::<Vec<_>>(), "or"))
            .collect();
        format!(" where {},", clauses.join(", and "))
    }

    fn predicate(&self, predicate: &Predicate) -> String {
        let (Some(field), Some(operator)) = (predicate.field(), predicate.operator()) else {
            return "something unknown holds".to_owned();
        };
        let value = predicate.value;
        if (field, operator, value) == (Field::PaymentNumber, Operator::Eq, 1) {
            return format!("it is {}the user's first", if predicate.negated() { "not " } else { "" });
        }
        let (is, not) = if predicate.negated() { ("is not", true) } else { ("is", false) };
        if operator == Operator::Any {
            let bits: Vec<_> = (0..64).filter(|bit| value >> bit & 1 == 1).collect();
            let named = |name: fn(u64) -> String| list(&bits.iter().map(|bit| name(*bit)).collect::<Vec<_>>(), "or");
            return match field {
                Field::Weekday => format!("the day {is} a {}", named(|bit| weekday(bit).to_owned())),
                Field::Hour => format!("the hour {is} {}", named(|bit| bit.to_string())),
                _ if not => format!("the user is in none of the segments {}", named(|bit| bit.to_string())),
                _ => format!("the user is in segment {}", named(|bit| bit.to_string())),
            };
        }
        let than = match operator {
            Operator::Eq | Operator::Any => "",
            Operator::Ne => "other than ",
            Operator::Lt => "below ",
            Operator::Le => "at most ",
            Operator::Gt => "above ",
            Operator::Ge => "at least ",
        };
        if matches!(field, Field::Streamer | Field::Session) && value == 0 {
            let some = predicate.negated() == (operator == Operator::Eq);
            return format!("there is {} {}", if some { "a" } else { "no" }, field.name());
        }
        let value = match field {
            Field::Weekday => weekday(value).to_owned(),
            Field::Date => format!("{:04}-{:02}-{:02}", value / 10_000, value / 100 % 100, value % 100),
            Field::Streamer | Field::Session => format!("number {value}"),
            _ => value.to_string(),
        };
        format!("{} {is} {than}{value}", self.subject(field))
    }

    fn subject(&self, field: Field) -> String {
        match field {
            Field::Amount => "the amount".to_owned(),
            Field::Product => "the product".to_owned(),
            Field::Weekday => "the day".to_owned(),
            Field::PaymentNumber => "the user's payment number".to_owned(),
            Field::Hour => "the hour".to_owned(),
            Field::Date => "the date".to_owned(),
            Field::Spend => format!("what the user spent{}", self.window()),
            Field::Payments => format!("the number of the user's payments{}", self.window()),
            Field::StreakDays => "the number of days in a row with a payment".to_owned(),
            Field::Tier => "the user's tier".to_owned(),
            Field::Segments => "the user's set of segments".to_owned(),
            Field::Streamer => "the streamer".to_owned(),
            Field::Session => "the session".to_owned(),
        }
    }

    /// Towards whom, and over which time.
    fn window(&self) -> String {
        let whom = match self.rule.scope() {
            Scope::User => "",
            Scope::UserStreamer => " for the same streamer",
            Scope::UserSession => " in the same live session",
        };
        let time = match self.rule.window() {
            Window::Day => " on that day",
            Window::Week => " in that week",
            Window::Month => " in that month",
            Window::Lifetime => " so far",
            Window::Schedule => " since the rule began",
        };
        format!("{whom}{time}")
    }

    /// For whom and for which time a limit is.
    fn each(&self) -> String {
        let whom = match self.rule.scope() {
            Scope::User => "a user",
            Scope::UserStreamer => "a user and streamer",
            Scope::UserSession => "a user and live session",
        };
        let time = match self.rule.window() {
            Window::Day => " and day",
            Window::Week => " and week",
            Window::Month => " and month",
            Window::Lifetime | Window::Schedule => "",
        };
        format!("{whom}{time}")
    }

    fn grants(&self) -> String {
        match self.rule.effect() {
            None => " grants something unknown".to_owned(),
            Some(Effect::Fixed { amount, .. }) => format!(" grants {}", self.amount(amount)),
            Some(Effect::Ratio { asset, bps, min, max }) => {
                let least = if min.0 == 0 { String::new() } else { format!(", at least {min}") };
                let most = if max.0 == 0 { String::new() } else { format!(", at most {max}") };
                format!(" grants {} of its amount in {}{least}{most}", percent(bps.0.into()), self.asset(asset))
            }
            Some(Effect::Tiers { asset, mode, steps }) => {
                format!(
                    " grants what the user's spend{} entitles to and was not granted for it yet, in {}: {}",
                    self.window(),
                    self.asset(asset),
                    tiers(mode, steps)
                )
            }
            Some(Effect::Streak { days, amount, recurring, .. }) => {
                let days = if recurring {
                    format!("each time the user paid on another {days} days in a row")
                } else {
                    format!("once the user paid on {days} days in a row")
                };
                format!(" grants {}, {days}", self.amount(amount))
            }
            Some(Effect::Multiplier { asset, bps }) => format!(
                " grants another {} of what the other rules of group {} grant it in {}",
                percent(u64::from(bps.0).saturating_sub(BasisPoints::WHOLE)),
                self.rule.group,
                self.asset(asset)
            ),
        }
    }

    fn limits(&self) -> Option<String> {
        let Limits { user_amount, user_count, total_amount, total_count } = self.rule.limits;
        let both = |amount: Amount, count: u64| {
            let amount = (amount.0 != 0).then(|| self.amount(amount));
            let count = match count {
                0 => None,
                1 => Some("once".to_owned()),
                count => Some(format!("{count} times")),
            };
            let parts: Vec<_> = [amount, count].into_iter().flatten().collect();
            (!parts.is_empty()).then(|| parts.join(" and "))
        };
        let user = both(user_amount, user_count).map(|most| format!("at most {most} {}", self.each()));
        let total = both(total_amount, total_count).map(|most| format!("at most {most} in all"));
        let limits: Vec<_> = [user, total].into_iter().flatten().collect();
        let passed = match self.rule.on_limit() {
            OnLimit::Clip => "what is more is cut off",
            OnLimit::Reject => "what would be more is not granted at all",
        };
        (!limits.is_empty()).then(|| format!("{}, and {passed}", limits.join(" and ")))
    }

    /// Where nothing else says whose counters there are.
    fn counted(&self) -> Option<String> {
        let streak = matches!(self.rule.effect(), Some(Effect::Streak { .. }));
        (streak && self.rule.scope() != Scope::User).then(|| match self.rule.scope() {
            Scope::UserSession => "days are counted in each live session by itself".to_owned(),
            _ => "days are counted for each streamer by itself".to_owned(),
        })
    }

    fn held_out(&self) -> Option<String> {
        let share = self.rule.holdout();
        (share.0 != 0).then(|| format!("{} of the users never get it, as a control group", percent(share.0.into())))
    }

    fn competes(&self) -> Option<String> {
        let rule = self.rule;
        if rule.is_multiplier() || rule.group_mode() == GroupMode::Stackable {
            return None;
        }
        let others: Vec<_> = self
            .rules
            .iter()
            .filter(|other| other.id != rule.id && other.group == rule.group && !other.is_multiplier())
            .map(|other| other.id.to_string())
            .collect();
        let which = match rule.group_mode() {
            GroupMode::Best => "the one that grants most",
            _ => "the first that grants anything",
        };
        Some(match others.as_slice() {
            [] => format!("group {} has no other rule to compete with", rule.group),
            [other] => format!("of it and rule {other}, only {which}"),
            others => format!("of it and rules {}, only {which}", list(others, "and")),
        })
    }

    fn excluded(&self) -> Option<String> {
        let rule = self.rule;
        let by: Vec<_> = self
            .rules
            .iter()
            .filter(|other| other.id != rule.id && other.tags.meets(rule.excludes))
            .map(|other| other.id.to_string())
            .collect();
        match by.as_slice() {
            [] => None,
            [other] => Some(format!("not where rule {other} has paid")),
            others => Some(format!("not where rule {} has paid", list(others, "or"))),
        }
    }
}

fn tiers(mode: TierMode, steps: &[Step]) -> String {
    let steps: Vec<_> = steps
        .iter()
        .enumerate()
        .map(|(at, Step { threshold, value })| match mode {
            TierMode::Fixed if at == 0 => format!("{value} from {threshold} on"),
            TierMode::Fixed => format!("{value} more from {threshold} on"),
            TierMode::Slab => format!("{} of all of it from {threshold} on", percent(*value)),
            TierMode::Marginal => format!("{} of what is beyond {threshold}", percent(*value)),
        })
        .collect();
    let until = if mode == TierMode::Marginal && steps.len() > 1 { ", each up to the next" } else { "" };
    format!("{}{until}", list(&steps, "and"))
}

fn weekday(number: u64) -> &'static str {
    match number {
        1 => "Monday",
        2 => "Tuesday",
        3 => "Wednesday",
        4 => "Thursday",
        5 => "Friday",
        6 => "Saturday",
        _ => "Sunday",
    }
}
