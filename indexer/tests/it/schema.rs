//! Databases that are not what the indexer needs.

use crate::{
    chain::Chain,
    database::Database,
    source::{Script, index, index_with},
};
use rebate_indexer::{
    IndexError, Options,
    database::{self, DatabaseError, SchemaError},
};
use sqlx::postgres::PgPoolOptions;
use std::time::Duration;

fn schema_error(error: IndexError) -> SchemaError {
    match error {
        IndexError::Database(DatabaseError::Schema(error)) => error,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_missing_migration_is_named() {
    let database = Database::without_schema().await;
    let script = || Script::of(&Chain::new());
    let error = index(&database, script()).await.unwrap_err();
    assert!(error.to_string().contains("lacks a migration: 0001 (chain)"), "{error}");

    database::migrate(database.pool()).await.unwrap();
    database.execute("DELETE FROM _sqlx_migrations WHERE version = 3").await;
    let error = schema_error(index(&database, script()).await.unwrap_err());
    assert_eq!(error, SchemaError::Missing { missing: "0003 (ledger)".to_owned() });
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let database = Database::new().await;
    database
        .execute(
            r"INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
              VALUES (9999, 'later', true, '\x00', 0)",
        )
        .await;
    let error = schema_error(index(&database, Script::of(&Chain::new())).await.unwrap_err());
    assert_eq!(error, SchemaError::Newer { version: 9999 });
    let error = database::migrate(database.pool()).await.unwrap_err();
    assert!(matches!(error, DatabaseError::Schema(SchemaError::Newer { version: 9999 })), "{error}");
}

#[tokio::test]
async fn a_migration_changed_after_it_was_applied_is_named() {
    let database = Database::new().await;
    database.execute(r"UPDATE _sqlx_migrations SET checksum = '\x00' WHERE version = 2").await;
    let error = schema_error(index(&database, Script::of(&Chain::new())).await.unwrap_err());
    assert_eq!(error, SchemaError::Altered { version: 2 });
}

#[tokio::test]
async fn a_database_of_another_chain_is_refused_and_stays_as_it_is() {
    let database = Database::new().await;
    index(&database, Script::of(&Chain::new())).await.unwrap();
    let content = database.content().await;
    let error = index(&database, Script::of(&Chain::named("another chain"))).await.unwrap_err();
    assert!(matches!(error, IndexError::OtherChain { .. }), "{error}");
    assert_eq!(database.content().await, content);
}

#[tokio::test]
async fn migrating_twice_is_as_good_as_once() {
    let database = Database::new().await;
    database::migrate(database.pool()).await.unwrap();
    database::check(database.pool()).await.unwrap();
}

#[tokio::test]
async fn what_an_older_version_wrote_is_kept_and_completed() {
    let database = Database::without_schema().await;
    static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");
    MIGRATIONS.run_to(3, database.pool()).await.unwrap();
    database
        .execute(
            r#"
            INSERT INTO transactions VALUES (decode(repeat('01', 64), 'hex'), 1, 0, now());
            INSERT INTO events SELECT decode(repeat('02', 32), 'hex'), n, 'kind', now(), decode(repeat('01', 64), 'hex'),
                decode(repeat('00', 8), 'hex') FROM generate_series(0, 2) AS n;
            INSERT INTO platforms VALUES (decode(repeat('02', 32), 'hex'), 1, decode(repeat('03', 32), 'hex'),
                decode(repeat('03', 32), 'hex'), 60, 0, 7, false, now());
            INSERT INTO assets VALUES (decode(repeat('02', 32), 'hex'), 1, 'coins', 'points');
            INSERT INTO rules VALUES (decode(repeat('02', 32), 'hex'), 1, 1, 'a rule', 1, 1, 0, 0, 0, 0,
                '{"condition": [], "effect": {"kind": "fixed", "asset": 1, "amount": "30"}}', now(), 1, 30, 1);
            INSERT INTO payments VALUES (decode(repeat('02', 32), 'hex'), 2, decode(repeat('04', 32), 'hex'),
                decode(repeat('05', 32), 'hex'), decode(repeat('06', 32), 'hex'), 100, now(), 1, 0, 0, 0, 0, 1);
            INSERT INTO outcomes VALUES (decode(repeat('02', 32), 'hex'), 2, 0, 1, 1, 0, 0, 1, 30, 0, 30);
            INSERT INTO entries VALUES (decode(repeat('02', 32), 'hex'), 2, 0, decode(repeat('05', 32), 'hex'), 'grant', 1,
                30, 0, 30, decode(repeat('04', 32), 'hex'), 1, 1, now());
            INSERT INTO users VALUES (decode(repeat('02', 32), 'hex'), decode(repeat('05', 32), 'hex'), 1, 100, now(), now());
            INSERT INTO balances VALUES (decode(repeat('02', 32), 'hex'), decode(repeat('05', 32), 'hex'), 1, 30, 1, 2);
            "#,
        )
        .await;
    database::migrate(database.pool()).await.unwrap();

    let kept: (i64, i32, i32, String, String, String, i64, String, String, String) = sqlx::query_as(
        "SELECT from_day, shards, page_slots, liability::text, group_mode, counter_window, tags, spent::text,
                debt::text, refunded::text
         FROM order_shards JOIN assets USING (platform) JOIN rules USING (platform, asset)
         JOIN rule_budgets USING (platform, rule) JOIN balances USING (platform, asset)
         JOIN users USING (platform, user_key)",
    )
    .fetch_one(database.pool())
    .await
    .unwrap();
    let text = |text: &str| text.to_owned();
    let expected = (0, 7, 8, text("30"), text("stackable"), text("lifetime"), 0, text("30"), text("0"), text("0"));
    assert_eq!(kept, expected);
    assert_eq!((database.count("entries").await, database.count("outcomes").await), (1, 1));
}

#[tokio::test]
async fn an_unreachable_database_is_named_without_its_password() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = format!("postgres://somebody:secret@127.0.0.1:{port}/rebate");
    let error = database::connect(&url).await.unwrap_err();
    assert!(matches!(error, DatabaseError::Unreachable(_)), "{error}");
    assert!(error.to_string().contains(&port.to_string()) && !error.to_string().contains("secret"), "{error}");

    let options = Options { patience: Duration::from_millis(200), ..Options::default() };
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(100)).connect_lazy(&url).unwrap();
    let error = index_with(pool, Script::of(&Chain::new()), options).await.unwrap_err();
    assert!(matches!(error, IndexError::Database(DatabaseError::Unreachable(_))), "{error}");
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_named() {
    let database = Database::new().await;
    let options = database.options().database("no_such_database");
    let pool = PgPoolOptions::new().connect_lazy_with(options);
    let error = index_with(pool, Script::of(&Chain::new()), Options::default()).await.unwrap_err();
    assert!(matches!(error, IndexError::Database(DatabaseError::Denied(_))), "{error}");
    assert!(error.to_string().contains("no_such_database"), "{error}");
}
