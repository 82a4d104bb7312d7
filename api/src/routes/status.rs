//! Whether this server is up, and whether it should be asked.

use crate::{
    problem::{Document, Problem},
    snapshot::AsOf,
    state::ApiState,
};
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use rebate_integrity::verdict::{self, Mismatch};
use serde::Serialize;
use sqlx::migrate::Migrator;
use std::time::Duration;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// The schema this server was written for.
static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// How long the database may take.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);

/// A server that is up.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `up`.
    #[schema(example = "up")]
    status: &'static str,
}

/// Is the process up?
///
/// Asks nothing else; restart the process where this does not answer.
#[utoipa::path(
    get,
    path = "/health",
    tag = "operations",
    operation_id = "getHealth",
    responses((status = 200, description = "It is up.", body = Health)),
)]
pub(crate) async fn health() -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(Health { status: "up" })).into_response()
}

/// A server that is ready.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    /// Always `ready`.
    #[schema(example = "ready")]
    status: &'static str,
    /// How long ago the last block was read, or produced, whichever is longer ago.
    #[schema(minimum = 0, example = 2)]
    lag_seconds: i64,
    #[serde(flatten)]
    #[schema(inline = false)]
    as_of: AsOf,
}

/// Can it answer?
///
/// The database answers and has this version's migrations, the last block was read lately, and the tables are what the chain
/// has as far as the indexer has compared them. Send no requests here where it is not ready; `missing` lists all it lacks.
#[utoipa::path(
    get,
    path = "/ready",
    tag = "operations",
    operation_id = "getReady",
    responses(
        (status = 200, description = "It can.", body = Ready),
        (status = 503, description = "It cannot, for want of what `missing` lists.", body = Document,
         content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn ready(State(state): State<ApiState>) -> Result<Response, Problem> {
    let ready = tokio::time::timeout(DATABASE_TIMEOUT, check(&state)).await.unwrap_or_else(|_| {
        Err(Problem::not_ready(vec![format!("the database did not answer within {} s", DATABASE_TIMEOUT.as_secs())]))
    })?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(ready)).into_response())
}

async fn check(state: &ApiState) -> Result<Ready, Problem> {
    let not_ready = |what: &str| Problem::not_ready(vec![what.to_owned()]);
    let mut connection = state.pool().acquire().await.map_err(|error| {
        tracing::error!(%error, "the database does not answer");
        not_ready("the database does not answer: check that Postgres runs and that the URL is right")
    })?;

    // The table of applied migrations is sqlx's own and is not there before the first.
    let applied: Vec<i64> = sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success")
        .fetch_all(&mut *connection)
        .await
        .or_else(|error| match error.as_database_error() {
            Some(database) if database.code().as_deref() == Some("42P01") => Ok(Vec::new()),
            _ => Err(error),
        })?;
    let absent: Vec<String> = MIGRATIONS
        .iter()
        .filter(|migration| !applied.contains(&migration.version))
        .map(|migration| {
            format!(
                "migration {:04} ({}) is not applied: start the indexer of this version, which applies it",
                migration.version, migration.description
            )
        })
        .collect();
    if !absent.is_empty() {
        return Err(Problem::not_ready(absent));
    }

    let mismatches = verdict::standing(&mut *connection).await?;
    if !mismatches.is_empty() {
        let what = |found: &Mismatch| format!("the tables are not what the chain has, so nothing is written: {found}");
        return Err(Problem::not_ready(mismatches.iter().map(what).collect()));
    }
    let cursor = sqlx::query!("SELECT slot, final_slot, block_time, written_at FROM cursor")
        .fetch_optional(&mut *connection)
        .await?
        .ok_or_else(|| not_ready("no block was indexed yet: start the indexer"))?;
    let last = cursor.block_time.map_or(cursor.written_at, |block_time| block_time.min(cursor.written_at));
    let lag = (OffsetDateTime::now_utc() - last).whole_seconds().max(0);
    if let Some(max_lag) = state.settings().max_lag
        && lag.unsigned_abs() > max_lag.as_secs()
    {
        return Err(not_ready(&format!(
            "the last block read, slot {}, is {lag} s old, more than {} s: check that the indexer runs and its node keeps up",
            cursor.slot,
            max_lag.as_secs()
        )));
    }
    Ok(Ready { status: "ready", lag_seconds: lag, as_of: AsOf::new(cursor.slot, cursor.final_slot) })
}
