//! The database that each test gets.

use rebate_tests::database::TestDatabase;
use sqlx::postgres::PgPool;

async fn count(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap_or(-1)
}

#[tokio::test]
async fn each_test_has_a_database_of_its_own_with_the_schema_in_it() {
    let (one, other) = (TestDatabase::new().await.unwrap(), TestDatabase::new().await.unwrap());
    sqlx::raw_sql("CREATE TABLE mine (number int)").execute(one.pool()).await.unwrap();
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename IN ('mine', 'events')";
    assert_eq!(count(one.pool(), tables).await, 2);
    assert_eq!(count(other.pool(), tables).await, 1);
}

#[tokio::test]
async fn a_database_goes_with_its_test_even_while_something_is_connected_to_it() {
    let (mine, observer) = (TestDatabase::new().await.unwrap(), TestDatabase::without_migrations().await.unwrap());
    let url = mine.url();
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
    let _connected = mine.pool().acquire().await.unwrap();
    let exists = "SELECT count(*) FROM pg_database WHERE datname = $1";
    let there =
        async |name: &str| -> i64 { sqlx::query_scalar(exists).bind(name).fetch_one(observer.pool()).await.unwrap() };
    assert_eq!(there(&name).await, 1);
    drop(mine);
    assert_eq!(there(&name).await, 0);
}
