//! What this API is, for programs.

use crate::{openapi, problem::Problem};
use axum::{
    http::header,
    response::{IntoResponse, Response},
};

/// This description
///
/// OpenAPI 3.1.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "operations",
    operation_id = "getDescription",
    responses((status = 200, description = "The description.", body = Object)),
)]
pub(crate) async fn show() -> Result<Response, Problem> {
    let json = openapi::json().map_err(|error| Problem::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}
