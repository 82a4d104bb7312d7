//! The transaction that something on record came with.

use crate::{
    snapshot::{AsOf, Finality},
    value::{Instant, Signature},
};
use rebate_client::explorer::Cluster;
use serde::Serialize;
use utoipa::ToSchema;

/// The transaction that an event was emitted in: anyone can look it up.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Transaction {
    /// Its signature.
    pub signature: Signature,
    /// The slot of its block.
    #[schema(minimum = 0, example = 312_456_789)]
    pub slot: i64,
    /// How sure that block is, and whatever the transaction did with it.
    pub finality: Finality,
    /// When the producer of that block says it was produced.
    #[schema(required)]
    pub block_time: Option<Instant>,
    /// Its page in an explorer; null where none reaches the chain.
    #[schema(
        format = "uri",
        example = "https://explorer.solana.com/tx/5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnbJLgp8uirBgmQpjKhoR4tjF3ZpRzrFmBV6UjKdiSZkQUW?cluster=devnet"
    )]
    #[schema(required)]
    pub explorer: Option<String>,
}

impl Transaction {
    /// The transaction, with its page on `cluster`, in an answer as of `as_of`.
    pub fn new(cluster: &Cluster, as_of: &AsOf, signature: Signature, slot: i64, block_time: Option<Instant>) -> Self {
        Self {
            signature,
            slot,
            finality: as_of.finality_of(slot),
            block_time,
            explorer: cluster.transaction(&solana_signature::Signature::from(signature.0)),
        }
    }
}
