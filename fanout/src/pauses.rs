//! Trying again, later each time.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::{fmt::Display, time::Duration};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

/// The first pause; each is twice the one before.
const SHORTEST: Duration = Duration::from_millis(50);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(5);

/// A shorter outage is not worth a line.
const WORTH_A_LINE: Duration = Duration::from_secs(2);

/// An outage that lasts.
pub(crate) struct Outage {
    begun: Option<Instant>,
    told: bool,
    pauses: ExponentialBackoff,
}

impl Outage {
    /// None yet.
    pub fn new() -> Self {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(SHORTEST)
            .with_max_delay(LONGEST)
            .with_jitter()
            .without_max_times()
            .with_total_delay(None);
        Self { begun: None, told: false, pauses: pauses.build() }
    }

    /// Waits before the next try, longer each time. Says so once.
    pub async fn pause(&mut self, error: &impl Display) {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        if !self.told && begun.elapsed() >= WORTH_A_LINE {
            self.told = true;
            warn!("{error}; trying again until it works");
        }
        sleep(self.pauses.next().unwrap_or(LONGEST)).await;
    }

    /// It works.
    pub fn over(&mut self) {
        if let (true, Some(begun)) = (self.told, self.begun) {
            info!(seconds = begun.elapsed().as_secs(), "it works again");
        }
        if self.begun.is_some() {
            *self = Self::new();
        }
    }
}
