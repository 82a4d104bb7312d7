//! Runs a command that finds a Postgres in `DATABASE_URL`.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection, PgConnection};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use crate::postgres::{LocalPostgres, LocalPostgresError, Settings};

/// Why the command did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no Postgres for it.
    #[error(transparent)]
    Postgres(#[from] LocalPostgresError),
    /// The command could not be started.
    #[error("cannot run {command}: {source}; is it installed and on PATH?")]
    Command {
        /// The command's first word.
        command: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The migrations could not be applied.
    #[error("cannot apply the migrations in {}: {source}; mend them", dir.display())]
    Migrations {
        /// Their folder.
        dir: PathBuf,
        /// What is wrong.
        source: MigrateError,
    },
    /// No command was given.
    #[error("no command to run; write it after --")]
    NoCommand,
}

/// Runs `command` with `DATABASE_URL` set to a database on a private Postgres in `dir`, or as it is where it is set
/// already, and returns the command's exit code, as a shell would tell it. The server stops after it, unless somebody else
/// uses it.
///
/// With `migrations`, the database is one of the command's own, made from the migrations in that folder, on the same
/// server. It goes after the command.
pub async fn run_with_postgres(
    dir: &Path,
    settings: &Settings,
    migrations: Option<&Path>,
    command: &[OsString],
) -> Result<u8, RunError> {
    let [program, arguments @ ..] = command else {
        return Err(RunError::NoCommand);
    };
    let failed = |source| RunError::Command { command: program.to_string_lossy().into(), source };

    // A terminal's Ctrl-C reaches the command too. Postgres must outlive the command, so we wait for it to end.
    let mut interrupted = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut told_to_stop = signal(SignalKind::terminate()).map_err(failed)?;

    let postgres = LocalPostgres::from_env_or_start(dir, settings)?;
    let own = format!("rebate_{}", std::process::id());
    let url = match migrations {
        None => postgres.maintenance_url(),
        Some(migrations) => {
            postgres.create_database(&own).await?;
            migrate(&postgres.url(&own), migrations).await?;
            postgres.url(&own)
        }
    };
    let mut child = Command::new(program).args(arguments).env("DATABASE_URL", url).spawn().map_err(failed)?;
    let status = loop {
        tokio::select! {
            ended = child.wait() => break ended.map_err(failed)?,
            _ = interrupted.recv() => {}
            _ = told_to_stop.recv() => {
                let pid = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
                if let Some(pid) = pid {
                    let _already_gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
                }
            }
        }
    };
    if migrations.is_some() {
        postgres.drop_database(&own).await?;
    }
    postgres.stop()?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

async fn migrate(url: &str, dir: &Path) -> Result<(), RunError> {
    let failed = |source| RunError::Migrations { dir: dir.to_owned(), source };
    let migrator = Migrator::new(dir).await.map_err(failed)?;
    let mut connection = PgConnection::connect(url).await.map_err(|error| failed(error.into()))?;
    migrator.run(&mut connection).await.map_err(failed)
}
