//! Records that need an operator, and trying them again.

use super::{
    auth::PlatformServer,
    kind_name,
    problem::{Document, Problem},
};
use crate::{outbox::queue, provider::Rejection, state::OracleState};
use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

/// How many are listed where the request does not say, and at most.
const LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 500;

/// A record that was given up.
#[derive(Serialize, ToSchema)]
pub(super) struct DeadLetter {
    /// Its number here.
    id: i64,
    /// The order's number.
    order: String,
    /// SHA-256 of it.
    order_hash: String,
    /// `payment`, `refund`, `redemption` or `wallet_link`.
    kind: &'static str,
    /// Which provider told of it; `direct` for the platform's server.
    provider: String,
    /// Why it was given up.
    reason: Option<String>,
    /// How often it was tried.
    attempts: i32,
    /// When it came.
    #[serde(with = "time::serde::rfc3339")]
    received_at: OffsetDateTime,
    /// When it was given up.
    #[serde(with = "time::serde::rfc3339")]
    changed_at: OffsetDateTime,
}

/// Records that were given up, the latest stored first.
#[derive(Serialize, ToSchema)]
pub(super) struct DeadLetters {
    /// The records.
    items: Vec<DeadLetter>,
}

/// Which of them.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Those with lower numbers than this alone.
    #[param(minimum = 1)]
    before: Option<i64>,
    /// How many at most.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<i64>,
}

/// Records that need an operator
///
/// What their reasons say is to be mended before they are tried again.
#[utoipa::path(
    get,
    path = "/v1/dead-letters",
    tag = "records",
    operation_id = "listDeadLetters",
    security(("api_key" = [])),
    params(Which),
    responses(
        (status = 200, description = "The records.", body = DeadLetters),
        (status = 400, description = "A parameter is none.", body = Document, content_type = "application/problem+json"),
        (status = 401, description = "No key.", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "Not now.", body = Document, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    _: PlatformServer,
    State(state): State<OracleState>,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Json<DeadLetters>, Problem> {
    let malformed = |why: String| Problem::from(&Rejection::Malformed(why));
    let Query(which) = which.map_err(|error| malformed(error.body_text()))?;
    let limit = which.limit.unwrap_or(LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(malformed(format!("limit in the query: {limit} is not from 1 to {MAX_LIMIT}")));
    }
    let platform = state.platform().to_bytes();
    let rows = sqlx::query!(
        "SELECT id, number, order_hash, kind, provider, reason, attempts, received_at, changed_at FROM records
         WHERE platform = $1 AND state = 5 AND ($2::bigint IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
        platform.as_slice(),
        which.before,
        limit,
    )
    .fetch_all(state.pool())
    .await?;
    let items = rows
        .into_iter()
        .map(|row| DeadLetter {
            id: row.id,
            order: row.number,
            order_hash: hex::encode(row.order_hash),
            kind: kind_name(row.kind),
            provider: row.provider,
            reason: row.reason,
            attempts: row.attempts,
            received_at: row.received_at,
            changed_at: row.changed_at,
        })
        .collect();
    Ok(Json(DeadLetters { items }))
}

/// A record that is tried again.
#[derive(Serialize, ToSchema)]
pub(super) struct Retried {
    /// The order's number.
    order: String,
    /// `queued`.
    state: &'static str,
}

/// Try a record again that was given up
///
/// As if it had just come.
#[utoipa::path(
    post,
    path = "/v1/dead-letters/{id}/retry",
    tag = "records",
    operation_id = "retryDeadLetter",
    security(("api_key" = [])),
    params(("id" = i64, Path, description = "Its number here.")),
    responses(
        (status = 200, description = "It is queued.", body = Retried),
        (status = 400, description = "That cannot be a number.", body = Document, content_type = "application/problem+json"),
        (status = 401, description = "No key.", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "There is none.", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "It is not dead now.", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "Not now.", body = Document, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn retry(
    _: PlatformServer,
    State(state): State<OracleState>,
    id: Result<Path<i64>, PathRejection>,
) -> Result<Json<Retried>, Problem> {
    let Path(id) = id.map_err(|error| Problem::from(&Rejection::Malformed(error.body_text())))?;
    let platform = state.platform().to_bytes();
    let row =
        sqlx::query!("SELECT number, state FROM records WHERE platform = $1 AND id = $2", platform.as_slice(), id,)
            .fetch_optional(state.pool())
            .await?;
    let row = row.ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "urn:rebate:problem:not-found", format!("there is no record {id}"))
    })?;
    // Another may try it again at the same moment; then it is tried once, too.
    if row.state != 5 || !queue::retry(state.pool(), state.platform(), &row.number).await? {
        let detail = format!("record {id}, {:?}, is not dead now; somebody else may have tried it again", row.number);
        return Err(Problem::new(StatusCode::CONFLICT, "urn:rebate:problem:not-dead", detail));
    }
    Ok(Json(Retried { order: row.number, state: "queued" }))
}
