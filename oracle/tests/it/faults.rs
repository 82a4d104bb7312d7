//! Postgres goes away and comes back.

use crate::served::{Options, Served, now, payment};
use rebate_local::{LocalPostgres, Settings};
use reqwest::StatusCode;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tokio::{task::spawn_blocking, time::sleep};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_answered_with_yes_is_there_after_postgres_restarted_and_the_rest_can_come_again() {
    let dir = tempfile::Builder::new().prefix("rb").tempdir().unwrap();
    let path = dir.path().to_owned();
    let start = move || {
        let path = path.clone();
        spawn_blocking(move || LocalPostgres::start_with(&path, &Settings::for_tests()).unwrap())
    };
    let postgres = start().await.unwrap();
    postgres.create_database("oracle").await.unwrap();
    let oracle = Served::over(&postgres.url("oracle"), Options::default()).await;

    let mut postgres = Some(postgres);
    let (mut yes, mut no) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..6 {
        match round {
            1 | 3 => {
                let running = postgres.take().unwrap();
                // While notices come, so that some meet it in the middle.
                let stopping = spawn_blocking(move || running.stop().unwrap());
                send(&oracle, round, &mut yes, &mut no).await;
                stopping.await.unwrap();
            }
            2 | 4 => {
                assert_eq!(oracle.get("/ready").await.status(), StatusCode::SERVICE_UNAVAILABLE);
                assert_eq!(oracle.get("/live").await.status(), StatusCode::OK);
                send(&oracle, round, &mut yes, &mut no).await;
                postgres = Some(start().await.unwrap());
            }
            _ => send(&oracle, round, &mut yes, &mut no).await,
        }
    }
    assert!(!yes.is_empty() && !no.is_empty());
    // The provider sends again what was not taken, until it is.
    let begun = Instant::now();
    for number in no {
        while oracle.notify(&payment(&number, 600)).await != StatusCode::OK {
            assert!(begun.elapsed() < Duration::from_secs(60));
            sleep(Duration::from_millis(50)).await;
        }
        yes.insert(number);
    }
    let stored: Vec<String> = sqlx::query_scalar("SELECT number FROM records").fetch_all(&oracle.pool).await.unwrap();
    assert_eq!(stored.iter().cloned().collect::<BTreeSet<_>>(), yes);
    assert_eq!(stored.len(), yes.len());
    assert_eq!(oracle.count("notices").await, i64::try_from(yes.len()).unwrap());
    oracle.stop().await;
}

async fn send(oracle: &Served, round: usize, yes: &mut BTreeSet<String>, no: &mut BTreeSet<String>) {
    for some in 0..4 {
        let all = (0..10).map(|at| async move {
            let number = format!("F{round}-{some}-{at}");
            let answer = oracle.notify_signed(payment(&number, 600).to_string(), now()).await.status();
            assert!(matches!(answer, StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE), "{answer}");
            (number, answer)
        });
        for (number, answer) in futures_util::future::join_all(all).await {
            if answer == StatusCode::OK {
                yes.insert(number)
            } else {
                no.insert(number)
            };
        }
    }
}
