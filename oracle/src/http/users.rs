//! Users' keys on chain, for the platform's server.

use super::{
    auth::PlatformServer,
    problem::{Document, Problem},
};
use crate::{order::check_id, provider::Rejection, state::OracleState};
use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use utoipa::ToSchema;

/// A user's key.
#[derive(Serialize, ToSchema)]
pub(super) struct UserKey {
    /// The user's id with the platform.
    user: String,
    /// HMAC-SHA256(secret, user id), 64 hexadecimal digits.
    key: String,
    /// The number of the secret.
    secret: i16,
}

/// A user's key on chain
///
/// It stays: a user who has a key keeps it when the secret is rotated.
#[utoipa::path(
    get,
    path = "/v1/users/{id}/key",
    tag = "records",
    operation_id = "getUserKey",
    security(("api_key" = [])),
    params(("id" = String, Path, description = "The user's id with the platform, percent-encoded.")),
    responses(
        (status = 200, description = "The key.", body = UserKey),
        (status = 401, description = "No key of the platform's server.", body = Document,
         content_type = "application/problem+json"),
        (status = 422, description = "That cannot be an id.", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "Not now.", body = Document, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn key(
    _: PlatformServer,
    State(state): State<OracleState>,
    Path(user): Path<String>,
) -> Result<Json<UserKey>, Problem> {
    check_id("the user's id", &user).map_err(|error| Problem::from(&Rejection::Unusable(error.to_string())))?;
    let secret = state.secrets().settle(state.pool(), state.platform().as_array(), &user).await?;
    let key = state.secrets().key(secret, &user).to_string();
    Ok(Json(UserKey { user, key, secret }))
}
