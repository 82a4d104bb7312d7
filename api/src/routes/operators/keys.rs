//! Operators' keys.

use crate::{
    access::operator::{Admin, Operator, failed},
    page::{self, Key, List, Page, Scope},
    problem::{AccessProblems, Kind, Problem},
    request::{Body, Path, Query},
    routes::operators::{Private, RoleName},
    value::Instant,
};
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use rebate_operators::{
    key::KeyId,
    keys::{self, Draft, Listed},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// An operator's key, without its secret half.
#[derive(Serialize, ToSchema)]
pub(crate) struct OperatorKey {
    /// Its public half: what the audit log knows it by.
    #[schema(pattern = "^[0-9a-f]{16}$", example = "9c1f04d2b7e86a35")]
    id: String,
    /// What it is called.
    #[schema(max_length = 100, example = "Ann, support")]
    name: String,
    /// What it may do.
    role: RoleName,
    /// Whether it opens anything now.
    in_force: bool,
    /// Since when it is there.
    created_at: Instant,
    /// Until when it holds; null until it is revoked.
    #[schema(required)]
    expires_at: Option<Instant>,
    /// When it was revoked; null where it was not.
    #[schema(required)]
    revoked_at: Option<Instant>,
}

impl From<Listed> for OperatorKey {
    fn from(key: Listed) -> Self {
        Self {
            in_force: key.is_in_force(OffsetDateTime::now_utc()),
            id: key.identity.id.to_string(),
            name: key.identity.name,
            role: key.identity.role.into(),
            created_at: Instant(key.created_at),
            expires_at: key.expires_at.map(Instant),
            revoked_at: key.revoked_at.map(Instant),
        }
    }
}

/// A page of operators' keys, by their ids.
#[derive(Serialize, ToSchema)]
pub(crate) struct OperatorKeys {
    /// The keys.
    items: Vec<OperatorKey>,
    /// What to pass as `cursor` for the next page; null on the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

impl Key for KeyId {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.as_str().as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        str::from_utf8(bytes).ok()?.parse().ok()
    }
}

/// List operators' keys
///
/// Those that hold no more among them. No secret half is kept, so none is shown.
#[utoipa::path(
    get,
    path = "/v1/operators/keys",
    tag = "operators",
    operation_id = "listOperatorKeys",
    security(("operator_key" = ["admin"])),
    params(Page),
    responses((status = 200, description = "The keys.", body = OperatorKeys), AccessProblems),
)]
pub(crate) async fn list(
    operator: Operator<Admin>,
    Query(page): Query<Page>,
) -> Result<Private<OperatorKeys>, Problem> {
    let scope = Scope::new(List::OperatorKeys, &[]);
    let after: Option<KeyId> = page.after(&scope)?;
    let rows = keys::list(operator.pool(), after.as_ref(), page.rows()?).await.map_err(failed)?;
    let (rows, next_cursor) = page::cut(&page, &scope, rows, |row| row.identity.id.clone())?;
    Ok(Private(OperatorKeys { items: rows.into_iter().map(OperatorKey::from).collect(), next_cursor }))
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOperatorKey {
    /// What to call it; without control characters.
    #[schema(min_length = 1, max_length = 100, example = "Ann, support")]
    name: String,
    /// What it may do.
    role: RoleName,
    /// Until when it holds; left out, until it is revoked.
    #[serde(default)]
    expires_at: Option<Instant>,
}

/// A key that was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeOperatorKey {
    /// The whole key. It is kept nowhere and not shown again.
    #[schema(pattern = "^rop_[0-9a-f]{16}_[0-9A-Za-z_-]{43}$")]
    secret: String,
    /// The rest of it.
    key: OperatorKey,
}

/// Make an operator's key
///
/// The answer shows it this once.
#[utoipa::path(
    post,
    path = "/v1/operators/keys",
    tag = "operators",
    operation_id = "createOperatorKey",
    security(("operator_key" = ["admin"])),
    request_body = NewOperatorKey,
    responses((status = 201, description = "It is made.", body = MadeOperatorKey), AccessProblems),
)]
pub(crate) async fn create(operator: Operator<Admin>, Body(new): Body<NewOperatorKey>) -> Result<Response, Problem> {
    let draft =
        Draft { name: &new.name, role: new.role.into(), expires_at: new.expires_at.map(|Instant(moment)| moment) };
    let (key, listed) =
        keys::create(operator.pool(), operator.actor(), operator.request_id(), &draft).await.map_err(failed)?;
    let made = MadeOperatorKey { secret: key.reveal(), key: listed.into() };
    let location = format!("/v1/operators/keys/{}", key.id());
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Private(made)).into_response())
}

/// Revoke an operator's key
///
/// It opens nothing from the next request on. An admin may revoke the key that asks.
#[utoipa::path(
    delete,
    path = "/v1/operators/keys/{id}",
    tag = "operators",
    operation_id = "revokeOperatorKey",
    security(("operator_key" = ["admin"])),
    params(("id" = String, Path, description = "The key's public half, 16 hexadecimal digits.")),
    responses((status = 204, description = "It is revoked."), AccessProblems),
)]
pub(crate) async fn revoke(operator: Operator<Admin>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let id: KeyId =
        id.parse().map_err(|error| Problem::new(Kind::InvalidParameter, format!("id in the path: {error}")))?;
    keys::revoke(operator.pool(), operator.actor(), operator.request_id(), &id).await.map_err(failed)?;
    Ok(StatusCode::NO_CONTENT)
}
