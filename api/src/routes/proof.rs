//! Proofs of orders.

use super::orders::Named;
use crate::{
    problem::{Problem, Problems, Thing},
    request::{OfPlatform, Path, Query},
    snapshot::{Answer, AsOf, Snapshot},
    state::ApiState,
    tree::{Peak, Tree, TreeHead},
    value::{Address, Bytes, Hash},
};
use axum::extract::State;
use rebate_client::{Pubkey, address::Addresses, merkle};
use rebate_core::units::JournalIndex;
use serde::Serialize;
use utoipa::ToSchema;

/// That an order's event is in its platform's journal.
#[derive(Serialize, ToSchema)]
pub(crate) struct OrderProof {
    /// The platform.
    platform: Address,
    /// SHA-256 of the order's number.
    order: Hash,
    /// The event's kind.
    #[schema(example = "PaymentRecorded")]
    kind: String,
    /// The event as the program emitted it. Its leaf is SHA-256 of a zero byte and these bytes.
    event: Bytes,
    /// The event's place in the journal, from 0: the index of its leaf.
    #[schema(minimum = 0, example = 41)]
    journal_index: i64,
    /// The inclusion path (RFC 6962 `PATH`), from the leaf's neighbour up. Its first nodes, as many as the peak above the
    /// leaf is high, are what the program takes as proof for a refund.
    path: Vec<Hash>,
    /// The tree that the path is in: over all events of the journal up to `as_of_slot`.
    tree: TreeHead,
    /// The peaks that the head is made of, from the lowest, which is over the last events.
    peaks: Vec<Peak>,
    /// The Journal account, which holds leaf count and peaks.
    journal: Address,
    /// The account in an explorer; null where none reaches the chain.
    #[schema(format = "uri")]
    #[schema(required)]
    journal_explorer: Option<String>,
    #[serde(flatten)]
    #[schema(inline = false)]
    as_of: AsOf,
}

/// Prove an order
///
/// The bytes of the event that recorded the order, and the path from it to the head of the journal's tree. Any library for
/// certificate transparency (RFC 6962) checks it, against the tree head that follows from the Journal account as it was at
/// `as_of_slot`; where the account has moved on since, `/v1/consistency` leads from one head to the other.
///
/// The number may also be a refund's or a redemption's. Where there are several events under it, this is about the first
/// payment, else the first refund, else the first redemption.
#[utoipa::path(
    get,
    path = "/v1/orders/{order}/proof",
    tag = "orders",
    operation_id = "proveOrder",
    params(
        ("order" = String, Path, description = "The order's number, or its hash; `by` says which.", example = "A1"),
        Named, OfPlatform,
    ),
    responses((status = 200, description = "The proof.", body = OrderProof), Problems),
)]
pub(crate) async fn of_order(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    Query(named): Query<Named>,
    Query(of): Query<OfPlatform>,
    mut snapshot: Snapshot,
) -> Result<Answer<OrderProof>, Problem> {
    let order = named.hash(&name)?;
    let platform = snapshot.platform(of).await?;
    // The sum keeps Postgres from going through the journal for the first payment: the index by order has no order of its own.
    let recorded = sqlx::query!(
        r#"WITH recorded AS MATERIALIZED (SELECT coalesce(
               (SELECT min(journal_index + 0) FROM payments WHERE platform = $1 AND order_hash = $2),
               (SELECT min(journal_index) FROM refunds WHERE platform = $1 AND order_hash = $2),
               (SELECT min(journal_index) FROM redemptions WHERE platform = $1 AND order_hash = $2)
           ) AS journal_index)
           SELECT journal_index AS "journal_index!", kind, bytes FROM recorded JOIN events USING (journal_index)
           WHERE platform = $1 AND month = month_of($1, recorded.journal_index)"#,
        &platform.0,
        &order.0
    )
    .fetch_optional(snapshot.connection())
    .await?;
    let Some(recorded) = recorded else {
        return Err(snapshot.missing(Thing::Order(order)));
    };
    let mut tree = Tree::of(&mut snapshot, platform).await?;
    let index = u64::try_from(recorded.journal_index).map(JournalIndex).map_err(|error| Problem::internal(&error))?;
    let runs = merkle::inclusion(index, tree.count()).ok_or_else(|| {
        Problem::internal(&format_args!("event {index} of platform {platform} is not in its journal"))
    })?;
    let path = tree.heads(&mut snapshot, &runs).await?;
    tree.require(index, &recorded.bytes, &path)?;
    let journal = Addresses::at(Pubkey::new_from_array(platform.0)).journal;
    let as_of = snapshot.as_of();
    Ok(snapshot.answer(OrderProof {
        platform,
        order,
        kind: recorded.kind,
        event: Bytes(recorded.bytes),
        journal_index: recorded.journal_index,
        path,
        tree: tree.head(),
        peaks: tree.peaks(),
        journal: Address(journal.to_bytes()),
        journal_explorer: state.settings().cluster.account(&journal),
        as_of,
    }))
}
