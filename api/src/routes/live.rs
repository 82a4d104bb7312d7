//! What is new, told as it happens.

use crate::{
    language,
    live::{Client, LiveFrame},
    problem::{Problem, Problems},
    request::{OfPlatform, Query},
    snapshot::Snapshot,
    state::ApiState,
    value::Hash,
};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use std::convert::Infallible;
use utoipa::IntoParams;

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Proxies that gather what passes are told not to.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// What to tell.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// The key of a user: only events of this user are told, and those that are nobody's.
    user: Option<Hash>,
    /// The id of the last event that the client has, for one that cannot send it as a header.
    #[param(example = "AQUAAAAAAAAAKgAAAAAAAAAq")]
    cursor: Option<String>,
}

/// Tell what is new
///
/// Server-sent events, in order of the journal, as the indexer commits them: `payment`, `refund`, `redemption`, `claim`, `expiry`,
/// `wallet`, `rule` and `platform`. The first event is `ready`: `next_index` says from which place in the journal on events
/// follow; read what there is after it came, and nothing is missed. `reverted` takes events back that were not final:
/// forget everything from `from_index` on, it follows anew.
///
/// Every event has an id. A client that comes back with it in `Last-Event-ID` gets what it lacks: nothing is lost, nothing comes
/// twice. The connection ends where a client takes nothing for half a minute.
#[utoipa::path(
    get,
    path = "/v1/live",
    tag = "users",
    operation_id = "listen",
    params(
        OfPlatform, Wanted,
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that the client has."),
    ),
    responses(
        (status = 200, description = "What is new, without end. The `data` of what happened is a `LiveEvent`.",
         body = LiveFrame, content_type = "text/event-stream"),
        Problems,
    ),
)]
pub(crate) async fn listen(
    State(state): State<ApiState>,
    Query(of): Query<OfPlatform>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut snapshot = Snapshot::of(&state, &headers).await?;
    let platform = snapshot.platform(of).await?;
    let language = snapshot.language();
    // An id that is no text is none that was given out.
    let last = headers.get(LAST_EVENT_ID).map(|id| id.to_str().unwrap_or_default()).filter(|id| !id.is_empty());
    let id = last.or(wanted.cursor.as_deref());
    let client = Client::new(&state, snapshot, platform, wanted.user, id).await?;
    let events = stream::unfold(client, Client::next).map(Ok::<_, Infallible>);
    let headers = [(header::CONTENT_TYPE, EVENT_STREAM), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    let mut response = (headers, [UNBUFFERED], Body::from_stream(events)).into_response();
    response.headers_mut().insert(header::CONTENT_LANGUAGE, language.header());
    language::vary(response.headers_mut());
    Ok(response)
}
