//! English.

use super::{
    Counted, Did, Due, Entry, Next, Operation, Outcome, Progress, Reset, UserLimit, Words, date, members, moment,
    offset,
};
use crate::problem::{CursorFault, Detail, Kind, Thing};
use rebate_core::{
    outcome::Reason,
    refusal::Refusal,
    rule::{Field, Operator, Predicate},
    window::{Scope, Window},
};
use time::OffsetDateTime;

pub(super) struct English;

impl Words for English {
    fn title(&self, kind: Kind) -> &'static str {
        match kind {
            Kind::InvalidParameter => "A parameter is not valid",
            Kind::InvalidCursor => "The cursor is not one of this list",
            Kind::PlatformNotNamed => "The platform is not named",
            Kind::NotFound => "Not on record",
            Kind::UnknownPath => "No such path",
            Kind::MethodNotAllowed => "The path takes another method",
            Kind::TooLarge => "The request is too large",
            Kind::InvalidBody => "The body is not valid",
            Kind::Unauthorized => "Who asks is not known",
            Kind::Forbidden => "The role does not suffice",
            Kind::Conflict => "What is on record does not allow it",
            Kind::RateLimited => "Too many requests of one client",
            Kind::OracleUnavailable => "The oracle does not answer",
            Kind::NotConfigured => "This server was not told what it needs",
            Kind::Timeout => "Answering took too long",
            Kind::Overloaded => "Too many requests at once",
            Kind::DatabaseUnavailable => "The database does not answer",
            Kind::NodeUnavailable => "The node does not answer",
            Kind::NotReady => "Not ready",
            Kind::Internal => "Something is wrong in here",
        }
    }

    fn detail(&self, detail: &Detail) -> String {
        match detail {
            Detail::Text(text) => text.clone(),
            Detail::NotOnRecord(thing, slot) => {
                format!("no {} on record as of slot {slot}; if it is newer, ask again in a moment", named(thing))
            }
            Detail::PlatformNotNamed => {
                "several platforms are on record: name one with ?platform=, /v1/platforms lists them".to_owned()
            }
            Detail::OutOfRange { name, found, least, most } => {
                format!("{name} in the query: {found} is not from {least} to {most}")
            }
            Detail::Path(why) => format!("in the path: {why}"),
            Detail::Query(why) => format!("in the query: {why}"),
            Detail::Cursor(fault) => {
                let what = match fault {
                    CursorFault::Broken => "this is no cursor that this server gave out",
                    CursorFault::OtherList => "it belongs to another list",
                    CursorFault::Altered => "it is not one of this list with these filters, or it was altered",
                };
                format!("cursor in the query: {what}; start again without one")
            }
            Detail::UnknownPath => "there is nothing at this path; /openapi.json lists all there is".to_owned(),
            Detail::MethodNotAllowed => {
                "this path does not take that method; the header Allow names those it takes".to_owned()
            }
            Detail::TooLarge => "no request here needs a body of that size; leave it out".to_owned(),
            Detail::Timeout => {
                "the answer was not ready in time; try again, and ask for less with a smaller limit".to_owned()
            }
            Detail::Overloaded => "this server answers as many requests as it can; try again in a moment".to_owned(),
            Detail::TooManyLive => {
                "this server keeps as many live connections as it can; try again in a moment, or ask from time to time"
                    .to_owned()
            }
            Detail::DatabaseUnavailable => {
                "the database behind this server does not answer; try again in a moment".to_owned()
            }
            Detail::NodeUnavailable => {
                "the Solana node that the database is compared with does not answer, so nothing can be said about \
                 integrity now; this server's log says why; try again in a moment"
                    .to_owned()
            }
            Detail::NothingIndexed => "no block was indexed yet: start the indexer".to_owned(),
            Detail::Internal => {
                "this is a defect or damaged data, and the server's log says more; please report it with the request id"
                    .to_owned()
            }
        }
    }

    fn outcome(&self, outcome: &Outcome<'_>) -> String {
        let Outcome { rule, asset, did } = outcome;
        match did {
            Did::Granted(amount, debt) if debt.is_zero() => format!("granted: {amount} {asset} by ‘{rule}’"),
            Did::Granted(amount, debt) => {
                format!("granted: {amount} {asset} by ‘{rule}’, of which {debt} paid what you owed")
            }
            Did::Reversed(amount, debt) if debt.is_zero() => {
                format!("taken back: {amount} {asset} of ‘{rule}’, in proportion to what was refunded")
            }
            Did::Reversed(amount, debt) => format!(
                "taken back: {amount} {asset} of ‘{rule}’, in proportion to what was refunded; {debt} of it you had \
                 spent and owe now"
            ),
            Did::NotMatched(Some(clause), counted) => {
                format!("not granted: ‘{rule}’ is for payments where {}", self.clause(clause, *counted))
            }
            Did::NotMatched(None, _) => format!("not granted: the payment does not meet the conditions of ‘{rule}’"),
            Did::NothingDue(due, counted) => format!("not granted: {}", nothing_due(rule, *due, *counted)),
            Did::LateForWindow(counted) => format!(
                "not granted: the payment came too late for ‘{rule}’, which had already counted one of a later {}",
                noun(counted.window)
            ),
            Did::Holdout => {
                format!("not granted: you are in the group without ‘{rule}’ that its effect is measured against")
            }
            Did::UserLimit(limit, counted) => format!("not granted: {}", user_limit(rule, asset, *limit, *counted)),
            Did::BudgetSpent { rejects: false } => format!("not granted: the budget of ‘{rule}’ is spent"),
            Did::BudgetSpent { rejects: true } => {
                format!("not granted: what is left of the budget of ‘{rule}’ is not enough for this grant")
            }
            Did::GroupTaken(Some(by)) => {
                format!("not granted: of ‘{by}’ and ‘{rule}’ only one pays, and it was ‘{by}’")
            }
            Did::GroupTaken(None) => format!("not granted: another rule pays in the place of ‘{rule}’"),
            Did::Excluded(Some(by)) => format!("not granted: ‘{rule}’ does not pay where ‘{by}’ has paid"),
            Did::Excluded(None) => {
                format!("not granted: ‘{rule}’ does not pay together with another rule that has paid")
            }
            Did::VaultShort => format!("not granted: there is not enough {asset} left in the vault for ‘{rule}’"),
            Did::Unknown(reason) => {
                format!("not granted by ‘{rule}’, for a reason this server has no words for yet: {reason}")
            }
        }
    }

    fn entry(&self, entry: &Entry<'_>) -> String {
        let Entry { operation, asset, changed, debt } = entry;
        match operation {
            Operation::Grant(rule) if debt.is_zero() => format!("{changed} {asset} granted by ‘{rule}’"),
            Operation::Grant(rule) => {
                let all = changed.saturating_add(*debt);
                format!("{all} {asset} granted by ‘{rule}’, of which {debt} paid what you owed")
            }
            Operation::Reversal(rule) if debt.is_zero() => {
                format!("{changed} {asset} of ‘{rule}’ taken back after a refund")
            }
            Operation::Reversal(rule) => {
                let all = changed.saturating_add(*debt);
                format!("{all} {asset} of ‘{rule}’ taken back after a refund, of which you owe {debt}")
            }
            Operation::Redemption => format!("{changed} {asset} redeemed"),
            Operation::Claim => format!("{changed} {asset} claimed to your wallet"),
            Operation::Expiry => format!("{changed} {asset} expired"),
            Operation::Unknown => format!("a change of {changed} {asset}"),
        }
    }

    fn reason(&self, reason: Reason) -> &'static str {
        match reason {
            Reason::Granted => "The rule paid.",
            Reason::NotMatched => "The payment does not meet the rule's conditions.",
            Reason::NothingDue => "The payment meets the conditions, and the reward comes to nothing.",
            Reason::LateForWindow => "The rule counted a payment of a later window before this one came.",
            Reason::Holdout => "The user is in the group without the rule that its effect is measured against.",
            Reason::UserLimit => "The user got as much or as often in this window as the rule allows.",
            Reason::BudgetSpent => "The rule granted as much or as often as it may.",
            Reason::GroupTaken => "Another rule of the group pays.",
            Reason::Excluded => "A rule that paid on this payment excludes this one.",
            Reason::VaultShort => "The vault does not hold enough for it.",
            Reason::Reversed => "A refund took back what the rule had granted.",
        }
    }

    fn refusal(&self, refusal: Refusal) -> &'static str {
        match refusal {
            Refusal::ZeroAmount => "The amount is 0; record payments of more than nothing.",
            Refusal::TooLate => "It was made further back than the platform takes records of.",
            Refusal::FromTheFuture => {
                "It says it was made more than a minute ahead of the chain's clock; check the clock."
            }
            Refusal::DuplicateOrder => "The order number was taken before; nothing was recorded twice.",
            Refusal::AmountOverflow => {
                "A grant, a balance or a counter would become greater than any number the chain keeps."
            }
            Refusal::UnknownOrder => "Nobody recorded the order that it refunds.",
            Refusal::OverRefund => "More would be refunded than was paid.",
            Refusal::InsufficientBalance => "The user has less than that.",
            Refusal::NotRedeemable => "The asset cannot be redeemed: tokens are claimed, and others do not exist.",
            Refusal::StaleLink => "The user has a wallet that was linked at the same time or later.",
        }
    }

    fn clause(&self, clause: &[Predicate], counted: Counted) -> String {
        let parts: Vec<String> = clause.iter().map(|one| predicate(one, counted)).collect();
        list(&parts, "or")
    }

    fn progress(&self, progress: &Progress<'_>) -> String {
        let Progress { rule, asset, counted, spend, granted, next, left, reset } = *progress;
        let mut text = match next {
            Next::Holdout => {
                return format!("you are in the group without ‘{rule}’ that its effect is measured against");
            }
            Next::Tier(missing) => format!(
                "‘{rule}’: you spent {spend}{}; {} more reaches the next tier at {}",
                during(counted),
                missing.amount(),
                missing.threshold
            ),
            Next::AllTiers => format!("‘{rule}’: you reached every tier{}", during(counted)),
            Next::Streak { days, pays_at } => format!(
                "‘{rule}’: {} in a row so far{}; it pays on day {pays_at}",
                times(u64::from(days), "day", "days"),
                towards(counted.scope)
            ),
            Next::StreakDone => format!("‘{rule}’ was paid; it pays once"),
            Next::Nothing => format!("‘{rule}’: {granted} {asset} granted{}", during(counted)),
        };
        let left = match left {
            (None, None) => None,
            (_, Some(0)) | (Some(0), _) => Some("your limit is reached".to_owned()),
            (Some(amount), None) => Some(format!("{amount} {asset} more at most")),
            (None, Some(count)) => Some(format!("{} more at most", times(count, "time", "times"))),
            (Some(amount), Some(count)) => {
                Some(format!("{amount} {asset} and {} more at most", times(count, "time", "times")))
            }
        };
        for part in [left, resets(reset)].into_iter().flatten() {
            text.push_str("; ");
            text.push_str(&part);
        }
        text
    }
}

