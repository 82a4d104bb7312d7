//! What the fan-out tells about itself.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry, core::Collector};

/// Label of `retries`: NATS did not answer or refused.
pub(crate) const NATS: &str = "nats";

/// Label of `retries`: the database did not answer.
pub(crate) const DATABASE: &str = "database";

/// The publisher's metrics, all registered under `rebate_fanout_`.
#[derive(Clone, Debug)]
pub struct PublishMetrics {
    /// Messages acknowledged since the start, by what: `event` or `block`.
    pub published: IntCounterVec,
    /// Messages that the stream had already.
    pub duplicates: IntCounter,
    /// The last slot acknowledged.
    pub slot: IntGauge,
    /// By how many slots it is behind what may be published; 0 where nothing is missing.
    pub lag_slots: IntGauge,
    /// Tries that failed, by whose fault: `nats` or `database`.
    pub retries: IntCounterVec,
}

impl PublishMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// If they are registered there already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            published: IntCounterVec::new(
                Opts::new("rebate_fanout_published_total", "Messages acknowledged by the stream"),
                &["what"],
            )?,
            duplicates: IntCounter::new("rebate_fanout_duplicates_total", "Messages that the stream had already")?,
            slot: IntGauge::new("rebate_fanout_slot", "Last slot acknowledged by the stream")?,
            lag_slots: IntGauge::new("rebate_fanout_lag_slots", "Slots that the stream is behind the final ones")?,
            retries: IntCounterVec::new(
                Opts::new("rebate_fanout_retries_total", "Tries that failed, by whose fault"),
                &["of"],
            )?,
        };
        let all: [Box<dyn Collector>; 5] = [
            Box::new(metrics.published.clone()),
            Box::new(metrics.duplicates.clone()),
            Box::new(metrics.slot.clone()),
            Box::new(metrics.lag_slots.clone()),
            Box::new(metrics.retries.clone()),
        ];
        for metric in all {
            registry.register(metric)?;
        }
        Ok(metrics)
    }
}

/// The webhook sender's metrics, all registered under `rebate_webhook_`.
#[derive(Clone, Debug)]
pub struct WebhookMetrics {
    /// Events noted for an endpoint since the start.
    pub enqueued: IntCounter,
    /// Attempts since the start, by what came of them: `delivered`, `again` or `failed` for good.
    pub deliveries: IntCounterVec,
    /// Tries that failed, by whose fault: `nats` or `database`.
    pub retries: IntCounterVec,
}

impl WebhookMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// If they are registered there already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            enqueued: IntCounter::new("rebate_webhook_enqueued_total", "Events noted for an endpoint")?,
            deliveries: IntCounterVec::new(
                Opts::new("rebate_webhook_deliveries_total", "Attempts to deliver, by what came of them"),
                &["result"],
            )?,
            retries: IntCounterVec::new(
                Opts::new("rebate_webhook_retries_total", "Tries that failed, by whose fault"),
                &["of"],
            )?,
        };
        let all: [Box<dyn Collector>; 3] = [
            Box::new(metrics.enqueued.clone()),
            Box::new(metrics.deliveries.clone()),
            Box::new(metrics.retries.clone()),
        ];
        for metric in all {
            registry.register(metric)?;
        }
        Ok(metrics)
    }
}
