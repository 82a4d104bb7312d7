//! Puts the routes together with what every request goes through.

use crate::{
    connections, limit, metrics,
    openapi::described,
    problem::{self, Kind, Problem},
    state::ApiState,
};
use axum::{
    BoxError, Router,
    error_handling::HandleErrorLayer,
    extract::{MatchedPath, Request},
    http::{HeaderName, Method, StatusCode, header},
    middleware,
};
use std::io;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::{ServiceBuilder, limit::GlobalConcurrencyLimitLayer, load_shed::LoadShedLayer};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    cors::{Any, CorsLayer},
    limit::RequestBodyLimitLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    sensitive_headers::SetSensitiveRequestHeadersLayer,
    timeout::TimeoutLayer,
    trace::TraceLayer,
};

/// No request here needs a longer body.
const BODY_LIMIT: usize = 16 * 1024;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The API.
pub fn router(state: ApiState) -> Router {
    let (data, operations) = described();
    let (data, _) = data.split_for_parts();
    let (operations, _) = operations.split_for_parts();
    let bounded = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(overloaded))
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(state.settings().max_concurrency))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, state.settings().request_timeout));
    let everything = ServiceBuilder::new()
        // Whatever logs a request's headers leaves this one out.
        .layer(SetSensitiveRequestHeadersLayer::new([header::AUTHORIZATION]))
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(middleware::from_fn_with_state(state.clone(), metrics::count))
        .layer(
            CorsLayer::new()
                .allow_origin(Any)
                // Nothing here goes by cookies, so a page can only do what its user gave it a key for.
                .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::DELETE])
                .allow_headers([header::IF_NONE_MATCH, header::AUTHORIZATION, header::CONTENT_TYPE, REQUEST_ID])
                .expose_headers([
                    header::ETAG,
                    header::RETRY_AFTER,
                    header::WWW_AUTHENTICATE,
                    limit::RATE_LIMIT,
                    limit::RATE_LIMIT_POLICY,
                    REQUEST_ID,
                ]),
        )
        .layer(middleware::from_fn(problem::document))
        .layer(CatchPanicLayer::custom(Problem::of_panic))
        .layer(CompressionLayer::new())
        .layer(RequestBodyLimitLayer::new(BODY_LIMIT));

    // Who asks too often takes nobody's place.
    let limited = middleware::from_fn_with_state(state.clone(), limit::limit);
    data.layer(bounded).layer(limited).merge(operations).with_state(state).layer(everything)
}

/// Answers on `listener` until `token` is cancelled, and finishes what is under way then.
///
/// # Errors
/// None so far; that a listener fails is waited out.
pub async fn serve(listener: TcpListener, state: ApiState, token: CancellationToken) -> io::Result<()> {
    let (drain_timeout, bounds) = (state.settings().drain_timeout, state.settings().bounds);
    let server = connections::serve(listener, router(state), bounds, token.clone());
    // A client that neither reads nor goes away must not keep the process up.
    let impatience = async {
        token.cancelled().await;
        tokio::time::sleep(drain_timeout).await;
    };
    tokio::select! {
        () = server => Ok(()),
        () = impatience => {
            tracing::warn!("stopped with requests under way after {} s", drain_timeout.as_secs());
            Ok(())
        }
    }
}

async fn overloaded(_: BoxError) -> Problem {
    Problem::new(Kind::Overloaded, "this server answers as many requests as it can; try again in a moment")
}

fn span(request: &Request) -> tracing::Span {
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    tracing::info_span!("request", id, method = %request.method(), route)
}
