//! What rules count of a user, and what the user has, as the evaluator has it.
//!
//! It is rebuilt from the user's own payments and refunds by the evaluator itself ([`rebate_client::replay::Standing`]). Only those
//! are read that a counter in use can still know of: where every rule in question counts by day, week or month, those of
//! the current windows; where one counts over its lifetime or schedule, or days in a row, those since it began to count that
//! way. Beyond that, time goes with the number of the user's payments, and the database's statement timeout bounds it.

use crate::{
    book::{Book, u64_of},
    problem::Problem,
    snapshot::Snapshot,
    value::{Address, Hash},
};
use rebate_client::{
    event::{Event, OutcomeEntry},
    replay::{Refundable, Standing},
};
use rebate_core::{
    admission::Admission,
    balance::{Balance, Balances},
    evaluate::UNLIMITED,
    expiry::Periods,
    outcome::{Outcome, Reason},
    payment::Payment,
    rule::{Effect, Field, Rule},
    time::LocalTime,
    units::{
        Amount, AssetId, Day, MAX_ASSETS, Months, PaymentNumber, PeriodIndex, RuleId, RuleVersion, Seconds, Timestamp,
    },
    window::Window,
};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, HashMap};
use time::OffsetDateTime;

/// From which payments on a counter can still know of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Since {
    /// All.
    Ever,
    /// Those made at this time or later, Unix seconds.
    At(i64),
    /// None.
    Never,
}

impl Since {
    /// What the rules in force at `at` can know of.
    pub fn of(book: &Book, rules: &[Rule], at: i64) -> Self {
        let in_force = rules.iter().filter(|rule| rule.in_force(Timestamp(at)));
        in_force.map(|rule| Self::of_rule(book, rule, at)).min().unwrap_or(Self::Never)
    }

    fn of_rule(book: &Book, rule: &Rule, at: i64) -> Self {
        let streak = matches!(rule.effect(), Some(Effect::Streak { .. }))
            || rule.condition().iter().any(|predicate| predicate.field() == Some(Field::StreakDays));
        let window = book.window(rule, at).start;
        if rule.window().is_periodic() && !streak {
            return window.map_or(Self::Ever, Self::At);
        }
        // Counters begin anew with the version that began to count this way.
        let first = book.version(i32::from(rule.id.0), i32::from(rule.epoch.0));
        let begun = first.map(|first| first.rule.effective_at.0).filter(|begun| *begun != 0);
        match (begun, window) {
            (Some(begun), Some(window)) if rule.window() == Window::Schedule => Self::At(begun.max(window)),
            (None, Some(window)) if rule.window() == Window::Schedule => Self::At(window),
            (Some(begun), _) => Self::At(begun),
            (None, _) => Self::Ever,
        }
    }
}

/// What the evaluator knows an outcome on record by.
fn outcome(entry: &OutcomeEntry) -> Outcome {
    Outcome {
        slot: 0,
        rule: RuleId(entry.rule),
        version: RuleVersion(entry.version),
        // A reason that a newer program has is none that grants.
        reason: Reason::from_number(entry.reason).unwrap_or(Reason::NotMatched),
        clause: entry.clause,
        asset: AssetId(entry.asset),
        amount: Amount(entry.amount),
        before: Amount(entry.before),
        after: Amount(entry.after),
    }
}

fn damaged(what: &dyn std::fmt::Display) -> Problem {
    Problem::internal(&format_args!("the records of a user: {what}"))
}

/// A refund, in the order of the journal.
struct Refunded {
    payment_index: i64,
    amount: Amount,
}

