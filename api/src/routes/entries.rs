//! Every change of a user's balances.

use crate::{
    page::{self, Key, List, Page, Scope},
    problem::{Problem, Problems, Thing},
    request::{OfPlatform, Path, Query},
    snapshot::{Answer, Snapshot},
    state::ApiState,
    transaction::Transaction,
    value::{Amount, Change, Hash, Instant, Signature},
    words::{self, Operation},
};
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

/// A change of a balance, or of what the user owes.
#[derive(Serialize, ToSchema)]
pub(crate) struct Entry {
    /// What changed it: a `grant`, the `reversal` of one by a refund, a `redemption` with the platform, a `claim` of tokens, or
    /// `expiry`.
    #[schema(example = "grant")]
    operation: String,
    /// What changed it, for people, in the language that `Accept-Language` asks for.
    #[schema(example = "1000 coins granted by ‘first recharge 20%’")]
    text: String,
    /// The asset's number.
    #[schema(minimum = 1, maximum = 8, example = 1)]
    asset: i16,
    /// Its name.
    #[schema(example = "coins")]
    asset_name: String,
    /// By how much.
    change: Change,
    /// The balance before.
    before: Amount,
    /// The balance after.
    after: Amount,
    /// What the user owed before. A grant pays it first, and what a reversal does not find in the balance is added.
    debt_before: Amount,
    /// And after.
    debt_after: Amount,
    /// The order it is for: the payment's, the refund's own, or the redemption's; null for claims and expiry.
    #[schema(required)]
    order: Option<Hash>,
    /// Of a reversal, the order that was refunded.
    #[schema(required)]
    refund_of: Option<Hash>,
    /// The rule that granted it; null where it comes from none.
    #[schema(minimum = 0, maximum = 65_535, example = 1)]
    #[schema(required)]
    rule: Option<i32>,
    /// The rule's version.
    #[schema(minimum = 1, maximum = 65_535, example = 1)]
    #[schema(required)]
    version: Option<i32>,
    /// The rule's name in that version.
    #[schema(example = "first recharge 20%")]
    #[schema(required)]
    rule_name: Option<String>,
    /// When, by the chain's clock.
    at: Instant,
    /// The event's place in the journal.
    #[schema(minimum = 0, example = 41)]
    journal_index: i64,
    /// The place among the event's outcomes.
    #[schema(minimum = 0, example = 0)]
    position: i16,
    /// The transaction it came with.
    transaction: Transaction,
}

page::items! {
    /// A page of entries, newest first.
    Entries of Entry
}

struct Row {
    operation: String,
    asset: i16,
    asset_name: String,
    change: Change,
    before: Amount,
    after: Amount,
    debt_before: Amount,
    debt_after: Amount,
    order: Option<Hash>,
    refund_of: Option<Hash>,
    rule: Option<i32>,
    version: Option<i32>,
    rule_name: Option<String>,
    at: Instant,
    journal_index: i64,
    position: i16,
    signature: Signature,
    slot: i64,
    block_time: Option<Instant>,
}

impl Row {
    fn said(&self) -> words::Entry<'_> {
        let rule = self.rule_name.as_deref().unwrap_or("?");
        let operation = match self.operation.as_str() {
            "grant" => Operation::Grant(rule),
            "reversal" => Operation::Reversal(rule),
            "redemption" => Operation::Redemption,
            "claim" => Operation::Claim,
            "expiry" => Operation::Expiry,
            _ => Operation::Unknown,
        };
        let debt = self.debt_after.0.saturating_sub(self.debt_before.0).abs();
        words::Entry { operation, asset: &self.asset_name, changed: self.change.0.abs(), debt }
    }
}

/// Journal index and position.
#[derive(Clone, Copy)]
struct Place(i64, i16);

impl Key for Place {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.0.to_be_bytes());
        bytes.extend(self.1.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (index, position) = bytes.split_first_chunk()?;
        Some(Self(i64::from_be_bytes(*index), i16::from_be_bytes(position.try_into().ok()?)))
    }
}

