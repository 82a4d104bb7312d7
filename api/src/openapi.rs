//! The API's description, made from the handlers themselves.

mod lenient;

use crate::{live::LiveEvent, problem::Document, routes, state::ApiState};
use std::sync::LazyLock;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Object, OpenApi as OpenApiDocument, RefOr, Required, Response, Schema, Type,
        header::Header,
        path::{Operation, ParameterBuilder, ParameterIn},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
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
                       **Texts** for people are in the language that `Accept-Language` asks for: English or Chinese. `/v1/reasons` \
                       lists what every reason means.\n\n\
                       **Live.** `/v1/live` tells what is new, as server-sent events that can be resumed.\n\n\
                       **Errors** are problem documents (RFC 9457); `type` tells them apart.\n\n\
                       **Who may.** What the chain says is open to all. What it does not say wants a key or a token: \
                       `Authorization: Bearer …`."
    ),
    tags(
        (name = "users", description = "What a user has, and how that came to be."),
        (name = "orders", description = "Payments, and what every rule did with each."),
        (name = "rules", description = "What is granted, and when."),
        (name = "platforms", description = "Operators' programmes with their settings."),
        (name = "analytics", description = "What was paid and granted over time, and what it brought."),
        (name = "integrity", description = "Whether all of this is what the chain holds."),
        (name = "me", description = "What a user is told about himself, by a wallet's signature or a token of the platform's."),
        (name = "operators", description = "For those who run the platform, by keys with roles: viewer, editor, admin."),
        (name = "operations", description = "For those who run this server."),
    ),
    components(schemas(Document, LiveEvent)),
    modifiers(&Security),
)]
struct Described;

/// How those are told apart to whom not everything is open.
struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut OpenApiDocument) {
        let bearer = |description: &str| {
            let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description)).build();
            SecurityScheme::Http(bearer)
        };
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("session", bearer("A token from `POST /v1/sign-in`."));
        components.add_security_scheme(
            "platform_token",
            bearer(
                "A JSON Web Token that the platform signs for its user: `sub` is the user's key, 64 hexadecimal digits; `aud` and \
                 `exp`, within a day, are wanted. HS256 or EdDSA, as this server is set up.",
            ),
        );
        components.add_security_scheme(
            "operator_key",
            bearer(
                "An operator's key, from `rebate operator key create` or from `POST /v1/operators/keys`. Its role is viewer, \
                 editor or admin, and each may do all that those before it may; a path that takes a key names the least role.",
            ),
        );
    }
}

/// Every route, with its description, by what its requests go through.
pub(crate) struct Routes {
    /// About the data.
    pub data: OpenApiRouter<ApiState>,
    /// About drafts.
    pub drafts: OpenApiRouter<ApiState>,
    /// What goes on while it changes.
    pub live: OpenApiRouter<ApiState>,
    /// About the server.
    pub operations: OpenApiRouter<ApiState>,
}

/// Every route.
pub(crate) fn described() -> Routes {
    Routes {
        data: OpenApiRouter::with_openapi(Described::openapi()).merge(routes::data()).merge(routes::access()),
        drafts: OpenApiRouter::new().merge(routes::drafts()),
        live: OpenApiRouter::new().merge(routes::live()),
        operations: OpenApiRouter::new().merge(routes::operations()),
    }
}

/// The API's description.
pub fn openapi() -> OpenApiDocument {
    let Routes { data, drafts, live, operations } = described();
    let mut document = data.merge(drafts).merge(live).merge(operations).into_openapi();
    for (path, item) in &mut document.paths.paths {
        // Integrity also depends on the chain, as it is while the answer is made; what is live has no end.
        let is_fresh = path == "/v1/integrity" || path == "/v1/live" || path.starts_with("/v1/backtests");
        if path.starts_with("/v1/") && !is_fresh {
            // What wants a key is kept by nobody.
            item.get.iter_mut().filter(|operation| operation.security.is_none()).for_each(describe_caching);
        }
        if path.starts_with("/v1/") {
            item.get.iter_mut().for_each(describe_language);
        }
    }
    lenient::describe(&mut document);
    document
}

/// What every answer is told in.
fn describe_language(operation: &mut Operation) {
    operation.parameters.get_or_insert_default().push(
        ParameterBuilder::new()
            .name("Accept-Language")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some("The language of texts for people: English (`en`) or Chinese (`zh`), with weights."))
            .schema(Some(Schema::from(Object::with_type(Type::String))))
            .build(),
    );
    if let Some(RefOr::T(answer)) = operation.responses.responses.get_mut("200") {
        let mut language = Header::new(Schema::from(Object::with_type(Type::String)));
        language.description = Some("The language of its texts: `en` or `zh-CN`.".into());
        answer.headers.insert("Content-Language".into(), language);
    }
}

/// What [`Snapshot`](crate::snapshot::Snapshot) does for every answer made from one.
fn describe_caching(operation: &mut Operation) {
    let text = || Schema::from(Object::with_type(Type::String));
    operation.parameters.get_or_insert_default().push(
        ParameterBuilder::new()
            .name("If-None-Match")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some("The `ETag` of an answer the client has."))
            .schema(Some(text()))
            .build(),
    );
    let responses = &mut operation.responses.responses;
    if let Some(RefOr::T(answer)) = responses.get_mut("200") {
        let mut etag = Header::new(text());
        etag.description =
            Some("Changes with the slot. Pass it as `If-None-Match` to ask whether the answer still holds.".into());
        answer.headers.insert("ETag".into(), etag);
    }
    let unchanged = Response::new("Nothing was read since: the answer that the client has still holds.");
    responses.insert("304".into(), RefOr::T(unchanged));
}

/// The same as JSON, made once.
pub(crate) fn json() -> Result<&'static str, &'static serde_json::Error> {
    static JSON: LazyLock<serde_json::Result<String>> = LazyLock::new(|| openapi().to_json());
    JSON.as_deref()
}
