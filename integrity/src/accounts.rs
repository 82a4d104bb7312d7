//! What the platform's accounts say, against the tables: rule totals, what users have and owe, what vaults must hold.
//!
//! A node shows up to a hundred accounts as of one slot, the Journal among them, whose count tells which events they come
//! from. There may be millions of users: each comparison takes those who moved last, some further ones in turn, and the one
//! it is asked for.

use crate::{
    as_of::{AsOf, RuleTotals},
    error::IntegrityError,
    pass::index,
    report::{Compared, Difference, DifferenceKind},
};
use rebate_client::{
    Pubkey,
    account::{Platform, RuleBook, UserState},
    address::{Addresses, PROGRAM},
    chain::{AccountAt, AccountsAt},
};
use rebate_core::{
    balance::Balance,
    rule::Rule,
    units::{AssetId, UserKey},
};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

/// How many users of those who moved last are looked at, and how many in turn.
const LATEST: usize = 8;
const IN_TURN: i64 = 8;

/// How many of the latest entries are searched for them.
const ENTRIES: i64 = 64;

/// How many differences are shown of a kind.
const SHOWN: usize = 8;

/// Accounts as of one slot.
pub(crate) struct Shown {
    pub slot: u64,
    pub journal: Option<AccountAt>,
    platform: Option<AccountAt>,
    rule_book: Option<AccountAt>,
    users: BTreeMap<[u8; 32], Option<AccountAt>>,
    /// Which of them was asked for.
    asked: Option<UserKey>,
}

impl Shown {
    /// What to ask a node for: the platform's own accounts, and those of `users`.
    pub fn addresses(of: &Addresses, users: &BTreeSet<[u8; 32]>) -> Vec<Pubkey> {
        let of_users = users.iter().map(|user| of.user(&UserKey(*user)));
        [of.journal, of.platform, of.rule_book].into_iter().chain(of_users).collect()
    }

    /// The answer to that.
    pub fn of(users: &BTreeSet<[u8; 32]>, asked: Option<UserKey>, found: AccountsAt) -> Self {
        let mut accounts = found.accounts.into_iter();
        let mut next = || accounts.next().flatten();
        Self {
            slot: found.slot,
            journal: next(),
            platform: next(),
            rule_book: next(),
            users: users.iter().map(|user| (*user, next())).collect(),
            asked,
        }
    }
}

/// Compares the accounts with the tables as of the `count` events that the accounts come from.
pub(crate) async fn compare(
    connection: &mut PgConnection,
    platform: &Pubkey,
    count: u64,
    shown: Shown,
) -> Result<(Compared, Vec<Difference>), IntegrityError> {
    let mut tables = AsOf { connection, platform, count: index(count) };
    let mut differences = Vec::new();
    let users = shown.users.len();
    of_users(&mut tables, shown.users, shown.asked, &mut differences).await?;
    // What people decide is rare; what they decided meanwhile is compared next time.
    if !tables.rules_stand().await? {
        return Ok((Compared { compared: false, rules: 0, users }, differences));
    }
    let rules = of_rules(&mut tables, shown.rule_book, &mut differences).await?;
    of_tokens(&mut tables, shown.platform, &mut differences).await?;
    Ok((Compared { compared: true, rules, users }, differences))
}

/// Those who moved last, those whose turn it is after `turn`, and who is asked for; and where the next turn begins.
pub(crate) async fn choose(
    connection: &mut PgConnection,
    platform: &Pubkey,
    asked: Option<UserKey>,
    turn: &[u8],
) -> Result<(BTreeSet<[u8; 32]>, Vec<u8>), IntegrityError> {
    let latest = sqlx::query_scalar!(
        "SELECT user_key FROM entries WHERE platform = $1 ORDER BY journal_index DESC, position DESC LIMIT $2",
        platform.as_ref(),
        ENTRIES
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut users: BTreeSet<[u8; 32]> = asked.iter().map(|user| user.0).collect();
    for user in latest {
        if users.len() < LATEST {
            users.extend(<[u8; 32]>::try_from(user));
        }
    }
    let in_turn = sqlx::query_scalar!(
        "SELECT user_key FROM users WHERE platform = $1 AND user_key > $2 ORDER BY user_key LIMIT $3",
        platform.as_ref(),
        turn,
        IN_TURN
    )
    .fetch_all(connection)
    .await?;
    // After the last one it begins again.
    let turn = in_turn.last().cloned().unwrap_or_default();
    users.extend(in_turn.into_iter().filter_map(|user| <[u8; 32]>::try_from(user).ok()));
    Ok((users, turn))
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
    tables: &mut AsOf<'_>,
    account: Option<AccountAt>,
    differences: &mut Vec<Difference>,
) -> Result<usize, IntegrityError> {
    let Some((_, book)) = decoded("the rule book", account, RuleBook::decode_with_rules, differences) else {
        return Ok(0);
    };
    let mut stored = tables.rules().await?;
    let mut budgets: BTreeMap<i32, (Decimal, Decimal)> = BTreeMap::new();
    for ((rule, _), totals) in &stored {
        let (spent, grants) = budgets.entry(*rule).or_default();
        *spent = spent.saturating_add(totals.granted.saturating_sub(totals.reversed));
        *grants = grants.saturating_add(totals.grants);
    }
    stored.retain(|_, totals| !totals.is_dropped);
    let mut found = Vec::new();
    for rule in &book {
        let (id, version) = (i32::from(rule.id.0), i32::from(rule.version.0));
        let Some(RuleTotals { granted, grants, reversed, .. }) = stored.remove(&(id, version)) else {
            found.push(format!("rule {id} version {version} is in the rule book, and not on record"));
            continue;
        };
        let (spent, budget_grants) = budgets.get(&id).copied().unwrap_or_default();
        let (on_chain, on_record) = (totals(rule), [granted, grants, reversed, spent, budget_grants]);
        if on_chain != on_record {
            found.push(format!(
                "rule {id} version {version}: granted, grants, reversed, budget spent and budget grants are \
                 {} on chain and {} on record",
                list(&on_chain),
                list(&on_record)
            ));
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
async fn of_tokens(
    tables: &mut AsOf<'_>,
    account: Option<AccountAt>,
    differences: &mut Vec<Difference>,
) -> Result<(), IntegrityError> {
    let Some(account) = decoded("the platform", account, Platform::decode, differences) else { return Ok(()) };
    let mut found = Vec::new();
    for row in tables.tokens().await? {
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
    tables: &mut AsOf<'_>,
    accounts: BTreeMap<[u8; 32], Option<AccountAt>>,
    asked: Option<UserKey>,
    differences: &mut Vec<Difference>,
) -> Result<(), IntegrityError> {
    let keys: Vec<Vec<u8>> = accounts.keys().map(|key| key.to_vec()).collect();
    let mut stored = tables.users(&keys).await?;
    let mut found = Vec::new();
    for (key, account) in accounts {
        let on_record = stored.remove(key.as_slice());
        let user = hex::encode(key);
        if account.is_none() && on_record.is_none() {
            // Who came later is on neither side yet.
            if asked == Some(UserKey(key)) {
                found.push(format!("user {user} is neither on chain nor on record"));
            }
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
