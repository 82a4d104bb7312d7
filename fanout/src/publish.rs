//! Publishing what the indexer wrote, once each, until told to stop.
//!
//! A batch is whole slots. Its events are published first, many at a time; once all are acknowledged, a message for each of
//! its blocks; then the position moves. After any failure the batch is begun anew: what the stream has of it is known from
//! the stream's end, and what got there meanwhile is dropped by its id.

use crate::{
    FanoutError,
    events::{Publishable, publishable_slot},
    message::{Message, Subjects},
    metrics::{DATABASE, NATS, PublishMetrics},
    nats::{self, NatsError, StreamSettings},
    pauses::Outage,
    positions::{self, Batch, StreamKey},
    tail::{COMPLETE_THROUGH, Tail},
    wake::Wake,
};
use async_nats::{
    Client,
    jetstream::{Context, context::PublishAckFuture, message::PublishMessage},
};
use prometheus::Registry;
use sqlx::PgPool;
use std::{collections::VecDeque, time::Duration};
use tokio::{pin, select, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How long what was begun may take once it is to stop.
const LAST: Duration = Duration::from_secs(5);

/// How the publisher goes about its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishOptions {
    /// The stream.
    pub stream: StreamSettings,
    /// How many events of a platform are read at once, at least 1.
    pub batch: i64,
    /// How many messages may wait for their acknowledgement, at least 1.
    pub in_flight: usize,
    /// How often to look for something new where the database says nothing.
    pub poll: Duration,
}

impl PublishOptions {
    /// What suits most, for a stream of that name.
    pub fn new(stream: &str) -> Self {
        Self { stream: StreamSettings::new(stream), batch: 1_000, in_flight: 256, poll: Duration::from_secs(1) }
    }
}

/// Publishes what the indexer wrote.
#[derive(Debug)]
pub struct Publisher {
    pool: PgPool,
    client: Client,
    context: Context,
    options: PublishOptions,
    metrics: PublishMetrics,
}

/// The stream, and what it has.
struct Open {
    subjects: Subjects,
    key: StreamKey,
    tail: Tail,
}

impl Publisher {
    /// Reads from `pool` and publishes through `client`. Its metrics go to `registry`.
    ///
    /// # Errors
    /// [`FanoutError::Metrics`] if another one's metrics are in that registry.
    pub fn new(
        pool: PgPool,
        client: Client,
        options: PublishOptions,
        registry: &Registry,
    ) -> Result<Self, FanoutError> {
        let context = nats::context(&client);
        Ok(Self { pool, client, context, options, metrics: PublishMetrics::register(registry)? })
    }

    /// What it tells about itself.
    pub fn metrics(&self) -> &PublishMetrics {
        &self.metrics
    }

