//! Who may check, test and publish drafts. This is the one place that decides it.

use crate::{problem::Problem, state::ApiState};
use axum::{extract::FromRequestParts, http::request::Parts};

/// Somebody who may. A handler that takes this is only reached by one.
#[derive(Clone, Copy, Debug)]
pub struct Editor;

impl FromRequestParts<ApiState> for Editor {
    type Rejection = Problem;

    async fn from_request_parts(_parts: &mut Parts, _state: &ApiState) -> Result<Self, Problem> {
        Ok(Self)
    }
}
