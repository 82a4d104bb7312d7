//! The connection to NATS, and the stream.

use crate::{message::Subjects, positions::StreamKey};
use async_nats::{
    Client, ConnectOptions, Event,
    connection::State,
    jetstream::{
        self, Context,
        context::{CreateStreamErrorKind, GetStreamErrorKind},
        stream::{Config, DiscardPolicy, RetentionPolicy, StorageType, Stream},
    },
};
use std::{io, time::Duration};
use thiserror::Error;
use time::OffsetDateTime;
use tokio::time::sleep;
use tracing::{info, warn};

/// A server that does not answer in this time is asked again.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Between two looks whether the connection is there again.
const LOOK: Duration = Duration::from_millis(50);

/// The least time for which the stream remembers ids: longer than a publisher takes to go on after a restart.
pub const LEAST_WINDOW: Duration = Duration::from_secs(120);

/// Why NATS did not do what it was asked.
#[derive(Debug, Error)]
pub enum NatsError {
    /// The address is none.
    #[error("the address of NATS cannot be read: {0}; it looks like nats://host:4222")]
    Address(io::Error),
    /// It cannot be reached, or cannot go on just now. Try again.
    #[error("NATS does not {what}: {why}; check that it runs with JetStream and lets this user in")]
    Unreachable {
        /// What was asked.
        what: &'static str,
        /// What it said.
        why: String,
    },
    /// The stream is somebody else's.
    #[error(
        "the stream {stream} is for the subjects {subjects:?} and not for {wanted:?}; choose another with --stream"
    )]
    OtherStream {
        /// The stream.
        stream: String,
        /// What it is for.
        subjects: Vec<String>,
        /// What it should be for.
        wanted: String,
    },
    /// The stream forgets ids too soon.
    #[error(
        "the stream {stream} remembers message ids for {seconds} s only, so that a restart could repeat some; set its \
         duplicate window to at least 120 s"
    )]
    ShortWindow {
        /// The stream.
        stream: String,
        /// Its window.
        seconds: u64,
    },
}

impl NatsError {
    /// Whether waiting mends it.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    pub(crate) fn unreachable(what: &'static str) -> impl FnOnce(&dyn std::error::Error) -> Self {
        move |error| Self::Unreachable { what, why: with_causes(error) }
    }
}

/// An error with what caused it, which some libraries leave to the reader.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// Connects to the NATS at `url`, which may hold user and password or a token, and again whenever it goes away. Does not
/// wait for it.
///
/// # Errors
/// [`NatsError::Address`].
pub async fn connect(url: &str) -> Result<Client, NatsError> {
    let options = ConnectOptions::new()
        .name("rebate-fanout")
        .retry_on_initial_connect()
        .max_reconnects(None)
        .connection_timeout(ANSWERS_WITHIN)
        .request_timeout(Some(ANSWERS_WITHIN))
        .event_callback(|event| async move {
            match event {
                Event::Connected => info!("connected to NATS"),
                Event::Disconnected => warn!("the connection to NATS is gone; connecting again"),
                event => info!("NATS: {event}"),
            }
        });
    // The URL may hold a password: what cannot be read is not shown.
    options.connect(url).await.map_err(|error| NatsError::Address(io::Error::other(error.kind().to_string())))
}

/// Where a stream's messages are kept, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSettings {
    /// Its name.
    pub name: String,
    /// How long a message stays; zero for always.
    pub max_age: Duration,
    /// How many bytes it may take; the oldest messages go first. -1 for any number.
    pub max_bytes: i64,
    /// For how long it remembers ids; [`LEAST_WINDOW`] or longer.
    pub duplicate_window: Duration,
    /// On how many servers of a cluster it is kept.
    pub replicas: usize,
}

impl StreamSettings {
    /// A stream on one server that keeps everything for a week.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            max_age: Duration::from_secs(7 * 86_400),
            max_bytes: -1,
            duplicate_window: LEAST_WINDOW,
            replicas: 1,
        }
    }
}

/// What to ask JetStream with.
pub(crate) fn context(client: &Client) -> Context {
    jetstream::ContextBuilder::new().timeout(ANSWERS_WITHIN).ack_timeout(ANSWERS_WITHIN).build(client.clone())
}

/// Waits for the connection; what is sent without one would only pile up.
pub(crate) async fn connected(client: &Client) -> Result<(), NatsError> {
    let mut waited = Duration::ZERO;
    while client.connection_state() != State::Connected {
        if waited >= ANSWERS_WITHIN {
            let why = format!("no connection within {} s", ANSWERS_WITHIN.as_secs());
            return Err(NatsError::Unreachable { what: "answer", why });
        }
        sleep(LOOK).await;
        waited = waited.saturating_add(LOOK);
    }
    Ok(())
}

/// The stream, made where there is none. One that is there stays as it is.
///
/// # Errors
/// [`NatsError`].
pub(crate) async fn stream(
    context: &Context,
    settings: &StreamSettings,
    subjects: &Subjects,
) -> Result<Stream, NatsError> {
    let wanted = subjects.all();
    let stream = match context.get_stream(&settings.name).await {
        Ok(stream) => stream,
        Err(error) if is_missing(&error) => {
            let config = Config {
                name: settings.name.clone(),
                description: Some("Events of the rebate program, as its indexer wrote them".to_owned()),
                subjects: vec![wanted.clone()],
                storage: StorageType::File,
                retention: RetentionPolicy::Limits,
                discard: DiscardPolicy::Old,
                max_age: settings.max_age,
                max_bytes: settings.max_bytes,
                max_messages: -1,
                max_messages_per_subject: -1,
                max_consumers: -1,
                duplicate_window: settings.duplicate_window,
                num_replicas: settings.replicas,
                ..Config::default()
            };
            info!("making the stream {} for {wanted}", settings.name);
            context.create_stream(config).await.map_err(|error| match error.kind() {
                CreateStreamErrorKind::JetStream(refused) => {
                    NatsError::Unreachable { what: "make the stream", why: refused.to_string() }
                }
                _ => NatsError::unreachable("make the stream")(&error),
            })?
        }
        Err(error) => return Err(NatsError::unreachable("show the stream")(&error)),
    };
    let config = &stream.cached_info().config;
    if !config.subjects.contains(&wanted) {
        return Err(NatsError::OtherStream { stream: config.name.clone(), subjects: config.subjects.clone(), wanted });
    }
    if config.duplicate_window < LEAST_WINDOW {
        return Err(NatsError::ShortWindow { stream: config.name.clone(), seconds: config.duplicate_window.as_secs() });
    }
    Ok(stream)
}

fn is_missing(error: &jetstream::context::GetStreamError) -> bool {
    matches!(
        error.kind(),
        GetStreamErrorKind::JetStream(refused) if refused.error_code() == jetstream::ErrorCode::STREAM_NOT_FOUND
    )
}

/// What positions in the stream are kept under.
pub(crate) fn key(stream: &Stream) -> StreamKey {
    let info = stream.cached_info();
    let created: OffsetDateTime = info.created;
    // A database knows no nanoseconds.
    let whole = created.nanosecond().saturating_sub(created.nanosecond() % 1_000);
    StreamKey { name: info.config.name.clone(), created: created.replace_nanosecond(whole).unwrap_or(created) }
}
