//! What an operator does: compares, and tries again.

use super::chaos::insert;
use prometheus::Registry;
use rebate_core::{payment::Payment, units::Amount};
use rebate_oracle::{
    outbox::{Options, Outbox, metrics::Metrics, queue, record::Record},
    reconcile::{Difference, Export, What, reconcile},
    signer::LocalKey,
};
use rebate_tests::{
    database::TestDatabase,
    platform::{TestPlatform, payment},
};
use solana_keypair::Keypair;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Runs the outbox until nothing is queued.
async fn run(platform: &TestPlatform, database: &TestDatabase, oracle: &Keypair) {
    let options = Options {
        attempts: 2,
        look: Duration::from_millis(2),
        poll: Duration::from_millis(5),
        gather: Duration::ZERO,
        // A wrong key is not waited for.
        key_patience: Duration::ZERO,
        shortest_pause: Duration::from_millis(1),
        ..Options::default()
    };
    let outbox = Outbox::new(
        sqlx::postgres::PgPoolOptions::new().max_connections(6).connect_lazy(&database.url()).unwrap(),
        platform.chain.clone(),
        Arc::new(LocalKey::new(oracle.insecure_clone())),
        Arc::new(LocalKey::new(platform.payer.insecure_clone())),
        platform.addresses.platform,
        options,
        Metrics::new(&Registry::new()).unwrap(),
    );
    let over = CancellationToken::new();
    let through = async {
        let begun = Instant::now();
        let open = "SELECT count(*) FROM records WHERE state IN (1, 2)";
        while sqlx::query_scalar::<_, i64>(open).fetch_one(database.pool()).await.unwrap() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(30), "not through");
            sleep(Duration::from_millis(5)).await;
        }
        over.cancel();
    };
    tokio::join!(outbox.run(over.clone()), through);
}

async fn start() -> (TestPlatform, TestDatabase) {
    let platform = tokio::task::spawn_blocking(TestPlatform::with_sample_rules).await.unwrap();
    (platform, TestDatabase::of_oracle().await.unwrap())
}

#[tokio::test]
async fn an_export_is_compared_with_what_is_stored_and_that_with_the_chain() {
    let (platform, database) = start().await;
    let (pool, address) = (database.pool(), platform.addresses.platform);
    for (number, amount) in [("A", 1_000), ("B", 2_000), ("C", 0), ("D", 400), ("E", 500)] {
        let payment = Payment { amount: Amount(amount), ..payment(number, number, 1) };
        insert(pool, &address, number, &Record::Payment(payment)).await;
    }
    run(&platform, &database, &platform.oracle).await;
    // Somebody meddled: it is not on chain by this transaction.
    sqlx::query("UPDATE records SET signature = $1 WHERE number = 'E'").bind([7u8; 64]).execute(pool).await.unwrap();

    let export = "time,order,amount\n1,A,10.00\n2,B,20.01\n3,C,0\n4,X,1.00\n5,E,5.00\n6,A,10.00\n";
    let settings = Export { order_column: "order".to_owned(), amount_column: "amount".to_owned(), decimals: 2 };
    let mut found = Vec::new();
    let compared =
        reconcile(pool, &platform.chain, &address, export.as_bytes(), &settings, Some("test"), |difference| {
            found.push(difference);
        });
    let summary = compared.await.unwrap();
    found.sort_by_key(|difference| difference.order.clone());
    let expected = [
        ("A", What::Twice),
        ("B", What::Amount { exported: 2_001, stored: 2_000 }),
        ("C", What::Refused("ZeroAmount".to_owned())),
        ("D", What::NotExported),
        ("E", What::NotOnChain),
        ("X", What::NotStored),
    ];
    let expected = expected.map(|(order, what)| Difference { order: order.to_owned(), what });
    assert_eq!(found, expected);
    assert_eq!((summary.exported, summary.recorded, summary.differences), (6, 3, 6));
}

#[tokio::test]
async fn what_is_dead_for_a_wrong_key_is_recorded_once_it_is_tried_again_with_the_right_one() {
    let (platform, database) = start().await;
    let (pool, address) = (database.pool(), platform.addresses.platform);
    insert(pool, &address, "A", &Record::Payment(payment("A", "ann", 1_000))).await;
    run(&platform, &database, &Keypair::new()).await;
    let row = "SELECT state, reason FROM records";
    let (state, reason): (i16, Option<String>) = sqlx::query_as(row).fetch_one(pool).await.unwrap();
    assert_eq!(state, 5);
    assert!(reason.is_some_and(|reason| reason.contains("UnknownOracle")));

    assert!(!queue::retry(pool, &address, "B").await.unwrap());
    assert!(queue::retry(pool, &address, "A").await.unwrap());
    run(&platform, &database, &platform.oracle).await;
    let (state, reason): (i16, Option<String>) = sqlx::query_as(row).fetch_one(pool).await.unwrap();
    assert_eq!((state, reason), (3, None));
    assert!(!queue::retry(pool, &address, "A").await.unwrap());
}
