//! What this server counts, in the text format of Prometheus.

use crate::state::ApiState;
use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};
use sqlx::PgPool;
use std::time::Instant;

/// What this server counts.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
    connections: IntGauge,
    idle_connections: IntGauge,
}

/// Seconds: from an answer out of the cache to the request timeout.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The route of requests that match none: their paths are anybody's, and each would be a time series.
const NO_ROUTE: &str = "none";

impl Metrics {
    /// Metrics in `registry`.
    pub(crate) fn new(registry: Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("rebate_api_requests_total", "Requests answered."),
                &["route", "method", "status"],
            )?,
            durations: HistogramVec::new(
                HistogramOpts::new("rebate_api_request_duration_seconds", "How long answering took.")
                    .buckets(BUCKETS.to_vec()),
                &["route", "method"],
            )?,
            in_flight: IntGauge::new("rebate_api_requests_in_flight", "Requests being answered now.")?,
            connections: IntGauge::new("rebate_api_db_connections", "Connections to the database.")?,
            idle_connections: IntGauge::new(
                "rebate_api_db_connections_idle",
                "Connections to the database that nobody uses now.",
            )?,
            registry,
        };
        metrics.registry.register(Box::new(metrics.requests.clone()))?;
        metrics.registry.register(Box::new(metrics.durations.clone()))?;
        metrics.registry.register(Box::new(metrics.in_flight.clone()))?;
        metrics.registry.register(Box::new(metrics.connections.clone()))?;
        metrics.registry.register(Box::new(metrics.idle_connections.clone()))?;
        Ok(metrics)
    }

    /// Everything in the registry, as Prometheus reads it.
    pub(crate) fn text(&self, pool: &PgPool) -> Result<String, prometheus::Error> {
        self.connections.set(i64::from(pool.size()));
        self.idle_connections.set(i64::try_from(pool.num_idle()).unwrap_or(i64::MAX));
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// Keeps the gauge right also where the client goes away in the middle and the future is dropped.
struct InFlight<'a>(&'a IntGauge);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Counts a request and how long it took.
pub(crate) async fn count(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let metrics = state.metrics();
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| NO_ROUTE.to_owned(), |path| path.as_str().to_owned());
    // Any other method is somebody's invention.
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "OPTIONS" | "POST" | "PUT" | "PATCH" | "DELETE") => known.to_owned(),
        _ => "other".to_owned(),
    };
    metrics.in_flight.inc();
    let in_flight = InFlight(&metrics.in_flight);
    let began = Instant::now();
    let response = next.run(request).await;
    drop(in_flight);
    metrics.durations.with_label_values(&[route.as_str(), method.as_str()]).observe(began.elapsed().as_secs_f64());
    metrics.requests.with_label_values(&[route.as_str(), method.as_str(), response.status().as_str()]).inc();
    response
}
