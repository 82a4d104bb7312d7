//! What the platform's accounts say, against the tables: rule totals, what users have and owe, what vaults must hold.
//!
//! Every event moves the journal, so accounts that are read while it stands still are those of its last event, and so
//! are the tables of a snapshot that has as many events. Only then are they compared. There may be millions of users:
//! each answer takes those who moved last, some further ones in turn, and the one it is asked for.

use super::{Difference, DifferenceKind, ask};
use crate::{
    problem::Problem,
    snapshot::Snapshot,
    state::ApiState,
    value::{Address, Hash},
};
use rebate_client::{
    Pubkey,
    account::{Platform, RuleBook, UserState},
    address::{Addresses, PROGRAM},
    chain::AccountAt,
};
use rebate_core::{
    balance::Balance,
    rule::Rule,
    units::{AssetId, UserKey},
};
use rust_decimal::Decimal;
use serde::Serialize;
use sqlx::PgConnection;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};
use tokio::task::JoinSet;
use utoipa::ToSchema;

/// How many users of those who moved last are looked at for an answer, and how many in turn.
const LATEST: usize = 8;
const IN_TURN: i64 = 8;

/// How many of the latest entries are searched for them.
const ENTRIES: i64 = 64;

/// How many differences are shown of a kind.
const SHOWN: usize = 8;

/// What was compared beside the events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ComparedAccounts)]
pub struct Compared {
    /// Whether accounts were compared: they are where database and chain hold the same events, and no event came while
    /// they were read. Otherwise ask again.
    pub compared: bool,
    /// How many rule versions of the rule book.
    #[schema(minimum = 0, example = 12)]
    pub rules: usize,
    /// How many users. Every answer takes others.
    #[schema(minimum = 0, example = 16)]
    pub users: usize,
}

/// Accounts, and the slots that the node showed the first and the last of them at.
struct Shown {
    slots: (u64, u64),
    platform: Option<AccountAt>,
    rule_book: Option<AccountAt>,
    users: BTreeMap<[u8; 32], Option<AccountAt>>,
}

/// A user by the tables.
#[derive(Default)]
struct Stored {
    payments: u64,
    wallet: [u8; 32],
    /// Balance and debt, by asset.
    balances: BTreeMap<u8, (Decimal, Decimal)>,
}

/// Where a comparison stands.
pub(super) struct Moment<'a> {
    pub addresses: &'a Addresses,
    /// The slot that the node showed the journal at.
    pub slot: u64,
    /// How many events it counted; the database has as many.
    pub count: u64,
}

/// Compares the accounts with the tables of `snapshot`, which has as many events as the journal counted. `turn` is the
/// last user who had a turn.
///
/// # Errors
/// Where the node or the database does not answer.
pub(super) async fn compare(
    state: &ApiState,
    moment: &Moment<'_>,
    asked: Option<Hash>,
    turn: &mut Vec<u8>,
    snapshot: &mut Snapshot,
) -> Result<(Compared, Vec<Difference>), Problem> {
    let platform = Address(moment.addresses.platform.to_bytes());
    let users = choose(snapshot.connection(), platform, asked, turn).await?;
    let shown = read(state, moment.addresses, &users).await?;
    let journal = ask(state.chain().account(&moment.addresses.journal)).await?;
    let stood_still = journal.is_some_and(|account| {
        let count = rebate_client::account::Journal::decode(&account.data).map(|journal| journal.count);
        count == Ok(moment.count) && moment.slot <= shown.slots.0 && shown.slots.1 <= account.slot
    });
    if !stood_still {
        return Ok((Compared::default(), Vec::new()));
    }
    let mut differences = Vec::new();
    let rules = of_rules(snapshot.connection(), platform, shown.rule_book, &mut differences).await?;
    of_assets(snapshot.connection(), platform, shown.platform, &mut differences).await?;
    of_users(snapshot.connection(), platform, shown.users, &mut differences).await?;
    Ok((Compared { compared: true, rules, users: users.len() }, differences))
}

