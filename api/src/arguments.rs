//! What the command line says.

use anyhow::Context;
use clap::{Parser, ValueEnum};
use rebate_api::{
    Bounds, Rate, Settings,
    access::{oracle::Oracle, sign_in::SignIn},
};
use rebate_client::{Pubkey, chain::Commitment, explorer::Cluster};
use std::{
    fs,
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

/// Serves the API over what the indexer wrote into Postgres.
#[derive(Parser)]
#[command(name = "rebate-api", version)]
pub struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080", env = "REBATE_API_LISTEN")]
    pub listen: SocketAddr,
    /// The database, or a replica of it: postgres://user:password@host:5432/database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Connections to the database at most.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: u32,
    /// The operators' database, which is neither the indexer's nor the oracle's: postgres://user:password@host:5432/database. It
    /// gets the tables it lacks. Without it, this server has no operators.
    #[arg(long, env = "OPERATORS_DATABASE_URL", hide_env_values = true)]
    pub operators_database_url: Option<String>,
    /// The oracle's address, for dead letters and for users' own orders: http://127.0.0.1:8090.
    #[arg(long, env = "REBATE_ORACLE_URL", hide_env_values = true, requires = "oracle_key_file")]
    oracle_url: Option<String>,
    /// The file with a key of the oracle's, from `rebate-oracle api-key`.
    #[arg(long, env = "REBATE_ORACLE_KEY_FILE", requires = "oracle_url")]
    oracle_key_file: Option<PathBuf>,
    /// The domain that users sign in at with their wallets, as their browsers see it: app.example. Without it, nobody signs in.
    /// Which nonces were used stands in the operators' database.
    #[arg(long, env = "REBATE_API_DOMAIN")]
    domain: Option<String>,
    /// How many seconds a user who signed in stays so.
    #[arg(long, default_value_t = 3_600, value_parser = clap::value_parser!(u64).range(60..=86_400))]
    session_seconds: u64,
    /// The file with 32 random bytes or more that tokens are signed with. Servers behind one address share it; without it, who
    /// signed in must do so again when the server is started again.
    #[arg(long, env = "REBATE_SESSION_KEY_FILE", requires = "domain")]
    session_key_file: Option<PathBuf>,
    /// The file with what the platform signs its users' tokens with: an Ed25519 public key as `openssl pkey -pubout` writes it,
    /// or a secret of 32 bytes or more for HS256.
    #[arg(long, env = "REBATE_PLATFORM_TOKEN_KEY_FILE", requires = "domain")]
    platform_token_key_file: Option<PathBuf>,
    /// Whom the platform's tokens name as their audience.
    #[arg(long, default_value = "rebate")]
    platform_token_audience: String,
    /// How many requests a second one client may make, on and on; 0 for as many as it likes. An operator's key may make ten
    /// times as many. /health, /ready and /metrics are not counted.
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// How many requests one client may make at once, after a pause.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    burst: u32,
    /// How many proxies of ours requests come through. So many of the last addresses in X-Forwarded-For are believed; with 0,
    /// none is, and the client is who connects.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=8))]
    trusted_proxies: u8,
    /// How many connections there may be at once. The limit of open files is raised for them as far as it goes.
    #[arg(long, default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: u32,
    /// How many seconds a request's head may take to come, and how long a connection may wait for the next request.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    head_timeout: u64,
    /// The node to compare with.
    #[arg(long, default_value = "http://127.0.0.1:8899", env = "REBATE_RPC", hide_env_values = true)]
    pub rpc: String,
    /// How sure the node must be of the journal it shows. Finalized suits an indexer at either commitment.
    #[arg(long, default_value = "finalized")]
    pub commitment: At,
    /// The chain, as explorers know it: mainnet, devnet, testnet, embedded, or the address of a node that browsers reach.
    /// Left out, it follows from a --rpc on this machine or at Solana's own addresses.
    #[arg(long)]
    cluster: Option<Cluster>,
    /// The address of a node that browsers reach and may ask, for users who verify an order there. Left out, it is Solana's own
    /// for a public cluster, else the one that --cluster names.
    #[arg(long)]
    public_node: Option<String>,
    /// The platform of requests that name none. Left out, it is the only one on record.
    #[arg(long)]
    platform: Option<Pubkey>,
    /// How many seconds old the last block read may be before /ready says no.
    #[arg(long, default_value_t = 60)]
    max_lag: u64,
    /// How many seconds an answer may take.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    request_timeout: u64,
    /// How many requests are answered at once.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    max_concurrency: u32,
    /// How many clients are told what is new at once, at /v1/live.
    #[arg(long, default_value_t = 2_048, value_parser = clap::value_parser!(u32).range(1..))]
    max_live: u32,
    /// How the log, on stderr, is written. RUST_LOG says what goes into it.
    #[arg(long, default_value = "text")]
    pub logs: Logs,
    /// Print the API's description and exit.
    #[arg(long)]
    pub print_openapi: bool,
}

