//! What the command line says.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::{net::SocketAddr, path::PathBuf};

/// The payment oracle.
#[derive(Parser)]
#[command(name = "rebate-oracle", version)]
pub struct Arguments {
    /// How the log, on stderr, is written. RUST_LOG says what goes into it.
    #[arg(long, default_value = "text", global = true)]
    pub logs: Logs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Take notices and records, and tell the platform's server what becomes of them.
    Serve(Serve),
    /// Make a key for the platform's server: prints the key and the SHA-256 that goes into the settings.
    ApiKey,
    /// Show the secret that the webhook's receiver checks signatures with.
    WebhookSecret(SettingsFile),
    /// Print the description of all that is answered, OpenAPI 3.1.
    Openapi,
}

/// Where the settings are.
#[derive(Args)]
pub struct SettingsFile {
    /// The settings, a TOML file.
    #[arg(long, env = "REBATE_ORACLE_SETTINGS")]
    pub settings: PathBuf,
}

/// `serve`.
#[derive(Args)]
pub struct Serve {
    #[command(flatten)]
    pub settings: SettingsFile,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8090", env = "REBATE_ORACLE_LISTEN")]
    pub listen: SocketAddr,
    /// The oracle's own database, not the indexer's: postgres://user:password@host:5432/database. It gets the tables it lacks.
    #[arg(long, env = "ORACLE_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
}

/// A way to write a log.
#[derive(Clone, Copy, ValueEnum)]
pub enum Logs {
    /// For people.
    Text,
    /// For programs.
    Json,
}
