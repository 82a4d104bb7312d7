//! The tables as they were when a journal had so many events.
//!
//! A node shows accounts as of its newest slot, and the tables have mostly gone on by the time they are read. Nothing that
//! is compared needs the two to stand still: every outcome and entry is kept by its event, so that what later ones added can
//! be taken away again.

use crate::error::IntegrityError;
use rebate_client::Pubkey;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// Kinds of events that are no decision about rules, assets or vaults: all they change can be taken away again.
const RECORDS: [&str; 6] =
    ["PaymentRecorded", "RefundRecorded", "Redeemed", "BalanceExpired", "WalletLinked", "Claimed"];

/// The tables of a platform as of its first `count` events.
pub(crate) struct AsOf<'a> {
    pub connection: &'a mut PgConnection,
    pub platform: &'a Pubkey,
    pub count: i64,
}

/// Totals of a rule version.
pub(crate) struct RuleTotals {
    pub granted: Decimal,
    pub grants: Decimal,
    pub reversed: Decimal,
    /// Whether it left the rule book.
    pub is_dropped: bool,
}

/// A token asset.
pub(crate) struct Token {
    pub asset: i16,
    pub name: String,
    /// What all users have of it.
    pub liability: Decimal,
    /// What its vault holds, by the events.
    pub funds: Decimal,
}

/// A user.
#[derive(Default)]
pub(crate) struct User {
    pub payments: u64,
    pub wallet: [u8; 32],
    /// Balance and debt, by asset.
    pub balances: BTreeMap<u8, (Decimal, Decimal)>,
}

impl AsOf<'_> {
    /// Whether nothing was decided since about rules, assets or vaults.
    pub async fn rules_stand(&mut self) -> Result<bool, IntegrityError> {
        let decided = sqlx::query_scalar!(
            r#"SELECT EXISTS (
                   SELECT FROM events WHERE platform = $1 AND journal_index >= $2 AND kind <> ALL($3)
               ) AS "decided!""#,
            self.platform.as_ref(),
            self.count,
            &RECORDS as &[&str]
        )
        .fetch_one(&mut *self.connection)
        .await?;
        Ok(!decided)
    }

    /// All rule versions, by rule and version.
    pub async fn rules(&mut self) -> Result<BTreeMap<(i32, i32), RuleTotals>, IntegrityError> {
        let rows = sqlx::query!(
            r#"SELECT rule, version, dropped_at IS NOT NULL AS "is_dropped!",
                      rules.granted - coalesce(later.granted, 0) AS "granted!",
                      rules.grants - coalesce(later.grants, 0) AS "grants!",
                      rules.reversed - coalesce(later.reversed, 0) AS "reversed!"
               FROM rules LEFT JOIN (
                   SELECT rule, version, sum(amount) FILTER (WHERE reason = 0) AS granted,
                          count(*) FILTER (WHERE reason = 0) AS grants, sum(amount) FILTER (WHERE reason = 10) AS reversed
                   FROM outcomes WHERE platform = $1 AND journal_index >= $2 GROUP BY rule, version
               ) AS later USING (rule, version)
               WHERE platform = $1"#,
            self.platform.as_ref(),
            self.count
        )
        .fetch_all(&mut *self.connection)
        .await?;
        let totals = rows.into_iter().map(|row| {
            let totals = RuleTotals {
                granted: row.granted,
                grants: row.grants.into(),
                reversed: row.reversed,
                is_dropped: row.is_dropped,
            };
            ((row.rule, row.version), totals)
        });
        Ok(totals.collect())
    }

    /// The token assets.
    pub async fn tokens(&mut self) -> Result<Vec<Token>, IntegrityError> {
        Ok(sqlx::query_as!(
            Token,
            r#"SELECT asset, name,
                      liability - coalesce((
                          SELECT sum(change) FROM entries
                          WHERE entries.platform = $1 AND journal_index >= $2 AND entries.asset = assets.asset
                      ), 0) AS "liability!",
                      coalesce((
                          SELECT funds FROM vaults WHERE vaults.platform = $1 AND vaults.asset = assets.asset
                      ), 0) + coalesce((
                          SELECT sum(amount) FROM claims
                          WHERE claims.platform = $1 AND journal_index >= $2 AND claims.asset = assets.asset
                      ), 0) AS "funds!"
               FROM assets WHERE platform = $1 AND kind = 'token' ORDER BY asset"#,
            self.platform.as_ref(),
            self.count
        )
        .fetch_all(&mut *self.connection)
        .await?)
    }

    /// The users with these keys who did something by then.
    pub async fn users(&mut self, keys: &[Vec<u8>]) -> Result<BTreeMap<Vec<u8>, User>, IntegrityError> {
        let mut users: BTreeMap<Vec<u8>, User> = BTreeMap::new();
        for row in sqlx::query!(
            r#"SELECT user_key, payments - (
                   SELECT count(*) FROM payments
                   WHERE payments.platform = $1 AND payments.user_key = users.user_key AND journal_index >= $3
               ) AS "payments!"
               FROM users WHERE platform = $1 AND user_key = ANY($2)"#,
            self.platform.as_ref(),
            keys,
            self.count
        )
        .fetch_all(&mut *self.connection)
        .await?
        .into_iter()
        .filter(|row| row.payments != 0)
        {
            users.entry(row.user_key).or_default().payments = row.payments.unsigned_abs();
        }
        for row in sqlx::query!(
            "SELECT DISTINCT ON (user_key) user_key, wallet FROM wallet_links
             WHERE platform = $1 AND user_key = ANY($2) AND journal_index < $3 ORDER BY user_key, linked_at DESC",
            self.platform.as_ref(),
            keys,
            self.count
        )
        .fetch_all(&mut *self.connection)
        .await?
        {
            // A wallet of another length is none, and differs.
            users.entry(row.user_key).or_default().wallet = row.wallet.try_into().unwrap_or([0xFF; 32]);
        }
        for row in sqlx::query!(
            r#"SELECT user_key, asset, coalesce(later.balance_before, balance) AS "balance!",
                      coalesce(later.debt_before, debt) AS "debt!"
               FROM balances LEFT JOIN LATERAL (
                   SELECT balance_before, debt_before FROM entries
                   WHERE entries.platform = $1 AND entries.user_key = balances.user_key
                       AND entries.asset = balances.asset AND entries.journal_index >= $3
                   ORDER BY entries.journal_index, entries.position LIMIT 1
               ) AS later ON true
               WHERE platform = $1 AND user_key = ANY($2)"#,
            self.platform.as_ref(),
            keys,
            self.count
        )
        .fetch_all(&mut *self.connection)
        .await?
        .into_iter()
        .filter(|row| !row.balance.is_zero() || !row.debt.is_zero())
        {
            let asset = u8::try_from(row.asset).unwrap_or_default();
            users.entry(row.user_key).or_default().balances.insert(asset, (row.balance, row.debt));
        }
        Ok(users)
    }
}
