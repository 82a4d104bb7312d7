//! The connections to the database.

use sqlx::{
    ConnectOptions, Connection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{str::FromStr, time::Duration};
use thiserror::Error;

/// How long to wait for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection that was used within this time is taken to stand still.
const FRESH: Duration = Duration::from_millis(500);

/// Why there is no database. Says nothing of passwords.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// The URL is none.
    #[error("the database URL cannot be read: {0}; it looks like postgres://user:password@host:5432/database")]
    Url(sqlx::Error),
    /// Nobody answers there.
    #[error(
        "cannot connect to the database {database:?} at {host}:{port} as {user:?}: {why}; check that Postgres runs there, and role and password"
    )]
    Connect {
        /// The database.
        database: String,
        /// The host or the socket's folder.
        host: String,
        /// The port.
        port: u16,
        /// The role.
        user: String,
        /// What happened.
        why: sqlx::Error,
    },
}

/// Connects, with at most `connections` connections. No statement runs longer than `statement_timeout`, whatever becomes of
/// the request it was for.
///
/// # Errors
/// [`DatabaseError`].
pub async fn connect(url: &str, connections: u32, statement_timeout: Duration) -> Result<PgPool, DatabaseError> {
    let options =
        PgConnectOptions::from_str(url).map_err(DatabaseError::Url)?.application_name("rebate-api").options([
            ("statement_timeout", statement_timeout.as_millis().to_string()),
            ("default_transaction_read_only", "on".to_owned()),
        ]);
    // Asking every connection first whether it still stands would cost every request a round trip.
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, used| {
            Box::pin(async move {
                if used.idle_for >= FRESH {
                    connection.ping().await?;
                }
                Ok(true)
            })
        });
    // A pool tries again until it runs out of time, and then says no more than that.
    let tried = match tokio::time::timeout(ACQUIRE_TIMEOUT, options.connect()).await {
        Ok(Ok(connection)) => connection.close().await,
        Ok(Err(why)) => Err(why),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    };
    tried.map(|()| pool.connect_lazy_with(options.clone())).map_err(|why| DatabaseError::Connect {
        database: options.get_database().unwrap_or(options.get_username()).to_owned(),
        host: options.get_socket().map_or_else(|| options.get_host().to_owned(), |socket| socket.display().to_string()),
        port: options.get_port(),
        user: options.get_username().to_owned(),
        why,
    })
}
