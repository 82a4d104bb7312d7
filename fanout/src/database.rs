//! The connections to the indexer's database.

use crate::FanoutError;
use sqlx::{
    ConnectOptions, Connection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{str::FromStr, time::Duration};
use tracing::log::LevelFilter;

/// A Postgres that does not answer in this time is down or out of connections.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Connects to the database at `url`, with at most `connections` connections, and checks that it has our tables.
///
/// # Errors
/// [`FanoutError::Database`] and [`FanoutError::Schema`].
pub async fn connect(url: &str, connections: u32) -> Result<PgPool, FanoutError> {
    let options = PgConnectOptions::from_str(url)?
        .application_name("rebate-fanout")
        .log_statements(LevelFilter::Trace)
        .log_slow_statements(LevelFilter::Warn, Duration::from_secs(5));
    // A pool waits out its time on a refused connection and then only says that it did.
    match tokio::time::timeout(ANSWERS_WITHIN, options.connect()).await {
        Ok(connected) => connected?.close().await?,
        Err(_) => return Err(sqlx::Error::PoolTimedOut.into()),
    }
    let pool =
        PgPoolOptions::new().max_connections(connections).acquire_timeout(ANSWERS_WITHIN).connect_lazy_with(options);
    require_tables(&pool).await?;
    Ok(pool)
}

/// Fails where the migrations that made our tables were not applied.
async fn require_tables(pool: &PgPool) -> Result<(), FanoutError> {
    let asked = sqlx::query!(
        "SELECT next_index FROM fanout_positions, webhook_endpoints, webhook_deliveries, events, cursor LIMIT 0"
    )
    .fetch_optional(pool)
    .await;
    match asked {
        Ok(_) => Ok(()),
        // Undefined table or column: PostgreSQL documentation, appendix A.
        Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("42P01" | "42703")) => {
            Err(FanoutError::Schema(error.message().to_owned()))
        }
        Err(error) => Err(error.into()),
    }
}
