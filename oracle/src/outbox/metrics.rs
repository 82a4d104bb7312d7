//! What an operator sees of the outbox.

use prometheus::{IntCounter, IntGauge, Opts, Registry};

/// The outbox's metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Records that wait.
    pub queued: IntGauge,
    /// Records whose transaction may land.
    pub sent: IntGauge,
    /// Records that need an operator.
    pub dead: IntGauge,
    /// Records that came over a minute ago and are not through: an alert where it is not 0.
    pub overdue: IntGauge,
    /// 1 while nothing is sent: the node is away, the payer has no funds, the platform is paused or the signer does not sign.
    pub held: IntGauge,
    /// 1 while the program does not take the oracle's key: records wait for another one, or for it to be registered; an alert.
    pub key_refused: IntGauge,
    /// 1 while transactions name accounts by the platform's lookup table, so that more records fit into one.
    pub lookup_table: IntGauge,
    /// What the payer has, in lamports.
    pub payer_lamports: IntGauge,
    /// Transactions sent for the first time.
    pub transactions: IntCounter,
    /// Transactions sent again.
    pub resent: IntCounter,
    /// Transactions that did not land before their blockhash expired.
    pub expired: IntCounter,
    /// Records that reached the chain.
    pub recorded: IntCounter,
    /// Records that the program refused.
    pub refused: IntCounter,
    /// Records given up for an operator.
    pub died: IntCounter,
}

impl Metrics {
    /// Registered with `registry`.
    ///
    /// # Errors
    /// If there are metrics of the same name.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::with_opts(Opts::new(format!("rebate_oracle_{name}"), help))?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::with_opts(Opts::new(format!("rebate_oracle_{name}_total"), help))?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        Ok(Self {
            queued: gauge("outbox_queued", "Records that wait for the chain")?,
            sent: gauge("outbox_sent", "Records whose transaction may land")?,
            dead: gauge("outbox_dead", "Records that need an operator")?,
            overdue: gauge("outbox_overdue", "Records stored over a minute ago and not through; alert above 0")?,
            held: gauge("outbox_held", "1 while nothing can be sent; the log says why")?,
            key_refused: gauge(
                "outbox_key_refused",
                "1 while the program does not take the oracle's key; register it or set another; alert above 0",
            )?,
            lookup_table: gauge("outbox_lookup_table", "1 while transactions name accounts by a lookup table")?,
            payer_lamports: gauge("payer_lamports", "What the payer of fees has")?,
            transactions: counter("transactions", "Transactions sent for the first time")?,
            resent: counter("transactions_resent", "Transactions sent again")?,
            expired: counter("transactions_expired", "Transactions whose blockhash expired before they landed")?,
            recorded: counter("records_recorded", "Records that reached the chain")?,
            refused: counter("records_refused", "Records that the program refused")?,
            died: counter("records_dead", "Records given up for an operator")?,
        })
    }
}