fn named(thing: &Thing) -> String {
    match thing {
        Thing::Platform(Some(address)) => format!("platform {address}"),
        Thing::Platform(None) => "platform".to_owned(),
        Thing::User(user) => format!("payment of user {user}"),
        Thing::Order(order) => format!("order with hash {order}"),
        Thing::Rule(rule) => format!("rule {rule}"),
        Thing::RuleVersion(rule, version) => format!("version {version} of rule {rule}"),
        Thing::Other(what) => what.clone(),
    }
}

/// `a, b or c`.
fn list(items: &[String], word: &str) -> String {
    match items.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} {word} {last}", rest.join(", ")),
        _ => items.concat(),
    }
}

fn times(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn noun(window: Window) -> &'static str {
    match window {
        Window::Day => "day",
        Window::Week => "week",
        Window::Month => "month",
        Window::Lifetime | Window::Schedule => "period",
    }
}

fn towards(scope: Scope) -> &'static str {
    match scope {
        Scope::User => "",
        Scope::UserStreamer => " for this streamer",
        Scope::UserSession => " in this live session",
    }
}

/// ` this week for this streamer`.
fn during(counted: Counted) -> String {
    let time = match counted.window {
        Window::Day => " that day",
        Window::Week => " that week",
        Window::Month => " that month",
        Window::Lifetime => " so far",
        Window::Schedule => " since the rule began",
    };
    format!("{time}{}", towards(counted.scope))
}

