//! The oracle's process.

mod arguments;

use anyhow::Context;
use arguments::{Arguments, Command, Logs, Serve};
use clap::Parser;
use rebate_oracle::{OracleState, Settings, api_key, database, deliveries, http, retention};
use sqlx::PgPool;
use std::{io::IsTerminal, process::ExitCode, time::Duration};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Connections of the outbox: one listens, one holds the lock, the others ask.
const OUTBOX_CONNECTIONS: u32 = 8;

/// How often what is over is forgotten.
const TIDY: Duration = Duration::from_secs(3_600);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log(arguments.logs);
    match run(arguments.command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rebate-oracle: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(arguments) => serve(arguments).await,
        Command::ApiKey => {
            let (key, sha256) = api_key::make().map_err(|_| anyhow::anyhow!("the system has no randomness"))?;
            println!("{key}");
            println!("sha256 = \"{sha256}\"");
            Ok(())
        }
        Command::WebhookSecret(file) => {
            let settings = Settings::read(&file.settings)?;
            let webhook = settings.webhook.context("the settings have no [webhook]")?;
            println!("{}", deliveries::secret(&webhook.key()?).reveal());
            Ok(())
        }
        Command::Openapi => {
            println!("{}", http::openapi().to_pretty_json()?);
            Ok(())
        }
    }
}

async fn serve(arguments: Serve) -> anyhow::Result<()> {
    let settings = Settings::read(&arguments.settings.settings)?;
    let pool = database::connect(&arguments.database_url, settings.limits.connections).await?;
    let registry = prometheus::Registry::new();
    let (state, writers) = OracleState::new(&settings, pool.clone(), registry.clone()).await?;
    let token = CancellationToken::new();
    stop_on_signals(&token)?;
    let mut beside = JoinSet::new();
    if let Some(outbox) = &settings.outbox {
        // Connections of its own: the intake must not wait for the chain.
        let pool = database::connect(&arguments.database_url, OUTBOX_CONNECTIONS).await?;
        let outbox = outbox.outbox(pool, settings.platform, &registry)?;
        let token = token.clone();
        beside.spawn(async move { outbox.run(token).await });
    }
    if let Some(webhook) = &settings.webhook {
        let deliveries = deliveries::Deliveries::new(webhook, pool.clone(), state.metrics().clone())?;
        let token = token.clone();
        beside.spawn(async move { deliveries.run(token).await });
    }
    let (tidied, told, keep, stop) = (pool.clone(), settings.webhook.is_some(), settings.keep_notices, token.clone());
    beside.spawn(async move {
        stop.run_until_cancelled(tidy(&tidied, told, keep)).await;
    });
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}; choose another with --listen", arguments.listen))?;
    tracing::info!("listening on http://{}", listener.local_addr()?);
    let served = http::serve(listener, state, token.clone()).await;
    token.cancel();
    while beside.join_next().await.is_some() {}
    writers.finish().await;
    pool.close().await;
    Ok(served?)
}

/// Forgets what is over, now and every hour.
async fn tidy(pool: &PgPool, is_anybody_told: bool, keep_notices: u32) {
    let mut hours = tokio::time::interval(TIDY);
    loop {
        hours.tick().await;
        let forgotten = async {
            deliveries::tidy(pool, is_anybody_told).await?;
            if keep_notices > 0 { retention::forget(pool, keep_notices).await } else { Ok(0) }
        };
        match forgotten.await {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "notices were forgotten that are older than keep_notices says"),
            Err(error) => tracing::warn!("what is over is not forgotten yet: {error}"),
        }
    }
}

fn stop_on_signals(token: &CancellationToken) -> std::io::Result<()> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut told = signal(kind)?;
        let token = token.clone();
        tokio::spawn(async move {
            told.recv().await;
            token.cancel();
        });
    }
    Ok(())
}

fn log(logs: Logs) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // Keys and descriptions go to stdout.
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match logs {
        Logs::Text => log.init(),
        Logs::Json => log.json().init(),
    }
}
