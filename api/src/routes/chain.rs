//! Which chain this is, and where a browser can read it for itself.

use crate::{
    problem::{Problem, Problems},
    snapshot::{Answer, AsOf, Snapshot},
    state::ApiState,
    value::Address,
};
use axum::extract::State;
use rebate_client::{address, explorer::Cluster};
use serde::Serialize;
use utoipa::ToSchema;

/// The chain that everything here is from.
#[derive(Serialize, ToSchema)]
pub(crate) struct Chain {
    /// `mainnet`, `devnet`, `testnet`, `custom` for a node of the operator's own, `embedded` for a chain inside a process.
    #[schema(example = "devnet")]
    cluster: &'static str,
    /// The hash of its first block: a node that says another is of another chain.
    genesis_hash: Address,
    /// The rebate program.
    program: Address,
    /// What signs the program's events: only the program itself can.
    event_authority: Address,
    /// The address of a node of this chain that a browser may ask. Whoever checks an answer does better to ask one of their
    /// own choice. Null where none is known.
    #[schema(required, format = "uri", example = "https://api.devnet.solana.com")]
    node: Option<String>,
    #[serde(flatten)]
    #[schema(inline = false)]
    as_of: AsOf,
}

/// Which chain this is
///
/// What it takes to look at the chain without this server: which chain, which program, and a node to ask.
#[utoipa::path(
    get,
    path = "/v1/chain",
    tag = "integrity",
    operation_id = "getChain",
    responses((status = 200, description = "The chain.", body = Chain), Problems),
)]
pub(crate) async fn describe(State(state): State<ApiState>, snapshot: Snapshot) -> Result<Answer<Chain>, Problem> {
    let settings = state.settings();
    let node = settings.node.as_deref().or_else(|| settings.cluster.public_node());
    let chain = Chain {
        cluster: match settings.cluster {
            Cluster::Mainnet => "mainnet",
            Cluster::Devnet => "devnet",
            Cluster::Testnet => "testnet",
            Cluster::Custom(_) => "custom",
            Cluster::Embedded => "embedded",
        },
        genesis_hash: Address(snapshot.position().genesis_hash.0),
        program: Address(address::PROGRAM.to_bytes()),
        event_authority: Address(address::event_authority().to_bytes()),
        node: node.map(str::to_owned),
        as_of: snapshot.as_of(),
    };
    Ok(snapshot.answer(chain))
}
