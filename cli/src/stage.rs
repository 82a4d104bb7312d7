//! Everything at once, in one process: a chain, Postgres, the indexer, the API and, once there is a platform, its oracle. For
//! the demonstration, the benchmark and the tests; in production each runs by itself.

mod node;
pub mod oracle;

use crate::{arguments::ChainKind, cast::Cast};
use anyhow::Context;
use oracle::Oracle;
use rebate_api::{
    ApiState, Settings,
    access::{Access, sign_in::SignIn},
};
use rebate_client::{
    Pubkey,
    address::PROGRAM,
    chain::{Commitment, Submit, embedded::EmbeddedChain, rpc::RpcChain},
    explorer::Cluster,
};
use rebate_indexer::{
    Indexer, Options, database,
    source::{BlockSource, embedded::EmbeddedSource, rpc::RpcSource},
};
use rebate_local::{LocalPostgres, validator::LocalValidator};
use rebate_operators::{
    audit::Actor,
    keys::{self, Draft},
    role::Role,
};
use sqlx::PgPool;
use std::{
    future::pending,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    time::{Duration, UNIX_EPOCH},
};
use tokio::{
    net::TcpListener,
    sync::{Mutex, SetOnce},
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// How long a user who signed in stays so.
const SIGNED_IN: Duration = Duration::from_secs(3_600);

/// How often the indexer asks a validator for a new block.
const POLL: Duration = Duration::from_millis(50);

/// How often the indexer compares the tables with the chain.
const COMPARED: Duration = Duration::from_secs(5);

/// Connections to the operators' database at most.
const OPERATORS: u32 = 4;

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
    /// The same, where it is inside the process: its clock can be set.
    pub embedded: Option<EmbeddedChain>,
    /// The same, as explorers know it.
    pub cluster: Cluster,
    /// The address of the node, if there is one.
    pub rpc: Option<String>,
    /// Where a browser reads the chain: the node, or what stands for one where the chain is inside the process.
    pub node: String,
    /// The database's URL.
    pub database: String,
    /// The API's address, without a slash at the end.
    pub api: String,
    /// The key of an operator of the API who may do everything.
    pub operator_key: String,
    /// Stops the services.
    token: CancellationToken,
    services: Mutex<Services>,
    oracle: SetOnce<Oracle>,
    validator: Option<std::sync::Mutex<LocalValidator>>,
    owned: Database,
}

