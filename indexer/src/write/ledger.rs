//! The ledger: one entry per change of a balance or a debt, and the balances that follow from it.

use super::{
    Plan, WriteError, contradiction,
    copy::copy,
    decimal,
    outcomes::{Outcome, unsound},
};
use crate::stretch::Found;
use rebate_client::event::Event;
use rebate_core::{balance::Balance, outcome::Reason, units::Amount};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// What changes a balance.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Grant,
    Reversal,
    Redemption,
    Claim,
    Expiry,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Reversal => "reversal",
            Self::Redemption => "redemption",
            Self::Claim => "claim",
            Self::Expiry => "expiry",
        }
    }
}

/// What an event says of one balance.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub found: &'a Found,
    /// Place among the event's outcomes; 0 where it has none.
    pub position: i16,
    pub user: [u8; 32],
    pub asset: u8,
    /// None where it is left alone.
    pub operation: Option<Operation>,
    pub amount: u64,
    before: u64,
    after: u64,
    order: Option<[u8; 32]>,
    /// The rule's outcome it comes from.
    pub outcome: Option<Outcome<'a>>,
}

impl Step<'_> {
    pub fn platform(&self) -> [u8; 32] {
        self.found.event.platform()
    }

    /// What is wrong with it, on a balance that is what it says but for the debt.
    fn unsound(&self, debt: u64) -> WriteError {
        if let (Some(Outcome { entry, reason, .. }), 0) = (self.outcome, debt) {
            return unsound(self.found, entry, reason);
        }
        let Self { asset, amount, before, after, .. } = self;
        contradiction(
            self.found,
            format!("it moves {amount} of asset {asset} with a debt of {debt}, from a balance of {before} to {after}"),
        )
    }
}

/// What the event says of balances, in order.
pub(super) fn steps<'a>(found: &'a Found, outcomes: &[Outcome<'a>]) -> Vec<Step<'a>> {
    let of_outcomes = |user: [u8; 32], order: [u8; 32]| {
        let step = |outcome: &Outcome<'a>| Step {
            found,
            position: outcome.position,
            user,
            asset: outcome.entry.asset,
            operation: match outcome.reason {
                Reason::Granted => Some(Operation::Grant),
                Reason::Reversed => Some(Operation::Reversal),
                _ => None,
            },
            amount: outcome.entry.amount,
            before: outcome.entry.before,
            after: outcome.entry.after,
            order: Some(order),
            outcome: Some(*outcome),
        };
        outcomes.iter().map(step).collect()
    };
    let alone = |operation, user, asset, amount, (before, after), order| {
        let operation = Some(operation);
        vec![Step { found, position: 0, user, asset, operation, amount, before, after, order, outcome: None }]
    };
    match &found.event {
        Event::PaymentRecorded(event) => of_outcomes(event.user, event.order),
        Event::RefundRecorded(event) => of_outcomes(event.user, event.order),
        Event::Redeemed(event) => {
            let balance = (event.before, event.after);
            alone(Operation::Redemption, event.user, event.asset, event.amount, balance, Some(event.order))
        }
        Event::Claimed(event) => {
            let balance = (event.before, event.after);
            alone(Operation::Claim, event.user, event.asset, event.amount, balance, None)
        }
        Event::BalanceExpired(event) => {
            let balance = (event.before, event.after);
            alone(Operation::Expiry, event.user, event.asset, event.amount, balance, None)
        }
        _ => Vec::new(),
    }
}

/// A step that changed something.
pub(super) struct Entry<'a> {
    pub step: Step<'a>,
    pub operation: Operation,
    debt_before: u64,
    debt_after: u64,
}

impl Entry<'_> {
    /// Of the balance, signed.
    pub fn change(&self) -> Decimal {
        decimal(self.step.after).saturating_sub(decimal(self.step.before))
    }
}

/// Platform, user, asset.
type Account = ([u8; 32], [u8; 32], u8);

/// A balance while a stretch is gone through.
#[derive(Default)]
struct Held {
    balance: u64,
    debt: u64,
    entries: i64,
    journal_index: i64,
    /// Whether there is a row of it.
    is_stored: bool,
}

