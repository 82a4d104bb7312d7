//! The ledger: one entry per change of a balance, and the balances that follow from it.

use super::{WriteError, contradiction, decimal, payments::Paid};
use rebate_client::event::OutcomeEntry;
use rebate_core::outcome::Reason;
use rust_decimal::{Decimal, prelude::ToPrimitive};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// A grant.
pub(super) struct Entry<'a> {
    pub paid: Paid<'a>,
    /// Place among its payment's outcomes.
    pub position: i16,
    pub outcome: &'a OutcomeEntry,
}

/// Platform, user, asset.
type Account = ([u8; 32], [u8; 32], u8);

/// A balance while a stretch is gone through.
#[derive(Default)]
struct Balance {
    balance: u64,
    entries: i64,
    journal_index: i64,
}

/// The grants among the payments' outcomes.
pub(super) fn entries<'a>(paid: &[Paid<'a>]) -> Vec<Entry<'a>> {
    paid.iter()
        .flat_map(|paid| paid.outcomes().map(move |(position, outcome)| Entry { paid: *paid, position, outcome }))
        .filter(|entry| entry.outcome.reason == Reason::Granted as u8)
        .collect()
}

/// Adds the entries and moves the balances. Every balance that an event names must be the one stored.
pub(super) async fn add(
    connection: &mut PgConnection,
    paid: &[Paid<'_>],
    entries: &[Entry<'_>],
) -> Result<(), WriteError> {
    let mut balances = read(connection, paid).await?;
    for paid in paid {
        for (_, outcome) in paid.outcomes() {
            let balance = balances.entry((paid.payment.platform, paid.payment.user, outcome.asset)).or_default();
            if outcome.before != balance.balance {
                return Err(contradiction(
                    paid.found,
                    format!(
                        "rule {} version {} says a balance of {} in asset {} before, and it is {}",
                        outcome.rule, outcome.version, outcome.before, outcome.asset, balance.balance
                    ),
                ));
            }
            if outcome.amount > 0 {
                balance.balance = outcome.after;
                balance.entries = balance.entries.saturating_add(1);
                balance.journal_index = paid.found.journal_index;
            }
        }
    }
    if entries.is_empty() {
        return Ok(());
    }
    add_entries(connection, entries).await?;
    move_balances(connection, &balances).await
}

async fn read(connection: &mut PgConnection, paid: &[Paid<'_>]) -> Result<BTreeMap<Account, Balance>, WriteError> {
    let mut balances: BTreeMap<Account, Balance> = BTreeMap::new();
    for paid in paid {
        for outcome in &paid.payment.outcomes {
            balances.entry((paid.payment.platform, paid.payment.user, outcome.asset)).or_default();
        }
    }
    let stored = sqlx::query!(
        "SELECT balances.platform, balances.user_key, balances.asset, balances.balance
         FROM UNNEST($1::bytea[], $2::bytea[], $3::smallint[]) AS account (platform, user_key, asset)
         JOIN balances USING (platform, user_key, asset)",
        &balances.keys().map(|(platform, ..)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
        &balances.keys().map(|(_, user, _)| *user).collect::<Vec<_>>() as &[[u8; 32]],
        &balances.keys().map(|(.., asset)| i16::from(*asset)).collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await?;
    for row in stored {
        let broken = || sqlx::Error::Decode("a row of balances is not what this software writes".into());
        let account = (
            <[u8; 32]>::try_from(row.platform.as_slice()).map_err(|_| broken())?,
            <[u8; 32]>::try_from(row.user_key.as_slice()).map_err(|_| broken())?,
            u8::try_from(row.asset).map_err(|_| broken())?,
        );
        balances.entry(account).or_default().balance = row.balance.to_u64().ok_or_else(broken)?;
    }
    Ok(balances)
}

async fn add_entries(connection: &mut PgConnection, entries: &[Entry<'_>]) -> Result<(), WriteError> {
    sqlx::query!(
        "INSERT INTO entries (platform, journal_index, position, user_key, operation, asset, change, balance_before,
                              balance_after, order_hash, rule, version, at)
         SELECT platform, journal_index, position, user_key, 'grant', asset, change, balance_before, balance_after,
                order_hash, rule, version, at
         FROM UNNEST($1::bytea[], $2::bigint[], $3::smallint[], $4::bytea[], $5::smallint[], $6::numeric[],
                     $7::numeric[], $8::numeric[], $9::bytea[], $10::integer[], $11::integer[], $12::timestamptz[])
              AS entry (platform, journal_index, position, user_key, asset, change, balance_before, balance_after,
                        order_hash, rule, version, at)",
        &entries.iter().map(|entry| entry.paid.payment.platform).collect::<Vec<_>>() as &[[u8; 32]],
        &entries.iter().map(|entry| entry.paid.found.journal_index).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.position).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.paid.payment.user).collect::<Vec<_>>() as &[[u8; 32]],
        &entries.iter().map(|entry| i16::from(entry.outcome.asset)).collect::<Vec<_>>(),
        &entries.iter().map(|entry| decimal(entry.outcome.amount)).collect::<Vec<_>>(),
        &entries.iter().map(|entry| decimal(entry.outcome.before)).collect::<Vec<_>>(),
        &entries.iter().map(|entry| decimal(entry.outcome.after)).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.paid.payment.order).collect::<Vec<_>>() as &[[u8; 32]],
        &entries.iter().map(|entry| i32::from(entry.outcome.rule)).collect::<Vec<_>>(),
        &entries.iter().map(|entry| i32::from(entry.outcome.version)).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.paid.found.at).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn move_balances(connection: &mut PgConnection, balances: &BTreeMap<Account, Balance>) -> Result<(), WriteError> {
    let moved: Vec<(&Account, &Balance)> = balances.iter().filter(|(_, balance)| balance.entries > 0).collect();
    sqlx::query!(
        "INSERT INTO balances (platform, user_key, asset, balance, entries, journal_index)
         SELECT * FROM UNNEST($1::bytea[], $2::bytea[], $3::smallint[], $4::numeric[], $5::bigint[], $6::bigint[])
         ON CONFLICT (platform, user_key, asset) DO UPDATE SET
             balance = EXCLUDED.balance,
             entries = balances.entries + EXCLUDED.entries,
             journal_index = EXCLUDED.journal_index",
        &moved.iter().map(|((platform, ..), _)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
        &moved.iter().map(|((_, user, _), _)| *user).collect::<Vec<_>>() as &[[u8; 32]],
        &moved.iter().map(|((.., asset), _)| i16::from(*asset)).collect::<Vec<_>>(),
        &moved.iter().map(|(_, balance)| decimal(balance.balance)).collect::<Vec<Decimal>>(),
        &moved.iter().map(|(_, balance)| balance.entries).collect::<Vec<_>>(),
        &moved.iter().map(|(_, balance)| balance.journal_index).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
