//! Records that did not reach the chain and need an operator.

use crate::{
    access::operator::{Editor, Operator, Viewer},
    page::{self, Key, List, Page, Scope},
    problem::{AccessProblems, Kind, Problem},
    request::{Path, Query},
    routes::operators::Private,
    state::ApiState,
    value::{Hash, Instant},
};
use axum::extract::State;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A record that did not reach the chain.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct DeadLetter {
    /// Its number with the oracle.
    #[schema(minimum = 1, example = 17)]
    id: i64,
    /// The order's number.
    order: String,
    /// SHA-256 of it.
    order_hash: Hash,
    /// `payment`, `refund`, `redemption` or `wallet_link`.
    #[schema(example = "payment")]
    kind: String,
    /// Which provider told of it.
    #[schema(example = "stripe")]
    provider: String,
    /// Why it was given up.
    #[schema(required)]
    reason: Option<String>,
    /// How often it was tried.
    #[schema(minimum = 0, example = 30)]
    attempts: i32,
    /// When it came.
    received_at: Instant,
    /// When it was given up.
    changed_at: Instant,
}

/// A page of dead letters, the latest stored first.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeadLetters {
    /// The records.
    items: Vec<DeadLetter>,
    /// What to pass as `cursor` for the next page; null on the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Where a page ended: the record's number.
struct Place(i64);

impl Key for Place {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.0.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(i64::from_be_bytes).map(Self)
    }
}

/// As the oracle lists them.
#[derive(Deserialize)]
struct Listed {
    items: Vec<DeadLetter>,
}

/// List dead letters
///
/// Records that the oracle gave up. Mend what their reasons say, and try them again.
#[utoipa::path(
    get,
    path = "/v1/operators/dead-letters",
    tag = "operators",
    operation_id = "listDeadLetters",
    security(("operator_key" = ["viewer"])),
    params(Page),
    responses((status = 200, description = "The records.", body = DeadLetters), AccessProblems),
)]
pub(crate) async fn list(
    _: Operator<Viewer>,
    State(state): State<ApiState>,
    Query(page): Query<Page>,
) -> Result<Private<DeadLetters>, Problem> {
    let oracle = state.access().oracle()?;
    let scope = Scope::new(List::DeadLetters, &[]);
    let mut query = vec![("limit", page.rows()?.to_string())];
    if let Some(Place(id)) = page.after(&scope)? {
        query.push(("before", id.to_string()));
    }
    let listed: Listed = oracle.ask(Method::GET, &["v1", "dead-letters"], &query).await?;
    let (items, next_cursor) = page::cut(&page, &scope, listed.items, |row| Place(row.id))?;
    Ok(Private(DeadLetters { items, next_cursor }))
}

/// A record that is tried again.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Retried {
    /// The order's number.
    order: String,
    /// `queued`.
    #[schema(example = "queued")]
    state: String,
}

/// Try a dead letter again
///
/// As if it had just come. What became of it, `/v1/operators/dead-letters` says, where it is in again if it was given up again.
#[utoipa::path(
    post,
    path = "/v1/operators/dead-letters/{id}/retry",
    tag = "operators",
    operation_id = "retryDeadLetter",
    security(("operator_key" = ["editor"])),
    params(("id" = i64, Path, description = "The record's number.")),
    responses(
        (status = 200, description = "It waits for the chain.", body = Retried),
        (status = 409, description = "It is not dead now: somebody else tried it again.", body = crate::problem::Document,
         content_type = "application/problem+json"),
        AccessProblems,
    ),
)]
pub(crate) async fn retry(
    operator: Operator<Editor>,
    State(state): State<ApiState>,
    Path(id): Path<i64>,
) -> Result<Private<Retried>, Problem> {
    let oracle = state.access().oracle()?;
    if id < 1 {
        return Err(Problem::new(Kind::InvalidParameter, "id in the path: a record's number is 1 or more"));
    }
    let number = id.to_string();
    let path = ["v1", "dead-letters", &number, "retry"];
    let ask = oracle.ask(Method::POST, &path, &[]);
    operator.act("dead-letter.retry", &number, ask).await.map(Private)
}