impl Held {
    /// Goes one step on, as the program did. The balance that the step names must be this one.
    fn take<'a>(&mut self, step: &Step<'a>) -> Result<Option<Entry<'a>>, WriteError> {
        if step.before != self.balance {
            let who = step.outcome.map_or_else(
                || "it".to_owned(),
                |outcome| format!("rule {} version {}", outcome.entry.rule, outcome.entry.version),
            );
            return Err(contradiction(
                step.found,
                format!(
                    "{who} says a balance of {} in asset {} before, and it is {}",
                    step.before, step.asset, self.balance
                ),
            ));
        }
        let amount = Amount(step.amount);
        // Which part expires first makes no difference to the sum.
        let mut balance = Balance { debt: Amount(self.debt), ..Balance::of(Amount(self.balance)) };
        let done = match step.operation {
            None => amount.0 == 0,
            Some(Operation::Grant) => balance.credit(amount).is_ok(),
            Some(Operation::Reversal) => balance.reverse(amount).is_ok(),
            Some(Operation::Redemption | Operation::Claim | Operation::Expiry) => balance.debit(amount) == amount,
        };
        if !done || balance.total().0 != step.after {
            return Err(step.unsound(self.debt));
        }
        let Some(operation) = step.operation else { return Ok(None) };
        if amount.0 == 0 {
            return Err(step.unsound(self.debt));
        }
        let debt_before = std::mem::replace(&mut self.debt, balance.debt.0);
        self.balance = step.after;
        self.entries = self.entries.saturating_add(1);
        self.journal_index = step.found.journal_index;
        Ok(Some(Entry { step: *step, operation, debt_before, debt_after: self.debt }))
    }
}

/// Goes the steps, adds an entry for each that changed something, and moves the balances. Every balance that an event names
/// must be the one stored.
pub(super) async fn add<'a>(
    connection: &mut PgConnection,
    steps: &[Step<'a>],
    plan: &Plan,
) -> Result<Vec<Entry<'a>>, WriteError> {
    if steps.is_empty() {
        return Ok(Vec::new());
    }
    let mut balances = read(connection, steps).await?;
    let mut entries = Vec::new();
    for step in steps {
        let held = balances.entry((step.platform(), step.user, step.asset)).or_default();
        entries.extend(held.take(step)?);
    }
    if !entries.is_empty() {
        add_entries(connection, &entries, plan).await?;
        move_balances(connection, &balances).await?;
    }
    Ok(entries)
}

