//! The database: connecting, its schema's version, and what its errors mean.

use sqlx::{
    ConnectOptions, PgPool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{str::FromStr, time::Duration};
use thiserror::Error;
use tracing::log::LevelFilter;

/// The schema, as this code writes it.
static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// One writes; the others are for a standby's lock and for looking.
const CONNECTIONS: u32 = 4;

/// A Postgres that does not answer in this time is down or out of connections.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Why the database did not do what it was asked.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// It cannot be reached, or cannot go on just now. Try again.
    #[error(
        "the database does not answer: {0}; check that Postgres runs at the address given and has connections left"
    )]
    Unreachable(String),
    /// The connection's settings are wrong.
    #[error("the database refuses the connection: {0}; check DATABASE_URL")]
    Denied(String),
    /// Its disk is full. Nothing of the block was written.
    #[error("the database's disk is full ({0}); free some space and start again, nothing is lost")]
    Full(String),
    /// Its schema is not the one this code writes.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// What the chain says contradicts what is stored.
    #[error("the database refuses what the chain says: {0}; nothing of the block was written")]
    Contradiction(String),
    /// Something else.
    #[error("the database failed: {0}")]
    Failed(sqlx::Error),
}

/// How the database's schema differs from the one this code writes.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SchemaError {
    /// Migrations are missing.
    #[error("the database lacks a migration: {missing}; start rebate-indexer, which applies them first")]
    Missing {
        /// The first one by number and name, or what is not there for want of it.
        missing: String,
    },
    /// A newer version of this software was here.
    #[error("the database was migrated by a newer version of this software (to {version}); update this one")]
    Newer {
        /// The migration that this code does not know.
        version: i64,
    },
    /// A migration was another one when it was applied.
    #[error(
        "the migration {version} was changed after it was applied; restore its file, or begin with an empty database"
    )]
    Altered {
        /// The migration.
        version: i64,
    },
    /// A migration stopped halfway.
    #[error("the migration {version} stopped halfway; begin with an empty database, or restore a backup")]
    Halfway {
        /// The migration.
        version: i64,
    },
    /// A migration failed.
    #[error("the migration {version} failed: {why}; nothing of it was applied")]
    Failed {
        /// The migration.
        version: i64,
        /// What the database says.
        why: String,
    },
}

impl DatabaseError {
    /// Whether trying again can help.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        let sqlx::Error::Database(reason) = &error else {
            return match error {
                sqlx::Error::Io(why) => Self::Unreachable(why.to_string()),
                sqlx::Error::PoolTimedOut => Self::Unreachable("no connection became free in time".to_owned()),
                // What is left of a connection that broke in the middle of an answer.
                sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed | sqlx::Error::Protocol(_) => {
                    Self::Unreachable(error.to_string())
                }
                sqlx::Error::Tls(why) => Self::Denied(why.to_string()),
                sqlx::Error::Configuration(why) => Self::Denied(why.to_string()),
                _ => Self::Failed(error),
            };
        };
        // Classes and codes: PostgreSQL documentation, appendix A.
        match reason.code().as_deref().unwrap_or_default() {
            "53100" => Self::Full(reason.message().to_owned()),
            "28000" | "28P01" | "3D000" | "42501" => Self::Denied(reason.message().to_owned()),
            "42P01" => Self::Schema(SchemaError::Missing { missing: reason.message().to_owned() }),
            code if code.starts_with("23") => Self::Contradiction(reason.message().to_owned()),
            // Connection, resources, an operator's intervention, and what a concurrent transaction can cause.
            code if ["08", "53", "57", "40"].iter().any(|class| code.starts_with(class)) => {
                Self::Unreachable(reason.message().to_owned())
            }
            _ => Self::Failed(error),
        }
    }
}

/// Connections to the database at `url`, made when they are needed.
///
/// # Errors
/// [`DatabaseError::Denied`] if `url` is none.
pub fn pool(url: &str) -> Result<PgPool, DatabaseError> {
    let options = PgConnectOptions::from_str(url)?
        .application_name("rebate-indexer")
        .log_statements(LevelFilter::Trace)
        .log_slow_statements(LevelFilter::Warn, Duration::from_secs(5));
    Ok(PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ANSWERS_WITHIN).connect_lazy_with(options))
}

/// Connects to the database at `url`, and says why if that does not work.
///
/// # Errors
/// [`DatabaseError::Unreachable`] or [`DatabaseError::Denied`].
pub async fn connect(url: &str) -> Result<PgPool, DatabaseError> {
    let pool = pool(url)?;
    let options = pool.connect_options();
    // A pool waits out its time on a refused connection and then only says that it did.
    let connecting = tokio::time::timeout(ANSWERS_WITHIN, options.connect());
    let at = format!("{}:{}", options.get_host(), options.get_port());
    match connecting.await {
        Err(_) => Err(DatabaseError::Unreachable(format!("no answer from {at}"))),
        Ok(Err(sqlx::Error::Io(why))) => Err(DatabaseError::Unreachable(format!("{why} at {at}"))),
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(connection)) => {
            // Its own end does not matter: it was only to see that there is a server.
            let _ = sqlx::Connection::close(connection).await;
            Ok(pool)
        }
    }
}

/// Applies every migration that the database lacks.
///
/// # Errors
/// [`DatabaseError`].
pub async fn migrate(pool: &PgPool) -> Result<(), DatabaseError> {
    MIGRATIONS.run(pool).await.map_err(|error| match error {
        MigrateError::Execute(error) => error.into(),
        MigrateError::VersionMissing(version) => SchemaError::Newer { version }.into(),
        MigrateError::VersionMismatch(version) => SchemaError::Altered { version }.into(),
        MigrateError::Dirty(version) => SchemaError::Halfway { version }.into(),
        MigrateError::ExecuteMigration(error, version) => match DatabaseError::from(error) {
            error @ (DatabaseError::Unreachable(_) | DatabaseError::Full(_) | DatabaseError::Denied(_)) => error,
            error => SchemaError::Failed { version, why: error.to_string() }.into(),
        },
        other => SchemaError::Failed { version: 0, why: other.to_string() }.into(),
    })
}

/// Checks that the database has exactly the migrations that this code knows.
///
/// # Errors
/// [`SchemaError`], or what keeps the database from answering.
pub async fn check(pool: &PgPool) -> Result<(), DatabaseError> {
    let missing = |migration: &sqlx::migrate::Migration| SchemaError::Missing {
        missing: format!("{:04} ({})", migration.version, migration.description),
    };
    // Not checked when compiling: sqlx makes this table itself.
    let applied: Vec<(i64, Vec<u8>, bool)> =
        match sqlx::query_as("SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version")
            .fetch_all(pool)
            .await
            .map_err(DatabaseError::from)
        {
            Err(DatabaseError::Schema(_)) => Vec::new(),
            answer => answer?,
        };
    for (version, checksum, success) in &applied {
        let Some(known) = MIGRATIONS.iter().find(|migration| migration.version == *version) else {
            return Err(SchemaError::Newer { version: *version }.into());
        };
        if !success {
            return Err(SchemaError::Halfway { version: *version }.into());
        }
        if known.checksum.as_ref() != checksum.as_slice() {
            return Err(SchemaError::Altered { version: *version }.into());
        }
    }
    match MIGRATIONS.iter().find(|known| applied.iter().all(|(version, ..)| *version != known.version)) {
        Some(migration) => Err(missing(migration).into()),
        None => Ok(()),
    }
}
