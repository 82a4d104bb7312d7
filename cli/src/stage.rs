//! Everything at once, in one process: a chain, Postgres, the indexer and the API. For the demonstration, the benchmark
//! and the tests; in production each runs by itself.

use crate::arguments::ChainKind;
use anyhow::Context;
use rebate_api::{ApiState, Settings};
use rebate_client::{
    address::PROGRAM,
    chain::{Commitment, Submit, embedded::EmbeddedChain, rpc::RpcChain},
    explorer::Cluster,
};
use rebate_indexer::{
    Indexer, Options, database,
    source::{BlockSource, embedded::EmbeddedSource, rpc::RpcSource},
};
use rebate_local::{LocalPostgres, validator::LocalValidator};
use sqlx::PgPool;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// How often the indexer asks a validator for a new block.
const POLL: Duration = Duration::from_millis(50);

/// How long the API may take until it can answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a stage is set.
#[derive(Clone, Debug)]
pub struct StageOptions {
    /// Which chain.
    pub chain: ChainKind,
    /// The built program.
    pub program: PathBuf,
    /// Where Postgres and the validator keep their files.
    pub local: PathBuf,
    /// Where the API listens; a free port if this one is taken.
    pub listen: SocketAddr,
}

/// A running stage.
pub struct Stage {
    /// The chain, to submit to.
    pub chain: Arc<dyn Submit>,
    /// The same, as explorers know it.
    pub cluster: Cluster,
    /// The address of the node, if there is one.
    pub rpc: Option<String>,
    /// The database's URL.
    pub database: String,
    /// Connections to it.
    pub pool: PgPool,
    /// The API's address, without a slash at the end.
    pub api: String,
    /// Stops everything.
    token: CancellationToken,
    indexer: JoinHandle<anyhow::Result<()>>,
    server: JoinHandle<anyhow::Result<()>>,
    name: String,
    postgres: LocalPostgres,
    validator: Option<LocalValidator>,
}

impl Stage {
    /// Starts everything, telling `progress` what it does.
    ///
    /// # Errors
    /// What did not start and what to do about it; what did start is stopped.
    pub async fn set(options: &StageOptions, progress: impl Fn(&str)) -> anyhow::Result<Self> {
        progress("starting Postgres");
        let postgres = start_postgres(&options.local).await?;
        let name = format!("rebate_{}", std::process::id());
        postgres.create_database(&name).await?;
        let database = postgres.url(&name);
        let pool = database::connect(&database).await?;
        database::migrate(&pool).await?;

        let Started { chain, source, cluster, validator } = start_chain(options, &progress).await?;

        progress("starting the indexer and the API");
        let registry = prometheus::Registry::new();
        let token = CancellationToken::new();
        let indexer = Indexer::new(pool.clone(), source, Options::default(), &registry)?;
        let indexing = token.clone();
        let indexer = tokio::spawn(async move { Ok(indexer.run(indexing).await?) });

        let listener = match TcpListener::bind(options.listen).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((options.listen.ip(), 0)).await.context("cannot listen for the API")?,
        };
        let api = format!("http://{}", listener.local_addr()?);
        let settings = Settings { max_lag: None, ..Settings::new(cluster.clone()) };
        let read: Arc<dyn rebate_client::chain::ReadAccounts> = chain.clone();
        let state = ApiState::new(pool.clone(), read, settings, registry)?;
        let serving = token.clone();
        let server = tokio::spawn(async move { Ok(rebate_api::serve(listener, state, serving).await?) });
        let rpc = validator.as_ref().map(LocalValidator::rpc_url);
        let mut stage = Self { chain, cluster, rpc, database, pool, api, token, indexer, server, name, postgres, validator };
        let address = stage.api.clone();
        let ready = tokio::select! {
            ready = until_ready(&address) => ready,
            error = stage.broken() => Err(error),
        };
        match ready {
            Ok(()) => Ok(stage),
            Err(error) => {
                stage.token.cancel();
                Err(error)
            }
        }
    }

    /// Why something that should run has ended; pending while all is well.
    pub async fn broken(&mut self) -> anyhow::Error {
        let (what, ended) = tokio::select! {
            ended = &mut self.indexer => ("the indexer", ended),
            ended = &mut self.server => ("the API", ended),
        };
        match ended {
            Ok(Ok(())) => anyhow::anyhow!("{what} ended by itself"),
            Ok(Err(error)) => error.context(format!("{what} ended")),
            Err(error) => anyhow::anyhow!("{what} ended: {error}"),
        }
    }

    /// Stops everything and drops the database.
    ///
    /// # Errors
    /// What did not stop in order.
    pub async fn strike(self) -> anyhow::Result<()> {
        self.token.cancel();
        self.indexer.await.context("the indexer")??;
        self.server.await.context("the API")??;
        self.pool.close().await;
        drop(self.chain);
        let (name, postgres, validator) = (self.name, self.postgres, self.validator);
        postgres.drop_database(&name).await?;
        tokio::task::spawn_blocking(move || {
            drop(validator);
            drop(postgres);
        })
        .await
        .context("stopping Postgres")
    }
}

/// Waits until the API says it can answer: the indexer has read the chain's first block by then.
async fn until_ready(api: &str) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().timeout(PATIENCE).build().context("an HTTP client")?;
    let begun = Instant::now();
    loop {
        let answer = client.get(format!("{api}/ready")).send().await.context("the API does not answer")?;
        if answer.status().is_success() {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            anyhow::bail!("the API is not ready after {PATIENCE:?}: {}", answer.text().await.unwrap_or_default());
        }
        sleep(POLL).await;
    }
}

async fn start_postgres(local: &Path) -> anyhow::Result<LocalPostgres> {
    let dir = local.join("postgres");
    let start = move || LocalPostgres::from_env_or_start(&dir, &rebate_local::Settings::default());
    Ok(tokio::task::spawn_blocking(start).await.context("starting Postgres")??)
}

struct Started {
    chain: Arc<dyn Submit>,
    source: Arc<dyn BlockSource>,
    cluster: Cluster,
    validator: Option<LocalValidator>,
}

async fn start_chain(options: &StageOptions, progress: &impl Fn(&str)) -> anyhow::Result<Started> {
    match options.chain {
        ChainKind::Embedded => {
            progress("starting a chain inside this process, with the built program");
            let chain = EmbeddedChain::start(&options.program)?;
            let source = Arc::new(EmbeddedSource::new(chain.clone()));
            Ok(Started { chain: Arc::new(chain), source, cluster: Cluster::Embedded, validator: None })
        }
        ChainKind::Validator => {
            progress("starting solana-test-validator with the built program, some seconds");
            let (local, program) = (options.local.clone(), options.program.clone());
            let start = move || LocalValidator::start(&local, &PROGRAM.to_string(), &program);
            let validator = tokio::task::spawn_blocking(start).await.context("starting the validator")??;
            let url = validator.rpc_url();
            let chain = Arc::new(RpcChain::new(&url, Commitment::Confirmed));
            let source = Arc::new(RpcSource::new(&url, Commitment::Confirmed, POLL)?);
            Ok(Started { chain, source, cluster: Cluster::Custom(url), validator: Some(validator) })
        }
    }
}
