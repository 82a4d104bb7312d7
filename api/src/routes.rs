//! What is answered where: a file a resource.

mod balances;
mod consistency;
mod description;
mod entries;
mod integrity;
mod me;
mod metrics;
mod operators;
mod orders;
mod platforms;
mod proof;
mod rules;
mod sign_in;
mod status;

use crate::state::ApiState;
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

/// Everything about the server. Whoever watches over it must get an answer when it is busy, too.
pub(crate) fn operations() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(status::health))
        .routes(routes!(status::ready))
        .routes(routes!(metrics::scrape))
        .routes(routes!(description::show))
}
