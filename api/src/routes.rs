//! What is answered where: a file a resource.

mod balances;
mod consistency;
mod description;
mod entries;
mod integrity;
mod live;
mod metrics;
mod orders;
mod platforms;
mod preview;
mod progress;
mod proof;
mod reasons;
mod rules;
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
        // For app clients.
        .routes(routes!(progress::of_user))
        .routes(routes!(preview::of_user))
        .routes(routes!(totals::by_streamer))
        .routes(routes!(totals::by_session))
        .routes(routes!(reasons::list))
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
