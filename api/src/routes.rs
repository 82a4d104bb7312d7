//! What is answered where: a file a resource.

mod analytics;
mod backtests;
mod balances;
mod chain;
mod consistency;
mod description;
mod drafts;
mod entries;
mod integrity;
mod live;
mod me;
mod metrics;
mod operators;
mod orders;
mod platforms;
mod preview;
mod progress;
mod proof;
mod reasons;
mod rules;
mod sign_in;
mod status;
mod totals;

use crate::state::ApiState;
pub(crate) use orders::outcomes::{Outcome, said};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Everything about the data.
pub(crate) fn data() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(platforms::list))
        .routes(routes!(platforms::one))
        .routes(routes!(balances::of_user))
        .routes(routes!(entries::of_user))
        .routes(routes!(orders::list))
        .routes(routes!(orders::one))
        .routes(routes!(proof::of_order))
        .routes(routes!(rules::list))
        .routes(routes!(rules::one))
        .routes(routes!(rules::version))
        .routes(routes!(integrity::compare))
        .routes(routes!(consistency::between))
        // Analytics
        .routes(routes!(analytics::over_time))
        .routes(routes!(analytics::definitions))
        // What browsers verify with
        .routes(routes!(chain::describe))
        // For app clients.
        .routes(routes!(progress::of_user))
        .routes(routes!(preview::of_user))
        .routes(routes!(totals::by_streamer))
        .routes(routes!(totals::by_session))
        .routes(routes!(reasons::list))
}

/// What operators do, and what users are told about themselves. Not public.
pub(crate) fn access() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(operators::keys::list, operators::keys::create))
        .routes(routes!(operators::keys::revoke))
        .routes(routes!(operators::audit::list))
        .routes(routes!(operators::me::show))
        .routes(routes!(operators::dead_letters::list))
        .routes(routes!(operators::dead_letters::retry))
        .routes(routes!(sign_in::nonce))
        .routes(routes!(sign_in::sign_in))
        .routes(routes!(me::show))
        .routes(routes!(me::order))
}

/// What is about drafts: their bodies are longer than others.
pub(crate) fn drafts() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(drafts::check))
        .routes(routes!(drafts::transaction))
        .routes(routes!(drafts::versions))
        .routes(routes!(drafts::file))
        .routes(routes!(backtests::begin))
        .routes(routes!(backtests::show, backtests::cancel))
}

/// What goes on while it changes.
pub(crate) fn live() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(live::listen))
}

/// Everything about the server. Whoever watches over it must get an answer when it is busy, too.
pub(crate) fn operations() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(status::health))
        .routes(routes!(status::ready))
        .routes(routes!(metrics::scrape))
        .routes(routes!(description::show))
}
