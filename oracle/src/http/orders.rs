//! What became of an order, for the platform's server.

use super::{
    auth::PlatformServer,
    problem::{Document, Problem},
};
use crate::state::OracleState;
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// What became of an order.
#[derive(Serialize, ToSchema)]
pub(super) struct OrderStatus {
    /// Its number.
    order: String,
    /// `payment`, `refund`, `redemption` or `wallet_link`.
    kind: &'static str,
    /// The platform's address.
    platform: String,
    /// The key of the user whose it is, 64 hexadecimal digits; of a refund, the user's who paid the order, if that came.
    user_key: Option<String>,
    /// SHA-256 of the number: under which it is on chain, and in the API over the chain.
    order_hash: String,
    /// `queued`; `sent`, its transaction may land; `recorded`, confirmed on chain; `refused` by the program; `dead`, which needs an
    /// operator.
    state: &'static str,
    /// Why it was refused or is dead; of a queued one, why the last attempt failed.
    reason: Option<String>,
    /// The transaction that recorded it or was sent last, base58.
    signature: Option<String>,
    /// In which slot it was recorded.
    slot: Option<i64>,
    /// Which provider told of it; `direct` for the platform's server.
    provider: String,
    /// The number of the order it refunds.
    refund_of: Option<String>,
    /// When it came.
    #[serde(with = "time::serde::rfc3339")]
    received_at: OffsetDateTime,
    /// When its state changed last.
    #[serde(with = "time::serde::rfc3339")]
    changed_at: OffsetDateTime,
    /// The numbers of its refunds, and their states.
    refunds: Vec<RefundStatus>,
}

/// What became of an order's refund.
#[derive(Serialize, ToSchema)]
pub(super) struct RefundStatus {
    /// Its number.
    order: String,
    /// As of an order.
    state: &'static str,
}

/// What became of an order
///
/// What was granted for it is the chain's to say.
#[utoipa::path(
    get,
    path = "/v1/orders/{order}",
    tag = "records",
    operation_id = "getOrder",
    security(("api_key" = [])),
    params(("order" = String, Path, description = "Its number, percent-encoded.")),
    responses(
        (status = 200, description = "It is on record.", body = OrderStatus),
        (status = 401, description = "No key.", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "It is not.", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "Not now.", body = Document, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(
    _: PlatformServer,
    State(state): State<OracleState>,
    Path(number): Path<String>,
) -> Result<Json<OrderStatus>, Problem> {
    let platform = state.platform().to_bytes();
    let row = sqlx::query!(
        // A refund names the order, not the user.
        "SELECT r.kind, r.number, r.order_hash, r.state, r.reason, r.signature, r.slot, r.provider, r.refund_of, r.received_at,
                r.changed_at,
                CASE r.kind WHEN 2 THEN (SELECT p.subject FROM records p WHERE p.platform = r.platform AND p.kind = 1
                                         AND p.order_hash = r.subject)
                            ELSE r.subject END AS user_key
         FROM records r WHERE r.platform = $1 AND r.number = $2",
        platform.as_slice(),
        number,
    )
    .fetch_optional(state.pool())
    .await?;
    let row = row.ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "urn:rebate:problem:not-found", "no order of this number came yet")
    })?;
    let refunds = sqlx::query!(
        "SELECT number, state FROM records WHERE platform = $1 AND refund_of = $2 ORDER BY id LIMIT 100",
        platform.as_slice(),
        number,
    )
    .fetch_all(state.pool())
    .await?;
    Ok(Json(OrderStatus {
        order: row.number,
        kind: kind_name(row.kind),
        platform: state.platform().to_string(),
        user_key: row.user_key.map(hex::encode),
        order_hash: hex::encode(row.order_hash),
        state: state_name(row.state),
        reason: row.reason,
        signature: row.signature.map(|signature| bs58::encode(signature).into_string()),
        slot: row.slot,
        provider: row.provider,
        refund_of: row.refund_of,
        received_at: row.received_at,
        changed_at: row.changed_at,
        refunds: refunds
            .into_iter()
            .map(|refund| RefundStatus { order: refund.number, state: state_name(refund.state) })
            .collect(),
    }))
}

/// A record's kind, for people.
pub(crate) fn kind_name(kind: i16) -> &'static str {
    match kind {
        1 => "payment",
        2 => "refund",
        3 => "redemption",
        _ => "wallet_link",
    }
}

/// A record's state, for people.
pub(crate) fn state_name(state: i16) -> &'static str {
    match state {
        1 => "queued",
        2 => "sent",
        3 => "recorded",
        4 => "refused",
        _ => "dead",
    }
}
