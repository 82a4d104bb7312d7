//! The command `rebate-indexer`.

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use prometheus::{Encoder, Registry, TextEncoder};
use rebate_client::chain::{Commitment, rpc::RpcChain};
use rebate_indexer::{
    Indexer, Options, database,
    source::{
        BlockSource,
        address::AddressSource,
        geyser::{GeyserSource, Subscription},
        rpc::RpcSource,
    },
};
use sqlx::PgPool;
use std::{io::IsTerminal, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Mirrors every event of the rebate program into Postgres.
#[derive(Parser)]
#[command(name = "rebate-indexer", version)]
struct Arguments {
    /// How to read the chain.
    #[arg(long, value_enum, default_value_t = Source::Rpc)]
    source: Source,
    /// The node to read from; one with the whole history of transactions.
    #[arg(long, env = "REBATE_RPC", hide_env_values = true, default_value = "http://127.0.0.1:8899")]
    rpc: String,
    /// The server of the stream, with `--source geyser`: http:// in the clear, https:// with TLS.
    #[arg(long, env = "REBATE_GEYSER", hide_env_values = true, value_name = "URL")]
    geyser: Option<String>,
    /// What that server wants as x-token. Others on this machine can read a command line; better set it in the environment.
    #[arg(long, env = "REBATE_GEYSER_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    geyser_token: Option<String>,
    /// The database to write to.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// How sure the node must be of a block. What is confirmed only a fork can still take back: then it is taken back here too.
    #[arg(long, value_enum, default_value_t = Sureness::Finalized)]
    commitment: Sureness,
    /// In an empty database, begin at this slot: the one in which the platform was created, or earlier. The node's first
    /// block otherwise.
    #[arg(long)]
    from_slot: Option<u64>,
    /// How often to look for a new block, in milliseconds; 200 unless given, and 2000 with `--source address`, where each
    /// look takes several questions.
    #[arg(long, value_parser = clap::value_parser!(u64).range(10..))]
    poll_ms: Option<u64>,
    /// How often to compare the tables with the platforms' accounts on the node, in seconds; 0 for never. Where they differ,
    /// nothing more is written.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=86_400))]
    compare_seconds: u64,
    /// How to write the log, which goes to standard error.
    #[arg(long, value_enum, default_value_t = Logs::Text)]
    logs: Logs,
    /// Where to serve metrics at /metrics; nowhere otherwise.
    #[arg(long)]
    metrics_listen: Option<SocketAddr>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Source {
    /// Block by block: a local validator, or a node with the whole history.
    Rpc,
    /// The transactions of the program: a public node. What is final only.
    Address,
    /// A validator's stream by gRPC (Yellowstone), and the node for what the stream does not have.
    Geyser,
}

#[derive(Clone, Copy, ValueEnum)]
enum Logs {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Clone, Copy, ValueEnum)]
enum Sureness {
    /// Voted for by two thirds of the stake.
    Confirmed,
    /// Rooted: it stays.
    Finalized,
}

impl From<Sureness> for Commitment {
    fn from(sureness: Sureness) -> Self {
        match sureness {
            Sureness::Confirmed => Self::Confirmed,
            Sureness::Finalized => Self::Finalized,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    let stderr = std::io::stderr;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(stderr().is_terminal()).with_writer(stderr);
    match arguments.logs {
        Logs::Text => log.init(),
        Logs::Json => log.json().init(),
    }
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let registry = Registry::new();
    let pool = database::pool(&arguments.database_url)?;
    // First of all: what is asked for in vain is said before anything is touched.
    let source = source(&arguments, &pool, &registry)?;
    database::connect(&arguments.database_url).await?;
    database::migrate(&pool).await?;
    let options = Options { from_slot: arguments.from_slot, ..Options::default() };
    let mut indexer = Indexer::new(pool, source, options, &registry)?;
    if arguments.compare_seconds > 0 {
        let chain = RpcChain::new(&arguments.rpc, arguments.commitment.into());
        indexer = indexer.comparing(Arc::new(chain), Duration::from_secs(arguments.compare_seconds));
    }

    let token = CancellationToken::new();
    stop_on_signal(token.clone())?;
    if let Some(address) = arguments.metrics_listen {
        serve_metrics(address, registry, token.clone()).await?;
    }
    Ok(indexer.run(token).await?)
}

/// The source that the arguments ask for.
fn source(arguments: &Arguments, pool: &PgPool, registry: &Registry) -> anyhow::Result<Arc<dyn BlockSource>> {
    let (url, commitment) = (&arguments.rpc, arguments.commitment.into());
    let every = |otherwise: u64| Duration::from_millis(arguments.poll_ms.unwrap_or(otherwise));
    match (arguments.source, &arguments.geyser) {
        (Source::Rpc | Source::Address, Some(_)) => {
            bail!("--geyser names a stream that is not read; give --source geyser, or leave it out")
        }
        (Source::Geyser, None) => bail!("--source geyser needs the address of the server: give --geyser"),
        (Source::Address, None) if commitment != Commitment::Finalized => {
            bail!("--source address reads what is final only; leave --commitment out, or choose another source")
        }
        (Source::Rpc, None) => Ok(Arc::new(RpcSource::new(url, commitment, every(200))?)),
        (Source::Address, None) => Ok(Arc::new(AddressSource::new(url, every(2_000), pool.clone())?)),
        (Source::Geyser, Some(geyser)) => {
            let subscription = Subscription { url: geyser.clone(), token: arguments.geyser_token.clone() };
            let rpc = RpcSource::new(url, commitment, every(200))?;
            let source = GeyserSource::new(rpc, subscription, every(200))?;
            source.metrics().register(registry)?;
            Ok(Arc::new(source))
        }
    }
}

/// Cancels `token` on Ctrl-C and on SIGTERM.
fn stop_on_signal(token: CancellationToken) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
        token.cancel();
    });
    Ok(())
}

async fn serve_metrics(address: SocketAddr, registry: Registry, token: CancellationToken) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot serve metrics at {address}; choose another --metrics-listen"))?;
    let metrics = move || async move {
        let mut text = Vec::new();
        match TextEncoder::new().encode(&registry.gather(), &mut text) {
            Ok(()) => Ok(text),
            Err(error) => Err((axum::http::StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
        }
    };
    let router = axum::Router::new().route("/metrics", axum::routing::get(metrics));
    tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(async move { token.cancelled().await });
        if let Err(error) = served.await {
            tracing::error!("metrics are no longer served: {error}");
        }
    });
    Ok(())
}
