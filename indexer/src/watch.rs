//! Watching: what is written is compared with the chain all the while, and a mismatch ends the writing.

use crate::metrics::Metrics;
use rebate_client::{Pubkey, chain::ReadAccounts};
use rebate_integrity::{
    Asked, Comparer, IntegrityError, Report, Status,
    verdict::{self, Mismatch},
};
use sqlx::PgPool;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};
use tracing::{error, warn};

/// How many platforms are compared in a row.
const AT_ONCE: u16 = 8;

/// A mismatch counts once it was found so many times in a row: one node of several behind an address may show an account
/// that another has not seen yet.
const LOOKS: u32 = 3;

/// The pause between them.
const PAUSE: Duration = Duration::from_millis(500);

/// Which part of the time between two comparisons may go into hashing events.
const SHARE: u32 = 10;

/// The least and the most of it.
const HASHING: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// Compares tables with accounts.
pub(crate) struct Watch {
    comparer: Comparer,
    chain: Arc<dyn ReadAccounts>,
    every: Duration,
}

impl Watch {
    /// Compares with the accounts of `chain`.
    pub fn new(chain: Arc<dyn ReadAccounts>, every: Duration) -> Self {
        Self { comparer: Comparer::default(), chain, every }
    }

    /// Compares until something differs, and keeps each verdict. What keeps it from comparing only delays it.
    pub async fn until_mismatch(&self, pool: &PgPool, metrics: &Metrics) -> Box<Mismatch> {
        loop {
            match self.round(pool, metrics).await {
                Ok(Some(mismatch)) => {
                    error!("the tables are not what the chain has: {mismatch}");
                    return Box::new(mismatch);
                }
                Ok(None) => {}
                Err(why) => {
                    metrics.comparisons.with_label_values(&["failed"]).inc();
                    warn!("the tables cannot be compared with the chain just now: {why}");
                }
            }
            sleep(self.every).await;
        }
    }

    async fn round(&self, pool: &PgPool, metrics: &Metrics) -> Result<Option<Mismatch>, IntegrityError> {
        for platform in verdict::due(pool, AT_ONCE).await? {
            let mut looks = 1;
            let mut read = None;
            let report = loop {
                let report = self.compare(pool, platform).await?;
                metrics.comparisons.with_label_values(&[result(report.status)]).inc();
                // What is not final may differ because the chain took it back, and is taken back here then. It counts once
                // all is final that was read at the first look.
                let is_final = report.stored.final_slot >= *read.get_or_insert(Some(report.stored.slot));
                if report.status != Status::Differs || looks >= LOOKS && is_final {
                    break report;
                }
                looks = looks.saturating_add(1);
                sleep(PAUSE).await;
            };
            if report.status == Status::Agrees {
                metrics.agrees.set(1);
            }
            if let Some(mismatch) = verdict::keep(pool, &report).await? {
                metrics.agrees.set(0);
                return Ok(Some(mismatch));
            }
        }
        Ok(None)
    }

    /// Whether a platform whose tables differed agrees now. Where that cannot be told, it does not.
    pub async fn is_mended(&self, pool: &PgPool, platform: &Pubkey) -> bool {
        let Ok(report) = self.compare(pool, *platform).await else { return false };
        // Events that are behind the chain's cannot be held against its accounts.
        report.status == Status::Agrees && report.accounts.compared && verdict::keep(pool, &report).await.is_ok()
    }

    async fn compare(&self, pool: &PgPool, platform: Pubkey) -> Result<Report, IntegrityError> {
        let hashing = (self.every / SHARE).clamp(HASHING.0, HASHING.1);
        let asked = Asked { platform, user: None, deadline: Instant::now() + hashing };
        self.comparer.compare(pool, &*self.chain, &asked).await
    }
}

/// What the metric calls it.
fn result(status: Status) -> &'static str {
    match status {
        Status::Agrees => "agrees",
        Status::Behind => "behind",
        Status::Checking => "checking",
        Status::Differs => "differs",
    }
}
