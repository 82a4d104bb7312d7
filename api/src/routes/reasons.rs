//! What every reason, refusal and problem means.

use crate::{
    problem::{Kind, Problem, Problems},
    snapshot::{Answer, AsOf, Snapshot},
};
use rebate_core::{outcome::Reason, refusal::Refusal};
use serde::Serialize;
use utoipa::ToSchema;

/// Every reason, refusal and problem.
#[derive(Serialize, ToSchema)]
pub(crate) struct Reasons {
    /// Why a rule did with a payment what it did: the `reason` of an outcome.
    outcomes: Vec<Meaning>,
    /// Why a record is refused as a whole, and changes nothing.
    refusals: Vec<Meaning>,
    /// Why there is no answer: the `type` of a problem document.
    problems: Vec<Meaning>,
    #[serde(flatten)]
    #[schema(inline = false)]
    as_of: AsOf,
}

/// What a name means.
#[derive(Serialize, ToSchema)]
pub(crate) struct Meaning {
    /// What programs tell it by.
    #[schema(example = "UserLimit")]
    name: &'static str,
    /// What it means, in the language that `Accept-Language` asks for.
    #[schema(example = "The user got as much or as often in this window as the rule allows.")]
    text: &'static str,
}

/// List what every reason means
///
/// Every reason of an outcome, every refusal of a record and every problem of this server, in the language that
/// `Accept-Language` asks for: English or Chinese.
#[utoipa::path(
    get,
    path = "/v1/reasons",
    tag = "operations",
    operation_id = "listReasons",
    responses((status = 200, description = "What they mean.", body = Reasons), Problems),
)]
pub(crate) async fn list(snapshot: Snapshot) -> Result<Answer<Reasons>, Problem> {
    let words = snapshot.language().words();
    let as_of = snapshot.as_of();
    let outcome = |reason: Reason| Meaning { name: reason.name(), text: words.reason(reason) };
    let refusal = |refusal: Refusal| Meaning { name: refusal.name(), text: words.refusal(refusal) };
    let problem = |kind: Kind| Meaning { name: kind.name(), text: words.title(kind) };
    Ok(snapshot.answer(Reasons {
        outcomes: Reason::ALL.into_iter().map(outcome).collect(),
        refusals: Refusal::ALL.into_iter().map(refusal).collect(),
        problems: Kind::ALL.into_iter().map(problem).collect(),
        as_of,
    }))
}