fn nothing_due(rule: &str, due: Due, counted: Counted) -> String {
    match due {
        Due::Tier(Some(missing)) => format!(
            "you spent {}{}; {} more reaches the next tier of ‘{rule}’ at {}",
            missing.spend,
            during(counted),
            missing.amount(),
            missing.threshold
        ),
        Due::Tier(None) => format!("what you spent{} reaches no further tier of ‘{rule}’", during(counted)),
        Due::AllTiers => format!("all that ‘{rule}’ grants for what you spent{} was granted before", during(counted)),
        Due::Streak { days, recurring, now } => {
            let pays =
                if recurring { format!("every {days} days in a row") } else { format!("on day {days} in a row") };
            let towards = towards(counted.scope);
            match now {
                Some(now) => format!("‘{rule}’ pays {pays}{towards}, and this was day {now} or another payment of it"),
                None => format!("‘{rule}’ pays {pays}{towards}, on the day's first payment"),
            }
        }
        Due::Share => format!("the share of so small an amount that ‘{rule}’ grants comes to nothing"),
        Due::Multiplier => format!("‘{rule}’ adds to what other rules grant, and there was nothing to add to"),
        Due::Unknown => format!("what ‘{rule}’ grants for it comes to nothing"),
    }
}

fn user_limit(rule: &str, asset: &str, limit: UserLimit, counted: Counted) -> String {
    let weekly = match counted.window {
        Window::Day => "daily limit",
        Window::Week => "weekly limit",
        Window::Month => "monthly limit",
        Window::Lifetime | Window::Schedule => "limit",
    };
    let amount = (limit.amount != 0).then(|| format!("{} {asset}", limit.amount));
    let count = (limit.count != 0).then(|| times(limit.count, "time", "times"));
    let parts: Vec<String> = [amount, count].into_iter().flatten().collect();
    let towards = towards(counted.scope);
    let of = list(&parts, "and");
    let is = if limit.rejects && limit.amount != 0 { "is reached or would be passed" } else { "is reached" };
    let mut text = format!("your {weekly} for ‘{rule}’{towards} ({of}) {is}");
    if let Some(reset) = resets(limit.reset) {
        text.push_str("; ");
        text.push_str(&reset);
    }
    text
}

