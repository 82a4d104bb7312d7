//! Errors as the problem documents of RFC 9457.
//!
//! A handler answers with a [`Problem`]; the layer [`document`] turns it into the document, which also names the request,
//! and does the same for every error of the layers beneath it: no path, no method, too slow, a panic.

use crate::{
    language::Language,
    value::{Address, Hash},
};
use axum::{
    Json,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::any::Any;
use utoipa::{IntoResponses, ToSchema};

/// What went wrong. The names are part of the interface: clients tell problems apart by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A parameter of the path or the query is not what it should be.
    InvalidParameter,
    /// The cursor is none of this list's.
    InvalidCursor,
    /// The database knows several platforms and the request names none.
    PlatformNotNamed,
    /// No such thing on record.
    NotFound,
    /// No such path.
    UnknownPath,
    /// The path takes another method.
    MethodNotAllowed,
    /// The request is longer than any request here needs to be.
    TooLarge,
    /// The body is not what it should be.
    InvalidBody,
    /// No key or token, or none that holds.
    Unauthorized,
    /// The key holds, and its role does not suffice.
    Forbidden,
    /// What is on record does not allow it.
    Conflict,
    /// More requests than this client may make.
    RateLimited,
    /// This server was not told what it needs for this.
    NotConfigured,
    /// The oracle does not answer.
    OracleUnavailable,
    /// Answering took too long.
    Timeout,
    /// More requests than are answered at once.
    Overloaded,
    /// The database does not answer.
    DatabaseUnavailable,
    /// The node does not answer.
    NodeUnavailable,
    /// Nothing to answer from yet.
    NotReady,
    /// A defect.
    Internal,
}

/// What a detail is about: what there is a text for in every language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// A text in English, of what has none in other languages.
    Text(String),
    /// Something is not on record as of a slot.
    NotOnRecord(Thing, i64),
    /// Several platforms are on record.
    PlatformNotNamed,
    /// What was found where is not within these bounds.
    OutOfRange {
        /// The parameter, in the query.
        name: &'static str,
        /// What it is.
        found: String,
        /// The least it can be.
        least: String,
        /// The most it can be.
        most: String,
    },
    /// A parameter of the path cannot be read, for this reason, which is the framework's.
    Path(String),
    /// The same of the query.
    Query(String),
    /// A cursor is none of the list's.
    Cursor(CursorFault),
    /// There is nothing at the path.
    UnknownPath,
    /// The path takes other methods.
    MethodNotAllowed,
    /// The body is too long.
    TooLarge,
    /// The answer was not ready in time.
    Timeout,
    /// More requests than are answered at once.
    Overloaded,
    /// More live connections than are kept at once.
    TooManyLive,
    /// The database does not answer.
    DatabaseUnavailable,
    /// The node does not answer.
    NodeUnavailable,
    /// No block was indexed yet.
    NothingIndexed,
    /// A defect.
    Internal,
}

