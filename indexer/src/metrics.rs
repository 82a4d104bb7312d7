//! What the indexer tells about itself.

use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, core::Collector,
};
use std::time::{SystemTime, UNIX_EPOCH};

/// Label of `retries`: the source did not answer.
pub(crate) const SOURCE: &str = "source";

/// Label of `retries`: the database did not answer.
pub(crate) const DATABASE: &str = "database";

/// The indexer's metrics, all registered under `rebate_indexer_`.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// The slot of the last block the source could yield.
    pub tip_slot: IntGauge,
    /// The slot of the last block written.
    pub cursor_slot: IntGauge,
    /// The slot of the last block written that is known to be final.
    pub final_slot: IntGauge,
    /// How many stretches were written that are not known to be final.
    pub provisional: IntGauge,
    /// How often blocks that were written before they were final were taken back since the start.
    pub reverts: IntCounter,
    /// 1 while it writes, 0 while it stands by because another one does.
    pub writing: IntGauge,
    /// Blocks written since the start.
    pub blocks: IntCounter,
    /// Events written since the start.
    pub events: IntCounter,
    /// Questions asked again since the start, by who did not answer: `source` or `database`.
    pub retries: IntCounterVec,
    /// How long a transaction took from BEGIN to COMMIT, in seconds.
    pub write_seconds: Histogram,
    /// 1 while the tables are what the chain has, as far as they were compared; 0 once they are not.
    pub agrees: IntGauge,
    /// Comparisons of a platform's tables with the chain since the start, by what they came to: `agrees`, `behind`,
    /// `checking`, `differs` or `failed`.
    pub comparisons: IntCounterVec,
    /// How old the last block written was when it was last looked at, in seconds; by its producer's clock.
    pub lag_seconds: Gauge,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// If they are registered there already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            tip_slot: IntGauge::new("rebate_indexer_tip_slot", "Slot of the last block the source could yield")?,
            cursor_slot: IntGauge::new("rebate_indexer_cursor_slot", "Slot of the last block written")?,
            final_slot: IntGauge::new("rebate_indexer_final_slot", "Slot of the last block written that is final")?,
            provisional: IntGauge::new("rebate_indexer_provisional", "Stretches of blocks written that are not final")?,
            reverts: IntCounter::new("rebate_indexer_reverts_total", "How often blocks written were taken back")?,
            writing: IntGauge::new("rebate_indexer_writing", "1 while it writes, 0 while it stands by")?,
            blocks: IntCounter::new("rebate_indexer_blocks_total", "Blocks written")?,
            events: IntCounter::new("rebate_indexer_events_total", "Events written")?,
            retries: IntCounterVec::new(
                Opts::new("rebate_indexer_retries_total", "Questions asked again, by who did not answer"),
                &["of"],
            )?,
            write_seconds: Histogram::with_opts(
                HistogramOpts::new("rebate_indexer_write_seconds", "Duration of a transaction that writes blocks")
                    .buckets(vec![0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0]),
            )?,
            agrees: IntGauge::new("rebate_indexer_integrity_agrees", "1 while the tables are what the chain has")?,
            comparisons: IntCounterVec::new(
                Opts::new("rebate_indexer_comparisons_total", "Comparisons of tables with the chain, by their result"),
                &["result"],
            )?,
            lag_seconds: Gauge::new("rebate_indexer_lag_seconds", "Age of the last block written")?,
        };
        let all: [Box<dyn Collector>; 13] = [
            Box::new(metrics.tip_slot.clone()),
            Box::new(metrics.cursor_slot.clone()),
            Box::new(metrics.final_slot.clone()),
            Box::new(metrics.provisional.clone()),
            Box::new(metrics.reverts.clone()),
            Box::new(metrics.writing.clone()),
            Box::new(metrics.blocks.clone()),
            Box::new(metrics.events.clone()),
            Box::new(metrics.retries.clone()),
            Box::new(metrics.write_seconds.clone()),
            Box::new(metrics.lag_seconds.clone()),
            Box::new(metrics.agrees.clone()),
            Box::new(metrics.comparisons.clone()),
        ];
        for metric in all {
            registry.register(metric)?;
        }
        Ok(metrics)
    }

    /// Notes that the last block written was produced at `time`, Unix seconds.
    pub(crate) fn note_age(&self, time: Option<i64>) {
        let Some(time) = time else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        // Seconds fit a double exactly for the next 285 million years.
        self.lag_seconds.set((now - time as f64).max(0.0));
    }
}
