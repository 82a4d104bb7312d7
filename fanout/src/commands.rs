//! What each subcommand does.

use crate::arguments::{Add, Arguments, Command, Database, Publish, Replay, Run, ShowSecret, Webhooks};
use anyhow::Context;
use prometheus::{Encoder, Registry, TextEncoder};
use rebate_fanout::{
    database, nats,
    publish::Publisher,
    webhooks::{
        endpoint,
        secret::Key,
        sender::{self, Sender},
    },
};
use sqlx::PgPool;
use std::net::SocketAddr;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Connections to the database.
const CONNECTIONS: u32 = 8;

/// Does what the command line says.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.command {
        Command::Publish(publish) => self::publish(publish).await,
        Command::Webhooks(webhooks) => self::webhooks(webhooks).await,
    }
}

async fn publish(arguments: Publish) -> anyhow::Result<()> {
    let pool = database::connect(&arguments.database.database_url, CONNECTIONS).await?;
    let client = nats::connect(&arguments.nats.nats).await?;
    let registry = Registry::new();
    let publisher = Publisher::new(pool, client, arguments.options(), &registry)?;
    let token = stop_on_signal()?;
    if let Some(address) = arguments.metrics_listen {
        serve_metrics(address, registry, token.clone()).await?;
    }
    Ok(publisher.run(token).await?)
}

async fn webhooks(command: Webhooks) -> anyhow::Result<()> {
    match command {
        Webhooks::Run(run) => send(run).await,
        Webhooks::Add(endpoint) => add(endpoint).await,
        Webhooks::List(database) => list(&connect(&database).await?).await,
        Webhooks::Secret(ShowSecret { endpoint, key }) => {
            let key = Key::read(&key.key_file)?;
            let endpoints = endpoint::list(&connect(&endpoint.database).await?).await?;
            require(endpoints.iter().any(|listed| listed.endpoint.id == endpoint.id), &endpoint.id)?;
            println!("{}", key.secret(&endpoint.id).reveal());
            Ok(())
        }
        Webhooks::Disable(one) => {
            require(endpoint::enable(&connect(&one.database).await?, &one.id, false).await?, &one.id)
        }
        Webhooks::Enable(one) => {
            require(endpoint::enable(&connect(&one.database).await?, &one.id, true).await?, &one.id)
        }
        Webhooks::Remove(one) => require(endpoint::remove(&connect(&one.database).await?, &one.id).await?, &one.id),
        Webhooks::Replay(replay) => self::replay(replay).await,
    }
}

async fn connect(database: &Database) -> anyhow::Result<PgPool> {
    Ok(database::connect(&database.database_url, CONNECTIONS).await?)
}

fn require(found: bool, id: &str) -> anyhow::Result<()> {
    anyhow::ensure!(found, "there is no endpoint {id}; `rebate-fanout webhooks list` shows which there are");
    Ok(())
}

async fn send(arguments: Run) -> anyhow::Result<()> {
    let key = Key::read(&arguments.key.key_file)?;
    let pool = connect(&arguments.database).await?;
    let client = nats::connect(&arguments.nats.nats).await?;
    let registry = Registry::new();
    let sender = Sender::new(pool, client, key, arguments.options(), &registry)?;
    let token = stop_on_signal()?;
    if let Some(address) = arguments.metrics_listen {
        serve_metrics(address, registry, token.clone()).await?;
    }
    Ok(sender.run(token).await?)
}

async fn add(arguments: Add) -> anyhow::Result<()> {
    let key = Key::read(&arguments.key.key_file)?;
    let url = endpoint::check_url(&arguments.url, arguments.allow_http)?;
    endpoint::check_kinds(&arguments.kinds)?;
    let id = endpoint::add(&connect(&arguments.database).await?, &url, &arguments.kinds).await?;
    println!("endpoint {id}\nsecret   {}", key.secret(&id).reveal());
    Ok(())
}

async fn list(pool: &PgPool) -> anyhow::Result<()> {
    for listed in endpoint::list(pool).await? {
        let endpoint = &listed.endpoint;
        let state = if endpoint.enabled { "enabled" } else { "disabled" };
        let kinds = endpoint.kinds.as_ref().map_or_else(|| "all kinds".to_owned(), |kinds| kinds.join(", "));
        println!(
            "{}  {state}  {}  {kinds}  after slot {}  {} waiting, {} delivered, {} failed",
            endpoint.id, endpoint.url, listed.since_slot, listed.waiting, listed.delivered, listed.failed
        );
    }
    Ok(())
}

async fn replay(arguments: Replay) -> anyhow::Result<()> {
    let pool = connect(&arguments.database).await?;
    let Some(id) = arguments.id else {
        let replayed = sender::replay_failed(&pool, &arguments.endpoint).await?;
        println!("{replayed} events are sent again");
        return Ok(());
    };
    let replayed = sender::replay(&pool, &arguments.endpoint, id).await?;
    anyhow::ensure!(replayed, "there is no endpoint {}, or no final event {id}", arguments.endpoint);
    println!("event {id} is sent again");
    Ok(())
}

/// A token that is cancelled on Ctrl-C and on SIGTERM.
fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let told = token.clone();
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
        told.cancel();
    });
    Ok(token)
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
