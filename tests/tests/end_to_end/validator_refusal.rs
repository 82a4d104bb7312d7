//! What a validator does not let pass.

use crate::{
    deadline::until,
    ledger::Ledger,
    network::{EVENTS_BEFORE, Network},
};
use rebate_client::{
    chain::{Landed, Submit, SubmitError},
    instruction, oracle,
    recorder::{RecordError, refusals},
};
use rebate_core::units::Timestamp;
use solana_client::rpc_config::RpcSendTransactionConfig;
use solana_message::Message;
use solana_program::instruction::Instruction;
use solana_signer::Signer;
use solana_transaction::Transaction;

/// Sends a transaction past the node's simulation, to a leader who has to say no himself; why it failed on chain.
async fn failure_without_preflight(network: &Network, instructions: &[Instruction]) -> Option<String> {
    let (client, payer) = (network.chain.client(), &network.cast.payer);
    let hash = client.get_latest_blockhash().await.unwrap();
    let message = Message::new_with_blockhash(instructions, Some(&payer.pubkey()), &hash);
    let transaction = Transaction::new(&[payer], message, hash);
    let config = RpcSendTransactionConfig { skip_preflight: true, ..RpcSendTransactionConfig::default() };
    let signature = client.send_transaction_with_config(&transaction, config).await.unwrap();
    until("the transaction has come to something", async || {
        match client.get_signature_status(&signature).await.unwrap() {
            Some(status) => Ok(status.err().map(|error| error.to_string())),
            None => Err("the node knows nothing of it"),
        }
    })
    .await
}

fn refused(result: Result<Landed, RecordError>) -> (RecordError, Vec<String>) {
    match result {
        Err(error @ RecordError::Submit(SubmitError::Refused { .. })) => {
            let RecordError::Submit(SubmitError::Refused { logs, .. }) = &error else { unreachable!() };
            let logs = logs.clone();
            (error, logs)
        }
        other => panic!("the program should have refused this: {other:?}"),
    }
}

#[tokio::test]
async fn a_forged_signature_does_not_land_and_what_the_program_refuses_is_named() {
    let network = Network::start().await;
    let mut recorder = network.recorder(&network.cast.payer).await;
    let payment = [network.payment("A1", "amy", 10_000)];

    // A stranger signs in the oracle's name.
    let mut forged = oracle::sign(&network.cast.stranger, &network.addresses.platform, &payment).unwrap();
    forged.key = network.cast.oracle.pubkey().to_bytes();
    let error = recorder.record(&payment, &forged).await.unwrap_err();
    assert!(matches!(&error, RecordError::Submit(SubmitError::Failed { .. })), "{error:?}");
    assert_eq!(error.to_string(), "the transaction failed: the signature does not verify");
    let why = failure_without_preflight(&network, &recorder.instructions(&payment, &forged)).await;
    assert!(why.is_some(), "a forged signature landed");

    // A stranger signs in his own name, which is nobody's.
    let unknown = oracle::sign(&network.cast.stranger, &network.addresses.platform, &payment).unwrap();
    let (error, _) = refused(recorder.record(&payment, &unknown).await);
    assert!(error.to_string().contains("UnknownOracle"), "{error}");

    // The oracle signs one thing, and another is submitted.
    let mut altered = network.sign(&payment);
    *altered.message.last_mut().unwrap() ^= 1;
    assert!(failure_without_preflight(&network, &recorder.instructions(&payment, &altered)).await.is_some());
    assert_eq!(network.journal().await.count, EVENTS_BEFORE, "something of it was recorded");

    // What the oracle signs, and the program refuses.
    for (order, amount, paid_at, reason) in [
        ("Z1", 0, network.began.0, "ZeroAmount"),
        ("L1", 500, network.began.0 - 7 * 86_400 - 1, "TooLate"),
        ("F1", 500, network.began.0 + 3_600, "FromTheFuture"),
    ] {
        let mut payment = network.payment(order, "amy", amount);
        payment.paid_at = Timestamp(paid_at);
        let (error, logs) = refused(recorder.record(&[payment], &network.sign(&[payment])).await);
        assert!(error.to_string().starts_with(&format!("refused by the program: {reason} (error 60")), "{error}");
        let short: String = payment.order.to_string().chars().take(16).collect();
        assert_eq!(
            refusals(&logs),
            [(short, reason.to_owned())],
            "the node's simulation shows what happened: {logs:#?}"
        );
    }

    // A paused platform takes nothing; resumed, it takes the same message.
    let signed = network.sign(&payment);
    for paused in [true, false] {
        let set = instruction::set_paused(&network.cast.pauser.pubkey(), &network.addresses, paused);
        network.chain.submit(&[set], &[&network.cast.payer, &network.cast.pauser]).await.unwrap();
        if paused {
            let (error, _) = refused(recorder.record(&payment, &signed).await);
            assert!(error.to_string().contains("Paused"), "{error}");
        }
    }
    recorder.record(&payment, &signed).await.unwrap();
    let (error, _) = refused(recorder.record(&payment, &signed).await);
    assert!(error.to_string().contains("DuplicateOrder"), "{error}");

    let ledger = Ledger::read(&network).await;
    assert_eq!(ledger.indices(), (0..EVENTS_BEFORE + 3).collect::<Vec<_>>());
    assert_eq!(ledger.payments().count(), 1);
    assert_eq!(ledger.grants(&network.cast.user("amy")), [2_000, 100]);
}
