//! Proofs that a journal only grew.

use crate::{
    problem::{Kind, Problem, Problems},
    request::{OfPlatform, Query},
    snapshot::{Answer, AsOf, Snapshot},
    tree::{Tree, TreeHead},
    value::{Address, Hash},
};
use rebate_client::merkle::{self, Run};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Between which two sizes of the journal.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Between {
    /// How many events the smaller tree is over.
    #[param(minimum = 1, example = 41)]
    from: u64,
    /// How many events the larger tree is over.
    #[param(minimum = 1, example = 42)]
    to: u64,
}

/// That a journal goes on from what it was: nothing of it was taken back or altered.
#[derive(Serialize, ToSchema)]
pub(crate) struct Consistency {
    /// The platform.
    platform: Address,
    /// The smaller tree.
    from: TreeHead,
    /// The larger tree.
    to: TreeHead,
    /// The consistency proof (RFC 6962 `PROOF`) from the one to the other. Empty where they are the same.
    proof: Vec<Hash>,
    #[serde(flatten)]
    #[schema(inline = false)]
    as_of: AsOf,
}

/// Prove that a journal only grew
///
/// The tree heads over a platform's first `from` and first `to` events, and the proof that the latter tree begins with the
/// former. Any library for certificate transparency (RFC 6962) checks it.
#[utoipa::path(
    get,
    path = "/v1/consistency",
    tag = "integrity",
    operation_id = "proveConsistency",
    params(Between, OfPlatform),
    responses((status = 200, description = "The proof, with both heads.", body = Consistency), Problems),
)]
pub(crate) async fn between(
    Query(Between { from, to }): Query<Between>,
    Query(of): Query<OfPlatform>,
    mut snapshot: Snapshot,
) -> Result<Answer<Consistency>, Problem> {
    let refused = |detail: String| Problem::new(Kind::InvalidParameter, format!("in the query: {detail}"));
    if from == 0 {
        return Err(refused("from is 0; every journal begins with nothing, so there is no proof of it".into()));
    }
    let proof = merkle::consistency(from, to)
        .ok_or_else(|| refused(format!("from is {from}, which is more than {to}, which to is")))?;
    let platform = snapshot.platform(of).await?;
    let mut tree = Tree::of(&mut snapshot, platform).await?;
    if to > tree.count() {
        return Err(snapshot.unknown(&format_args!("tree of {to} events, where there are {} so far,", tree.count())));
    }
    // From there to the journal's own head, so that nothing is handed out that does not lead to it.
    let rest = merkle::consistency(to, tree.count()).ok_or_else(|| Problem::internal(&"no proof of what there is"))?;
    let runs: Vec<Run> = [Run::whole(from), Run::whole(to)].iter().chain(&proof).chain(&rest).copied().collect();
    let heads = tree.heads(&mut snapshot, &runs).await?;
    let [from_head, to_head, nodes @ ..] = heads.as_slice() else {
        return Err(Problem::internal(&"fewer heads than runs"));
    };
    let from = TreeHead { leaf_count: from, head: *from_head };
    let to = TreeHead { leaf_count: to, head: *to_head };
    let (proof, rest) =
        nodes.split_at_checked(proof.len()).ok_or_else(|| Problem::internal(&"fewer heads than runs"))?;
    tree.require_consistent(&from, &to, proof, rest)?;
    let as_of = snapshot.as_of();
    Ok(snapshot.answer(Consistency { platform, from, to, proof: proof.to_vec(), as_of }))
}
