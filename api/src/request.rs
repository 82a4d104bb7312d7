//! Parameters of paths and queries, refused as problem documents.

use crate::{
    problem::{Detail, Kind, Problem},
    value::Address,
};
use axum::{
    extract::{
        FromRequest, FromRequestParts, Request,
        path::ErrorKind,
        rejection::{JsonRejection, PathRejection},
    },
    http::{StatusCode, request::Parts},
};
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::IntoParams;

/// The parameters of the path.
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(failure)) => {
                let why = match failure.kind() {
                    ErrorKind::DeserializeError { key, message, .. } => {
                        format!("{key}: {message}")
                    }
                    ErrorKind::ParseErrorAtKey { key, value, expected_type } => {
                        format!("{key}: {value:?} is not a {expected_type}")
                    }
                    ErrorKind::Message(message) => message.clone(),
                    _ => failure.body_text(),
                };
                Err(Problem::new(Kind::InvalidParameter, Detail::Path(why)))
            }
            Err(other) => Err(Problem::internal(&other)),
        }
    }
}

/// Parameters of the query. Several of these can stand side by side, each reading its own.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                let text = rejection.body_text();
                let why = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                Err(Problem::new(Kind::InvalidParameter, Detail::Query(why.to_owned())))
            }
        }
    }
}

/// A body of JSON.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match axum::Json::from_request(request, state).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(Problem::new(Kind::TooLarge, "the body is longer than any that is needed here"))
            }
            Err(rejection) => {
                let text = rejection.body_text();
                // What stood in the body is not repeated; it may be a secret.
                let why = match &rejection {
                    JsonRejection::MissingJsonContentType(_) => "the header Content-Type must be application/json",
                    _ => text.rsplit_once(": ").map_or(text.as_str(), |(_, why)| why),
                };
                Err(Problem::new(Kind::InvalidBody, format!("in the body: {why}")))
            }
        }
    }
}

/// Whose data is asked for.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OfPlatform {
    /// The platform's address. Left out, it is the one this server is configured for, or else the only one on record.
    #[param(example = "ReBo6PHCPNUAdG9RMgkdmMmoW6gDbtJ8aMVU7AJgm5u")]
    pub platform: Option<Address>,
}
