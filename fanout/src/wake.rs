//! Waiting for the indexer to commit something.

use sqlx::{PgPool, postgres::PgListener};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// What the indexer notifies of each block with events.
const CHANNEL: &str = "rebate_block";

/// Wakes whoever waits for the next block; every so often also where no word came, since a connection that broke loses some.
pub(crate) struct Wake {
    pool: PgPool,
    listener: Option<PgListener>,
    at_least_every: Duration,
}

impl Wake {
    /// Not listening yet.
    pub fn new(pool: PgPool, at_least_every: Duration) -> Self {
        Self { pool, listener: None, at_least_every }
    }

    /// Returns once there may be something new.
    pub async fn wait(&mut self) {
        if self.listener.is_none() {
            // What was committed before it listened is found by looking at once.
            self.listener = self.listen().await;
            if self.listener.is_none() {
                sleep(self.at_least_every).await;
            }
            return;
        }
        let Some(listener) = &mut self.listener else { return };
        match timeout(self.at_least_every, listener.recv()).await {
            // One look is enough for all that came.
            Ok(Ok(_)) => while listener.next_buffered().is_some() {},
            Ok(Err(_)) => {
                self.listener = None;
                sleep(self.at_least_every).await;
            }
            Err(_) => {}
        }
    }

    async fn listen(&self) -> Option<PgListener> {
        let mut listener = PgListener::connect_with(&self.pool).await.ok()?;
        listener.listen(CHANNEL).await.ok()?;
        Some(listener)
    }
}