/// A commitment.
#[derive(Clone, Copy, ValueEnum)]
pub enum At {
    /// A fork can still take it back.
    Confirmed,
    /// It stays.
    Finalized,
}

impl From<At> for Commitment {
    fn from(at: At) -> Self {
        match at {
            At::Confirmed => Self::Confirmed,
            At::Finalized => Self::Finalized,
        }
    }
}

/// A way to write a log.
#[derive(Clone, Copy, ValueEnum)]
pub enum Logs {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Arguments {
    /// The database's URL.
    pub fn database_url(&self) -> anyhow::Result<&str> {
        self.database_url
            .as_deref()
            .ok_or_else(|| anyhow::anyhow!("no database: set DATABASE_URL or pass --database-url"))
    }

    /// The oracle to ask.
    pub fn oracle(&self) -> anyhow::Result<Option<Oracle>> {
        let (Some(url), Some(file)) = (&self.oracle_url, &self.oracle_key_file) else { return Ok(None) };
        let key = read(file)?;
        Ok(Some(Oracle::new(url, str::from_utf8(&key).context("the oracle's key is no text")?)?))
    }

    /// How users sign in to a server with these settings.
    pub fn sign_in(&self, settings: &Settings) -> anyhow::Result<Option<SignIn>> {
        let Some(domain) = &self.domain else { return Ok(None) };
        anyhow::ensure!(
            self.operators_database_url.is_some(),
            "--domain needs OPERATORS_DATABASE_URL: it is kept there which nonces were used"
        );
        let secret = self.session_key_file.as_deref().map(read).transpose()?;
        let lasts = Duration::from_secs(self.session_seconds);
        let sign_in = SignIn::new(domain, &settings.cluster, lasts, secret.as_deref())?;
        Ok(Some(match &self.platform_token_key_file {
            Some(file) => sign_in.with_platform(&read(file)?, &self.platform_token_audience)?,
            None => sign_in,
        }))
    }

    /// How to answer.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        // Not repeated here, since it may hold a key.
        anyhow::ensure!(
            self.rpc.starts_with("http://") || self.rpc.starts_with("https://"),
            "--rpc is no address of a node; it looks like http://127.0.0.1:8899"
        );
        let cluster = match &self.cluster {
            Some(cluster) => cluster.clone(),
            None => cluster_of(&self.rpc).ok_or_else(|| {
                anyhow::anyhow!(
                    "which chain is the node's? Say --cluster mainnet, devnet or testnet, or --cluster with an address that \
                     browsers reach; the node's own address is kept to this server, since it may hold a key"
                )
            })?,
        };
        Ok(Settings {
            node: self.public_node.clone(),
            platform: self.platform,
            max_lag: Some(Duration::from_secs(self.max_lag)),
            request_timeout: Duration::from_secs(self.request_timeout),
            max_concurrency: usize::try_from(self.max_concurrency)?,
            max_live: usize::try_from(self.max_live)?,
            rate: NonZeroU32::new(self.rate)
                .and_then(|per_second| Some(Rate { per_second, burst: NonZeroU32::new(self.burst)?.max(per_second) })),
            trusted_proxies: usize::from(self.trusted_proxies),
            bounds: Bounds {
                connections: rebate_api::room_for(usize::try_from(self.max_connections)?),
                head: Duration::from_secs(self.head_timeout),
            },
            ..Settings::new(cluster)
        })
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// The cluster of a node on this machine or at one of Solana's own addresses.
fn cluster_of(rpc: &str) -> Option<Cluster> {
    let (_, rest) = rpc.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    match host {
        "127.0.0.1" | "localhost" | "[::1]" => Some(Cluster::Custom(rpc.to_owned())),
        "api.mainnet-beta.solana.com" => Some(Cluster::Mainnet),
        "api.devnet.solana.com" => Some(Cluster::Devnet),
        "api.testnet.solana.com" => Some(Cluster::Testnet),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_with_a_key_in_its_address_is_never_shown() {
        assert_eq!(cluster_of("https://node.example/?api-key=secret"), None);
        assert_eq!(cluster_of("https://user:secret@127.0.0.1:8899"), None);
    }

    #[test]
    fn the_usual_nodes_are_known() {
        let local = "http://127.0.0.1:8899";
        assert_eq!(cluster_of(local), Some(Cluster::Custom(local.into())));
        assert_eq!(cluster_of("https://api.devnet.solana.com"), Some(Cluster::Devnet));
    }
}
