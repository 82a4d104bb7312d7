//! The command `rebate-indexer`.

use anyhow::Context;
use clap::{Parser, ValueEnum};
use prometheus::{Encoder, Registry, TextEncoder};
use rebate_client::chain::{Commitment, rpc::RpcChain};
use rebate_indexer::{Indexer, Options, database, source::rpc::RpcSource};
use std::{io::IsTerminal, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Mirrors every event of the rebate program into Postgres.
#[derive(Parser)]
#[command(name = "rebate-indexer", version)]
struct Arguments {
    /// The node to read from; one with the whole history of transactions.
    #[arg(long, env = "REBATE_RPC", hide_env_values = true, default_value = "http://127.0.0.1:8899")]
    rpc: String,
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
    /// How often to look for a new block, in milliseconds.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(10..))]
    poll_ms: u64,
    /// How often to compare the tables with the platforms' accounts on the node, in seconds; 0 for never. Where they differ,
    /// nothing more is written.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=86_400))]
    compare_seconds: u64,
    /// Where to serve metrics at /metrics; nowhere otherwise.
    #[arg(long)]
    metrics_listen: Option<SocketAddr>,
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
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(stderr().is_terminal()).with_writer(stderr).init();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let pool = database::connect(&arguments.database_url).await?;
    database::migrate(&pool).await?;
    let poll = Duration::from_millis(arguments.poll_ms);
    let source = RpcSource::new(&arguments.rpc, arguments.commitment.into(), poll)?;
    let options = Options { from_slot: arguments.from_slot, ..Options::default() };
    let registry = Registry::new();
    let mut indexer = Indexer::new(pool, Arc::new(source), options, &registry)?;
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
