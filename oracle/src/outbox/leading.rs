//! Waiting for one's turn, going round until it is over, and saying how things stand.

use super::{Outbox, OutboxError, queue, round::Round};
use rebate_client::chain::{ChainError, Dispatch};
use sqlx::{Connection, PgConnection, postgres::PgListener};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// The first half of the advisory lock's key; the second is made of the platform's address.
const LOCK: i32 = 0x6f75_7462; // "outb"

/// After so long without a refund the copy of the journal is let go of.
const REST: Duration = Duration::from_secs(600);

/// How often the metrics are brought up to date.
const MEASURED: Duration = Duration::from_secs(5);

/// A lock's connection that does not answer in this time is lost.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

impl<C: Dispatch + Clone + 'static> Outbox<C> {
    /// Waits for its turn and works until something fails or it is over.
    pub(super) async fn lead(&self, over: &CancellationToken) -> Result<(), OutboxError> {
        let mut lock = loop {
            if let Some(lock) = self.lock().await? {
                break lock;
            }
            tokio::select! {
                () = over.cancelled() => return Ok(()),
                () = sleep(self.options.poll) => {}
            }
        };
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen("oracle_queued").await?;
        let mut round = Round::begin(self).await?;
        let mut checked = Instant::now();
        while !over.is_cancelled() {
            round.look().await?;
            let made = round.fill().await?;
            self.measure(&mut round).await?;
            if checked.elapsed() >= MEASURED {
                checked = Instant::now();
                match timeout(ANSWERS_WITHIN, lock.ping()).await {
                    Ok(Ok(())) => {}
                    _ => return Err(OutboxError::Lock),
                }
            }
            if made {
                continue;
            }
            let is_waiting = !round.flights.is_empty() || !round.proofs.is_empty() || round.is_gathering;
            let pause = if is_waiting { self.options.look } else { self.options.poll };
            tokio::select! {
                () = over.cancelled() => {}
                () = sleep(pause) => {}
                heard = listener.recv() => { heard?; }
            }
        }
        lock.close().await?;
        Ok(())
    }

    /// This platform's lock, unless another process has it. It goes with its connection, however the process ends.
    pub(super) async fn lock(&self) -> Result<Option<PgConnection>, OutboxError> {
        let mut connection = self.pool.acquire().await?.detach();
        let [a, b, c, d, ..] = self.platform.to_bytes();
        let is_ours = sqlx::query_scalar!(
            r#"SELECT pg_try_advisory_lock($1, $2) AS "is_ours!""#,
            LOCK,
            i32::from_le_bytes([a, b, c, d])
        )
        .fetch_one(&mut connection)
        .await?;
        if is_ours {
            return Ok(Some(connection));
        }
        connection.close().await?;
        Ok(None)
    }

    pub(super) async fn measure(&self, round: &mut Round<'_, C>) -> Result<(), OutboxError> {
        if round.measured.is_some_and(|measured| measured.elapsed() < MEASURED) {
            return Ok(());
        }
        round.measured = Some(Instant::now());
        let depth = queue::depth(&self.pool, &self.platform).await?;
        let age = depth.oldest.map_or(0, |oldest| (OffsetDateTime::now_utc() - oldest).whole_seconds().max(0));
        self.metrics.queued.set(depth.queued);
        self.metrics.sent.set(depth.sent);
        self.metrics.dead.set(depth.dead);
        self.metrics.overdue.set(depth.overdue);
        if depth.overdue > 0 {
            tracing::warn!(
                overdue = depth.overdue,
                oldest_seconds = age,
                "orders stored over a minute ago are not on chain"
            );
        }
        let funds = self.funds().await?;
        self.metrics.payer_lamports.set(i64::try_from(funds).unwrap_or(i64::MAX));
        if round.used_journal.is_some_and(|used| used.elapsed() > REST) {
            round.prover.rest();
            round.used_journal = None;
        }
        Ok(())
    }

    pub(super) async fn funds(&self) -> Result<u64, ChainError> {
        Ok(self.chain.account(&self.payer.key()).await?.map_or(0, |account| account.lamports))
    }
}
