//! The section `[outbox]` of the settings.

use super::{Options, Outbox, metrics::Metrics};
use crate::{
    fees::FeePolicy,
    settings::{Place, SettingsError},
    signer::{
        Sign, SignError, environment, file,
        remote::{RemoteKey, RemoteSettings},
    },
};
use rebate_client::{
    Pubkey,
    chain::{Commitment, rpc::RpcChain},
};
use serde::Deserialize;
use sqlx::PgPool;
use std::{path::PathBuf, sync::Arc, time::Duration};
use thiserror::Error;

/// Where records go and who signs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboxSettings {
    /// Where the node's address is: providers put keys into it.
    pub rpc: Place,
    /// The oracle's key, which signs records.
    pub oracle_key: KeyPlace,
    /// The key that pays for transactions and signs them.
    pub payer_key: KeyPlace,
    /// Payments in one transaction at most.
    #[serde(default = "batch")]
    pub batch: usize,
    /// How long a payment waits for others to share a transaction with, in milliseconds.
    #[serde(default = "gather")]
    pub gather_ms: u64,
    /// Transactions under way at once.
    #[serde(default = "under_way")]
    pub under_way: usize,
    /// How often a record is tried before it needs an operator.
    #[serde(default = "attempts")]
    pub attempts: u32,
    /// Whether transactions name what every record needs by a lookup table, whose rent the payer pays once.
    #[serde(default = "lookup_table")]
    pub lookup_table: bool,
    /// Which of the recent priority fees is paid, in percent from the lowest.
    #[serde(default = "percentile")]
    pub fee_percentile: u8,
    /// The least that is paid for a compute unit, in millionths of a lamport.
    #[serde(default)]
    pub fee_least: u64,
    /// The most.
    #[serde(default = "most")]
    pub fee_most: u64,
}

/// Where a signing key is: `{ file = "…" }`, `{ env = "…" }` or `{ remote = { url, key, authority, identity } }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KeyPlace {
    /// In a file, as `solana-keygen` writes it, or in base58.
    File(PathBuf),
    /// In an environment variable.
    Env(String),
    /// With a remote signer.
    Remote {
        /// Its address, https.
        url: String,
        /// The public key that it is asked to sign with, base58.
        key: String,
        /// The authority that issued its certificate, a PEM file.
        authority: PathBuf,
        /// Our certificate and its key, one PEM file.
        identity: PathBuf,
    },
}

fn batch() -> usize {
    Options::default().batch
}
fn gather() -> u64 {
    60
}
fn under_way() -> usize {
    Options::default().under_way
}
fn attempts() -> u32 {
    Options::default().attempts
}
fn lookup_table() -> bool {
    Options::default().lookup_table
}
fn percentile() -> u8 {
    FeePolicy::default().percentile
}
fn most() -> u64 {
    FeePolicy::default().most
}

/// Why there is no outbox.
#[derive(Debug, Error)]
pub enum OutboxSettingsError {
    /// The node's address is not where the settings say.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A key is not where the settings say.
    #[error(transparent)]
    Key(#[from] SignError),
    /// Metrics of the same name are there already.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

impl KeyPlace {
    /// Who signs with it.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn signer(&self) -> Result<Arc<dyn Sign>, SignError> {
        Ok(match self {
            Self::File(path) => Arc::new(file::read(path)?),
            Self::Env(name) => Arc::new(environment::read(name)?),
            Self::Remote { url, key, authority, identity } => {
                let wrong =
                    |_| SignError::Settings { url: url.clone(), why: "its key is no base58 address".to_owned() };
                let key: Pubkey = key.parse().map_err(wrong)?;
                let settings =
                    RemoteSettings { url: url.clone(), key, authority: authority.clone(), identity: identity.clone() };
                Arc::new(RemoteKey::new(&settings)?)
            }
        })
    }
}

impl OutboxSettings {
    /// The node.
    ///
    /// # Errors
    /// [`SettingsError::Secret`].
    pub fn chain(&self) -> Result<RpcChain, SettingsError> {
        let url = String::from_utf8_lossy(&self.rpc.read()?).into_owned();
        Ok(RpcChain::new(&url, Commitment::Confirmed))
    }

    /// The outbox of a platform, over connections of its own, at least three.
    ///
    /// # Errors
    /// [`OutboxSettingsError`].
    pub fn outbox(
        &self,
        pool: PgPool,
        platform: Pubkey,
        registry: &prometheus::Registry,
    ) -> Result<Outbox<RpcChain>, OutboxSettingsError> {
        let fees = FeePolicy { percentile: self.fee_percentile, least: self.fee_least, most: self.fee_most };
        let options = Options {
            batch: self.batch,
            gather: Duration::from_millis(self.gather_ms),
            under_way: self.under_way,
            attempts: self.attempts,
            lookup_table: self.lookup_table,
            fees,
            ..Options::default()
        };
        let (oracle, payer) = (self.oracle_key.signer()?, self.payer_key.signer()?);
        Ok(Outbox::new(pool, self.chain()?, oracle, payer, platform, options, Metrics::new(registry)?))
    }
}