/// Tasks that run until they are told to stop: which one, and how it ended.
type Services = JoinSet<(&'static str, anyhow::Result<()>)>;

impl Stage {
    /// Starts everything, telling `progress` what it does.
    ///
    /// # Errors
    /// What did not start and what to do about it; what did start is stopped.
    pub async fn set(options: &StageOptions, progress: impl Fn(&str)) -> anyhow::Result<Self> {
        Self::set_unless(options, &CancellationToken::new(), progress).await
    }

    /// The same, until `stop` is cancelled.
    ///
    /// # Errors
    /// What did not start and what to do about it; what did start is stopped.
    pub async fn set_unless(
        options: &StageOptions,
        stop: &CancellationToken,
        progress: impl Fn(&str),
    ) -> anyhow::Result<Self> {
        anyhow::ensure!(
            options.program.is_file(),
            "there is no built program at {}; `make program` builds it",
            options.program.display()
        );
        progress("starting Postgres");
        let owned = Database::make(&options.local).await?;
        let database = owned.url();
        let pool = owned.pool.clone();
        let operators = owned.operators_pool.clone();
        let built = match stop.run_until_cancelled(Built::new(options, &pool, &operators, progress)).await {
            Some(built) => built,
            None => Err(anyhow::anyhow!("interrupted before the end")),
        };
        match built {
            Ok(Built { started, api, operator_key, node, token, services }) => Ok(Self {
                rpc: started.validator.as_ref().map(LocalValidator::rpc_url),
                validator: started.validator.map(std::sync::Mutex::new),
                chain: started.chain,
                embedded: started.embedded,
                cluster: started.cluster,
                database,
                api,
                operator_key,
                node,
                token,
                services: Mutex::new(services),
                oracle: SetOnce::new(),
                owned,
            }),
            Err(error) => {
                owned.remove().await?;
                Err(error)
            }
        }
    }

    /// Starts the oracle of the platform at `platform`, which the cast published, on a database of its own. It stops with
    /// the stage.
    ///
    /// # Errors
    /// What did not start; also if there is one already.
    pub async fn begin_oracle(&self, cast: &Cast, platform: Pubkey) -> anyhow::Result<&Oracle> {
        let database = self.owned.make_oracles().await?;
        let oracle = Oracle::begin(self, &database, cast, platform).await?;
        anyhow::ensure!(self.oracle.set(oracle).is_ok(), "the stage has an oracle already");
        self.oracle.get().context("the stage has no oracle")
    }

    /// Why something that should run has ended; pending while all is well.
    pub async fn broken(&self) -> anyhow::Error {
        tokio::select! {
            error = service_ended(&self.services) => error,
            error = self.oracle_ended() => error,
            error = self.validator_ended() => error,
        }
    }

    async fn oracle_ended(&self) -> anyhow::Error {
        self.oracle.wait().await.ended().await
    }

    async fn validator_ended(&self) -> anyhow::Error {
        let Some(validator) = &self.validator else { return pending().await };
        loop {
            if let Err(error) = validator.lock().unwrap_or_else(PoisonError::into_inner).check() {
                return error.into();
            }
            sleep(POLL).await;
        }
    }

    /// Where a person finds the database.
    pub fn database_place(&self) -> String {
        self.owned.place()
    }

    /// Stops everything and drops the databases.
    ///
    /// # Errors
    /// What did not stop in order; the rest is stopped all the same.
    pub async fn strike(self) -> anyhow::Result<()> {
        let Self { chain, embedded, token, services, oracle, validator, owned, .. } = self;
        // First who writes to the chain, then who reads it.
        let ended = match oracle.into_inner() {
            Some(oracle) => oracle.stop().await,
            None => Ok(()),
        };
        token.cancel();
        let ended = ended.and(stopped(services.into_inner()).await);
        drop((chain, embedded));
        let stopped = tokio::task::spawn_blocking(move || drop(validator)).await.context("stopping the validator");
        let removed = owned.remove().await;
        ended.and(stopped).and(removed)
    }
}

/// Why one of these has ended; pending while none has.
async fn service_ended(services: &Mutex<Services>) -> anyhow::Error {
    match services.lock().await.join_next().await {
        Some(Ok((what, Ok(())))) => anyhow::anyhow!("{what} ended by itself"),
        Some(Ok((what, Err(error)))) => error.context(format!("{what} ended")),
        Some(Err(error)) => anyhow::anyhow!("a service ended: {error}"),
        None => anyhow::anyhow!("all services have ended"),
    }
}

/// Waits until all of these, which are told to stop, have ended. The first that did not end well, or nothing.
async fn stopped(mut services: Services) -> anyhow::Result<()> {
    let mut ended = Ok(());
    while let Some(service) = services.join_next().await {
        ended = ended.and(match service {
            Ok((what, outcome)) => outcome.context(what),
            Err(error) => Err(error).context("a service"),
        });
    }
    ended
}

/// A database of the stage's own, others for its oracle and for the API's operators, and the Postgres they are on.
struct Database {
    postgres: LocalPostgres,
    name: String,
    oracles: String,
    operators: String,
    pool: PgPool,
    operators_pool: PgPool,
}

impl Database {
    async fn make(local: &Path) -> anyhow::Result<Self> {
        let dir = local.join("postgres");
        let start = move || LocalPostgres::from_env_or_start(&dir, &rebate_local::Settings::default());
        let postgres = tokio::task::spawn_blocking(start).await.context("starting Postgres")??;
        // The process alone would do until its number comes round again, and where one Postgres serves several machines.
        let now = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        let [name, oracles, operators] =
            ["rebate", "rebate_oracle", "rebate_operators"].map(|what| format!("{what}_{now}_{}", std::process::id()));
        postgres.create_database(&name).await?;
        postgres.create_database(&operators).await?;
        let pool = database::pool(&postgres.url(&name))?;
        let operators_pool = rebate_operators::database::connect(&postgres.url(&operators), OPERATORS).await?;
        Ok(Self { postgres, name, oracles, operators, pool, operators_pool })
    }

    /// Makes the oracle's, and hands back its URL.
    async fn make_oracles(&self) -> anyhow::Result<String> {
        self.postgres.create_database(&self.oracles).await?;
        Ok(self.postgres.url(&self.oracles))
    }

    fn url(&self) -> String {
        self.postgres.url(&self.name)
    }

    fn place(&self) -> String {
        self.postgres.place(&self.name)
    }

    async fn remove(self) -> anyhow::Result<()> {
        let Self { postgres, name, oracles, operators, pool, operators_pool } = self;
        pool.close().await;
        operators_pool.close().await;
        let removed = postgres.drop_database(&name).await.and(postgres.drop_database(&oracles).await);
        let removed = removed.and(postgres.drop_database(&operators).await);
        let stopped = tokio::task::spawn_blocking(move || postgres.stop()).await.context("stopping Postgres");
        Ok(removed.and(stopped?)?)
    }
}

/// What works on a database.
struct Built {
    // The services go first: they are aborted where the rest did not start.
    services: Services,
    token: CancellationToken,
    started: Started,
    api: String,
    operator_key: String,
    node: String,
}

impl Built {
    async fn new(
        options: &StageOptions,
        pool: &PgPool,
        operators: &PgPool,
        progress: impl Fn(&str),
    ) -> anyhow::Result<Self> {
        database::migrate(pool).await?;
        let started = start_chain(options, &progress).await?;

        progress("starting the indexer and the API");
        let registry = prometheus::Registry::new();
        let token = CancellationToken::new();
        let mut services = Services::new();
        let indexer = Indexer::new(pool.clone(), started.source.clone(), Options::default(), &registry)?
            .comparing(started.chain.clone(), COMPARED);
        let indexing = token.clone();
        services.spawn(async move { ("the indexer", indexer.run(indexing).await.map_err(Into::into)) });

        let node = match (&started.embedded, &started.validator) {
            (Some(chain), _) => node::begin(chain.clone(), &token, &mut services).await?,
            (None, Some(validator)) => validator.rpc_url(),
            (None, None) => anyhow::bail!("the stage has no chain that browsers can read"),
        };

        let listener = match TcpListener::bind(options.listen).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((options.listen.ip(), 0)).await.context("cannot listen for the API")?,
        };
        let api = format!("http://{}", listener.local_addr()?);
        let settings = Settings { max_lag: None, node: Some(node.clone()), ..Settings::new(started.cluster.clone()) };
        let read: Arc<dyn rebate_client::chain::ReadAccounts> = started.chain.clone();
        let (_, domain) = api.split_once("://").context("the API has an address")?;
        let sign_in = Some(SignIn::new(domain, &started.cluster, SIGNED_IN, None)?);
        let access = Access { operators: Some(operators.clone()), sign_in, ..Access::default() };
        let state = ApiState::new(pool.clone(), read, settings, registry)?.with_access(access);
        let draft = Draft { name: "whoever set this stage", role: Role::Admin, expires_at: None };
        let (key, _) = keys::create(operators, &Actor::CommandLine, None, &draft).await?;
        let operator_key = key.reveal();
        let serving = token.clone();
        services
            .spawn(async move { ("the API", rebate_api::serve(listener, state, serving).await.map_err(Into::into)) });
        tokio::select! {
            ready = until_ready(&api) => ready?,
            Some(ended) = services.join_next() => {
                let (what, outcome) = ended?;
                outcome.context(format!("{what} ended"))?;
                anyhow::bail!("{what} ended by itself");
            }
        }
        Ok(Self { services, token, started, api, operator_key, node })
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

struct Started {
    chain: Arc<dyn Submit>,
    embedded: Option<EmbeddedChain>,
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
            let embedded = Some(chain.clone());
            Ok(Started { chain: Arc::new(chain), embedded, source, cluster: Cluster::Embedded, validator: None })
        }
        ChainKind::Validator => {
            progress("starting solana-test-validator with the built program, some seconds");
            let (local, program) = (options.local.clone(), options.program.clone());
            let start = move || LocalValidator::start(&local, &PROGRAM.to_string(), &program);
            let validator = tokio::task::spawn_blocking(start).await.context("starting the validator")??;
            let url = validator.rpc_url();
            let chain = Arc::new(RpcChain::new(&url, Commitment::Confirmed));
            let source = Arc::new(RpcSource::new(&url, Commitment::Confirmed, POLL)?);
            Ok(Started { chain, embedded: None, source, cluster: Cluster::Custom(url), validator: Some(validator) })
        }
    }
}