/// Those who moved last, those whose turn it is, and who is asked for.
async fn choose(
    connection: &mut PgConnection,
    platform: Address,
    asked: Option<Hash>,
    turn: &mut Vec<u8>,
) -> Result<BTreeSet<[u8; 32]>, Problem> {
    let latest = sqlx::query_scalar!(
        r#"SELECT user_key AS "user: Hash" FROM entries WHERE platform = $1
           ORDER BY journal_index DESC, position DESC LIMIT $2"#,
        &platform.0,
        ENTRIES
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut users: BTreeSet<[u8; 32]> = asked.iter().map(|user| user.0).collect();
    for user in latest {
        if users.len() < LATEST {
            users.insert(user.0);
        }
    }
    let in_turn = sqlx::query_scalar!(
        r#"SELECT user_key AS "user: Hash" FROM users WHERE platform = $1 AND user_key > $2
           ORDER BY user_key LIMIT $3"#,
        &platform.0,
        turn.as_slice(),
        IN_TURN
    )
    .fetch_all(connection)
    .await?;
    // After the last one it begins again.
    *turn = in_turn.last().map_or_else(Vec::new, |user| user.0.to_vec());
    users.extend(in_turn.into_iter().map(|user| user.0));
    Ok(users)
}

/// Reads the accounts at the same time, so that little happens meanwhile.
async fn read(state: &ApiState, addresses: &Addresses, users: &BTreeSet<[u8; 32]>) -> Result<Shown, Problem> {
    let mut reading = JoinSet::new();
    let own = [(None, addresses.platform), (None, addresses.rule_book)];
    let of_users = users.iter().map(|user| (Some(*user), addresses.user(&UserKey(*user))));
    for (user, address) in own.into_iter().chain(of_users) {
        let state = state.clone();
        reading.spawn(async move { (user, address, ask(state.chain().account(&address)).await) });
    }
    let mut shown = Shown { slots: (u64::MAX, 0), platform: None, rule_book: None, users: BTreeMap::new() };
    while let Some(read) = reading.join_next().await {
        let (user, address, account) = read.map_err(|error| Problem::internal(&error))?;
        let account = account?;
        if let Some(account) = &account {
            shown.slots = (shown.slots.0.min(account.slot), shown.slots.1.max(account.slot));
        }
        match user {
            Some(user) => {
                shown.users.insert(user, account);
            }
            None if address == addresses.platform => shown.platform = account,
            None => shown.rule_book = account,
        }
    }
    Ok(shown)
}

/// An account of the program, decoded.
fn decoded<T, E: Display>(
    what: &str,
    account: Option<AccountAt>,
    decode: impl FnOnce(&[u8]) -> Result<T, E>,
    differences: &mut Vec<Difference>,
) -> Option<T> {
    let no_account = |detail| Difference::whole(DifferenceKind::NoAccount, detail);
    let found = match account {
        None => Err(format!("the node has no account of {what}")),
        Some(account) if account.owner != PROGRAM => {
            Err(format!("the account of {what} belongs to {}, not to the rebate program", account.owner))
        }
        Some(account) => decode(&account.data).map_err(|error| format!("the account of {what}: {error}")),
    };
    found.map_err(|detail| differences.push(no_account(detail))).ok()
}

/// Adds the first of `found`, and how many more there are.
fn report(kind: DifferenceKind, found: Vec<String>, differences: &mut Vec<Difference>) {
    let more = found.len().saturating_sub(SHOWN);
    differences.extend(found.into_iter().take(SHOWN).map(|detail| Difference::whole(kind, detail)));
    if more > 0 {
        differences.push(Difference::whole(kind, format!("and {more} more of this kind")));
    }
}

/// Compares the rule book. Returns how many rule versions it holds.
async fn of_rules(
    connection: &mut PgConnection,
    platform: Address,
    account: Option<AccountAt>,
    differences: &mut Vec<Difference>,
) -> Result<usize, Problem> {
    let Some((_, book)) = decoded("the rule book", account, RuleBook::decode_with_rules, differences) else {
        return Ok(0);
    };
    let mut found = Vec::new();
    let mut stored = BTreeMap::new();
    for row in sqlx::query!(
        r#"SELECT r.rule, r.version, r.granted, r.grants, r.reversed, b.spent AS "spent!", b.grants AS "budget_grants!"
           FROM rules r JOIN rule_budgets b USING (platform, rule)
           WHERE r.platform = $1 AND r.dropped_at IS NULL"#,
        &platform.0
    )
    .fetch_all(connection)
    .await?
    {
        let totals = [row.granted, row.grants.into(), row.reversed, row.spent, row.budget_grants];
        stored.insert((row.rule, row.version), totals);
    }
    for rule in &book {
        let (id, version) = (i32::from(rule.id.0), i32::from(rule.version.0));
        let on_chain = totals(rule);
        match stored.remove(&(id, version)) {
            None => found.push(format!("rule {id} version {version} is in the rule book, and not on record")),
            Some(on_record) if on_record != on_chain => found.push(format!(
                "rule {id} version {version}: granted, grants, reversed, budget spent and budget grants are \
                 {} on chain and {} on record",
                list(&on_chain),
                list(&on_record)
            )),
            Some(_) => {}
        }
    }
    for (id, version) in stored.keys() {
        found.push(format!("rule {id} version {version} is on record as in force or to be, and not in the rule book"));
    }
    report(DifferenceKind::RuleTotals, found, differences);
    Ok(book.len())
}

fn totals(rule: &Rule) -> [Decimal; 5] {
    [rule.granted.0, rule.grants, rule.reversed.0, rule.budget_spent.0, rule.budget_grants].map(Decimal::from)
}

fn list(numbers: &[Decimal]) -> String {
    let numbers: Vec<String> = numbers.iter().map(Decimal::to_string).collect();
    numbers.join(", ")
}

/// Compares what users have of tokens, and what vaults hold. A vault may hold more than the events say.
async fn of_assets(
    connection: &mut PgConnection,
    platform: Address,
    account: Option<AccountAt>,
    differences: &mut Vec<Difference>,
) -> Result<(), Problem> {
    let Some(account) = decoded("the platform", account, Platform::decode, differences) else { return Ok(()) };
    let mut found = Vec::new();
    for row in sqlx::query!(
        r#"SELECT a.asset, a.name, a.liability, coalesce(v.funds, 0) AS "funds!"
           FROM assets a LEFT JOIN vaults v USING (platform, asset) WHERE a.platform = $1 AND a.kind = 'token'
           ORDER BY a.asset"#,
        &platform.0
    )
    .fetch_all(connection)
    .await?
    {
        let Some(asset) = u8::try_from(row.asset).ok().and_then(|asset| account.asset(AssetId(asset))) else {
            found.push(format!("asset {} ({}) is on record, and the platform has no such asset", row.asset, row.name));
            continue;
        };
        let (liability, funds) = (asset.liability.0.into(), asset.funds.0.into());
        if row.liability != liability || row.funds > funds {
            found.push(format!(
                "asset {} ({}): users have {liability} and the vault holds {funds} on chain, {} and {} on record",
                row.asset, row.name, row.liability, row.funds
            ));
        }
    }
    report(DifferenceKind::Liability, found, differences);
    Ok(())
}

async fn of_users(
    connection: &mut PgConnection,
    platform: Address,
    accounts: BTreeMap<[u8; 32], Option<AccountAt>>,
    differences: &mut Vec<Difference>,
) -> Result<(), Problem> {
    let keys: Vec<Vec<u8>> = accounts.keys().map(|key| key.to_vec()).collect();
    let mut stored = stored(connection, platform, &keys).await?;
    let mut found = Vec::new();
    for (key, account) in accounts {
        let on_record = stored.remove(&key);
        let user = Hash(key);
        if account.is_none() && on_record.is_none() {
            found.push(format!("user {user} is neither on chain nor on record"));
            continue;
        }
        let on_record = on_record.unwrap_or_default();
        let Some(on_chain) = decoded(&format!("user {user}"), account, UserState::decode, differences) else {
            continue;
        };
        if on_chain.user.payments != on_record.payments {
            found.push(format!(
                "user {user} has {} payments on chain and {} on record",
                on_chain.user.payments, on_record.payments
            ));
        }
        if on_chain.user.wallet != on_record.wallet {
            let [on_chain, on_record] = [on_chain.user.wallet, on_record.wallet].map(Pubkey::new_from_array);
            found.push(format!("user {user} has the wallet {on_chain} on chain and {on_record} on record"));
        }
        for (asset, balance) in (1..).zip(&on_chain.balances) {
            let on_chain = has_and_owes(balance);
            let on_record = on_record.balances.get(&asset).copied().unwrap_or_default();
            if on_chain != on_record {
                found.push(format!(
                    "user {user} has {} and owes {} of asset {asset} on chain, {} and {} on record",
                    on_chain.0, on_chain.1, on_record.0, on_record.1
                ));
            }
        }
    }
    report(DifferenceKind::UserBalances, found, differences);
    Ok(())
}

fn has_and_owes(balance: &Balance) -> (Decimal, Decimal) {
    (balance.total().0.into(), balance.debt.0.into())
}

/// What the tables have of these users.
async fn stored(
    connection: &mut PgConnection,
    platform: Address,
    keys: &[Vec<u8>],
) -> Result<BTreeMap<[u8; 32], Stored>, Problem> {
    let mut stored: BTreeMap<[u8; 32], Stored> = BTreeMap::new();
    for row in sqlx::query!(
        r#"SELECT user_key AS "user: Hash", payments FROM users WHERE platform = $1 AND user_key = ANY($2)"#,
        &platform.0,
        keys
    )
    .fetch_all(&mut *connection)
    .await?
    {
        stored.entry(row.user.0).or_default().payments = row.payments.unsigned_abs();
    }
    for row in sqlx::query!(
        r#"SELECT DISTINCT ON (user_key) user_key AS "user: Hash", wallet AS "wallet: Address" FROM wallet_links
           WHERE platform = $1 AND user_key = ANY($2) ORDER BY user_key, linked_at DESC"#,
        &platform.0,
        keys
    )
    .fetch_all(&mut *connection)
    .await?
    {
        stored.entry(row.user.0).or_default().wallet = row.wallet.0;
    }
    for row in sqlx::query!(
        r#"SELECT user_key AS "user: Hash", asset, balance, debt FROM balances
           WHERE platform = $1 AND user_key = ANY($2)"#,
        &platform.0,
        keys
    )
    .fetch_all(connection)
    .await?
    {
        let asset = u8::try_from(row.asset).unwrap_or_default();
        stored.entry(row.user.0).or_default().balances.insert(asset, (row.balance, row.debt));
    }
    Ok(stored)
}