async fn read(connection: &mut PgConnection, steps: &[Step<'_>]) -> Result<BTreeMap<Account, Held>, WriteError> {
    let mut balances: BTreeMap<Account, Held> = BTreeMap::new();
    for step in steps {
        balances.entry((step.platform(), step.user, step.asset)).or_default();
    }
    // Their places, rather than keys that would have to be compared again.
    let stored = sqlx::query!(
        r#"SELECT account.place AS "place!", balances.balance, balances.debt
           FROM UNNEST($1::bytea[], $2::bytea[], $3::smallint[]) WITH ORDINALITY
               AS account (platform, user_key, asset, place)
           JOIN balances USING (platform, user_key, asset)
           ORDER BY account.place"#,
        &balances.keys().map(|(platform, ..)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
        &balances.keys().map(|(_, user, _)| *user).collect::<Vec<_>>() as &[[u8; 32]],
        &balances.keys().map(|(.., asset)| i16::from(*asset)).collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await?;
    let mut stored = stored.into_iter().peekable();
    for (held, place) in balances.values_mut().zip(1_i64..) {
        let Some(row) = stored.next_if(|row| row.place == place) else { continue };
        let broken = || sqlx::Error::Decode("a row of balances is not what this software writes".into());
        held.is_stored = true;
        held.balance = row.balance.to_u64().ok_or_else(broken)?;
        held.debt = row.debt.to_u64().ok_or_else(broken)?;
    }
    Ok(balances)
}

async fn add_entries(connection: &mut PgConnection, entries: &[Entry<'_>], plan: &Plan) -> Result<(), WriteError> {
    if plan.copies {
        return copy_entries(connection, entries, plan).await;
    }
    let rule = |entry: &Entry<'_>| entry.step.outcome.map(|outcome| i32::from(outcome.entry.rule));
    let version = |entry: &Entry<'_>| entry.step.outcome.map(|outcome| i32::from(outcome.entry.version));
    let orders: Vec<Option<&[u8]>> =
        entries.iter().map(|entry| entry.step.order.as_ref().map(<[u8; 32]>::as_slice)).collect();
    sqlx::query!(
        "INSERT INTO entries (platform, journal_index, position, user_key, operation, asset, change, balance_before,
                              balance_after, debt_before, debt_after, order_hash, rule, version, at, month)
         SELECT * FROM UNNEST($1::bytea[], $2::bigint[], $3::smallint[], $4::bytea[], $5::text[], $6::smallint[],
                              $7::numeric[], $8::numeric[], $9::numeric[], $10::numeric[], $11::numeric[],
                              $12::bytea[], $13::integer[], $14::integer[], $15::timestamptz[], $16::date[])",
        &entries.iter().map(|entry| entry.step.platform()).collect::<Vec<_>>() as &[[u8; 32]],
        &entries.iter().map(|entry| entry.step.found.journal_index).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.step.position).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.step.user).collect::<Vec<_>>() as &[[u8; 32]],
        &entries.iter().map(|entry| entry.operation.name()).collect::<Vec<_>>() as &[&str],
        &entries.iter().map(|entry| i16::from(entry.step.asset)).collect::<Vec<_>>(),
        &entries.iter().map(Entry::change).collect::<Vec<_>>(),
        &entries.iter().map(|entry| decimal(entry.step.before)).collect::<Vec<_>>(),
        &entries.iter().map(|entry| decimal(entry.step.after)).collect::<Vec<_>>(),
        &entries.iter().map(|entry| decimal(entry.debt_before)).collect::<Vec<_>>(),
        &entries.iter().map(|entry| decimal(entry.debt_after)).collect::<Vec<_>>(),
        &orders as _,
        &entries.iter().map(rule).collect::<Vec<_>>() as _,
        &entries.iter().map(version).collect::<Vec<_>>() as _,
        &entries.iter().map(|entry| entry.step.found.at).collect::<Vec<_>>(),
        &entries.iter().map(|entry| plan.months.of_event(entry.step.found).first_day()).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn copy_entries(connection: &mut PgConnection, entries: &[Entry<'_>], plan: &Plan) -> Result<(), WriteError> {
    copy(
        connection,
        "COPY entries (journal_index, at, month, rule, version, position, asset, platform, user_key, order_hash, operation,
                       change, balance_before, balance_after, debt_before, debt_after) FROM STDIN (FORMAT binary)",
        entries,
        |rows, Entry { step, operation, debt_before, debt_after }| {
            rows.row(16).bigint(step.found.journal_index).moment(step.found.at).month(plan.months.of_event(step.found));
            match step.outcome {
                Some(outcome) => {
                    rows.integer(i32::from(outcome.entry.rule)).integer(i32::from(outcome.entry.version))
                }
                None => rows.null().null(),
            };
            rows.smallint(step.position).smallint(i16::from(step.asset)).bytes(&step.platform()).bytes(&step.user);
            match &step.order {
                Some(order) => rows.bytes(order),
                None => rows.null(),
            };
            rows.bytes(operation.name().as_bytes())
                .numeric(i128::from(step.after) - i128::from(step.before))
                .numeric(step.before.into())
                .numeric(step.after.into())
                .numeric((*debt_before).into())
                .numeric((*debt_after).into());
        },
    )
    .await
}

async fn move_balances(connection: &mut PgConnection, balances: &BTreeMap<Account, Held>) -> Result<(), WriteError> {
    let (known, new): (Vec<_>, Vec<_>) =
        balances.iter().filter(|(_, held)| held.entries > 0).partition(|(_, held)| held.is_stored);
    if !known.is_empty() {
        // As with users.
        sqlx::query!(
            "UPDATE balances SET balance = new.balance, debt = new.debt, entries = balances.entries + new.entries,
                                 journal_index = new.journal_index
             FROM UNNEST($1::bytea[], $2::bytea[], $3::smallint[], $4::numeric[], $5::numeric[], $6::bigint[],
                         $7::bigint[]) AS new (platform, user_key, asset, balance, debt, entries, journal_index)
             WHERE balances.platform = new.platform AND balances.user_key = new.user_key AND balances.asset = new.asset",
            &known.iter().map(|((platform, ..), _)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
            &known.iter().map(|((_, user, _), _)| *user).collect::<Vec<_>>() as &[[u8; 32]],
            &known.iter().map(|((.., asset), _)| i16::from(*asset)).collect::<Vec<_>>(),
            &known.iter().map(|(_, held)| decimal(held.balance)).collect::<Vec<_>>(),
            &known.iter().map(|(_, held)| decimal(held.debt)).collect::<Vec<_>>(),
            &known.iter().map(|(_, held)| held.entries).collect::<Vec<_>>(),
            &known.iter().map(|(_, held)| held.journal_index).collect::<Vec<_>>(),
        )
        .execute(&mut *connection)
        .await?;
    }
    if !new.is_empty() {
        sqlx::query!(
            "INSERT INTO balances (platform, user_key, asset, balance, debt, entries, journal_index)
             SELECT * FROM UNNEST($1::bytea[], $2::bytea[], $3::smallint[], $4::numeric[], $5::numeric[], $6::bigint[],
                                  $7::bigint[])",
            &new.iter().map(|((platform, ..), _)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
            &new.iter().map(|((_, user, _), _)| *user).collect::<Vec<_>>() as &[[u8; 32]],
            &new.iter().map(|((.., asset), _)| i16::from(*asset)).collect::<Vec<_>>(),
            &new.iter().map(|(_, held)| decimal(held.balance)).collect::<Vec<_>>(),
            &new.iter().map(|(_, held)| decimal(held.debt)).collect::<Vec<_>>(),
            &new.iter().map(|(_, held)| held.entries).collect::<Vec<_>>(),
            &new.iter().map(|(_, held)| held.journal_index).collect::<Vec<_>>(),
        )
        .execute(connection)
        .await?;
    }
    Ok(())
}
