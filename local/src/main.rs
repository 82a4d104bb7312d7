//! The command `rebate-local`, for the Makefile: it builds while the other crates do not.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use rebate_local::{Settings, run_with_postgres};

/// Runs a command with a Postgres of its own.
#[derive(Parser)]
#[command(name = "rebate-local")]
enum Command {
    /// Runs COMMAND with DATABASE_URL set to a private Postgres, which stops with the last command that uses it. A
    /// DATABASE_URL that is set already stays as it is.
    Postgres {
        /// The cluster's folder; made if there is none.
        #[arg(long, default_value = ".local/postgres")]
        dir: PathBuf,
        /// For tests: do not wait for the disk. A crash of the machine may lose the cluster.
        #[arg(long)]
        volatile: bool,
        /// Give the command a fresh database made from the migrations in this folder.
        #[arg(long)]
        migrations: Option<PathBuf>,
        /// Give the command one more fresh database: its URL in the variable VAR, made from the migrations in FOLDER. May be
        /// given several times.
        #[arg(long, value_name = "VAR=FOLDER", value_parser = also)]
        also: Vec<(String, PathBuf)>,
        /// What to run.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let Command::Postgres { dir, volatile, migrations, also, command } = Command::parse();
    let settings = if volatile { Settings::for_tests() } else { Settings::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let databases =
        migrations.map(|folder| ("DATABASE_URL".to_owned(), folder)).into_iter().chain(also).collect::<Vec<_>>();
    Ok(runtime.block_on(run_with_postgres(&dir, &settings, &databases, &command))?.into())
}

fn also(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((variable, folder)) if !variable.is_empty() && !folder.is_empty() => Ok((variable.into(), folder.into())),
        _ => Err("it is a variable and a folder, like ORACLE_DATABASE_URL=oracle/migrations".to_owned()),
    }
}
