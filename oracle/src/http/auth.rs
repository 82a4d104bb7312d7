//! Who asks: one of the platform's own servers.

use super::problem::Problem;
use crate::{api_key, state::OracleState};
use axum::{
    extract::FromRequestParts,
    http::{StatusCode, header, request::Parts},
};

/// One of the platform's own servers, by a key in `Authorization: Bearer …`.
pub(super) struct PlatformServer;

impl FromRequestParts<OracleState> for PlatformServer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &OracleState) -> Result<Self, Problem> {
        let given = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let key = given.and_then(|given| given.strip_prefix("Bearer "));
        key.and_then(|key| api_key::owner(state.api_keys(), key)).map(|_| Self).ok_or_else(|| {
            let detail = "this needs a key of the platform's server: Authorization: Bearer …";
            Problem::new(StatusCode::UNAUTHORIZED, "urn:rebate:problem:no-key", detail)
        })
    }
}
