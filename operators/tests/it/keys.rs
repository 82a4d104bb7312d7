use rebate_operators::{
    OperatorsError,
    audit::{self, Actor, Filter},
    database,
    key::Key,
    keys::{self, Draft},
    role::Role,
};
use rebate_tests::database::TestDatabase;
use sqlx::{PgPool, Row};
use time::{Duration, OffsetDateTime};

async fn database() -> TestDatabase {
    TestDatabase::of_operators().await.unwrap_or_else(|error| panic!("{error}"))
}

async fn make(pool: &PgPool, name: &str, role: Role) -> Key {
    let draft = Draft { name, role, expires_at: None };
    keys::create(pool, &Actor::CommandLine, None, &draft).await.unwrap().0
}

#[tokio::test]
async fn an_empty_database_gets_the_schema_and_keeps_it_when_it_is_opened_again() {
    let empty = TestDatabase::without_migrations().await.unwrap();
    for _ in 0..2 {
        let pool = database::connect(&empty.url(), 2).await.unwrap();
        assert!(keys::list(&pool, None, 10).await.unwrap().is_empty());
        pool.close().await;
    }
}

#[tokio::test]
async fn a_key_is_told_from_every_text_that_is_none() {
    let database = database().await;
    let pool = database.pool();
    let key = make(pool, "ann", Role::Editor).await;
    let text = key.reveal();
    let identity = keys::authenticate(pool, &text).await.unwrap().unwrap();
    assert_eq!((identity.name.as_str(), identity.role, &identity.id), ("ann", Role::Editor, key.id()));

    let other = make(pool, "bob", Role::Admin).await.reveal();
    let (head, secret) = text.split_at(21);
    let mut last = secret.to_owned();
    let end = if last.pop() == Some('A') { 'Q' } else { 'A' };
    last.push(end);
    for forged in [
        // Another's secret half, with one's own public half, and the other way round.
        format!("{head}{}", &other[21..]),
        format!("{}{secret}", &other[..21]),
        // One digit off.
        format!("{head}{last}"),
        Key::make().unwrap().reveal(),
        secret.to_owned(),
        String::new(),
    ] {
        assert_eq!(keys::authenticate(pool, &forged).await.unwrap(), None, "{forged}");
    }
}

#[tokio::test]
async fn what_is_kept_of_a_key_opens_nothing() {
    let database = database().await;
    let pool = database.pool();
    let key = make(pool, "ann", Role::Admin).await;
    let kept: Vec<u8> =
        sqlx::query("SELECT secret_sha256 FROM keys").fetch_one(pool).await.unwrap().get("secret_sha256");
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let forged = format!("rop_{}_{}", key.id(), BASE64_URL_SAFE_NO_PAD.encode(&kept));
    assert_eq!(keys::authenticate(pool, &forged).await.unwrap(), None);

    // All that is in the database, as text.
    let secret = &key.reveal()[21..];
    for table in ["keys", "audit", "audit_head"] {
        let dump = format!("SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t");
        let dump: String = sqlx::query_scalar(sqlx::AssertSqlSafe(dump)).fetch_one(pool).await.unwrap();
        assert!(!dump.contains(secret), "{table}: {dump}");
    }
}

#[tokio::test]
async fn a_revoked_key_stops_with_the_next_request() {
    let database = database().await;
    let pool = database.pool();
    let key = make(pool, "ann", Role::Viewer).await;
    let text = key.reveal();
    assert!(keys::authenticate(pool, &text).await.unwrap().is_some());
    keys::revoke(pool, &Actor::CommandLine, None, key.id()).await.unwrap();
    assert_eq!(keys::authenticate(pool, &text).await.unwrap(), None);
    let again = keys::revoke(pool, &Actor::CommandLine, None, key.id()).await;
    assert!(matches!(again, Err(OperatorsError::NoKey(_))));
    assert!(!keys::list(pool, None, 10).await.unwrap()[0].is_in_force(OffsetDateTime::now_utc()));
}

#[tokio::test]
async fn a_key_stops_when_it_expires() {
    let database = database().await;
    let pool = database.pool();
    let now = OffsetDateTime::now_utc();
    let draft = |expires_at| Draft { name: "ann", role: Role::Viewer, expires_at: Some(expires_at) };
    let late = keys::create(pool, &Actor::CommandLine, None, &draft(now - Duration::SECOND)).await;
    assert!(matches!(late, Err(OperatorsError::Expired)));
    let (key, _) = keys::create(pool, &Actor::CommandLine, None, &draft(now + Duration::HOUR)).await.unwrap();
    assert!(keys::authenticate(pool, &key.reveal()).await.unwrap().is_some());
    sqlx::raw_sql("UPDATE keys SET expires_at = now()").execute(pool).await.unwrap();
    assert_eq!(keys::authenticate(pool, &key.reveal()).await.unwrap(), None);
}

#[tokio::test]
async fn a_name_that_cannot_be_shown_is_refused_and_nothing_is_logged() {
    let database = database().await;
    let pool = database.pool();
    for name in ["", "  ", "a\nb", "a\0b", &"n".repeat(101)] {
        let draft = Draft { name, role: Role::Viewer, expires_at: None };
        let refused = keys::create(pool, &Actor::CommandLine, None, &draft).await;
        assert!(matches!(refused, Err(OperatorsError::Name)), "{name:?}");
    }
    make(pool, "安 <b>'; DROP TABLE keys; --", Role::Viewer).await;
    assert_eq!(keys::list(pool, None, 10).await.unwrap()[0].identity.name, "安 <b>'; DROP TABLE keys; --");
    assert_eq!(audit::page(pool, &Filter::default(), None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn keys_are_listed_in_pages() {
    let database = database().await;
    let pool = database.pool();
    for name in ["a", "b", "c"] {
        make(pool, name, Role::Viewer).await;
    }
    let first = keys::list(pool, None, 2).await.unwrap();
    let rest = keys::list(pool, Some(&first[1].identity.id), 2).await.unwrap();
    let mut names: Vec<_> = first.iter().chain(&rest).map(|key| key.identity.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["a", "b", "c"]);
}
