//! Redemptions: what users spent with the platform.

use crate::{
    problem::Problem,
    snapshot::Snapshot,
    transaction::Transaction,
    value::{Address, Amount, Hash, Instant},
};
use rebate_client::explorer::Cluster;
use serde::Serialize;
use utoipa::ToSchema;

/// A redemption that the chain recorded.
#[derive(Serialize, ToSchema)]
pub(crate) struct Redemption {
    /// SHA-256 of the redemption's order number.
    order: Hash,
    /// The key of the user who redeemed.
    user: Hash,
    /// The oracle key that signed it.
    oracle: Address,
    /// What was redeemed.
    #[schema(minimum = 1, maximum = 8, example = 1)]
    asset: i16,
    /// The asset's name.
    #[schema(example = "coins")]
    asset_name: String,
    /// How much, in the asset's smallest unit.
    amount: Amount,
    /// The user's balance before.
    before: Amount,
    /// The user's balance after.
    after: Amount,
    /// When it was redeemed.
    redeemed_at: Instant,
    /// When it was recorded, by the chain's clock.
    recorded_at: Instant,
    /// The event's place in the journal.
    #[schema(minimum = 0, example = 41)]
    journal_index: i64,
    /// The transaction it was recorded in.
    transaction: Transaction,
}

/// The redemptions that were recorded under an order number.
pub(super) async fn under(
    snapshot: &mut Snapshot,
    platform: Address,
    order: Hash,
    cluster: &Cluster,
) -> Result<Vec<Redemption>, Problem> {
    let rows = sqlx::query!(
        r#"SELECT r.order_hash AS "order: Hash", r.user_key AS "user: Hash", r.oracle AS "oracle: Address", r.asset,
                  a.name AS asset_name, r.amount AS "amount: Amount", n.balance_before AS "before: Amount",
                  n.balance_after AS "after: Amount", r.redeemed_at AS "redeemed_at: Instant",
                  e.at AS "recorded_at: Instant", r.journal_index,
                  e.signature AS "signature: crate::value::Signature", e.slot, e.block_time AS "block_time: Instant"
           FROM redemptions r JOIN assets a USING (platform, asset)
           JOIN LATERAL (
               SELECT n.balance_before, n.balance_after FROM entries n
               WHERE n.platform = r.platform AND n.journal_index = r.journal_index AND n.month = r.month LIMIT 1
           ) AS n ON true
           JOIN LATERAL (
               SELECT e.at, t.signature, t.slot, t.block_time
               FROM events e JOIN transactions t ON t.signature = e.signature AND t.month = e.month
               WHERE e.platform = r.platform AND e.journal_index = r.journal_index AND e.month = r.month LIMIT 1
           ) AS e ON true
           WHERE r.platform = $1 AND r.order_hash = $2 ORDER BY r.journal_index LIMIT 100"#,
        &platform.0,
        &order.0
    )
    .fetch_all(snapshot.connection())
    .await?;
    let as_of = snapshot.as_of();
    Ok(rows
        .into_iter()
        .map(|row| Redemption {
            order: row.order,
            user: row.user,
            oracle: row.oracle,
            asset: row.asset,
            asset_name: row.asset_name,
            amount: row.amount,
            before: row.before,
            after: row.after,
            redeemed_at: row.redeemed_at,
            recorded_at: row.recorded_at,
            journal_index: row.journal_index,
            transaction: Transaction::new(cluster, &as_of, row.signature, row.slot, row.block_time),
        })
        .collect())
}
