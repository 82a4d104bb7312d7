//! What operators do.

pub(crate) mod audit;
pub(crate) mod dead_letters;
pub(crate) mod keys;
pub(crate) mod me;

use axum::{
    Json,
    http::header,
    response::{IntoResponse, Response},
};
use rebate_operators::role::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An answer for who asked alone: no cache keeps it.
pub(crate) struct Private<T>(pub T);

impl<T: Serialize> IntoResponse for Private<T> {
    fn into_response(self) -> Response {
        ([(header::CACHE_CONTROL, "no-store")], Json(self.0)).into_response()
    }
}

/// What a key may do; each may do all that those before it may.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RoleName {
    /// Look at what is not public.
    Viewer,
    /// Change what runs.
    Editor,
    /// Say who may.
    Admin,
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Editor => Self::Editor,
            Role::Admin => Self::Admin,
        }
    }
}

impl From<RoleName> for Role {
    fn from(role: RoleName) -> Self {
        match role {
            RoleName::Viewer => Self::Viewer,
            RoleName::Editor => Self::Editor,
            RoleName::Admin => Self::Admin,
        }
    }
}
