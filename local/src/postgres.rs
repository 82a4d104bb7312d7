//! A Postgres of our own: a cluster in one folder, reached over a Unix socket in a folder that nobody else may enter.
//!
//! ```text
//! DIR/            mode 0700
//!   change.lock   held by a process while it starts, joins or stops the server
//!   users.lock    shared by all that use the server
//!   data/         the cluster
//!   postgres.log  what the server said since it was last started
//!   .s.PGSQL.5432 the socket, where the path is short enough for one
//! ```
//!
//! A process that finds a server of the folder running uses it, whoever started it, and holds a shared lock on
//! `users.lock` for as long as it does. Who ends and finds that nobody holds one any more stops the server. The locks go
//! with their processes, however those end: a server whose users were all killed runs on until the next one has come and
//! gone.

mod account;
mod error;
mod programs;
mod server;
mod socket;

use std::path::Path;

use sqlx::{Connection, Executor, PgConnection};
use url::Url;

pub use account::AsRoot;
pub use error::LocalPostgresError;
use server::Server;

/// How a private server is run. The default keeps what it commits, like any Postgres.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Server parameters by name, as `postgresql.conf` knows them. They hold from the start of a server to its end: a
    /// server found running keeps the ones it was started with.
    pub parameters: Vec<(String, String)>,
    /// What to do where the caller is root, whom Postgres refuses to run as.
    pub as_root: AsRoot,
}

impl Default for Settings {
    fn default() -> Self {
        let parameters = [("fsync", "on"), ("max_connections", "200"), ("timezone", "UTC")];
        Self {
            parameters: parameters.map(|(name, value)| (name.into(), value.into())).into(),
            as_root: AsRoot::Automatic,
        }
    }
}

impl Settings {
    /// For tests: a crash of the machine may lose the cluster, which only tests would miss.
    pub fn for_tests() -> Self {
        Self::default().with("fsync", "off").with("synchronous_commit", "off").with("full_page_writes", "off")
    }

    /// With one server parameter set.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.parameters.retain(|(known, _)| known != name);
        self.parameters.push((name.into(), value.into()));
        self
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.parameters.iter().any(|(known, set)| known == name && set == value)
    }
}

/// A Postgres to work with: one of our own, or the one that `DATABASE_URL` names.
///
/// Dropping it stops a private server, unless somebody else uses it, too; that takes a moment and blocks.
#[derive(Debug)]
pub struct LocalPostgres {
    address: Url,
    server: Option<Server>,
}

impl LocalPostgres {
    /// Starts the cluster in `dir`, which is made if there is none, or joins the server that runs it.
    ///
    /// Blocks for a second or two on the first start.
    pub fn start(dir: &Path) -> Result<Self, LocalPostgresError> {
        Self::start_with(dir, &Settings::default())
    }

    /// [`start`](Self::start) with settings of the caller's.
    pub fn start_with(dir: &Path, settings: &Settings) -> Result<Self, LocalPostgresError> {
        let server = Server::start(dir, settings)?;
        Ok(Self { address: socket::address(server.socket_dir())?, server: Some(server) })
    }

    /// The Postgres that the environment variable `DATABASE_URL` names, or else a private one in `dir`.
    pub fn from_env_or_start(dir: &Path, settings: &Settings) -> Result<Self, LocalPostgresError> {
        match std::env::var("DATABASE_URL") {
            Ok(named) if !named.is_empty() => Self::named(&named),
            _ => Self::start_with(dir, settings),
        }
    }

    /// A Postgres that somebody else runs, by its URL.
    pub fn named(url: &str) -> Result<Self, LocalPostgresError> {
        let address = Url::parse(url).map_err(|error| LocalPostgresError::BadUrl { reason: error.to_string() })?;
        match address.scheme() {
            "postgres" | "postgresql" => Ok(Self { address, server: None }),
            other => Err(LocalPostgresError::BadUrl { reason: format!("its scheme is {other}") }),
        }
    }

    /// The URL of one database on this server.
    pub fn url(&self, database: &str) -> String {
        let mut url = self.address.clone();
        url.set_path(database);
        url.into()
    }

    /// Where a person finds one database: the command that opens it, shorter than the URL of a socket.
    pub fn place(&self, database: &str) -> String {
        match &self.server {
            Some(server) => format!("psql -h '{}' -U postgres {database}", server.socket_dir().display()),
            // That URL may hold a password, so it is not shown.
            None => format!("{database}, on the server that DATABASE_URL names"),
        }
    }

    /// The URL of a database that is there from the start, to make others from.
    pub fn maintenance_url(&self) -> String {
        self.address.as_str().into()
    }

    /// Whether the server is a private one, started by us or by another process of the project's.
    pub fn is_private(&self) -> bool {
        self.server.is_some()
    }

    /// Makes a database, unless it is there already.
    pub async fn create_database(&self, name: &str) -> Result<(), LocalPostgresError> {
        // Out of template0, to which nobody connects: a connection to template1 would make this fail.
        let quoted = name.replace('"', "\"\"");
        match self.execute(format!("CREATE DATABASE \"{quoted}\" TEMPLATE template0")).await {
            // Another process made it first, before us or just now.
            Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("42P04" | "23505")) => Ok(()),
            made => {
                made.map_err(|source| LocalPostgresError::Sql { doing: format!("make the database {name}"), source })
            }
        }
    }

    /// Removes a database and ends what is connected to it; none of that name is as good.
    pub async fn drop_database(&self, name: &str) -> Result<(), LocalPostgresError> {
        let quoted = name.replace('"', "\"\"");
        self.execute(format!("DROP DATABASE IF EXISTS \"{quoted}\" WITH (FORCE)"))
            .await
            .map_err(|source| LocalPostgresError::Sql { doing: format!("remove the database {name}"), source })
    }

    async fn execute(&self, statement: String) -> Result<(), sqlx::Error> {
        let mut connection = PgConnection::connect(&self.maintenance_url()).await?;
        connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statement))).await?;
        connection.close().await
    }

    /// Stops a private server, unless somebody else uses it, and says if that failed, which dropping cannot.
    pub fn stop(mut self) -> Result<(), LocalPostgresError> {
        self.server.take().map_or(Ok(()), Server::stop)
    }
}