impl From<String> for Detail {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Detail {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// What can be on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A platform, or any at all.
    Platform(Option<Address>),
    /// A payment of a user.
    User(Hash),
    /// An order.
    Order(Hash),
    /// A rule.
    Rule(i32),
    /// A rule's version.
    RuleVersion(i32, i32),
    /// Something that is only named in English.
    Other(String),
}

/// What is wrong with a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorFault {
    /// No server gave it out.
    Broken,
    /// It is another list's.
    OtherList,
    /// It is of other filters, or was altered.
    Altered,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 20] = [
        Self::InvalidParameter,
        Self::InvalidCursor,
        Self::PlatformNotNamed,
        Self::NotFound,
        Self::UnknownPath,
        Self::MethodNotAllowed,
        Self::TooLarge,
        Self::InvalidBody,
        Self::Unauthorized,
        Self::Forbidden,
        Self::Conflict,
        Self::RateLimited,
        Self::NotConfigured,
        Self::OracleUnavailable,
        Self::Timeout,
        Self::Overloaded,
        Self::DatabaseUnavailable,
        Self::NodeUnavailable,
        Self::NotReady,
        Self::Internal,
    ];

    /// What programs tell it by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidParameter => "urn:rebate:problem:invalid-parameter",
            Self::InvalidCursor => "urn:rebate:problem:invalid-cursor",
            Self::PlatformNotNamed => "urn:rebate:problem:platform-not-named",
            Self::NotFound => "urn:rebate:problem:not-found",
            Self::UnknownPath => "urn:rebate:problem:unknown-path",
            Self::MethodNotAllowed => "urn:rebate:problem:method-not-allowed",
            Self::TooLarge => "urn:rebate:problem:too-large",
            Self::InvalidBody => "urn:rebate:problem:invalid-body",
            Self::Unauthorized => "urn:rebate:problem:unauthorized",
            Self::Forbidden => "urn:rebate:problem:forbidden",
            Self::Conflict => "urn:rebate:problem:conflict",
            Self::RateLimited => "urn:rebate:problem:rate-limited",
            Self::NotConfigured => "urn:rebate:problem:not-configured",
            Self::OracleUnavailable => "urn:rebate:problem:oracle-unavailable",
            Self::Timeout => "urn:rebate:problem:timeout",
            Self::Overloaded => "urn:rebate:problem:overloaded",
            Self::DatabaseUnavailable => "urn:rebate:problem:database-unavailable",
            Self::NodeUnavailable => "urn:rebate:problem:node-unavailable",
            Self::NotReady => "urn:rebate:problem:not-ready",
            Self::Internal => "urn:rebate:problem:internal",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::InvalidParameter | Self::InvalidCursor | Self::PlatformNotNamed | Self::InvalidBody => {
                StatusCode::BAD_REQUEST
            }
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Conflict => StatusCode::CONFLICT,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::NotFound | Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Timeout
            | Self::Overloaded
            | Self::DatabaseUnavailable
            | Self::NodeUnavailable
            | Self::NotReady
            | Self::OracleUnavailable
            | Self::NotConfigured => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// An error as it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    kind: Kind,
    detail: Detail,
    missing: Vec<String>,
}

impl Problem {
    /// A problem, with what happened, where, and what to do about it.
    pub fn new(kind: Kind, detail: impl Into<Detail>) -> Self {
        Self { kind, detail: detail.into(), missing: Vec::new() }
    }

    /// What went wrong.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// What happened, where, and what to do about it.
    pub(crate) fn detail(&self) -> String {
        Language::English.words().detail(&self.detail)
    }

    /// Nothing to answer from, for want of `missing`.
    pub fn not_ready(missing: Vec<String>) -> Self {
        Self { kind: Kind::NotReady, detail: Detail::Text(missing.join("; ")), missing }
    }

    /// Nothing to answer from, since no block was read yet.
    pub fn nothing_indexed() -> Self {
        let missing = vec!["no block was indexed yet: start the indexer".to_owned()];
        Self { kind: Kind::NotReady, detail: Detail::NothingIndexed, missing }
    }

    /// A defect: the log gets what it is, the answer does not.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(Kind::Internal, Detail::Internal)
    }

    /// What a panic is answered with.
    pub fn of_panic(panic: Box<dyn Any + Send + 'static>) -> Response {
        let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Self::internal(&format_args!("panic: {}", said.unwrap_or("no message"))).into_response()
    }

    /// What a response of the framework's own says, which has a status and at best a line of text.
    fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::new(Kind::UnknownPath, Detail::UnknownPath),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(Kind::MethodNotAllowed, Detail::MethodNotAllowed),
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(Kind::TooLarge, Detail::TooLarge),
            StatusCode::SERVICE_UNAVAILABLE => Self::new(Kind::Timeout, Detail::Timeout),
            other => Self::new(Kind::InvalidParameter, format!("the request cannot be answered: {other}")),
        }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        let code = match &error {
            sqlx::Error::Database(database) => database.code().map(|code| code.into_owned()),
            _ => None,
        };
        match (&error, code.as_deref()) {
            // query_canceled, lock_not_available, idle_in_transaction_session_timeout
            (_, Some("57014" | "55P03" | "25P03")) => Self::of_status(StatusCode::SERVICE_UNAVAILABLE),
            // undefined_table, undefined_column
            (_, Some("42P01" | "42703")) => Self::not_ready(vec![
                "the database lacks migrations: start the indexer of this version, which applies them".into(),
            ]),
            // too_many_connections, admin_shutdown, crash_shutdown, cannot_connect_now
            (_, Some("53300" | "57P01" | "57P02" | "57P03"))
            | (
                sqlx::Error::Io(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::Tls(_)
                | sqlx::Error::WorkerCrashed,
                _,
            ) => {
                tracing::error!(%error, "the database does not answer");
                Self::new(Kind::DatabaseUnavailable, Detail::DatabaseUnavailable)
            }
            _ => Self::internal(&error),
        }
    }
}

