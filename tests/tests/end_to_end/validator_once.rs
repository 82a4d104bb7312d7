//! The same payment, more than once.

use crate::{
    ledger::Ledger,
    network::{EVENTS_BEFORE, Network},
    services,
};
use rebate_client::{
    chain::{Landed, Submit, SubmitError},
    recorder::{RecordError, refusals},
};
use rebate_core::{payment::Payment, units::OrderHash};
use rebate_tests::database::TestDatabase;
use solana_keypair::Keypair;
use solana_signer::Signer;

fn name(refused: &Result<Landed, RecordError>) -> &'static str {
    match refused {
        Err(RecordError::Submit(SubmitError::Refused { error, .. })) => error.name(),
        other => panic!("this is neither recorded nor refused by the program: {other:?}"),
    }
}

#[tokio::test]
async fn the_same_payment_submitted_three_times_twice_at_once_grants_once() {
    let database = TestDatabase::new().await.unwrap();
    let network = Network::start().await;
    let _indexer = services::indexer(&network, &database);
    let (_server, api) = services::api(&network, &database).await;
    let (one, other) = (Keypair::new(), Keypair::new());
    for payer in [&one, &other] {
        network.chain.airdrop(&payer.pubkey(), 10_000_000_000).await.unwrap();
    }
    let (mut first, mut second) = (network.recorder(&one).await, network.recorder(&other).await);

    const ROUNDS: u64 = 4;
    for round in 0..ROUNDS {
        let order = format!("D{round}");
        let payment = [network.payment(&order, "amy", 5_000)];
        // One signature of the oracle, which two people submit at the same moment.
        let signed = network.sign(&payment);
        first.open_for(&payment).await.unwrap();
        let both = tokio::join!(first.record(&payment, &signed), second.record(&payment, &signed));
        let (winner, loser) = match both {
            (Ok(winner), loser) => (winner, loser),
            (loser, Ok(winner)) => (winner, loser),
            neither => panic!("{order}: nobody's was recorded: {neither:?}"),
        };
        assert_eq!(name(&loser), "DuplicateOrder", "{order}, at once");
        let later = first.record(&payment, &signed).await;
        assert_eq!(name(&later), "DuplicateOrder", "{order}, later");

        let shown = api.order(&order).await;
        assert_eq!(shown["records"].as_array().unwrap().len(), 1, "{shown}");
        assert_eq!(shown["records"][0]["transaction"]["signature"], winner.signature.to_string());
    }

    // Two batches at once that have one order in common: it is refused in the later one, and the rest is recorded.
    let batch = |orders: [&str; 2]| orders.map(|order| network.payment(order, "bo", 1_000));
    let (left, right): ([Payment; 2], [Payment; 2]) = (batch(["E1", "E2"]), batch(["E2", "E3"]));
    first.open_for(&left).await.unwrap();
    let signed = (network.sign(&left), network.sign(&right));
    let (left, right) = tokio::join!(first.record(&left, &signed.0), second.record(&right, &signed.1));
    let logs = [left.unwrap().logs, right.unwrap().logs].concat();
    let short: String = OrderHash::of("E2").to_string().chars().take(16).collect();
    assert_eq!(refusals(&logs), [(short, "DuplicateOrder".to_owned())], "{logs:#?}");

    api.integrity().await;
    let ledger = Ledger::read(&network).await;
    assert_eq!(ledger.events.len() as u64, EVENTS_BEFORE + ROUNDS + 3);
    for order in ["D0", "D1", "D2", "D3", "E1", "E2", "E3"] {
        let hash = OrderHash::of(order);
        assert_eq!(ledger.payments().filter(|payment| payment.order == hash.0).count(), 1, "events of {order}");
    }
    // 20 % once and 1 % each time.
    for (user, balance, payments) in [("amy", 1_000 + ROUNDS * 50, ROUNDS), ("bo", 200 + 3 * 10, 3)] {
        let key = network.cast.user(user);
        assert_eq!(network.balance(&key).await, balance, "{user} on chain");
        assert_eq!(api.balance(&key).await, (balance, payments), "{user} in the API");
        let entries = api.list(&format!("/v1/users/{key}/entries")).await;
        assert_eq!(entries.len(), ledger.grants(&key).len(), "{user}: {entries:?}");
    }
}
