//! The API's description, made from the handlers themselves.

use crate::{problem::Document, routes, state::ApiState};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

/// What no handler says.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Rebates",
        description = "What the rebate program on Solana granted, as an indexer read it. Everything here follows from the \
                       chain and can be checked against it: `/v1/integrity` does, and every order and entry names its \
                       transaction.\n\n\
                       **As of.** Every answer names the slot it is as of and how sure that slot is. All of an answer is as \
                       of the same slot.\n\n\
                       **Caching.** Answers under `/v1` carry a weak `ETag` that changes with the slot; `If-None-Match` \
                       saves the rest.\n\n\
                       **Lists** come in pages. Pass `next_cursor` of one page as `cursor` for the next; rows that are \
                       added meanwhile neither repeat nor hide others.\n\n\
                       **Numbers.** Amounts, and whatever else can pass 2^53, are strings. Slots, journal indices and \
                       counts are numbers.\n\n\
                       **Errors** are problem documents (RFC 9457); `type` tells them apart."
    ),
    tags(
        (name = "users", description = "What a user has, and how that came to be."),
        (name = "orders", description = "Payments, and what every rule did with each."),
        (name = "rules", description = "What is granted, and when."),
        (name = "platforms", description = "Operators' programmes with their settings."),
        (name = "integrity", description = "Whether all of this is what the chain holds."),
        (name = "operations", description = "For those who run this server."),
    ),
    components(schemas(Document)),
)]
struct Described;

/// Every route, with its description.
pub(crate) fn described() -> (OpenApiRouter<ApiState>, OpenApiRouter<ApiState>) {
    (
        OpenApiRouter::with_openapi(Described::openapi()).merge(routes::data()),
        OpenApiRouter::new().merge(routes::operations()),
    )
}

/// The API's description.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let (data, operations) = described();
    data.merge(operations).into_openapi()
}
