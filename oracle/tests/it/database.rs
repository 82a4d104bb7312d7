//! The oracle's database.

use rebate_oracle::database;
use rebate_tests::database::TestDatabase;

#[tokio::test]
async fn an_empty_database_gets_the_schema_and_keeps_it_when_it_is_opened_again() {
    let empty = TestDatabase::without_migrations().await.unwrap();
    for _ in 0..2 {
        let pool = database::connect(&empty.url(), 2).await.unwrap();
        assert_eq!(database::backlog(&pool).await.unwrap().queued, 0);
        pool.close().await;
    }
}
