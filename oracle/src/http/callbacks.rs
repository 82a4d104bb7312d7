//! Notices of payment providers.

use super::problem::{Document, Problem};
use crate::{
    intake::{Incoming, Stored},
    provider::{Callback, Provider, Reading, Rejection, Reply},
    state::OracleState,
};
use axum::{
    body::Bytes,
    extract::{FromRequest, Path, Request, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use std::{sync::Arc, time::Instant};
use time::OffsetDateTime;

/// A payment provider's notice
///
/// Body and headers are the provider's own. It is answered as the provider expects it: `success` for Alipay, a code for WeChat
/// Pay, and any status other than 200 makes a provider send it again. Only what is durably stored is answered with 200.
#[utoipa::path(
    post,
    path = "/v1/callbacks/{provider}",
    tag = "notices",
    operation_id = "takeNotice",
    params(("provider" = String, Path, description = "The provider's name in the settings.")),
    request_body(content = String, content_type = "application/octet-stream", description = "At most 65536 bytes."),
    responses(
        (status = 200, description = "It is stored, or was, or is about nothing that is recorded.", body = String),
        (status = 400, description = "It is the provider's, and cannot be read.", body = String),
        (status = 401, description = "The signature is wrong, or too old.", body = String),
        (status = 404, description = "There is no provider of this name.", body = Document,
         content_type = "application/problem+json"),
        (status = 409, description = "The order is on record with other content.", body = String),
        (status = 413, description = "It is too long.", body = String),
        (status = 422, description = "No record can stand for it: another currency, no user.", body = String),
        (status = 503, description = "Not now; send it again.", body = String),
    ),
)]
pub(super) async fn take(State(state): State<OracleState>, Path(name): Path<String>, request: Request) -> Response {
    let began = Instant::now();
    let Some((name, provider)) = state.provider(&name) else {
        let detail = "the settings have no provider of this name";
        return Problem::new(StatusCode::NOT_FOUND, "urn:rebate:problem:unknown-provider", detail).into_response();
    };
    let headers = request.headers().clone();
    let (result, response) = match Bytes::from_request(request, &()).await {
        Ok(body) => answer(&state, name, provider, &headers, body).await,
        Err(BytesRejection::FailedToBufferBody(error)) => {
            let error = error.into_response().status();
            if error == StatusCode::PAYLOAD_TOO_LARGE {
                ("too_large", refused(provider, &Problem::too_large()))
            } else {
                let problem = Rejection::Malformed("the body ended before its announced length".to_owned());
                ("malformed", refused(provider, &Problem::from(&problem)))
            }
        }
        Err(_) => ("malformed", refused(provider, &Problem::from(&Rejection::Malformed("no body".to_owned())))),
    };
    state.metrics().notices.with_label_values(&[&**name, result]).inc();
    state.metrics().seconds.with_label_values(&[&**name]).observe(began.elapsed().as_secs_f64());
    response
}

/// What becomes of a notice, for metrics, and its answer.
async fn answer(
    state: &OracleState,
    name: &Arc<str>,
    provider: &dyn Provider,
    headers: &HeaderMap,
    body: Bytes,
) -> (&'static str, Response) {
    let callback = Callback { headers, body: &body, now: OffsetDateTime::now_utc().unix_timestamp() };
    let (event, order) = match provider.read(&callback) {
        Ok(Reading::Order { event, order }) => (event, order),
        Ok(Reading::Nothing(what)) => {
            tracing::debug!(provider = %name, "a notice about {what}");
            return ("nothing", reply(StatusCode::OK, provider.accepted()));
        }
        Err(rejection) => {
            // A wrong signature says nothing of who sent it, so it is no more than a line for those who look.
            if matches!(rejection, Rejection::Forged(_)) {
                tracing::debug!(provider = %name, "{rejection}");
            } else {
                tracing::warn!(provider = %name, "{rejection}");
            }
            return (rejection.name(), refused(provider, &Problem::from(&rejection)));
        }
    };
    let secret = match order.user() {
        None => state.secrets().newest(),
        Some(user) => match state.secrets().of(state.pool(), state.platform().as_array(), user).await {
            Ok(secret) => secret,
            Err(error) => return ("unavailable", refused(provider, &error.into())),
        },
    };
    let record = match order.encode(state.secrets(), secret) {
        Ok(record) => record,
        Err(invalid) => {
            let rejection = Rejection::Unusable(invalid.to_string());
            tracing::warn!(provider = %name, %event, "{rejection}");
            return (rejection.name(), refused(provider, &Problem::from(&rejection)));
        }
    };
    match state.intake().store(Incoming { provider: Arc::clone(name), event, body, record }).await {
        Ok(Stored::Recorded) => ("recorded", reply(StatusCode::OK, provider.accepted())),
        Ok(Stored::Known) => ("known", reply(StatusCode::OK, provider.accepted())),
        Ok(Stored::Conflict { number }) => ("conflict", refused(provider, &Problem::conflict(&number))),
        Err(error) => ("unavailable", refused(provider, &error.into())),
    }
}

fn refused(provider: &dyn Provider, problem: &Problem) -> Response {
    let mut response = reply(problem.status(), provider.refused(problem.detail()));
    if problem.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn reply(status: StatusCode, reply: Reply) -> Response {
    (status, [(header::CONTENT_TYPE, reply.content_type)], reply.body).into_response()
}
