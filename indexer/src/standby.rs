//! Standing by: of the indexers of one database one writes, and the others wait for it to go.
//!
//! Who writes holds an advisory lock on a connection of its own, which Postgres releases when that connection ends, however
//! it ends. The lock only saves work: that no block is written twice is the cursor's doing, which fences whoever is stale.

use crate::database::DatabaseError;
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tracing::info;

/// The advisory lock of the indexer that writes. Such locks are per database, so its number need not tell databases apart.
pub(crate) const LOCK: i64 = i64::from_be_bytes(*b"rebate/1");

/// How often an indexer that stands by tries, and how often one that writes looks whether it still holds the lock.
const EVERY: Duration = Duration::from_millis(500);

/// A connection that does not answer in this time is taken for lost.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// How Postgres finds out that a machine is gone which says nothing any more: it asks after a second of silence, and gives
/// up three seconds later. It has no part in this where both are on one machine.
const KEEPALIVE: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "1"),
    ("tcp_keepalives_interval", "1"),
    ("tcp_keepalives_count", "2"),
    ("tcp_user_timeout", "3000"),
];

/// The turn to write: it lasts as long as the connection does.
pub struct Turn {
    connection: PgConnection,
}

impl Turn {
    /// Waits until no other indexer has it. Says once in the log that it stands by, and once that it takes over.
    ///
    /// # Errors
    /// [`DatabaseError`] if the database cannot be asked.
    pub async fn take(pool: &PgPool) -> Result<Self, DatabaseError> {
        let options = pool.connect_options().as_ref().clone().options(KEEPALIVE);
        let mut connection = match timeout(ANSWERS_WITHIN, options.connect()).await {
            Ok(connected) => connected?,
            Err(_) => return Err(silent()),
        };
        let mut stood_by = false;
        while !try_lock(&mut connection).await? {
            if !stood_by {
                stood_by = true;
                info!("another indexer writes to this database; standing by");
            }
            sleep(EVERY).await;
        }
        if stood_by {
            info!("the other indexer is gone; taking over");
        }
        Ok(Self { connection })
    }

    /// Ends when the turn is over because its connection is: then Postgres gives it to another.
    pub async fn over(&mut self) -> DatabaseError {
        loop {
            sleep(EVERY).await;
            match timeout(ANSWERS_WITHIN, self.connection.ping()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error.into(),
                Err(_) => return silent(),
            }
        }
    }

    /// Hands it over at once, rather than when Postgres notices that the connection ended.
    pub async fn end(mut self) {
        let handed_over = async {
            // Closing alone would do, a moment later: Postgres ends the session after it has said goodbye.
            sqlx::query_scalar!(r#"SELECT pg_advisory_unlock($1) AS "unlocked!""#, LOCK)
                .fetch_one(&mut self.connection)
                .await?;
            self.connection.close().await
        };
        // Nothing follows from its failing: then the connection is gone already.
        let _ = timeout(ANSWERS_WITHIN, handed_over).await;
    }
}

async fn try_lock(connection: &mut PgConnection) -> Result<bool, DatabaseError> {
    let locking = sqlx::query_scalar!(r#"SELECT pg_try_advisory_lock($1) AS "locked!""#, LOCK).fetch_one(connection);
    match timeout(ANSWERS_WITHIN, locking).await {
        Ok(locked) => Ok(locked?),
        Err(_) => Err(silent()),
    }
}

fn silent() -> DatabaseError {
    DatabaseError::Unreachable(format!("no answer within {} s", ANSWERS_WITHIN.as_secs()))
}