fn resets(reset: Reset) -> Option<String> {
    match reset {
        Reset::Never => None,
        Reset::WithRule(at) => Some(format!("the rule ends on {}", moment(at))),
        Reset::Soon(at) => Some(format!("it resets on {}", soon(at))),
        Reset::At(at) => Some(format!("it resets on {}", moment(at))),
        Reset::Passed(at) => Some(format!("it was reset on {}", moment(at))),
    }
}

/// `Monday 00:00 +08:00`.
fn soon(at: OffsetDateTime) -> String {
    let day = weekday(u64::from(at.weekday().number_from_monday()));
    format!("{day} {:02}:{:02} {}", at.hour(), at.minute(), offset(at))
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

fn predicate(predicate: &Predicate, counted: Counted) -> String {
    let (Some(field), Some(operator)) = (predicate.field(), predicate.operator()) else {
        return "something holds that this server has no words for yet".to_owned();
    };
    let (value, negated) = (predicate.value, predicate.negated());
    if (field, operator, value) == (Field::PaymentNumber, Operator::Eq, 1) {
        return format!("it is {}your first", if negated { "not " } else { "" });
    }
    let is = if negated { "is not" } else { "is" };
    if operator == Operator::Any {
        let bits = |name: fn(u64) -> String| list(&members(value).map(name).collect::<Vec<_>>(), "or");
        return match field {
            Field::Weekday => format!("the day {is} {}", bits(|day| weekday(day).to_owned())),
            Field::Hour => format!("the hour {is} {}", bits(|hour| hour.to_string())),
            _ if negated => format!("you are in none of the segments {}", bits(|bit| bit.to_string())),
            _ => format!("you are in segment {}", bits(|bit| bit.to_string())),
        };
    }
    if matches!(field, Field::Streamer | Field::Session) && value == 0 {
        let (what, one) = if field == Field::Streamer { ("streamer", "a") } else { ("live session", "a") };
        let some = negated == (operator == Operator::Eq);
        return format!("there is {} {what}", if some { one } else { "no" });
    }
    let than = match operator {
        Operator::Eq | Operator::Any => "",
        Operator::Ne => "other than ",
        Operator::Lt => "below ",
        Operator::Le => "at most ",
        Operator::Gt => "above ",
        Operator::Ge => "at least ",
    };
    let value = match field {
        Field::Weekday => weekday(value).to_owned(),
        Field::Date => date(value),
        Field::Streamer | Field::Session => format!("number {value}"),
        _ => value.to_string(),
    };
    let subject = match field {
        Field::Amount => "the amount".to_owned(),
        Field::Product => "the product".to_owned(),
        Field::Weekday => "the day of the week".to_owned(),
        Field::PaymentNumber => "the number of your payment".to_owned(),
        Field::Hour => "the hour".to_owned(),
        Field::Date => "the date".to_owned(),
        Field::Spend => format!("what you spent{}", during(counted)),
        Field::Payments => format!("how often you paid{}", during(counted)),
        Field::StreakDays => format!("the number of days in a row that you paid on{}", towards(counted.scope)),
        Field::Tier => "your tier".to_owned(),
        Field::Segments => "the set of your segments".to_owned(),
        Field::Streamer => "the streamer".to_owned(),
        Field::Session => "the live session".to_owned(),
    };
    format!("{subject} {is} {than}{value}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Missing;
    use time::macros::datetime;

    #[test]
    fn a_limit_names_its_rule_its_amount_and_when_it_resets() {
        let limit =
            UserLimit { amount: 500, count: 0, rejects: false, reset: Reset::Soon(datetime!(2026-10-05 00:00 +8)) };
        let counted = Counted { window: Window::Week, scope: Scope::User };
        let outcome = Outcome { rule: "weekend bonus", asset: "coins", did: Did::UserLimit(limit, counted) };
        assert_eq!(
            English.outcome(&outcome),
            "not granted: your weekly limit for ‘weekend bonus’ (500 coins) is reached; it resets on Monday 00:00 +08:00"
        );
    }

    #[test]
    fn what_is_missing_for_the_next_tier_is_said() {
        let counted = Counted { window: Window::Month, scope: Scope::UserStreamer };
        let due = Due::Tier(Some(Missing { spend: 3_000, threshold: 5_000 }));
        let outcome = Outcome { rule: "ladder", asset: "coins", did: Did::NothingDue(due, counted) };
        assert_eq!(
            English.outcome(&outcome),
            "not granted: you spent 3000 that month for this streamer; 2000 more reaches the next tier of ‘ladder’ at 5000"
        );
    }

    #[test]
    fn a_clause_reads_as_a_sentence() {
        let counted = Counted { window: Window::Day, scope: Scope::User };
        let one = |negated, field, operator, value| Predicate::new(0, negated, field, operator, value);
        for (clause, expected) in [
            (vec![one(false, Field::PaymentNumber, Operator::Eq, 1)], "it is your first"),
            (vec![one(true, Field::Weekday, Operator::Any, 192)], "the day is not Saturday or Sunday"),
            (
                vec![one(false, Field::Product, Operator::Eq, 1), one(true, Field::Spend, Operator::Lt, 700)],
                "the product is 1 or what you spent that day is not below 700",
            ),
            (vec![one(false, Field::Session, Operator::Ne, 0)], "there is a live session"),
            (vec![one(false, Field::Date, Operator::Ge, 20_261_003)], "the date is at least 2026-10-03"),
        ] {
            assert_eq!(English.clause(&clause, counted), expected);
        }
    }
}