/// What rules count of `user` after the event `until`, as far as it follows from payments `since` then.
///
/// # Errors
/// Where the database does not answer, or is damaged.
pub async fn rebuild(
    snapshot: &mut Snapshot,
    platform: Address,
    user: Hash,
    book: &Book,
    since: Since,
    until: i64,
) -> Result<Standing, Problem> {
    let mut standing = Standing::new();
    let from = match since {
        Since::Never => return Ok(standing),
        Since::Ever => None,
        // A moment beyond the calendar is one that nobody pays at.
        Since::At(at) => Some(OffsetDateTime::from_unix_timestamp(at).map_err(|error| damaged(&error))?),
    };
    let mut refunds: BTreeMap<i64, Refunded> = BTreeMap::new();
    let mut refundable: HashMap<i64, Option<Refundable>> = HashMap::new();
    for row in sqlx::query!(
        "SELECT f.journal_index, f.payment_index, f.amount
         FROM payments p JOIN refunds f ON f.platform = p.platform AND f.payment_index = p.journal_index
         WHERE p.platform = $1 AND p.user_key = $2 AND f.journal_index <= $3
               AND ($4::timestamptz IS NULL OR p.paid_at >= $4)
               AND EXISTS (SELECT FROM users u WHERE u.platform = $1 AND u.user_key = $2 AND u.refunded > 0)",
        &platform.0,
        &user.0,
        until,
        from,
    )
    .fetch_all(snapshot.connection())
    .await?
    {
        let amount = Amount(u64_of(row.amount)?);
        refunds.insert(row.journal_index, Refunded { payment_index: row.payment_index, amount });
        refundable.insert(row.payment_index, None);
    }
    let rows = sqlx::query!(
        "SELECT p.journal_index, e.bytes
         FROM payments p
         JOIN LATERAL (
             SELECT e.bytes FROM events e
             WHERE e.platform = p.platform AND e.journal_index = p.journal_index AND e.month = p.month LIMIT 1
         ) AS e ON true
         WHERE p.platform = $1 AND p.user_key = $2 AND p.journal_index <= $3
               AND ($4::timestamptz IS NULL OR p.paid_at >= $4)
         ORDER BY p.journal_index",
        &platform.0,
        &user.0,
        until,
        from,
    )
    .fetch_all(snapshot.connection())
    .await?;
    let offsets = book.clock.offsets();
    let mut refunds = refunds.into_iter().peekable();
    for row in rows {
        while let Some((index, refund)) = refunds.next_if(|(index, _)| *index < row.journal_index) {
            take_back(&mut standing, book, &mut refundable, index, &refund)?;
        }
        let event = match Event::decode(&row.bytes) {
            Ok(Event::PaymentRecorded(event)) => event,
            Ok(other) => return Err(damaged(&format_args!("event {} is a {}", row.journal_index, other.name()))),
            Err(error) => return Err(damaged(&error)),
        };
        let payment = Payment::from(&event);
        let recorded: Vec<Outcome> = event.outcomes.iter().map(outcome).collect();
        let rule = |outcome: &Outcome| {
            book.version(i32::from(outcome.rule.0), i32::from(outcome.version.0)).map(|version| version.rule)
        };
        standing
            .recount(&payment, PaymentNumber(event.number), &recorded, offsets, rule)
            .map_err(|refusal| damaged(&format_args!("payment {} would be refused: {refusal}", row.journal_index)))?;
        if let Some(place) = refundable.get_mut(&row.journal_index) {
            *place = Some(Refundable::new(&payment, &recorded));
        }
    }
    for (index, refund) in refunds {
        take_back(&mut standing, book, &mut refundable, index, &refund)?;
    }
    Ok(standing)
}

fn take_back(
    standing: &mut Standing,
    book: &Book,
    refundable: &mut HashMap<i64, Option<Refundable>>,
    index: i64,
    refund: &Refunded,
) -> Result<(), Problem> {
    let paid = refundable
        .get_mut(&refund.payment_index)
        .and_then(Option::as_mut)
        .ok_or_else(|| damaged(&format_args!("refund {index} comes before its payment")))?;
    standing
        .refund(refund.amount, paid, &mut book.rules_at(index), book.clock.offsets())
        .map_err(|refusal| damaged(&format_args!("refund {index} would be refused: {refusal}")))
}

