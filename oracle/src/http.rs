//! The HTTP side: notices come in, the platform's server asks, operators look.

mod auth;
mod callbacks;
mod dead_letters;
mod operations;
mod orders;
mod problem;
mod records;
mod users;

use crate::{intake::LONGEST_BODY, state::OracleState};
use axum::{BoxError, Router, error_handling::HandleErrorLayer, extract::DefaultBodyLimit, http::StatusCode};
pub(crate) use orders::{kind_name, state_name};
use problem::{Document, Problem};
use std::{io, time::Duration};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::{ServiceBuilder, limit::GlobalConcurrencyLimitLayer, load_shed::LoadShedLayer};
use tower_http::{catch_panic::CatchPanicLayer, timeout::TimeoutLayer};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// How long requests under way may go on once the server is told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// What no handler says.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Rebate oracle",
        description = "Takes payment providers' notices and the platform's own records, keeps each durably before it says yes, \
                       and brings it onto the chain once.\n\n\
                       **Again.** Whatever is sent twice is answered twice with yes and recorded once. The same order with \
                       other content is a 409, and nothing of it is signed.\n\n\
                       **Who may.** Notices are checked by their provider's signature. Everything else under `/v1` wants a key \
                       of the platform's server: `Authorization: Bearer …`."
    ),
    tags(
        (name = "notices", description = "What payment providers send."),
        (name = "records", description = "What the platform's own server sends, and asks."),
        (name = "operations", description = "For those who run this server."),
    ),
    components(schemas(Document)),
    modifiers(&Bearer),
)]
struct Described;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        document.components.get_or_insert_default().add_security_scheme("api_key", SecurityScheme::Http(scheme));
    }
}

fn described() -> (OpenApiRouter<OracleState>, OpenApiRouter<OracleState>) {
    let work = OpenApiRouter::with_openapi(Described::openapi())
        .routes(routes!(callbacks::take))
        .routes(routes!(records::post))
        .routes(routes!(records::post_signed))
        .routes(routes!(orders::show))
        .routes(routes!(users::key))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::retry));
    // Whoever watches over it must get an answer when it is busy, too.
    let operations = OpenApiRouter::new()
        .routes(routes!(operations::live))
        .routes(routes!(operations::ready))
        .routes(routes!(operations::metrics))
        .routes(routes!(operations::description));
    (work, operations)
}

/// The description of all that is answered.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let (work, operations) = described();
    work.merge(operations).into_openapi()
}

/// Everything that is answered.
pub fn router(state: OracleState) -> Router {
    let (work, operations) = described();
    let bounded = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(overloaded))
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(state.requests()))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, state.answer_within()))
        .layer(DefaultBodyLimit::max(LONGEST_BODY));
    let work = work.split_for_parts().0.layer(bounded);
    let operations = operations.split_for_parts().0;
    work.merge(operations).with_state(state).layer(CatchPanicLayer::custom(Problem::of_panic))
}

/// Answers on `listener` until `token` is cancelled, and finishes what is under way then.
///
/// # Errors
/// Where the listener fails.
pub async fn serve(listener: TcpListener, state: OracleState, token: CancellationToken) -> io::Result<()> {
    let server = axum::serve(listener, router(state)).with_graceful_shutdown(token.clone().cancelled_owned());
    // A client that neither reads nor goes away must not keep the process up.
    let impatience = async {
        token.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = server.into_future() => ended,
        () = impatience => {
            tracing::warn!("stopped with requests under way after {} s", DRAIN.as_secs());
            Ok(())
        }
    }
}

async fn overloaded(_: BoxError) -> Problem {
    Problem::unavailable("this server answers as many requests as it can; send it again in a moment")
}
