//! Records of the platform's own server.

use super::{
    auth::PlatformServer,
    problem::{Document, Problem},
};
use crate::{
    intake::{Incoming, Stored},
    order::Encoded,
    provider::{OrderJson, Rejection},
    settings::DIRECT,
    signed::SignedRecord,
    state::OracleState,
};
use axum::{Json, body::Bytes, extract::State, http::StatusCode, response::IntoResponse};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;
use utoipa::ToSchema;

/// What became of a record.
#[derive(Serialize, ToSchema)]
pub(super) struct Taken {
    /// Under which number `/v1/orders/{order}` tells of it.
    order: String,
    /// Whether it was new.
    new: bool,
}

/// A record for the oracle to sign
///
/// The same again is answered with 200 and recorded once.
#[utoipa::path(
    post,
    path = "/v1/records",
    tag = "records",
    operation_id = "postRecord",
    security(("api_key" = [])),
    request_body = OrderJson,
    responses(
        (status = 200, description = "It is stored.", body = Taken),
        (status = 400, description = "It cannot be read.", body = Document, content_type = "application/problem+json"),
        (status = 401, description = "No key.", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "On record with other content.", body = Document,
         content_type = "application/problem+json"),
        (status = 413, description = "Too long.", body = Document, content_type = "application/problem+json"),
        (status = 422, description = "No record can stand for it.", body = Document,
         content_type = "application/problem+json"),
        (status = 503, description = "Not now; send it again.", body = Document,
         content_type = "application/problem+json"),
    ),
)]
pub(super) async fn post(
    _: PlatformServer,
    State(state): State<OracleState>,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Json<Taken>, Problem> {
    let body = whole(body)?;
    let order: OrderJson = read(&body)?;
    let order = order.order(state.currency()).map_err(|rejection| Problem::from(&rejection))?;
    let secret = match order.user() {
        None => state.secrets().newest(),
        Some(user) => state.secrets().of(state.pool(), state.platform().as_array(), user).await?,
    };
    let invalid = |error: crate::order::InvalidOrder| Problem::from(&Rejection::Unusable(error.to_string()));
    let record = order.encode(state.secrets(), secret).map_err(invalid)?;
    store(&state, body, record).await
}

/// A record that the platform's server signed
///
/// With the key of one of the platform's oracles, over the message that carries this record alone.
#[utoipa::path(
    post,
    path = "/v1/records/signed",
    tag = "records",
    operation_id = "postSignedRecord",
    security(("api_key" = [])),
    request_body = SignedRecord,
    responses(
        (status = 200, description = "It is stored.", body = Taken),
        (status = 400, description = "It cannot be read.", body = Document, content_type = "application/problem+json"),
        (status = 401, description = "No key, or the record's signature is wrong.", body = Document,
         content_type = "application/problem+json"),
        (status = 409, description = "On record with other content.", body = Document,
         content_type = "application/problem+json"),
        (status = 413, description = "Too long.", body = Document, content_type = "application/problem+json"),
        (status = 422, description = "It is no record of this platform.", body = Document,
         content_type = "application/problem+json"),
        (status = 503, description = "Not now; send it again.", body = Document,
         content_type = "application/problem+json"),
    ),
)]
pub(super) async fn post_signed(
    _: PlatformServer,
    State(state): State<OracleState>,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Json<Taken>, Problem> {
    let body = whole(body)?;
    let signed: SignedRecord = read(&body)?;
    let record = signed.check(state.platform(), state.secrets()).map_err(|rejection| Problem::from(&rejection))?;
    store(&state, body, record).await
}

async fn store(state: &OracleState, body: Bytes, record: Encoded) -> Result<Json<Taken>, Problem> {
    let order = record.number.clone();
    // The platform's server has no notices beside orders: the order's number tells one from another.
    let incoming = Incoming { provider: Arc::from(DIRECT), event: order.clone(), body, record };
    let (result, answer) = match state.intake().store(incoming).await {
        Ok(Stored::Recorded) => ("recorded", Ok(Json(Taken { order, new: true }))),
        Ok(Stored::Known) => ("known", Ok(Json(Taken { order, new: false }))),
        Ok(Stored::Conflict { number }) => ("conflict", Err(Problem::conflict(&number))),
        Err(error) => ("unavailable", Err(error.into())),
    };
    state.metrics().notices.with_label_values(&[DIRECT, result]).inc();
    answer
}

fn whole(body: Result<Bytes, axum::extract::rejection::BytesRejection>) -> Result<Bytes, Problem> {
    body.map_err(|error| match error.into_response().status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(),
        _ => Problem::from(&Rejection::Malformed("the body ended before its announced length".to_owned())),
    })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::from(&Rejection::Malformed(format!("the body is no such record: {error}"))))
}