/// What a platform lets in and grants of, beside its rules.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How far back a record may lie, what takes its place, and from when on.
    max_lateness: (Seconds, Option<(Seconds, i64)>),
    /// The first day whose orders are still remembered.
    open_from: Day,
    /// Whether recording is stopped.
    pub paused: bool,
    /// By asset slot.
    pub periods: Periods,
    /// By asset slot.
    pub free: [Amount; MAX_ASSETS],
}

impl Terms {
    /// Those of a platform on record.
    ///
    /// # Errors
    /// Where the database does not answer, or is damaged.
    pub async fn of(snapshot: &mut Snapshot, platform: Address) -> Result<Self, Problem> {
        let row = sqlx::query!(
            "SELECT max_lateness, next_max_lateness, next_max_lateness_from, closed_through, paused
             FROM platforms WHERE address = $1",
            &platform.0
        )
        .fetch_one(snapshot.connection())
        .await?;
        let seconds = |seconds: i64| u32::try_from(seconds).map(Seconds).map_err(|error| damaged(&error));
        let next = match row.next_max_lateness {
            Some(next) if row.next_max_lateness_from != 0 => Some((seconds(next)?, row.next_max_lateness_from)),
            _ => None,
        };
        let open_from = row.closed_through.map_or(0, |day| day.saturating_add(1));
        let mut terms = Self {
            max_lateness: (seconds(row.max_lateness)?, next),
            open_from: Day(u32::try_from(open_from).unwrap_or(u32::MAX)),
            paused: row.paused,
            periods: Periods::default(),
            free: [UNLIMITED; MAX_ASSETS],
        };
        for row in sqlx::query!(
            r#"SELECT a.asset, a.expiry_months,
                      CASE a.kind WHEN 'token' THEN greatest(coalesce(v.funds, 0) - a.liability, 0) END AS free
               FROM assets a LEFT JOIN vaults v USING (platform, asset) WHERE platform = $1"#,
            &platform.0
        )
        .fetch_all(snapshot.connection())
        .await?
        {
            let slot = u8::try_from(row.asset).ok().and_then(|asset| AssetId(asset).slot());
            let Some(slot) = slot else { continue };
            if let Some(period) = terms.periods.get_mut(slot) {
                *period = Months(u8::try_from(row.expiry_months).map_err(|error| damaged(&error))?);
            }
            if let Some((place, free)) = terms.free.get_mut(slot).zip(row.free) {
                *place = Amount(u64_of(free)?);
            }
        }
        Ok(terms)
    }

    /// What is let in at `now`.
    pub fn admission(&self, now: i64) -> Admission {
        let (lateness, next) = self.max_lateness;
        let lateness = next.filter(|(_, from)| *from <= now).map_or(lateness, |(next, _)| next);
        Admission::new(Timestamp(now), lateness).closed_before(self.open_from)
    }
}

/// What a user has by asset slot, with what of it was granted in which period, and how many payments there are.
#[derive(Clone, Debug, Default)]
pub struct Holdings {
    /// As the chain has them: what is over expires with the next record.
    pub balances: Balances,
    /// How many payments are on record.
    pub payments: u64,
}

