//! What is confirmed becomes final.

use crate::{deadline::until, network::EVENTS_BEFORE, network::Network, services};
use rebate_tests::database::TestDatabase;
use serde_json::Value;
use sqlx::PgPool;
use std::time::Duration;

fn finality(order: &Value) -> &Value {
    &order["records"][0]["transaction"]["finality"]
}

async fn count(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn payments_are_confirmed_at_once_and_final_later_with_nothing_taken_back() {
    let database = TestDatabase::new().await.unwrap();
    let network = Network::start().await;
    let mut indexer = services::indexer(&network, &database);
    let (_server, api) = services::api(&network, &database).await;
    indexer.said_line_with("beginning with an empty database").await;
    let mut recorder = network.recorder(&network.cast.payer).await;

    const PAYMENTS: u64 = 24;
    for number in 0..PAYMENTS {
        let order = format!("F{number}");
        let payment = [network.payment(&order, &format!("u{}", number % 5), 1_000 + number)];
        recorder.record(&payment, &network.sign(&payment)).await.unwrap();
        let answer = api.order(&order).await;
        assert_eq!(answer["finality"], "confirmed", "{answer}");
        assert_eq!(finality(&answer), "confirmed", "{answer}");
        if number == PAYMENTS / 2 {
            // What one has written, another settles.
            indexer.kill();
            indexer = services::indexer(&network, &database);
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    for number in 0..PAYMENTS {
        let answer = until(&format!("payment {number} is final"), async || {
            let answer = api.order(&format!("F{number}")).await;
            if finality(&answer) == "finalized" { Ok(answer) } else { Err(answer) }
        })
        .await;
        let slot = answer["records"][0]["transaction"]["slot"].as_i64().unwrap();
        assert!(answer["final_slot"].as_i64().unwrap() >= slot, "{answer}");
        // The chain goes on, and its tip is never final.
        assert_eq!(answer["finality"], "confirmed", "{answer}");
    }
    let entries = api.list(&format!("/v1/users/{}/entries", network.cast.user("u0"))).await;
    assert!(entries.iter().all(|entry| entry["transaction"]["finality"] == "finalized"), "{entries:?}");

    assert!(!indexer.err().contains("taken back"), "{}", indexer.err());
    assert_eq!(api.integrity().await["chain_count"], EVENTS_BEFORE + PAYMENTS);
    // Of what is final nothing is kept to take it back with.
    let stale = "SELECT count(*) FROM undo, cursor WHERE end_slot <= final_slot";
    assert_eq!(count(database.pool(), stale).await, 0);
    let waiting = count(database.pool(), "SELECT count(*) FROM provisional_stretches").await;
    assert!(waiting < 100, "{waiting} stretches wait for their audit");
}