/// Travels from the handler to the layer that knows the request.
#[derive(Clone)]
struct Pending(Problem);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        response.extensions_mut().insert(Pending(self));
        response
    }
}

/// An error (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Document {
    /// What went wrong, for programs to tell apart.
    #[schema(example = "urn:rebate:problem:invalid-parameter", format = "uri")]
    r#type: &'static str,
    /// The same for people, in the language that `Accept-Language` asks for.
    #[schema(example = "A parameter is not valid")]
    title: &'static str,
    /// The status of the answer.
    #[schema(example = 400, minimum = 400, maximum = 599)]
    status: u16,
    /// What happened this time, where, and what to do; where there is no text in that language, in English.
    #[schema(example = "in the path: \"u1\" is not 64 hexadecimal digits")]
    detail: String,
    /// The path that was asked for.
    #[schema(example = "/v1/users/u1/balances", format = "uri-reference")]
    instance: String,
    /// What the server's log knows this request by.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// Of a server that is not ready: all it lacks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    missing: Vec<String>,
}

/// The media type of the document.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Turns every error that comes from beneath into a problem document.
pub async fn document(request: Request, next: Next) -> Response {
    let instance = request.uri().path().to_owned();
    let request_id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let language = Language::of(request.headers());
    let response = next.run(request).await;
    let status = response.status();
    let pending = response.extensions().get::<Pending>().cloned();
    let problem = match pending {
        Some(Pending(problem)) => problem,
        None if status.is_client_error() || status.is_server_error() => Problem::of_status(status),
        None => return response,
    };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        parts.headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"rebate\""));
    }
    // Where nothing was configured, waiting changes nothing.
    if status == StatusCode::SERVICE_UNAVAILABLE && problem.kind != Kind::NotConfigured {
        parts.headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    language.mark(&mut parts.headers);
    let words = language.words();
    let body = Json(Document {
        r#type: problem.kind.name(),
        title: words.title(problem.kind),
        status: status.as_u16(),
        detail: words.detail(&problem.detail),
        instance,
        request_id,
        missing: problem.missing,
    })
    .into_response()
    .into_body();
    Response::from_parts(parts, body)
}

/// What any path under /v1 can answer instead.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes answers, is none")]
pub enum Problems {
    /// A parameter is not valid, the cursor is not one of this list, or the platform is not named and there are several.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(Document),
    /// Not on record, up to `as_of_slot`.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Document),
    /// Too many requests of this client. `Retry-After` says when to try again.
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(Document),
    /// A defect or damaged data; the server's log says more.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(Document),
    /// The database or the node does not answer, nothing was indexed yet, the answer took too long, or too many
    /// requests came at once. `Retry-After` says when to try again.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Document),
}

/// What a path can answer instead that is for operators, or for a user about himself.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes answers, is none")]
pub enum AccessProblems {
    /// A parameter or the body is not valid.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(Document),
    /// No key or token, or none that holds; `WWW-Authenticate` says what is wanted.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(Document),
    /// The key holds, and its role does not suffice; `detail` names the one that does.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Document),
    /// Not on record.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Document),
    /// The body is longer than any that is needed.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Document),
    /// Too many requests of this client. `Retry-After` says when to try again.
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(Document),
    /// A defect or damaged data; the server's log says more.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(Document),
    /// This server was not told what it needs for this, or what it asks does not answer.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Document),
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, body::Body, middleware, routing::get};
    use tower::ServiceExt;
    use tower_http::catch_panic::CatchPanicLayer;

    #[tokio::test]
    async fn a_panic_is_a_500_problem_without_internals() {
        let router = Router::new()
            .route("/", get(async || -> &'static str { panic!("secret") }))
            .layer(CatchPanicLayer::custom(Problem::of_panic))
            .layer(middleware::from_fn(document));
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()[header::CONTENT_TYPE], MEDIA_TYPE);
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let text = str::from_utf8(&body).unwrap();
        assert!(text.contains("urn:rebate:problem:internal"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}
