//! For those who run this server.

use super::{
    openapi,
    problem::{Document, Problem},
};
use crate::{database, state::OracleState};
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use prometheus::TextEncoder;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// How long the database may take.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);

/// A server that is up, or ready.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// `live` or `ready`.
    status: &'static str,
}

/// Is the process up?
#[utoipa::path(get, path = "/live", tag = "operations", operation_id = "getLive",
    responses((status = 200, description = "It is.", body = Health)))]
pub(super) async fn live() -> Response {
    no_store(Health { status: "live" })
}

/// Can it take notices?
#[utoipa::path(get, path = "/ready", tag = "operations", operation_id = "getReady",
    responses(
        (status = 200, description = "It can.", body = Health),
        (status = 503, description = "It cannot: the database does not answer.", body = Document,
         content_type = "application/problem+json"),
    ))]
pub(super) async fn ready(State(state): State<OracleState>) -> Result<Response, Problem> {
    match tokio::time::timeout(DATABASE_TIMEOUT, database::backlog(state.pool())).await {
        Ok(Ok(_)) => Ok(no_store(Health { status: "ready" })),
        Ok(Err(error)) => {
            tracing::error!("not ready: {error}");
            Err(Problem::unavailable("the database does not answer: check that Postgres runs"))
        }
        Err(_) => Err(Problem::unavailable("the database did not answer within 2 s: check that Postgres runs")),
    }
}

/// Metrics
///
/// In the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operations", operation_id = "getMetrics",
    responses((status = 200, description = "The metrics.", body = String, content_type = "text/plain; version=0.0.4")))]
pub(super) async fn metrics(State(state): State<OracleState>) -> Result<Response, Problem> {
    // What the database says is left as it was where it does not answer; the rest is needed then above all.
    if let Ok(Ok(backlog)) = tokio::time::timeout(DATABASE_TIMEOUT, database::backlog(state.pool())).await {
        let metrics = state.metrics();
        for (name, count) in [("queued", backlog.queued), ("sent", backlog.sent), ("dead", backlog.dead)] {
            metrics.records.with_label_values(&[name]).set(count);
        }
        metrics.oldest.set(backlog.oldest_seconds);
    }
    let text = TextEncoder::new().encode_to_string(&state.registry().gather()).map_err(|error| {
        tracing::error!("metrics cannot be written: {error}");
        Problem::unavailable("the metrics cannot be written")
    })?;
    Ok(([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT), (header::CACHE_CONTROL, "no-store")], text).into_response())
}

/// This description
///
/// OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", operation_id = "getDescription",
    responses((status = 200, description = "The description.", body = Object)))]
pub(super) async fn description() -> Response {
    Json(openapi()).into_response()
}

fn no_store(health: Health) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(health)).into_response()
}
