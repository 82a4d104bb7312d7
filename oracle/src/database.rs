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

/// How many records wait for the chain.
///
/// # Errors
/// [`OracleError::Database`].
pub async fn queued(pool: &PgPool) -> Result<i64, OracleError> {
    Ok(sqlx::query_scalar!(r#"SELECT count(*) AS "queued!" FROM records WHERE state = 1"#).fetch_one(pool).await?)
}
