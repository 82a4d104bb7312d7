//! Errors as the problem documents of RFC 9457.

use crate::{OracleError, intake::NotStored, provider::Rejection};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::any::Any;
use utoipa::ToSchema;

/// A problem document.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Document {
    /// What kind of problem; programs tell them apart by it.
    #[schema(example = "urn:rebate:problem:conflict")]
    r#type: &'static str,
    /// The HTTP status once more.
    status: u16,
    /// What happened, and what to do about it.
    detail: String,
}

/// An error as it is answered.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    kind: &'static str,
    detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, detail: detail.into() }
    }

    /// Not now; the same again may do.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "urn:rebate:problem:unavailable", detail)
    }

    /// What is on record contradicts it.
    pub(crate) fn conflict(number: &str) -> Self {
        let detail = format!(
            "{number:?} is on record with other content, which stays; nothing of this was signed, and an operator was told"
        );
        Self::new(StatusCode::CONFLICT, "urn:rebate:problem:conflict", detail)
    }

    /// Longer than anything that is taken.
    pub(crate) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "urn:rebate:problem:too-large", "the body is longer than 65536 bytes")
    }

    /// What a panic is answered with.
    pub(crate) fn of_panic(_: Box<dyn Any + Send + 'static>) -> Response {
        // The default hook has told the log what it was; it may hold an order.
        Self::internal().into_response()
    }

    fn internal() -> Self {
        let detail = "this is a defect or damaged data, and the server's log says more";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "urn:rebate:problem:internal", detail)
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<&Rejection> for Problem {
    fn from(rejection: &Rejection) -> Self {
        let kind = match rejection {
            Rejection::Forged(_) => "urn:rebate:problem:forged",
            Rejection::Stale { .. } => "urn:rebate:problem:stale",
            Rejection::Malformed(_) => "urn:rebate:problem:malformed",
            Rejection::Unusable(_) => "urn:rebate:problem:unusable",
        };
        Self::new(rejection.status(), kind, rejection.to_string())
    }
}

impl From<NotStored> for Problem {
    fn from(error: NotStored) -> Self {
        Self::unavailable(error.to_string())
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        tracing::error!("a request failed: {}", OracleError::from(error));
        Self::unavailable("the database behind this server does not answer; try again in a moment")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document { r#type: self.kind, status: self.status.as_u16(), detail: self.detail };
        let mut response = (self.status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
