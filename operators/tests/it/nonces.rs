use rebate_operators::nonces;
use rebate_tests::database::TestDatabase;
use time::{Duration, OffsetDateTime};

#[tokio::test]
async fn a_nonce_counts_once_and_is_forgotten_after_it_has_ended() {
    let database = TestDatabase::of_operators().await.unwrap_or_else(|error| panic!("{error}"));
    let pool = database.pool();
    let soon = OffsetDateTime::now_utc() + Duration::MINUTE;
    let at_once = (0..8).map(|_| {
        let pool = pool.clone();
        tokio::spawn(async move { nonces::use_up(&pool, b"one", soon).await.unwrap() })
    });
    let mut good = 0;
    for used in at_once.collect::<Vec<_>>() {
        good += u32::from(used.await.unwrap());
    }
    assert_eq!(good, 1);
    assert!(nonces::use_up(pool, b"two", OffsetDateTime::now_utc() - Duration::HOUR).await.unwrap());
    assert!(nonces::use_up(pool, b"three", soon).await.unwrap());
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM used_nonces").fetch_one(pool).await.unwrap();
    assert_eq!(kept, 2);
}