/// List the changes of a user's balances
///
/// Newest first. Entries are only ever added, and those of a transaction that is confirmed only can go with it.
#[utoipa::path(
    get,
    path = "/v1/users/{user}/entries",
    tag = "users",
    operation_id = "listEntries",
    params(("user" = Hash, Path, description = "The user's key."), OfPlatform, Page),
    responses((status = 200, description = "A page of entries.", body = Entries), Problems),
)]
pub(crate) async fn of_user(
    State(state): State<ApiState>,
    Path(user): Path<Hash>,
    Query(of): Query<OfPlatform>,
    Query(page): Query<Page>,
    mut snapshot: Snapshot,
) -> Result<Answer<Entries>, Problem> {
    let platform = snapshot.platform(of).await?;
    let scope = Scope::new(List::Entries, &[&platform.0, &user.0]);
    let Place(journal_index, position) = page.after(&scope)?.unwrap_or(Place(i64::MAX, i16::MAX));
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT n.operation, n.asset, a.name AS asset_name, n.change AS "change: Change",
                  n.balance_before AS "before: Amount", n.balance_after AS "after: Amount",
                  n.debt_before AS "debt_before: Amount", n.debt_after AS "debt_after: Amount",
                  n.order_hash AS "order: Hash", p.order_hash AS "refund_of?: Hash",
                  n.rule, n.version, r.name AS "rule_name?", n.at AS "at: Instant", n.journal_index, n.position,
                  e.signature AS "signature: Signature", e.slot, e.block_time AS "block_time: Instant"
           FROM (
               SELECT * FROM entries n
               WHERE n.platform = $1 AND n.user_key = $2 AND (n.journal_index, n.position) < ($3, $4)
               ORDER BY n.journal_index DESC, n.position DESC
               LIMIT 1000
           ) AS n
           JOIN assets a USING (platform, asset)
           LEFT JOIN rules r USING (platform, rule, version)
           LEFT JOIN refunds f ON f.platform = n.platform AND f.journal_index = n.journal_index
           LEFT JOIN LATERAL (
               SELECT p.order_hash FROM payments p
               WHERE p.platform = f.platform AND p.journal_index = f.payment_index AND p.month = f.payment_month LIMIT 1
           ) AS p ON true
           JOIN LATERAL (
               SELECT e.at, t.signature, t.slot, t.block_time
               FROM events e JOIN transactions t ON t.signature = e.signature AND t.month = e.month
               WHERE e.platform = n.platform AND e.journal_index = n.journal_index AND e.month = n.month LIMIT 1
           ) AS e ON true
           ORDER BY n.journal_index DESC, n.position DESC
           LIMIT $5"#,
        &platform.0,
        &user.0,
        journal_index,
        position,
        page.rows()?
    )
    .fetch_all(snapshot.connection())
    .await?;
    if rows.is_empty() {
        let known = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM users WHERE platform = $1 AND user_key = $2) AS "known!""#,
            &platform.0,
            &user.0
        )
        .fetch_one(snapshot.connection())
        .await?;
        if !known {
            return Err(snapshot.missing(Thing::User(user)));
        }
    }
    let (rows, next_cursor) = page::cut(&page, &scope, rows, |row| Place(row.journal_index, row.position))?;
    let cluster = &state.settings().cluster;
    let as_of = snapshot.as_of();
    let words = snapshot.language().words();
    let items = rows
        .into_iter()
        .map(|row| Entry {
            text: words.entry(&row.said()),
            operation: row.operation,
            asset: row.asset,
            asset_name: row.asset_name,
            change: row.change,
            before: row.before,
            after: row.after,
            debt_before: row.debt_before,
            debt_after: row.debt_after,
            order: row.order,
            refund_of: row.refund_of,
            rule: row.rule,
            version: row.version,
            rule_name: row.rule_name,
            at: row.at,
            journal_index: row.journal_index,
            position: row.position,
            transaction: Transaction::new(cluster, &as_of, row.signature, row.slot, row.block_time),
        })
        .collect();
    Ok(snapshot.answer(Entries { items, next_cursor, as_of }))
}
