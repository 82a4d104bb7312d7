//! Asking again until there is an answer.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder, Retryable};
use std::{fmt::Display, future::Future, time::Duration};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

/// The first pause; each is twice the one before.
const SHORTEST: Duration = Duration::from_millis(50);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(10);

/// A shorter outage is not worth a line: a node is often a moment behind its own list of blocks.
const WORTH_A_LINE: Duration = Duration::from_secs(2);

fn back_off() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(SHORTEST)
        .with_max_delay(LONGEST)
        .with_jitter()
        .without_max_times()
        .with_total_delay(None)
}

/// Calls until it succeeds, fails for good, or `patience` is over. One outage gets one line in the log, and one when it
/// is over. `failed` hears of every failure.
pub async fn until_it_answers<T, E, F>(
    patience: Option<Duration>,
    is_temporary: impl Fn(&E) -> bool,
    mut failed: impl FnMut(),
    call: impl FnMut() -> F,
) -> Result<T, E>
where
    E: Display,
    F: Future<Output = Result<T, E>>,
{
    let begun = Instant::now();
    let mut told = false;
    let answer = call
        .retry(back_off().with_total_delay(patience))
        .when(|error| is_temporary(error))
        .notify(|error, _| {
            failed();
            // Where patience ends, the error itself is that line.
            if !told && patience.is_none() && begun.elapsed() >= WORTH_A_LINE {
                told = true;
                warn!("{error}; trying again until it works");
            }
        })
        .await;
    if told && answer.is_ok() {
        info!(seconds = begun.elapsed().as_secs(), "it works again");
    }
    answer
}

/// Failures of something that begins again from a mark each time it is tried.
pub struct Outage<M> {
    mark: Option<M>,
    begun: Instant,
    told: bool,
    pauses: ExponentialBackoff,
}

impl<M: PartialEq> Outage<M> {
    /// None yet.
    pub fn new() -> Self {
        Self { mark: None, begun: Instant::now(), told: false, pauses: back_off().build() }
    }

    /// Waits before the next try; longer each time, unless the last try got further than `mark`.
    pub async fn pause(&mut self, mark: M, error: &impl Display) {
        if self.mark.as_ref() != Some(&mark) {
            *self = Self { mark: Some(mark), ..Self::new() };
        }
        if !self.told && self.begun.elapsed() >= WORTH_A_LINE {
            self.told = true;
            warn!("{error}; trying again until it works");
        }
        sleep(self.pauses.next().unwrap_or(LONGEST)).await;
    }
}
