//! Whose key it is that asks.

use crate::{
    access::operator::{Operator, Viewer},
    problem::AccessProblems,
    routes::operators::{Private, RoleName},
};
use serde::Serialize;
use utoipa::ToSchema;

/// The key that asks.
#[derive(Serialize, ToSchema)]
pub(crate) struct Asking {
    /// Its public half.
    #[schema(pattern = "^[0-9a-f]{16}$", example = "9c1f04d2b7e86a35")]
    id: String,
    /// What it is called.
    #[schema(example = "Ann, support")]
    name: String,
    /// What it may do.
    role: RoleName,
}

/// Show which key asks
///
/// And what it may do.
#[utoipa::path(
    get,
    path = "/v1/operators/me",
    tag = "operators",
    operation_id = "getOperator",
    security(("operator_key" = ["viewer"])),
    responses((status = 200, description = "The key.", body = Asking), AccessProblems),
)]
pub(crate) async fn show(operator: Operator<Viewer>) -> Private<Asking> {
    let identity = operator.identity();
    Private(Asking { id: identity.id.to_string(), name: identity.name.clone(), role: identity.role.into() })
}
