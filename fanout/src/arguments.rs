//! The command line of `rebate-fanout`.

use clap::{Args, Parser, Subcommand};
use rebate_fanout::{
    events::EventId,
    nats::{LEAST_WINDOW, StreamSettings},
    publish::PublishOptions,
    webhooks::sender::SendOptions,
};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Tells others what the indexer wrote.
#[derive(Parser)]
#[command(name = "rebate-fanout", version)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Publish every final event to a JetStream stream, in order, each once.
    Publish(Publish),
    /// Post events to who wants them, signed as Standard Webhooks has it.
    #[command(subcommand)]
    Webhooks(Webhooks),
}

#[derive(Subcommand)]
pub enum Webhooks {
    /// Post what the stream tells of, until stopped.
    Run(Run),
    /// Add an endpoint, which gets the events of the blocks to come. Prints its id and its secret.
    Add(Add),
    /// List the endpoints, and what became of their events.
    List(Database),
    /// Print an endpoint's secret.
    Secret(ShowSecret),
    /// Stop posting to an endpoint. What comes meanwhile waits.
    Disable(One),
    /// Post to an endpoint again.
    Enable(One),
    /// Remove an endpoint and what is to be posted to it.
    Remove(One),
    /// Post events again, whatever became of them. A running sender does it at once.
    Replay(Replay),
}

/// The indexer's database.
#[derive(Args)]
pub struct Database {
    /// The indexer's database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
}

/// Where NATS is, and which stream is meant.
#[derive(Args)]
pub struct Nats {
    /// The NATS server, with JetStream; with user and password, or a token, before an @. tls:// asks for TLS.
    #[arg(long, env = "REBATE_NATS", hide_env_values = true, default_value = "nats://127.0.0.1:4222")]
    pub nats: String,
    /// The stream's name.
    #[arg(long, default_value = "rebate", value_parser = stream_name)]
    pub stream: String,
}

/// What the secrets follow from.
#[derive(Args)]
pub struct KeyFile {
    /// A file with at least 32 random bytes, from which every endpoint's secret follows: `openssl rand -base64 32`. Whoever
    /// reads it can sign for everybody.
    #[arg(long, env = "REBATE_WEBHOOK_KEY_FILE")]
    pub key_file: PathBuf,
}

#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    pub database: Database,
    #[command(flatten)]
    pub nats: Nats,
    #[command(flatten)]
    pub key: KeyFile,
    /// How long an endpoint may take for its answer, in milliseconds.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    timeout_ms: u64,
    /// How many requests one endpoint is sent at the same time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    concurrency: u8,
    /// After so many attempts an event is given up; 14 are over a day.
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=100))]
    attempts: u32,
    /// The pause after the first attempt, in milliseconds; each is three times the one before, up to four hours.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(10..=3_600_000))]
    first_pause_ms: u64,
    /// For how many days it is remembered what became of an event; longer than the stream keeps it.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_650))]
    keep_days: u64,
    /// Post over http also beyond this machine.
    #[arg(long)]
    allow_http: bool,
    /// Where to serve metrics at /metrics; nowhere otherwise.
    #[arg(long)]
    pub metrics_listen: Option<SocketAddr>,
}

impl Run {
    /// How to send.
    pub fn options(&self) -> SendOptions {
        SendOptions {
            timeout: Duration::from_millis(self.timeout_ms),
            concurrency: usize::from(self.concurrency),
            attempts: self.attempts,
            first_pause: Duration::from_millis(self.first_pause_ms),
            keep: Duration::from_secs(self.keep_days.saturating_mul(86_400)),
            allow_http: self.allow_http,
            ..SendOptions::new(&self.nats.stream)
        }
    }
}

#[derive(Args)]
pub struct Add {
    #[command(flatten)]
    pub database: Database,
    #[command(flatten)]
    pub key: KeyFile,
    /// Where to post: an https URL without user and password.
    pub url: String,
    /// Only events of this kind, as PaymentRecorded; may be given several times. All otherwise.
    #[arg(long = "kind", value_name = "KIND")]
    pub kinds: Vec<String>,
    /// Take an http URL also beyond this machine.
    #[arg(long)]
    pub allow_http: bool,
}

#[derive(Args)]
pub struct One {
    #[command(flatten)]
    pub database: Database,
    /// The endpoint's id.
    pub id: String,
}

#[derive(Args)]
pub struct ShowSecret {
    #[command(flatten)]
    pub endpoint: One,
    #[command(flatten)]
    pub key: KeyFile,
}

#[derive(Args)]
pub struct Replay {
    #[command(flatten)]
    pub database: Database,
    /// The endpoint's id.
    #[arg(long)]
    pub endpoint: String,
    /// The event: PLATFORM/INDEX.
    #[arg(long, required_unless_present = "failed", conflicts_with = "failed")]
    pub id: Option<EventId>,
    /// Every event that was given up.
    #[arg(long)]
    pub failed: bool,
}

#[derive(Args)]
pub struct Publish {
    #[command(flatten)]
    pub database: Database,
    #[command(flatten)]
    pub nats: Nats,
    /// If the stream is made: for how many days it keeps a message; 0 for always.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(..=36_500))]
    max_age_days: u64,
    /// If the stream is made: how many bytes it may take, the oldest messages going first; any number otherwise.
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    max_bytes: Option<i64>,
    /// If the stream is made: for how many seconds it remembers message ids.
    #[arg(long, default_value_t = LEAST_WINDOW.as_secs(), value_parser = clap::value_parser!(u64).range(LEAST_WINDOW.as_secs()..=86_400))]
    duplicate_window_seconds: u64,
    /// If the stream is made: on how many servers of a cluster it is kept.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,
    /// How many events of a platform are read at once.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    batch: i64,
    /// How many messages may wait for their acknowledgement.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=4_096))]
    in_flight: u16,
    /// How often to look for something new where the database says nothing, in milliseconds.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(10..))]
    poll_ms: u64,
    /// Where to serve metrics at /metrics; nowhere otherwise.
    #[arg(long)]
    pub metrics_listen: Option<SocketAddr>,
}

impl Publish {
    /// How to publish.
    pub fn options(&self) -> PublishOptions {
        let stream = StreamSettings {
            max_age: Duration::from_secs(self.max_age_days.saturating_mul(86_400)),
            max_bytes: self.max_bytes.unwrap_or(-1),
            duplicate_window: Duration::from_secs(self.duplicate_window_seconds),
            replicas: usize::from(self.replicas),
            ..StreamSettings::new(&self.nats.stream)
        };
        PublishOptions {
            stream,
            batch: self.batch,
            in_flight: usize::from(self.in_flight),
            poll: Duration::from_millis(self.poll_ms),
        }
    }
}

fn stream_name(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match text {
        "" => Err("it is empty".to_owned()),
        _ if text.bytes().all(is_plain) => Ok(text.to_owned()),
        _ => Err("letters, digits, - and _ only".to_owned()),
    }
}
