//! Serves the API.

mod arguments;

use arguments::{Arguments, Logs};
use clap::Parser;
use rebate_api::{ApiState, access::Access, database};
use rebate_client::chain::rpc::RpcChain;
use std::{io::IsTerminal, process::ExitCode, sync::Arc};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Connections to the operators' database at most: operators are few.
const OPERATORS_CONNECTIONS: u32 = 4;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log(arguments.logs);
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rebate-api: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    if arguments.print_openapi {
        println!("{}", rebate_api::openapi().to_pretty_json()?);
        return Ok(());
    }
    let settings = arguments.settings()?;
    let (sign_in, oracle) = (arguments.sign_in(&settings)?, arguments.oracle()?);
    let chain = Arc::new(RpcChain::new(&arguments.rpc, arguments.commitment.into()));
    let url = arguments.database_url()?;
    let pool = database::connect(url, arguments.connections, settings.request_timeout).await?;
    let operators = match &arguments.operators_database_url {
        Some(url) => Some(rebate_operators::database::connect(url, OPERATORS_CONNECTIONS).await?),
        None => None,
    };
    let listener = TcpListener::bind(arguments.listen).await.map_err(|error| {
        anyhow::anyhow!("cannot listen on {}: {error}; choose another with --listen", arguments.listen)
    })?;
    let token = CancellationToken::new();
    stop_on_signals(&token)?;
    tracing::info!("listening on http://{}", listener.local_addr()?);
    let state = ApiState::new(pool.clone(), chain, settings, prometheus::Registry::new())?.with_access(Access {
        operators: operators.clone(),
        sign_in,
        oracle,
    });
    rebate_api::serve(listener, state, token).await?;
    pool.close().await;
    if let Some(operators) = operators {
        operators.close().await;
    }
    Ok(())
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
    // Answers go to clients and descriptions to stdout.
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match logs {
        Logs::Text => log.init(),
        Logs::Json => log.json().init(),
    }
}
