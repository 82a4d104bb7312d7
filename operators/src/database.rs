//! The operators' own database: who may do what is nothing of the chain's public mirror, and the API may only read that one.

use crate::OperatorsError;
use sqlx::{
    ConnectOptions, Connection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{str::FromStr, time::Duration};

/// The schema, as this code writes it.
pub static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// A Postgres that does not answer in this time is down or out of connections.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// Connects to the database at `url`, with at most `connections` connections, and applies the migrations it lacks. Several
/// processes may do so at once.
///
/// # Errors
/// [`OperatorsError::Database`] and [`OperatorsError::Schema`].
pub async fn connect(url: &str, connections: u32) -> Result<PgPool, OperatorsError> {
    let options = PgConnectOptions::from_str(url)?
        .application_name("rebate-operators")
        .options([("statement_timeout", "10000"), ("lock_timeout", "3000")]);
    // A pool waits out its time on a refused connection and then only says that it did.
    let mut connection = match tokio::time::timeout(ANSWERS_WITHIN, options.connect()).await {
        Ok(connected) => connected?,
        Err(_) => return Err(sqlx::Error::PoolTimedOut.into()),
    };
    MIGRATIONS.run(&mut connection).await?;
    connection.close().await?;
    Ok(PgPoolOptions::new().max_connections(connections).acquire_timeout(ANSWERS_WITHIN).connect_lazy_with(options))
}
