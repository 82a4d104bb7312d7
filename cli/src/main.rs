//! The command `rebate`.

use clap::Parser;
use rebate_cli::{arguments::Arguments, run};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// What goes into the log. Of the demo's oracle, what it answers is shown anyway.
const FILTER: &str = "warn,tower_http=off,sqlx=error,rebate_oracle::intake=off,rebate_oracle::http=off";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run::run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rebate: {error:#}");
            ExitCode::FAILURE
        }
    }
}
