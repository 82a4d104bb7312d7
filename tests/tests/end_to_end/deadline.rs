//! Waiting for something to become true, and saying what was the case instead when it does not.

use std::{fmt::Display, time::Duration};
use tokio::time::{Instant, sleep};

/// How long anything here may take that takes moments where all is well, on a machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Looks until there is an answer; the error is what is the case so far.
pub async fn until<T, E: Display>(what: &str, mut look: impl AsyncFnMut() -> Result<T, E>) -> T {
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(instead) if begun.elapsed() > PATIENCE => panic!("{what}: not within {PATIENCE:?}; {instead}"),
            Err(_) => sleep(LOOK).await,
        }
    }
}
