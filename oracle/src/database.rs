//! The oracle's own database: order numbers and user ids are private, so they are kept apart from the indexer's public mirror.

use crate::OracleError;
use sqlx::{
    ConnectOptions, Connection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{str::FromStr, time::Duration};
use tracing::log::LevelFilter;

/// The schema, as this code writes it.
pub static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// A Postgres that does not answer in this time is down or out of connections.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Connects to the database at `url`, with at most `connections` connections, and applies the migrations it lacks. Several
/// processes may do so at once.
///
/// # Errors
/// [`OracleError::Database`] and [`OracleError::Schema`].
pub async fn connect(url: &str, connections: u32) -> Result<PgPool, OracleError> {
    let options = PgConnectOptions::from_str(url)?
        .application_name("rebate-oracle")
        .log_statements(LevelFilter::Trace)
        .log_slow_statements(LevelFilter::Warn, Duration::from_secs(5));
    // A pool waits out its time on a refused connection and then only says that it did.
    let mut connection = match tokio::time::timeout(ANSWERS_WITHIN, options.connect()).await {
        Ok(connected) => connected?,
        Err(_) => return Err(sqlx::Error::PoolTimedOut.into()),
    };
    MIGRATIONS.run(&mut connection).await?;
    connection.close().await?;
    Ok(PgPoolOptions::new().max_connections(connections).acquire_timeout(ANSWERS_WITHIN).connect_lazy_with(options))
}

/// What is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Records that wait for the chain.
    pub queued: i64,
    /// Records whose transaction may land.
    pub sent: i64,
    /// Records that need an operator.
    pub dead: i64,
    /// How long ago the oldest record came that is queued or sent; 0 where there is none.
    pub oldest_seconds: i64,
}

/// What is not done.
///
/// # Errors
/// [`OracleError::Database`].
pub async fn backlog(pool: &PgPool) -> Result<Backlog, OracleError> {
    Ok(sqlx::query_as!(
        Backlog,
        r#"SELECT (SELECT count(*) FROM records WHERE state = 1) AS "queued!",
                  (SELECT count(*) FROM records WHERE state = 2) AS "sent!",
                  (SELECT count(*) FROM records WHERE state = 5) AS "dead!",
                  coalesce(extract(epoch FROM now() - least(
                      (SELECT received_at FROM records WHERE state = 1 ORDER BY id LIMIT 1),
                      (SELECT received_at FROM records WHERE state = 2 ORDER BY id LIMIT 1)))::bigint, 0) AS "oldest_seconds!""#
    )
    .fetch_one(pool)
    .await?)
}
