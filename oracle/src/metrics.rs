//! What the oracle tells about itself, all under `rebate_oracle_`.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::Collector,
};

/// Seconds: a commit takes some milliseconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.035, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// What the intake counts.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Notices by provider and what became of them: `recorded`, `known`, `nothing`, `conflict`, `forged`, `stale`, `malformed`,
    /// `unusable`, `too_large` or `unavailable`.
    pub notices: IntCounterVec,
    /// How long answering one took, by provider.
    pub seconds: HistogramVec,
    /// The same order or notice with other content. Each is for somebody to look at: alert on any increase.
    pub conflicts: IntCounter,
    /// How many were stored in one transaction.
    pub batch: Histogram,
    /// Notices that wait to be stored.
    pub waiting: IntGauge,
    /// Records by state, as the database has them: `queued`, `sent` and `dead`.
    pub records: IntGaugeVec,
    /// How long ago the oldest record came that is neither recorded nor refused nor dead, in seconds. Alert on over 60.
    pub oldest: IntGauge,
    /// Attempts to deliver a webhook, by what came of them: `delivered`, `again` or `failed` for good.
    pub deliveries: IntCounterVec,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// If they are registered there already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            notices: IntCounterVec::new(
                Opts::new("rebate_oracle_notices_total", "Notices by provider and what became of them"),
                &["provider", "result"],
            )?,
            seconds: HistogramVec::new(
                HistogramOpts::new("rebate_oracle_notice_seconds", "How long answering a notice took")
                    .buckets(SECONDS.to_vec()),
                &["provider"],
            )?,
            conflicts: IntCounter::new(
                "rebate_oracle_conflicts_total",
                "Notices that contradict what is on record; nothing was signed, somebody must look",
            )?,
            batch: Histogram::with_opts(
                HistogramOpts::new("rebate_oracle_batch_notices", "Notices stored in one transaction")
                    .buckets(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]),
            )?,
            waiting: IntGauge::new("rebate_oracle_waiting_notices", "Notices that wait to be stored")?,
            records: IntGaugeVec::new(
                Opts::new("rebate_oracle_records", "Records that are not done, by state"),
                &["state"],
            )?,
            oldest: IntGauge::new(
                "rebate_oracle_oldest_unrecorded_seconds",
                "Age of the oldest record that is stored and not on chain",
            )?,
            deliveries: IntCounterVec::new(
                Opts::new("rebate_oracle_deliveries_total", "Attempts to deliver a webhook, by what came of them"),
                &["result"],
            )?,
        };
        let all: [Box<dyn Collector>; 8] = [
            Box::new(metrics.notices.clone()),
            Box::new(metrics.seconds.clone()),
            Box::new(metrics.conflicts.clone()),
            Box::new(metrics.batch.clone()),
            Box::new(metrics.waiting.clone()),
            Box::new(metrics.records.clone()),
            Box::new(metrics.oldest.clone()),
            Box::new(metrics.deliveries.clone()),
        ];
        for metric in all {
            registry.register(metric)?;
        }
        Ok(metrics)
    }
}
