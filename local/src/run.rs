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
/// Each of `databases` is one of the command's own on the same server: a variable that gets its URL, and the folder of the
/// migrations it is made from. They go after the command. With `DATABASE_URL` among them, that one is no other.
pub async fn run_with_postgres(
    dir: &Path,
    settings: &Settings,
    databases: &[(String, PathBuf)],
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
    let mut variables = vec![("DATABASE_URL", postgres.maintenance_url())];
    let mut own = Vec::new();
    for (variable, migrations) in databases {
        let name = format!("rebate_{}_{}", std::process::id(), own.len());
        postgres.create_database(&name).await?;
        migrate(&postgres.url(&name), migrations).await?;
        variables.push((variable, postgres.url(&name)));
        own.push(name);
    }
    let mut child = Command::new(program).args(arguments).envs(variables).spawn().map_err(failed)?;
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
    for name in &own {
        postgres.drop_database(name).await?;
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
