//! Back-tests: a draft over what was really paid.

use crate::{
    access::operator::{Editor, Operator},
    backtests::{Shown, Stage},
    drafts::Draft,
    problem::{AccessProblems, Kind, Problem},
    request::{Body, Path},
    routes::operators::Private,
    state::ApiState,
    value::{Address, Instant},
};
use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rebate_backtest::{Draft as Tested, Range, Report, Request};
use rebate_client::Pubkey;
use rebate_core::units::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// What to test.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBacktest {
    /// The draft as a rule file, TOML. Either this or `json`.
    #[schema(
        example = "[platform]\nmax_lateness = \"7d\"\n\n[[asset]]\nid = 1\nname = \"coins\"\nkind = \"points\"\n"
    )]
    toml: Option<String>,
    /// The draft as JSON: the keys and values of a rule file, `platform`, and lists of `asset`, `group` and `rule`.
    #[schema(value_type = Option<Object>)]
    json: Option<Value>,
    /// The first time of payment to test; before it, the published rules decide. Left out, the draft is in force from the first
    /// payment on.
    from: Option<Instant>,
    /// The first time of payment that is no longer tested. Left out, all there are.
    to: Option<Instant>,
    /// The platform's address. Left out, it is the one this server is configured for, or else the only one on record.
    platform: Option<Address>,
}

/// A back-test.
#[derive(Serialize, ToSchema)]
pub(crate) struct Backtest {
    /// What it is known by.
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    /// How it is: `waiting`, `running`, `done`, `failed` or `cancelled`.
    #[schema(example = "running")]
    status: &'static str,
    /// How many run or wait before it.
    #[schema(minimum = 0)]
    before: usize,
    /// How much of it is done, 0 to 100.
    #[schema(minimum = 0, maximum = 100, example = 42)]
    percent: u8,
    /// How many events were followed.
    events: u64,
    /// How many are to be followed at most; 0 while it waits.
    total_events: u64,
    /// Why it failed; null where it did not.
    #[schema(required)]
    error: Option<String>,
    /// What it came to; null until it is done.
    #[schema(required)]
    result: Option<Report>,
}

impl Backtest {
    fn new(id: Uuid, Shown { stage, progress, before }: Shown) -> Self {
        let (status, percent) = match &stage {
            Stage::Waiting => ("waiting", 0),
            Stage::Running => ("running", progress.percent().min(99)),
            Stage::Done(_) => ("done", 100),
            Stage::Failed(_) => ("failed", progress.percent()),
            Stage::Cancelled => ("cancelled", progress.percent()),
        };
        let (events, total_events) = (progress.done(), progress.total());
        let (error, result) = match stage {
            Stage::Failed(why) => (Some(why), None),
            Stage::Done(report) => (None, Some((*report).clone())),
            Stage::Waiting | Stage::Running | Stage::Cancelled => (None, None),
        };
        Self { id, status, before, percent, events, total_events, error, result }
    }

    fn unknown(id: Uuid) -> Problem {
        Problem::new(
            Kind::NotFound,
            format!(
                "no back-test {id} here: what is done is kept for an hour, the last 32 of them, and by the server that did it \
                 until it is started anew"
            ),
        )
    }
}

/// Begin a back-test
///
/// It runs when those before it are done, one at a time; a few may wait. `Location` says where to look.
#[utoipa::path(
    post,
    path = "/v1/backtests",
    tag = "rules",
    operation_id = "beginBacktest",
    security(("operator_key" = ["editor"])),
    request_body = NewBacktest,
    responses(
        (status = 202, description = "It was begun.", body = Backtest,
         headers(("Location" = String, description = "Where it is shown."))),
        AccessProblems,
    ),
)]
pub(crate) async fn begin(
    State(state): State<ApiState>,
    operator: Operator<Editor>,
    Body(sent): Body<NewBacktest>,
) -> Result<Response, Problem> {
    let rules = Draft { toml: sent.toml, json: sent.json }.read()?;
    let at = |instant: Option<Instant>| match instant.map(|at| at.0.unix_timestamp()) {
        None => Ok(Timestamp(0)),
        Some(at @ 1..) => Ok(Timestamp(at)),
        Some(_) => Err(Problem::new(
            Kind::InvalidBody,
            "in the body: `from` and `to` are after 1970-01-01T00:00:00Z; leave them out for all there are",
        )),
    };
    let range = Range { from: at(sent.from)?, to: at(sent.to)? };
    let platform = sent.platform.map(|address| Pubkey::new_from_array(address.0)).or(state.settings().platform);
    let request = Request { platform, draft: Tested::File(Box::new(rules)), range };
    request.check().map_err(|error| Problem::new(Kind::InvalidBody, format!("in the body: {error}")))?;
    let target = platform.map_or_else(|| "the only platform".to_owned(), |platform| platform.to_string());
    let begun = async { state.backtests().begin(state.pool().clone(), request) };
    let id = operator.act("backtest.begin", &target, begun).await?;
    let shown = state.backtests().show(id).ok_or_else(|| Backtest::unknown(id))?;
    let location = HeaderValue::try_from(format!("/v1/backtests/{id}")).map_err(|error| Problem::internal(&error))?;
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Private(Backtest::new(id, shown))).into_response())
}

/// Show a back-test
///
/// How far it is, and what it came to once it is done.
#[utoipa::path(
    get,
    path = "/v1/backtests/{id}",
    tag = "rules",
    operation_id = "getBacktest",
    security(("operator_key" = ["editor"])),
    params(("id" = String, Path, description = "The back-test.")),
    responses((status = 200, description = "The back-test.", body = Backtest), AccessProblems),
)]
pub(crate) async fn show(
    State(state): State<ApiState>,
    _operator: Operator<Editor>,
    Path(id): Path<Uuid>,
) -> Result<Private<Backtest>, Problem> {
    let shown = state.backtests().show(id).ok_or_else(|| Backtest::unknown(id))?;
    Ok(Private(Backtest::new(id, shown)))
}

/// Cancel a back-test
///
/// One that runs stops in a moment and says so. One that is done is forgotten.
#[utoipa::path(
    delete,
    path = "/v1/backtests/{id}",
    tag = "rules",
    operation_id = "cancelBacktest",
    security(("operator_key" = ["editor"])),
    params(("id" = String, Path, description = "The back-test.")),
    responses((status = 204, description = "It was asked to stop, or is forgotten."), AccessProblems),
)]
pub(crate) async fn cancel(
    State(state): State<ApiState>,
    operator: Operator<Editor>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    let cancelled = async {
        match state.backtests().cancel(id) {
            true => Ok(StatusCode::NO_CONTENT),
            false => Err(Backtest::unknown(id)),
        }
    };
    operator.act("backtest.cancel", &id.to_string(), cancelled).await
}
