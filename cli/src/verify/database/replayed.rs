//! The tables that sum up, held against what replaying the events comes to: the indexer's writer has no part in that.

use super::Tables;
use rebate_client::{Pubkey, chain::ReadEvidence, verify::follower::Follower};
use rebate_core::{
    balance::Balance,
    units::{MAX_ASSETS, UserKey},
};
use sqlx::{PgConnection, Row, postgres::PgRow};
use std::collections::HashMap;

/// How many users are looked up at once.
const AT_ONCE: usize = 1_000;

/// Balances, debts, the sums of entries, payments, rules' totals and what is owed of each asset.
pub(super) async fn compare(
    stored: &mut PgConnection,
    follower: &Follower,
    platform: &Pubkey,
    found: &mut Tables,
) -> anyhow::Result<()> {
    users(stored, follower, platform, found).await?;
    rules(stored, follower, platform, found).await?;
    assets(stored, follower, platform, found).await
}

async fn users(
    stored: &mut PgConnection,
    follower: &Follower,
    platform: &Pubkey,
    found: &mut Tables,
) -> anyhow::Result<()> {
    let mut in_table = 0;
    for keys in follower.users().chunks(AT_ONCE) {
        let wanted: Vec<[u8; 32]> = keys.iter().map(|key| key.0).collect();
        // Not checked when compiling: the tables are compared by what they hold, whatever else becomes of the schema.
        let rows = sqlx::query(
            "SELECT user_key, asset, balance::text, debt::text, coalesce((
                 SELECT sum(change) FROM entries
                 WHERE entries.platform = balances.platform AND entries.user_key = balances.user_key
                     AND entries.asset = balances.asset
             ), 0)::text
             FROM balances WHERE platform = $1 AND user_key = ANY($2)",
        )
        .bind(platform.to_bytes())
        .bind(&wanted as &[[u8; 32]])
        .fetch_all(&mut *stored)
        .await?;
        let mut held: HashMap<([u8; 32], i16), (String, String, String)> = HashMap::new();
        for row in rows {
            held.insert((key(&row)?, row.try_get(1)?), (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?));
        }
        let payments: HashMap<[u8; 32], i64> =
            sqlx::query("SELECT user_key, payments FROM users WHERE platform = $1 AND user_key = ANY($2)")
                .bind(platform.to_bytes())
                .bind(&wanted as &[[u8; 32]])
                .fetch_all(&mut *stored)
                .await?
                .into_iter()
                .map(|row| Ok((key(&row)?, row.try_get(1)?)))
                .collect::<anyhow::Result<_>>()?;
        for user in keys {
            let mut differs = |table: &str, what: String| {
                let user = hex::encode(user.0);
                found.differs(&mut in_table, format!("{table}: user {user}: {what} replaying the events comes to"));
            };
            compare_user(follower, user, &held, payments.get(&user.0), &mut differs);
        }
    }
    Ok(())
}

fn compare_user(
    follower: &Follower,
    user: &UserKey,
    held: &HashMap<([u8; 32], i16), (String, String, String)>,
    payments: Option<&i64>,
    differs: &mut impl FnMut(&str, String),
) {
    let Some(number) = follower.user(user) else { return };
    let counted = follower.ledger().payments_of(number).0;
    let stored = payments.copied().unwrap_or_default();
    if u64::try_from(stored) != Ok(counted) {
        differs("users", format!("{stored} payments are stored, not the {counted}"));
    }
    let balances = follower.ledger().balances(number);
    for (balance, asset) in balances.iter().zip(1..=MAX_ASSETS as i16) {
        let Balance { debt, .. } = balance;
        let (has, owes) = (balance.total().to_string(), debt.to_string());
        let none = || ("0".to_owned(), "0".to_owned(), "0".to_owned());
        let (stored, owed, entries) = held.get(&(user.0, asset)).cloned().unwrap_or_else(none);
        if (&stored, &owed) != (&has, &owes) {
            differs(
                "balances",
                format!(
                    "asset {asset}: a balance of {stored} and a debt of {owed} are stored, not the {has} and {owes}"
                ),
            );
        }
        if entries != has {
            differs("entries", format!("asset {asset}: the stored changes come to {entries}, not to the {has}"));
        }
    }
}

