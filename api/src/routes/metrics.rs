//! What this server counts.

use crate::{problem::Problem, state::ApiState};
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

/// Metrics
///
/// Requests by route, method and status, how long they took, and the connections to the database, in the text format of
/// Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operations",
    operation_id = "getMetrics",
    responses((status = 200, description = "The metrics.", body = String, content_type = "text/plain; version=0.0.4")),
)]
pub(crate) async fn scrape(State(state): State<ApiState>) -> Result<Response, Problem> {
    let text = state.metrics().text(state.pool()).map_err(|error| Problem::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT), (header::CACHE_CONTROL, "no-store")], text).into_response())
}
