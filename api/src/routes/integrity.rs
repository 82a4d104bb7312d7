//! Whether the database holds what the chain holds.

use crate::{
    integrity::{self, Report},
    problem::{Problem, Problems},
    request::{OfPlatform, Query},
    snapshot::Snapshot,
    state::ApiState,
    value::{Address, Hash},
};
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::IntoParams;

/// Who is to be among the users compared.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfUser {
    /// The key of a user whose account is compared too.
    user: Option<Hash>,
}

/// Compare the stored events with the chain
///
/// Hashes the stored events in order of the journal and compares the tree head (RFC 6962) with that of the platform's
/// Journal account, as a node shows it now. Where the chain is ahead, it waits up to two seconds for the indexer. Where the
/// database is ahead, as it is of a node that shows finalised accounts only, the events that both have are compared.
///
/// Where both have the same events, it also compares rule totals, what users have and owe, and what vaults hold with
/// the platform's accounts: of all rules and assets, and of some users, others with every answer.
#[utoipa::path(
    get,
    path = "/v1/integrity",
    tag = "integrity",
    operation_id = "getIntegrity",
    params(OfPlatform, OfUser),
    responses((status = 200, description = "What the comparison came to.", body = Report), Problems),
)]
pub(crate) async fn compare(
    State(state): State<ApiState>,
    Query(of): Query<OfPlatform>,
    Query(OfUser { user }): Query<OfUser>,
) -> Result<Response, Problem> {
    let default_platform = state.settings().platform.map(|platform| Address(platform.to_bytes()));
    let platform = Snapshot::take(state.pool(), default_platform).await?.platform(of).await?;
    let report = integrity::compare(&state, platform, user).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(report)).into_response())
}
