//! Indexer and API as processes.

use crate::{api::Api, network::Network, process::Process};
use rebate_tests::database::TestDatabase;

/// Starts the indexer; what is confirmed counts, which is seconds earlier than what is finalised.
pub fn indexer(network: &Network, database: &TestDatabase) -> Process {
    Process::start_as("rebate-indexer", |command| {
        command.args(["--rpc", &network.url(), "--commitment", "confirmed", "--poll-ms", "30"]);
        command.env("DATABASE_URL", database.url());
    })
}

/// Starts the API on a free port and waits until it listens.
pub async fn api(network: &Network, database: &TestDatabase) -> (Process, Api) {
    let mut process = Process::start_as("rebate-api", |command| {
        command.args(["--rpc", &network.url(), "--commitment", "confirmed", "--listen", "127.0.0.1:0"]);
        command.env("DATABASE_URL", database.url());
    });
    let line = process.said_line_with("listening on http://").await;
    let base = line.split("listening on ").nth(1).unwrap().split_whitespace().next().unwrap();
    (process, Api::new(base))
}