    /// Publishes until `token` is cancelled. A NATS or a database that goes away meanwhile is waited for.
    ///
    /// # Errors
    /// [`FanoutError`] for what waiting does not mend.
    pub async fn run(&self, token: CancellationToken) -> Result<(), FanoutError> {
        let mut wake = Wake::new(self.pool.clone(), self.options.poll);
        let mut outage = Outage::new();
        let mut open = None;
        let out_of_time = async {
            token.cancelled().await;
            sleep(LAST).await;
        };
        pin!(out_of_time);
        while !token.is_cancelled() {
            // A batch under way is finished if that goes fast. If not, the next publisher begins it anew.
            let round = select! {
                round = self.round(&mut open) => round,
                () = &mut out_of_time => return Ok(()),
            };
            match round {
                Ok(true) => outage.over(),
                Ok(false) => {
                    outage.over();
                    token.run_until_cancelled(wake.wait()).await;
                }
                Err(error) if error.is_temporary() => {
                    let of = if matches!(error, FanoutError::Database(_)) { DATABASE } else { NATS };
                    self.metrics.retries.with_label_values(&[of]).inc();
                    // What the stream has of the batch is not known any more.
                    open = None;
                    token.run_until_cancelled(outage.pause(&error)).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Publishes one batch. Says whether there may be more.
    async fn round(&self, open: &mut Option<Open>) -> Result<bool, FanoutError> {
        let Some(publishable) = publishable_slot(&self.pool).await? else { return Ok(false) };
        let open = match open {
            Some(open) => open,
            None => open.insert(self.open(publishable).await?),
        };
        let batch = positions::lacking(&self.pool, &open.key, publishable.slot, self.options.batch).await?;
        let Some(last) = batch.last_slot() else {
            self.metrics.lag_slots.set(0);
            return Ok(false);
        };
        nats::connected(&self.client).await?;
        self.publish(open, &batch, last).await?;
        positions::advance(&self.pool, &open.key, &batch).await?;
        self.metrics.slot.set(last);
        self.metrics.lag_slots.set(publishable.slot.saturating_sub(last));
        Ok(true)
    }

    async fn open(&self, publishable: Publishable) -> Result<Open, FanoutError> {
        let subjects = Subjects::of(publishable.genesis_hash);
        nats::connected(&self.client).await?;
        let stream = nats::stream(&self.context, &self.options.stream, &subjects).await?;
        let tail = Tail::read(&stream).await?;
        let key = nats::key(&stream);
        if let Some(through) = tail.through() {
            let lost = positions::rewind(&self.pool, &key, through).await?;
            if lost > 0 {
                warn!("the stream {} lost {lost} events after slot {through}; publishing them again", key.name);
            }
        }
        info!("publishing to the stream {}, under {}", key.name, subjects.all());
        Ok(Open { subjects, key, tail })
    }

    async fn publish(&self, open: &Open, batch: &Batch, last: i64) -> Result<(), FanoutError> {
        let events = batch
            .events
            .iter()
            .filter(|event| !open.tail.is_past(event.slot))
            .map(|event| Message::of_event(&open.subjects, event))
            .collect::<Result<Vec<_>, _>>()?;
        self.publish_all(open, "event", events, None).await?;
        let blocks = batch
            .slots()
            .into_iter()
            .filter(|(slot, _)| !open.tail.is_past(*slot))
            .map(|(slot, events)| Message::of_block(&open.subjects, slot, events));
        let mut blocks: Vec<Message> = blocks.collect();
        let end = blocks.pop();
        self.publish_all(open, "block", blocks, None).await?;
        // Alone, and after all others: it says that they are there.
        self.publish_all(open, "block", end.into_iter().collect(), Some(last)).await
    }

    /// Publishes what the stream lacks of `messages`, in order, and waits until it has all of them.
    async fn publish_all(
        &self,
        open: &Open,
        what: &str,
        messages: Vec<Message>,
        complete_through: Option<i64>,
    ) -> Result<(), FanoutError> {
        let failed = |error: &dyn std::error::Error| NatsError::unreachable("take a message")(error);
        let mut waiting: VecDeque<PublishAckFuture> = VecDeque::new();
        for message in messages.into_iter().filter(|message| !open.tail.has(&message.id)) {
            while waiting.len() >= self.options.in_flight.max(1) {
                self.acknowledged(what, waiting.pop_front()).await?;
            }
            let mut publish = PublishMessage::build().payload(message.body.into()).message_id(&message.id);
            publish = publish.expected_stream(&open.key.name);
            if let Some(slot) = complete_through {
                publish = publish.header(COMPLETE_THROUGH, slot.to_string().as_str());
            }
            let sent = self.context.send_publish(message.subject, publish).await;
            waiting.push_back(sent.map_err(|error| failed(&error))?);
        }
        while !waiting.is_empty() {
            self.acknowledged(what, waiting.pop_front()).await?;
        }
        Ok(())
    }

    async fn acknowledged(&self, what: &str, sent: Option<PublishAckFuture>) -> Result<(), FanoutError> {
        let Some(sent) = sent else { return Ok(()) };
        let acknowledged = sent.await.map_err(|error| NatsError::unreachable("acknowledge a message")(&error))?;
        if acknowledged.duplicate {
            self.metrics.duplicates.inc();
        }
        self.metrics.published.with_label_values(&[what]).inc();
        Ok(())
    }
}
