//! Refunds of orders.

use super::outcomes::{self, Outcome, Wanted};
use crate::{
    book::Book,
    problem::Problem,
    snapshot::Snapshot,
    transaction::Transaction,
    value::{Address, Amount, Hash, Instant, Signature},
};
use rebate_client::explorer::Cluster;
use serde::Serialize;
use std::collections::HashMap;
use time::Date;
use utoipa::ToSchema;

/// A refund that the chain recorded.
#[derive(Serialize, ToSchema)]
pub(crate) struct Refund {
    /// SHA-256 of the refund's own order number.
    order: Hash,
    /// SHA-256 of the number of the order that it refunds.
    of: Hash,
    /// The key of the user who paid that.
    user: Hash,
    /// The oracle key that signed it.
    oracle: Address,
    /// What was paid back, in the platform's minor currency unit.
    amount: Amount,
    /// What of the order was paid back so far, this refund included.
    refunded: Amount,
    /// When it was paid back.
    paid_at: Instant,
    /// When it was recorded, by the chain's clock.
    recorded_at: Instant,
    /// The event's place in the journal.
    #[schema(minimum = 0, example = 41)]
    journal_index: i64,
    /// Every grant that lost something, in the order granted.
    outcomes: Vec<Outcome>,
    /// The transaction it was recorded in.
    transaction: Transaction,
}

impl Refund {
    /// What of the order was paid back so far.
    pub fn refunded(&self) -> Amount {
        self.refunded
    }
}

struct Row {
    order: Hash,
    of: Hash,
    user: Hash,
    oracle: Address,
    amount: Amount,
    refunded: Amount,
    paid_at: Instant,
    payment_index: i64,
    recorded_at: Instant,
    journal_index: i64,
    month: Date,
    signature: Signature,
    slot: i64,
    block_time: Option<Instant>,
}

impl Row {
    fn wanted(&self) -> Wanted {
        let Self { journal_index, month, paid_at, .. } = *self;
        Wanted { journal_index, month, paid_at: paid_at.0.unix_timestamp() }
    }
}

/// The refunds of a platform in order, narrowed down.
macro_rules! refunds {
    ($narrowed:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT f.order_hash AS "order: Hash", p.order_hash AS "of: Hash", f.user_key AS "user: Hash",
                      f.oracle AS "oracle: Address", f.amount AS "amount: Amount", f.refunded AS "refunded: Amount",
                      f.paid_at AS "paid_at: Instant", f.payment_index, e.at AS "recorded_at: Instant", f.journal_index,
                      f.month, e.signature AS "signature: Signature", e.slot, e.block_time AS "block_time: Instant"
               FROM refunds f
               JOIN LATERAL (
                   SELECT p.order_hash FROM payments p
                   WHERE p.platform = f.platform AND p.journal_index = f.payment_index AND p.month = f.payment_month LIMIT 1
               ) AS p ON true
               JOIN LATERAL (
                   SELECT e.at, t.signature, t.slot, t.block_time
                   FROM events e JOIN transactions t ON t.signature = e.signature AND t.month = e.month
                   WHERE e.platform = f.platform AND e.journal_index = f.journal_index AND e.month = f.month LIMIT 1
               ) AS e ON true
               WHERE f.platform = $1 AND "# + $narrowed,
            $($argument),+
        )
    };
}

/// The refunds of payments, by the payments' journal indices, each in order.
pub(super) async fn of_payments(
    snapshot: &mut Snapshot,
    platform: Address,
    book: &Book,
    indices: &[i64],
    cluster: &Cluster,
) -> Result<HashMap<i64, Vec<Refund>>, Problem> {
    let rows = refunds!("f.payment_index = ANY($2) ORDER BY f.journal_index", &platform.0, indices)
        .fetch_all(snapshot.connection())
        .await?;
    let mut refunds: HashMap<i64, Vec<Refund>> = HashMap::new();
    for (payment, refund) in complete(snapshot, platform, book, rows, cluster).await? {
        refunds.entry(payment).or_default().push(refund);
    }
    Ok(refunds)
}

/// The refunds that were recorded under an order number of their own.
pub(super) async fn under(
    snapshot: &mut Snapshot,
    platform: Address,
    book: &Book,
    order: Hash,
    cluster: &Cluster,
) -> Result<Vec<Refund>, Problem> {
    let rows = refunds!("f.order_hash = $2 ORDER BY f.journal_index LIMIT 100", &platform.0, &order.0)
        .fetch_all(snapshot.connection())
        .await?;
    let refunds = complete(snapshot, platform, book, rows, cluster).await?;
    Ok(refunds.into_iter().map(|(_, refund)| refund).collect())
}

/// The refunds of `rows`, each with the journal index of its payment.
async fn complete(
    snapshot: &mut Snapshot,
    platform: Address,
    book: &Book,
    rows: Vec<Row>,
    cluster: &Cluster,
) -> Result<Vec<(i64, Refund)>, Problem> {
    let wanted: Vec<Wanted> = rows.iter().map(Row::wanted).collect();
    let mut outcomes = outcomes::of(snapshot, platform, book, &wanted).await?;
    let as_of = snapshot.as_of();
    Ok(rows
        .into_iter()
        .map(|row| {
            let refund = Refund {
                order: row.order,
                of: row.of,
                user: row.user,
                oracle: row.oracle,
                amount: row.amount,
                refunded: row.refunded,
                paid_at: row.paid_at,
                recorded_at: row.recorded_at,
                journal_index: row.journal_index,
                outcomes: outcomes.remove(&row.journal_index).unwrap_or_default(),
                transaction: Transaction::new(cluster, &as_of, row.signature, row.slot, row.block_time),
            };
            (row.payment_index, refund)
        })
        .collect())
}
