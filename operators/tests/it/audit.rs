use rebate_operators::{
    audit::{self, Actor, Entry, Filter, Head, Outcome, Verdict},
    key::Key,
    keys::{self, Draft, Identity},
    role::Role,
};
use rebate_tests::database::TestDatabase;
use sqlx::PgPool;

async fn database() -> TestDatabase {
    TestDatabase::of_operators().await.unwrap_or_else(|error| panic!("{error}"))
}

fn ann() -> Actor {
    Actor::Key(Identity { id: "0123456789abcdef".parse().unwrap(), name: "ann".into(), role: Role::Editor })
}

async fn log(pool: &PgPool, action: &str, target: &str) -> i64 {
    let (actor, outcome) = (ann(), Outcome::Done);
    let entry = Entry { actor: &actor, action, target, outcome, detail: None, request_id: Some("r1") };
    audit::log(pool, &entry).await.unwrap()
}

async fn sound(pool: &PgPool) -> Head {
    match audit::verify(pool, None).await.unwrap() {
        Verdict::Sound(head) => head,
        other => panic!("{other:?}"),
    }
}

async fn tampered(pool: &PgPool, known: Option<Head>) -> i64 {
    match audit::verify(pool, known).await.unwrap() {
        Verdict::Tampered { id, .. } => id,
        other => panic!("{other:?}"),
    }
}

/// Somebody who owns the database and switches the trigger off.
async fn tamper(pool: &PgPool, sql: &'static str) {
    let mut transaction = pool.begin().await.unwrap();
    sqlx::raw_sql("ALTER TABLE audit DISABLE TRIGGER USER").execute(&mut *transaction).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut *transaction).await.unwrap();
    sqlx::raw_sql("ALTER TABLE audit ENABLE ALWAYS TRIGGER only_added_to, ENABLE ALWAYS TRIGGER never_emptied")
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_row_says_who_did_what_on_what_and_when() {
    let database = database().await;
    let pool = database.pool();
    let before = time::OffsetDateTime::now_utc();
    assert_eq!(log(pool, "dead-letter.retry", "17").await, 1);
    let row = audit::page(pool, &Filter::default(), None, 10).await.unwrap().remove(0);
    assert_eq!(row.operator.as_deref(), Some("0123456789abcdef"));
    assert_eq!((row.operator_name.as_str(), row.role.as_deref()), ("ann", Some("editor")));
    assert_eq!((row.action.as_str(), row.target.as_str(), row.outcome.as_str()), ("dead-letter.retry", "17", "done"));
    assert_eq!(row.request_id.as_deref(), Some("r1"));
    assert!((before - time::Duration::SECOND..=time::OffsetDateTime::now_utc()).contains(&row.at));
}

#[tokio::test]
async fn the_database_refuses_to_change_or_empty_the_log() {
    let database = database().await;
    let pool = database.pool();
    log(pool, "a", "b").await;
    for sql in [
        "UPDATE audit SET target = 'c'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "SET session_replication_role = replica; DELETE FROM audit",
    ] {
        let mut connection = pool.acquire().await.unwrap().detach();
        let refused = sqlx::raw_sql(sql).execute(&mut connection).await.unwrap_err();
        assert!(refused.to_string().contains("only ever added to"), "{sql}: {refused}");
    }
    assert_eq!(sound(pool).await.entries, 1);
}

#[tokio::test]
async fn a_key_is_not_made_where_the_log_cannot_be_written() {
    let database = database().await;
    let pool = database.pool();
    sqlx::raw_sql("ALTER TABLE audit ADD CHECK (action <> 'key.create')").execute(pool).await.unwrap();
    let draft = Draft { name: "ann", role: Role::Admin, expires_at: None };
    assert!(keys::create(pool, &Actor::CommandLine, None, &draft).await.is_err());
    assert!(keys::list(pool, None, 10).await.unwrap().is_empty());
    assert_eq!(sound(pool).await.entries, 0);
}

#[tokio::test]
async fn a_changed_row_is_found_where_it_is() {
    let database = database().await;
    let pool = database.pool();
    for target in ["1", "2", "3"] {
        log(pool, "a", target).await;
    }
    sound(pool).await;
    for sql in [
        "UPDATE audit SET target = 'x' WHERE id = 2",
        "UPDATE audit SET at = at + interval '1 microsecond' WHERE id = 2",
        "UPDATE audit SET operator_name = 'bob' WHERE id = 2",
        "UPDATE audit SET detail = '' WHERE id = 2",
        "UPDATE audit SET request_id = NULL WHERE id = 2",
        "UPDATE audit SET hash = sha256('x') WHERE id = 2",
        "DELETE FROM audit WHERE id = 2",
    ] {
        let saved = "CREATE TABLE saved AS SELECT * FROM audit";
        sqlx::raw_sql(saved).execute(pool).await.unwrap();
        tamper(pool, sql).await;
        assert_eq!(tampered(pool, None).await, 2, "{sql}");
        tamper(pool, "DELETE FROM audit; INSERT INTO audit SELECT * FROM saved; DROP TABLE saved").await;
        sound(pool).await;
    }
}

