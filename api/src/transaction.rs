//! The transaction that something on record came with.

use crate::value::{Instant, Signature};
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
    /// The transaction, with its page on `cluster`.
    pub fn new(cluster: &Cluster, signature: Signature, slot: i64, block_time: Option<Instant>) -> Self {
        Self {
            signature,
            slot,
            block_time,
            explorer: cluster.transaction(&solana_signature::Signature::from(signature.0)),
        }
    }
}