fn key(row: &PgRow) -> anyhow::Result<[u8; 32]> {
    let bytes: Vec<u8> = row.try_get(0)?;
    <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| anyhow::anyhow!("a key of a user has 32 bytes"))
}

async fn rules(
    stored: &mut PgConnection,
    follower: &Follower,
    platform: &Pubkey,
    found: &mut Tables,
) -> anyhow::Result<()> {
    let mut in_table = 0;
    let rows = sqlx::query(
        "SELECT rule, version, granted::text, grants, reversed::text FROM rules
         WHERE platform = $1 AND dropped_at IS NULL ORDER BY rule, version",
    )
    .bind(platform.to_bytes())
    .fetch_all(stored)
    .await?;
    let mut there = HashMap::new();
    for row in rows {
        let (rule, version): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
        let totals: (String, i64, String) = (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
        there.insert((rule, version), totals);
    }
    for rule in follower.ledger().rules() {
        let replayed =
            (rule.granted.to_string(), i64::try_from(rule.grants).unwrap_or(i64::MAX), rule.reversed.to_string());
        let stored = there.get(&(i32::from(rule.id.0), i32::from(rule.version.0)));
        if stored != Some(&replayed) {
            let what = format!(
                "rules: rule {} version {}: granted, grants and reversed are {stored:?}; replaying the events comes to {replayed:?}",
                rule.id, rule.version
            );
            found.differs(&mut in_table, what);
        }
    }
    Ok(())
}

async fn assets(
    stored: &mut PgConnection,
    follower: &Follower,
    platform: &Pubkey,
    found: &mut Tables,
) -> anyhow::Result<()> {
    let mut sums = [0u128; MAX_ASSETS];
    for user in follower.users() {
        let Some(number) = follower.user(user) else { continue };
        for (sum, balance) in sums.iter_mut().zip(follower.ledger().balances(number)) {
            *sum = sum.saturating_add(u128::from(balance.total().0));
        }
    }
    let mut in_table = 0;
    let rows = sqlx::query("SELECT asset, liability::text FROM assets WHERE platform = $1 ORDER BY asset")
        .bind(platform.to_bytes())
        .fetch_all(stored)
        .await?;
    for row in rows {
        let (asset, stored): (i16, String) = (row.try_get(0)?, row.try_get(1)?);
        let slot = usize::try_from(asset).ok().and_then(|asset| asset.checked_sub(1));
        let replayed = slot.and_then(|slot| sums.get(slot)).copied().unwrap_or_default().to_string();
        if stored != replayed {
            let what =
                format!("assets: asset {asset}: liability is {stored}; replaying the events comes to {replayed}");
            found.differs(&mut in_table, what);
        }
    }
    Ok(())
}

/// The cursor's block is the node's.
pub(super) async fn compare_cursor<C: ReadEvidence>(
    stored: &mut PgConnection,
    chain: &C,
    found: &mut Tables,
) -> anyhow::Result<()> {
    let row = sqlx::query("SELECT slot, blockhash, extract(epoch FROM block_time)::bigint FROM cursor")
        .fetch_one(stored)
        .await?;
    let (slot, hash): (i64, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
    let time: Option<i64> = row.try_get(2)?;
    found.tables = found.tables.saturating_add(1);
    found.rows = found.rows.saturating_add(1);
    let mut in_table = 0;
    let Some((of_chain, produced)) = chain.block_at(u64::try_from(slot).unwrap_or_default()).await? else {
        // A slot that the node does not know may be an empty one, or one that it has thrown away.
        found.left_out.push(format!("cursor: the node shows no block of slot {slot}"));
        return Ok(());
    };
    let (is, should) = (hex::encode(&hash), hex::encode(of_chain));
    if is != should {
        found.differs(&mut in_table, format!("cursor: the row slot {slot}: blockhash is {is} and should be {should}"));
    }
    if time != produced {
        let what = format!("cursor: the row slot {slot}: block_time is {time:?} and should be {produced:?}");
        found.differs(&mut in_table, what);
    }
    Ok(())
}