#[tokio::test]
async fn a_log_cut_short_is_found() {
    let database = database().await;
    let pool = database.pool();
    for target in ["1", "2", "3"] {
        log(pool, "a", target).await;
    }
    let known = sound(pool).await;
    tamper(pool, "DELETE FROM audit WHERE id = 3").await;
    assert_eq!(tampered(pool, None).await, 3);
    // Also where the end was forged with it, by who knows what was printed earlier.
    tamper(pool, "UPDATE audit_head SET entries = 2, hash = (SELECT hash FROM audit WHERE id = 2)").await;
    sound(pool).await;
    assert_eq!(tampered(pool, Some(known)).await, 3);
}

#[tokio::test]
async fn a_log_written_anew_is_found_by_who_knows_its_former_end() {
    let database = database().await;
    let pool = database.pool();
    log(pool, "a", "1").await;
    let known = sound(pool).await;
    assert_eq!(known.to_string().parse(), Ok(known));
    log(pool, "a", "2").await;
    assert_eq!(audit::verify(pool, Some(known)).await.unwrap(), Verdict::Sound(sound(pool).await));
    tamper(pool, "DELETE FROM audit; UPDATE audit_head SET entries = 0, hash = decode(repeat('00', 32), 'hex')").await;
    log(pool, "a", "other").await;
    log(pool, "a", "2").await;
    sound(pool).await;
    assert_eq!(tampered(pool, Some(known)).await, 1);
}

#[tokio::test]
async fn many_at_once_make_one_chain_without_a_gap() {
    let database = database().await;
    let pool = database.pool();
    let all = (0..40).map(|number| {
        let pool = pool.clone();
        tokio::spawn(async move { log(&pool, "a", &number.to_string()).await })
    });
    let mut ids = Vec::new();
    for task in all.collect::<Vec<_>>() {
        ids.push(task.await.unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=40).collect::<Vec<_>>());
    assert_eq!(sound(pool).await.entries, 40);
}

#[tokio::test]
async fn no_key_gets_into_the_log_whoever_puts_it_there() {
    let database = database().await;
    let pool = database.pool();
    let key = Key::make().unwrap().reveal();
    let long = format!("{key} {}\0", "ä".repeat(3_000));
    let actor = ann();
    let entry = Entry {
        actor: &actor,
        action: "a",
        target: &long,
        outcome: Outcome::Failed,
        detail: Some(&long),
        request_id: Some(&long),
    };
    audit::log(pool, &entry).await.unwrap();
    let dump: String =
        sqlx::query_scalar("SELECT string_agg(a::text, ' ') FROM audit a").fetch_one(pool).await.unwrap();
    assert!(!dump.contains(&key[21..]), "{dump}");
    assert!(dump.contains(&key[..20]));
    sound(pool).await;
}

#[tokio::test]
async fn the_log_is_read_in_pages_and_by_filters() {
    let database = database().await;
    let pool = database.pool();
    let draft = Draft { name: "bob", role: Role::Viewer, expires_at: None };
    let (key, _) = keys::create(pool, &Actor::CommandLine, None, &draft).await.unwrap();
    keys::revoke(pool, &ann(), Some("r2"), key.id()).await.unwrap();
    log(pool, "a", "1").await;
    let ids = async |filter: Filter, before, limit| {
        let rows = audit::page(pool, &filter, before, limit).await.unwrap();
        rows.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(Filter::default(), None, 2).await, [3, 2]);
    assert_eq!(ids(Filter::default(), Some(2), 2).await, [1]);
    let operator = Some("0123456789abcdef".parse().unwrap());
    assert_eq!(ids(Filter { operator, ..Filter::default() }, None, 9).await, [3, 2]);
    assert_eq!(ids(Filter { action: Some("key.create".into()), ..Filter::default() }, None, 9).await, [1]);
    assert_eq!(ids(Filter { outcome: Some(Outcome::Refused), ..Filter::default() }, None, 9).await, [0; 0]);
    let soon = time::OffsetDateTime::now_utc() + time::Duration::HOUR;
    assert_eq!(ids(Filter { from: Some(soon), ..Filter::default() }, None, 9).await, [0; 0]);
    assert_eq!(ids(Filter { to: Some(soon), ..Filter::default() }, None, 9).await, [3, 2, 1]);
}