impl Holdings {
    /// Those of a user; nothing, where nothing is on record.
    ///
    /// # Errors
    /// Where the database does not answer, or is damaged.
    pub async fn of(
        snapshot: &mut Snapshot,
        platform: Address,
        user: Hash,
        book: &Book,
        periods: &Periods,
    ) -> Result<Self, Problem> {
        let payments = sqlx::query_scalar!(
            "SELECT payments FROM users WHERE platform = $1 AND user_key = $2",
            &platform.0,
            &user.0
        )
        .fetch_optional(snapshot.connection())
        .await?;
        let mut holdings = Self {
            payments: payments.map_or(Ok(0), u64::try_from).map_err(|error| damaged(&error))?,
            ..Self::default()
        };
        for row in sqlx::query!(
            "SELECT asset, balance, debt FROM balances WHERE platform = $1 AND user_key = $2",
            &platform.0,
            &user.0
        )
        .fetch_all(snapshot.connection())
        .await?
        {
            let slot = u8::try_from(row.asset).ok().and_then(|asset| AssetId(asset).slot());
            let Some((slot, months)) = slot.and_then(|slot| Some((slot, *periods.get(slot)?))) else { continue };
            let (total, debt) = (Amount(u64_of(row.balance)?), Amount(u64_of(row.debt)?));
            let balance = if months.0 == 0 {
                Balance { current: total, debt, ..Balance::default() }
            } else {
                by_period(snapshot, platform, user, book, (row.asset, months)).await?
            };
            if (balance.total(), balance.debt) != (total, debt) {
                return Err(damaged(&format_args!("entries of asset {} do not lead to its balance", row.asset)));
            }
            if let Some(place) = holdings.balances.get_mut(slot) {
                *place = balance;
            }
        }
        Ok(holdings)
    }
}

/// One entry of an asset that expires.
struct Entry {
    operation: String,
    change: Decimal,
    balance_before: Decimal,
    balance_after: Decimal,
    debt_before: Decimal,
    debt_after: Decimal,
    at: OffsetDateTime,
}

impl Entry {
    fn period(&self, book: &Book, months: Months) -> PeriodIndex {
        let local = LocalTime::at(Timestamp(self.at.unix_timestamp()), book.clock.offsets());
        months.period(local).unwrap_or_default()
    }
}

/// The balance of an asset that expires, with its two parts: from the entries of the period that it was changed in last. What
/// there was when that began is the older part.
async fn by_period(
    snapshot: &mut Snapshot,
    platform: Address,
    user: Hash,
    book: &Book,
    (asset, months): (i16, Months),
) -> Result<Balance, Problem> {
    // No period is longer than that many days.
    let longest = i32::from(months.0).saturating_mul(31).saturating_add(2);
    let entries = sqlx::query_as!(
        Entry,
        "SELECT operation, change, balance_before, balance_after, debt_before, debt_after, at
         FROM entries
         WHERE platform = $1 AND user_key = $2 AND asset = $3
               AND at >= (SELECT at FROM entries WHERE platform = $1 AND user_key = $2 AND asset = $3
                          ORDER BY journal_index DESC, position DESC LIMIT 1) - make_interval(days => $4)
         ORDER BY journal_index, position",
        &platform.0,
        &user.0,
        asset,
        longest
    )
    .fetch_all(snapshot.connection())
    .await?;
    let Some(last) = entries.last().map(|entry| entry.period(book, months)) else { return Ok(Balance::default()) };
    let mut of_period = entries.iter().skip_while(|entry| entry.period(book, months) != last).peekable();
    let Some(first) = of_period.peek() else { return Ok(Balance::default()) };
    let expired = first.operation == "expiry";
    let before = if expired { first.balance_after } else { first.balance_before };
    let mut balance = Balance {
        previous: Amount(u64_of(before)?),
        debt: Amount(u64_of(first.debt_before)?),
        period: last,
        ..Balance::default()
    };
    let overflow = |_| damaged(&"a balance beyond any that there can be");
    for entry in of_period {
        // What was granted or reversed is the change of the balance less that of the debt.
        let amount = entry.change.saturating_sub(entry.debt_after.saturating_sub(entry.debt_before)).abs();
        let amount = Amount(u64_of(amount)?);
        match entry.operation.as_str() {
            "grant" => drop(balance.credit(amount).map_err(overflow)?),
            "reversal" => drop(balance.reverse(amount).map_err(overflow)?),
            // Taken into account above; it comes before everything else of its period.
            "expiry" => {}
            _ => drop(balance.debit(amount)),
        }
    }
    Ok(balance)
}
