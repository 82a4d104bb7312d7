//! From the stream into the table of what is to be sent.

use crate::{
    FanoutError,
    events::{EventId, genesis_hash},
    message::Subjects,
    metrics::{DATABASE, NATS, WebhookMetrics},
    nats::{self, NatsError},
    pauses::Outage,
};
use async_nats::{
    Client,
    jetstream::{
        AckKind, Context, Message,
        consumer::{AckPolicy, DeliverPolicy, pull},
    },
};
use futures_util::StreamExt;
use serde_json::Value;
use sqlx::PgPool;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::error;

/// The consumer's name.
const DURABLE: &str = "webhooks";

/// At most so many messages become rows in one transaction.
const AT_ONCE: usize = 256;

/// Between two looks at a database that has no chain yet.
const LOOK: Duration = Duration::from_secs(1);

/// Puts what the stream brings into the table of what is to be sent.
pub(super) struct Queue {
    pub pool: PgPool,
    pub client: Client,
    pub stream: String,
    pub metrics: WebhookMetrics,
    /// Woken for whoever sends.
    pub filled: Arc<Notify>,
}

/// An event that the stream brought.
struct Brought {
    id: EventId,
    kind: String,
    slot: i64,
}

impl Queue {
    /// Goes on until `token` is cancelled. A NATS or a database that goes away meanwhile is waited for.
    ///
    /// # Errors
    /// [`FanoutError`] for what waiting does not mend.
    pub async fn run(&self, token: &CancellationToken) -> Result<(), FanoutError> {
        let mut outage = Outage::new();
        let context = nats::context(&self.client);
        while !token.is_cancelled() {
            let Some(followed) = token.run_until_cancelled(self.follow(&context, &mut outage)).await else { break };
            let Err(failed) = followed else { continue };
            if !failed.is_temporary() {
                return Err(failed);
            }
            let of = if matches!(failed, FanoutError::Database(_)) { DATABASE } else { NATS };
            self.metrics.retries.with_label_values(&[of]).inc();
            token.run_until_cancelled(outage.pause(&failed)).await;
        }
        Ok(())
    }

    /// Follows the stream until something fails. What is not acknowledged comes again.
    async fn follow(&self, context: &Context, outage: &mut Outage) -> Result<(), FanoutError> {
        let Some(genesis_hash) = genesis_hash(&self.pool).await? else {
            sleep(LOOK).await;
            return Ok(());
        };
        nats::connected(&self.client).await?;
        let failed = |error: &dyn std::error::Error| NatsError::unreachable("show the stream's messages")(error);
        let stream = context.get_stream(&self.stream).await.map_err(|error| failed(&error))?;
        let config = pull::Config {
            durable_name: Some(DURABLE.to_owned()),
            description: Some("Sends webhooks".to_owned()),
            filter_subject: Subjects::of(genesis_hash).events(),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ..pull::Config::default()
        };
        let consumer = stream.get_or_create_consumer(DURABLE, config).await.map_err(|error| failed(&error))?;
        let messages = consumer.stream().max_messages_per_batch(AT_ONCE).messages().await;
        let mut messages = messages.map_err(|error| failed(&error))?.ready_chunks(AT_ONCE);
        while let Some(chunk) = messages.next().await {
            let (mut brought, mut handled) = (Vec::new(), Vec::new());
            for message in chunk {
                let message = message.map_err(|error| failed(&error))?;
                match read(&message) {
                    Some(event) => {
                        brought.push(event);
                        handled.push(message);
                    }
                    None => {
                        error!("a message in {} is no event of this version; it is passed over", message.subject);
                        let _ = message.ack_with(AckKind::Term).await;
                    }
                }
            }
            self.enqueue(&brought).await?;
            outage.over();
            for message in handled {
                // If that does not arrive, the message comes again, and its rows are there.
                let _ = message.ack().await;
            }
        }
        Ok(())
    }

    /// One row for each event and each endpoint that wants it.
    async fn enqueue(&self, brought: &[Brought]) -> Result<(), FanoutError> {
        if brought.is_empty() {
            return Ok(());
        }
        let mut transaction = self.pool.begin().await?;
        // Whoever adds an endpoint does so before this or after: its since_slot is then at least this event's, or it gets a
        // row of it.
        sqlx::query!("LOCK TABLE webhook_endpoints IN SHARE MODE").execute(&mut *transaction).await?;
        let added = sqlx::query!(
            "INSERT INTO webhook_deliveries (endpoint, platform, journal_index, slot)
             SELECT endpoint.id, event.platform, event.journal_index, event.slot
             FROM UNNEST($1::bytea[], $2::bigint[], $3::text[], $4::bigint[])
                  AS event (platform, journal_index, kind, slot)
             JOIN webhook_endpoints AS endpoint
                 ON event.slot > endpoint.since_slot AND (endpoint.kinds IS NULL OR event.kind = ANY (endpoint.kinds))
             ORDER BY endpoint.id, event.platform, event.journal_index
             ON CONFLICT DO NOTHING",
            &brought.iter().map(|event| event.id.platform.to_bytes()).collect::<Vec<_>>() as &[[u8; 32]],
            &brought.iter().map(|event| event.id.journal_index).collect::<Vec<_>>(),
            &brought.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>() as &[&str],
            &brought.iter().map(|event| event.slot).collect::<Vec<_>>(),
        )
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        transaction.commit().await?;
        self.metrics.enqueued.inc_by(added);
        if added > 0 {
            self.filled.notify_waiters();
        }
        Ok(())
    }
}

fn read(message: &Message) -> Option<Brought> {
    let body: Value = serde_json::from_slice(&message.payload).ok()?;
    Some(Brought {
        id: body.get("id")?.as_str()?.parse().ok()?,
        kind: body.get("kind")?.as_str()?.to_owned(),
        slot: body.get("slot")?.as_i64()?,
    })
}
