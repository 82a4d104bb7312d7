//! A node that is not there.

use crate::process::Process;
use rebate_client::{
    address::Addresses,
    chain::{Commitment, rpc::RpcChain},
    recorder::Recorder,
};
use rebate_tests::database::TestDatabase;
use solana_keypair::Keypair;
use std::net::TcpListener;

/// An address where nobody listens, with something in it that must not be shown.
fn nobody() -> (String, String) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    (format!("http://127.0.0.1:{port}/?api-key=secret"), format!("http://127.0.0.1:{port}"))
}

#[tokio::test]
async fn a_payment_to_a_node_that_does_not_answer_gets_one_clear_error() {
    let (address, shown) = nobody();
    let chain = RpcChain::new(&address, Commitment::Confirmed);
    let error = Recorder::new(&chain, Addresses::of(1).platform, &Keypair::new()).await.err().expect("no node");
    let expected = format!(
        "the node {shown} does not answer: connection refused; check that it runs and that the address is right"
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn every_command_says_in_one_line_that_the_node_does_not_answer() {
    let (address, shown) = nobody();
    let platform = Addresses::of(1).platform.to_string();
    let show = Process::start("rebate", ["platform", "show", "--rpc", &address, &platform]).ended().await;
    show.assert_refused(&[&shown, "does not answer", "check that it runs"]);
    assert!(!show.err.contains("secret"), "{}", show.err);

    let database = TestDatabase::new().await.unwrap();
    let indexer = Process::start_as("rebate-indexer", |command| {
        command.args(["--rpc", &address]).env("DATABASE_URL", database.url()).env("RUST_LOG", "off");
    });
    let indexer = indexer.ended().await;
    indexer.assert_refused(&[&shown]);
    assert!(!indexer.err.contains("secret"), "{}", indexer.err);
}
