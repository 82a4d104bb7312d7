//! Puts the routes together with what every request goes through.

use crate::{
    connections, console,
    drafts::DRAFT_LIMIT,
    limit, metrics,
    openapi::{Routes, described},
    problem::{self, Detail, Kind, Problem},
    state::ApiState,
};
use axum::{
    BoxError, Router,
    error_handling::HandleErrorLayer,
    extract::{MatchedPath, Request},
    http::{HeaderName, Method, StatusCode, header},
    middleware,
};
use std::{io, sync::Arc};
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

/// No request needs a longer body but those with a draft.
const BODY_LIMIT: usize = 16 * 1024;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The API.
pub fn router(state: ApiState) -> Router {
    let Routes { data, drafts, live, operations } = described();
    let (data, _) = data.split_for_parts();
    let (drafts, _) = drafts.split_for_parts();
    let (live, _) = live.split_for_parts();
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
                .allow_headers([
                    header::ACCEPT_LANGUAGE,
                    header::AUTHORIZATION,
                    header::CONTENT_TYPE,
                    header::IF_NONE_MATCH,
                    LAST_EVENT_ID,
                    REQUEST_ID,
                ])
                .expose_headers([
                    header::CONTENT_LANGUAGE,
                    header::ETAG,
                    header::LOCATION,
                    header::RETRY_AFTER,
                    header::WWW_AUTHENTICATE,
                    limit::RATE_LIMIT,
                    limit::RATE_LIMIT_POLICY,
                    REQUEST_ID,
                ]),
        )
        .layer(middleware::from_fn(problem::document))
        .layer(CatchPanicLayer::custom(Problem::of_panic))
        .layer(CompressionLayer::new());

    let data = data.layer(RequestBodyLimitLayer::new(BODY_LIMIT));
    let drafts = drafts.layer(RequestBodyLimitLayer::new(DRAFT_LIMIT));
    let live = live.layer(RequestBodyLimitLayer::new(BODY_LIMIT));
    let others = operations.merge(console::pages()).layer(RequestBodyLimitLayer::new(BODY_LIMIT));
    // Who asks too often takes nobody's place. A connection that lasts is none of the requests that are bounded in number
    // and time.
    let limited = middleware::from_fn_with_state(state.clone(), limit::limit);
    data.merge(drafts).layer(bounded).merge(live).layer(limited).merge(others).with_state(state).layer(everything)
}

/// Answers on `listener` until `token` is cancelled, and finishes what is under way then.
///
/// # Errors
/// None so far; that a listener fails is waited out.
pub async fn serve(listener: TcpListener, state: ApiState, token: CancellationToken) -> io::Result<()> {
    let (drain_timeout, bounds) = (state.settings().drain_timeout, state.settings().bounds);
    let live = Arc::clone(state.live());
    let server = connections::serve(listener, router(state), bounds, token.clone());
    // A client that neither reads nor goes away must not keep the process up.
    let impatience = async {
        token.cancelled().await;
        live.close();
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
    Problem::new(Kind::Overloaded, Detail::Overloaded)
}

fn span(request: &Request) -> tracing::Span {
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    tracing::info_span!("request", id, method = %request.method(), route)
}
