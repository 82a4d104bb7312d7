//! The private Postgres, through everything that can happen to it on somebody's machine.
#![expect(clippy::unwrap_used, reason = "a test may fail by any panic")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use rebate_local::{AsRoot, LocalPostgres, LocalPostgresError, Settings};
use rustix::process::{Pid, Signal, geteuid, kill_process, test_kill_process};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

/// A folder that only its owner may enter, like a root's home, and a place for a cluster in it.
struct Place {
    _folder: TempDir,
    dir: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let dir = folder.path().join("postgres");
        Self { _folder: folder, dir }
    }

    /// One that others may enter, too.
    fn open() -> Self {
        let place = Self::new();
        fs::set_permissions(place._folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        place
    }

    fn start(&self) -> LocalPostgres {
        self.try_start(&Settings::for_tests()).unwrap()
    }

    fn try_start(&self, settings: &Settings) -> Result<LocalPostgres, LocalPostgresError> {
        LocalPostgres::start_with(&self.dir, settings)
    }

    /// A process of its own that has the server until it is told to end, or is killed.
    fn start_in_another_process(&self) -> Child {
        let mut process = command(&self.dir, "echo up; exec cat").stdin(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "up\n");
        process
    }

    fn server(&self) -> Pid {
        let file = fs::read_to_string(self.dir.join("data/postmaster.pid")).unwrap();
        Pid::from_raw(file.lines().next().unwrap().parse().unwrap()).unwrap()
    }

    fn has_server(&self) -> bool {
        self.dir.join("data/postmaster.pid").exists()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Where namespaces are forbidden, a root's cluster lies elsewhere.
        if let Ok(elsewhere) = fs::read_link(&self.dir) {
            fs::remove_dir_all(elsewhere).unwrap();
        }
    }
}

/// The command `rebate-local postgres` with a shell line to run.
fn command(dir: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rebate-local"));
    command.args(["postgres", "--volatile", "--dir"]).arg(dir).args(["--", "sh", "-c", line]);
    command.env_remove("DATABASE_URL").stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Ends a process that waits for the end of its input.
fn end(mut process: Child) {
    drop(process.stdin.take());
    assert!(process.wait().unwrap().success());
}

async fn run(url: &str, statement: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn read(url: &str, query: &str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut connection).await.unwrap()
}

const WRITE: &str = "CREATE TABLE kept AS SELECT 'still here' AS note";
const READ: &str = "SELECT note FROM kept";

#[tokio::test]
async fn a_database_is_made_once_and_used_over_a_socket_that_nobody_else_reaches() {
    let place = Place::new();
    let postgres = place.start();
    assert!(postgres.is_private());
    for _ in 0..2 {
        postgres.create_database("a name with \"quotes\"").await.unwrap();
    }
    let url = postgres.url("a name with \"quotes\"");
    assert_eq!(read(&url, "SELECT current_database()::text").await, "a name with \"quotes\"");
    assert_eq!(read(&url, "SHOW listen_addresses").await, "");
    assert_eq!(fs::metadata(&place.dir).unwrap().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_dropped_server_has_stopped_and_its_data_is_there_the_next_time() {
    let place = Place::new();
    let postgres = place.start();
    let server = place.server();
    run(&postgres.url("postgres"), WRITE).await;
    drop(postgres);
    assert!(!place.has_server());
    assert!(test_kill_process(server).is_err());
    assert_eq!(read(&place.start().url("postgres"), READ).await, "still here");
}

#[tokio::test]
async fn who_joins_a_running_server_leaves_it_running() {
    let place = Place::new();
    let starter = place.start_in_another_process();
    let server = place.server();
    for _ in 0..2 {
        let guest = place.start();
        assert!(guest.is_private());
        assert_eq!(read(&guest.url("postgres"), "SELECT 'reached'").await, "reached");
        drop(guest);
        assert_eq!(place.server(), server);
        assert!(test_kill_process(server).is_ok());
    }

    end(starter);
    assert!(!place.has_server(), "the last one stops it");
    assert!(test_kill_process(server).is_err());
}

#[tokio::test]
async fn who_started_a_server_leaves_it_running_for_who_joined_and_the_last_one_stops_it() {
    let place = Place::new();
    let starter = place.start_in_another_process();
    let server = place.server();
    let (guest, last) = (place.start(), place.start_in_another_process());
    let mut busy = PgConnection::connect(&guest.url("postgres")).await.unwrap();
    let mut transaction = busy.begin().await.unwrap();
    sqlx::raw_sql(WRITE).execute(&mut *transaction).await.unwrap();

    end(starter);
    transaction.commit().await.expect("nobody ended the connection");
    busy.close().await.unwrap();
    assert_eq!(read(&guest.url("postgres"), READ).await, "still here");
    let url = guest.url("postgres");
    guest.stop().unwrap();
    assert_eq!(read(&url, READ).await, "still here", "it goes on for the last one");
    assert_eq!(place.server(), server);

    end(last);
    assert!(!place.has_server(), "the last one stops it");
    assert!(PgConnection::connect(&url).await.is_err());
}

#[tokio::test]
async fn two_values_in_one_process_share_one_server_and_the_last_one_stops_it() {
    let place = Place::new();
    let (one, other) = (place.start(), place.start());
    let server = place.server();
    drop(one);
    assert_eq!(read(&other.url("postgres"), "SELECT 'reached'").await, "reached");
    assert_eq!(place.server(), server);
    drop(other);
    assert!(!place.has_server());

    let (mut keeps, mut others) = (place.start(), place.start());
    for _ in 0..3 {
        drop(std::mem::replace(&mut others, place.start()));
        std::mem::swap(&mut keeps, &mut others);
        assert_eq!(read(&keeps.url("postgres"), "SELECT 'reached'").await, "reached");
    }
    drop((keeps, others));
    assert!(!place.has_server());
}

#[tokio::test]
async fn a_server_whose_starter_was_killed_goes_on_for_who_joined_and_stops_with_it() {
    let place = Place::new();
    let mut starter = place.start_in_another_process();
    let server = place.server();
    let guest = place.start();
    starter.kill().unwrap();
    starter.wait().unwrap();

    let came_and_went = place.start();
    assert_eq!(place.server(), server);
    came_and_went.stop().unwrap();
    assert_eq!(read(&guest.url("postgres"), "SELECT 'reached'").await, "reached");
    guest.stop().unwrap();
    assert!(!place.has_server(), "the last one stops it");
}

#[tokio::test]
async fn a_server_that_crashed_under_its_users_is_started_by_the_next_and_stopped_by_the_last() {
    let place = Place::new();
    let starter = place.start_in_another_process();
    let crashed = place.server();
    kill_process(crashed, Signal::KILL).unwrap();
    let next = place.start();
    assert_ne!(place.server(), crashed);
    run(&next.url("postgres"), WRITE).await;
    next.stop().unwrap();
    assert!(test_kill_process(place.server()).is_ok(), "the first one may use it again");

    end(starter);
    assert!(!place.has_server());
    assert_eq!(read(&place.start().url("postgres"), READ).await, "still here");
}

#[test]
fn processes_that_start_and_end_at_random_all_have_their_server_for_as_long_as_they_live() {
    let place = Place::new();
    let lives = AtomicU32::new(0);
    thread::scope(|scope| {
        for number in 0..6 {
            let (place, lives) = (&place, &lives);
            scope.spawn(move || {
                let mut random = Random(number);
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                for _ in 0..12 {
                    thread::sleep(Duration::from_millis(random.below(300)));
                    runtime.block_on(live(place, &mut random));
                    lives.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(lives.into_inner(), 6 * 12);
    assert!(!place.has_server(), "the last one stops it");
}

/// A process with the server, whose one connection must last as long as the process.
async fn live(place: &Place, random: &mut Random) {
    let mut process = command(&place.dir, "echo $DATABASE_URL; exec cat").stdin(Stdio::piped()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
    let mut connection = PgConnection::connect(url.trim()).await.unwrap();
    for _ in 0..random.below(6) {
        let query = sqlx::query("SELECT pg_sleep($1)").bind(random.below(60) as f64 / 1000.0);
        query.execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    end(process);
}

/// Numbers that look random, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

#[tokio::test]
async fn many_processes_that_start_at_once_share_one_server() {
    let place = Place::new();
    let children: Vec<Child> = (0..6).map(|_| command(&place.dir, "echo $DATABASE_URL").spawn().unwrap()).collect();
    for child in children {
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success());
        assert!(ended.stdout.starts_with(b"postgres://"));
    }
    assert!(!place.has_server());
}

#[tokio::test]
async fn a_cluster_left_behind_by_a_killed_process_starts_again() {
    let place = Place::new();
    let mut owner = place.start_in_another_process();
    let server = place.server();
    owner.kill().unwrap();
    owner.wait().unwrap();

    let postgres = place.start();
    assert_eq!(place.server(), server, "it was running all the time");
    run(&postgres.url("postgres"), WRITE).await;
    postgres.stop().unwrap();
    assert!(!place.has_server(), "somebody has to stop it");
}

#[tokio::test]
async fn a_cluster_whose_server_was_killed_in_the_middle_of_work_starts_again() {
    let place = Place::new();
    let mut owner = place.start_in_another_process();
    let url = place.start().url("postgres");
    run(&url, WRITE).await;
    // The server of a test does not wait for the disk otherwise.
    run(&url, "CHECKPOINT").await;
    let mut busy = PgConnection::connect(&url).await.unwrap();
    run(&url, "CREATE TABLE lost (number int)").await;
    sqlx::raw_sql("BEGIN; INSERT INTO lost SELECT generate_series(1, 10000)").execute(&mut busy).await.unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    kill_process(place.server(), Signal::KILL).unwrap();

    assert!(place.has_server(), "its file is stale now, and so is its socket");
    assert_eq!(read(&place.start().url("postgres"), READ).await, "still here");
    drop(busy);
}

#[tokio::test]
async fn a_process_number_that_another_program_has_by_now_does_not_keep_it_from_starting() {
    let place = Place::new();
    place.start().stop().unwrap();
    let me = std::process::id();
    let data = place.dir.join("data");
    let stale = format!("{me}\n{}\n1700000000\n5432\n{}\n\n  1  1\nready   \n", data.display(), place.dir.display());
    fs::write(data.join("postmaster.pid"), &stale).unwrap();
    fs::write(place.dir.join(".s.PGSQL.5432.lock"), &stale).unwrap();
    fs::write(place.dir.join(".s.PGSQL.5432"), "").unwrap();

    assert_eq!(read(&place.start().url("postgres"), "SELECT 'started'").await, "started");
}

#[tokio::test]
async fn a_cluster_that_was_being_made_when_its_process_was_killed_is_made_anew() {
    let place = Place::new();
    let unfinished = place.dir.join("data.new");
    fs::create_dir_all(&unfinished).unwrap();
    fs::write(unfinished.join("PG_VERSION"), "15\n").unwrap();

    assert_eq!(read(&place.start().url("postgres"), "SELECT 'whole'").await, "whole");
    assert!(!unfinished.exists());
}

#[tokio::test]
async fn root_in_a_closed_folder_without_namespaces_gets_a_cluster_where_the_other_user_reaches_it() {
    let place = Place::new();
    let settings = Settings { as_root: AsRoot::OtherUser, ..Settings::for_tests() };
    let postgres = place.try_start(&settings).unwrap();
    run(&postgres.url("postgres"), WRITE).await;
    drop(postgres);

    // The automatic choice goes on with the cluster that is there, as the user it belongs to.
    assert_eq!(read(&place.start().url("postgres"), READ).await, "still here");

    let home = fs::canonicalize(&place.dir).unwrap();
    if geteuid().is_root() {
        assert!(home.starts_with("/var/tmp"), "{}", home.display());
        assert_ne!(fs::metadata(home.join("data")).unwrap().uid(), 0);
    } else {
        assert_eq!(home, fs::canonicalize(place._folder.path()).unwrap().join("postgres"));
    }
}

#[tokio::test]
async fn root_in_an_open_folder_without_namespaces_keeps_the_cluster_there() {
    let place = Place::open();
    let settings = Settings { as_root: AsRoot::OtherUser, ..Settings::for_tests() };
    // A cluster from a time when namespaces were allowed changes hands.
    run(&place.start().url("postgres"), WRITE).await;
    assert_eq!(read(&place.try_start(&settings).unwrap().url("postgres"), READ).await, "still here");
    assert!(!fs::symlink_metadata(&place.dir).unwrap().is_symlink());
}

#[tokio::test]
async fn a_folder_whose_path_is_too_long_for_a_socket_gets_a_private_one_elsewhere() {
    let mut place = Place::open();
    place.dir = place.dir.join("a".repeat(120)).join("postgres");
    let postgres = place.start();
    assert_eq!(read(&postgres.url("postgres"), "SELECT 'reached'").await, "reached");
    assert!(!place.dir.join(".s.PGSQL.5432").exists());
    let sockets = PathBuf::from(read(&postgres.url("postgres"), "SHOW unix_socket_directories").await);
    assert_eq!(fs::metadata(&sockets).unwrap().mode() & 0o777, 0o700);
    let also = place.start();
    drop(postgres);
    assert_eq!(read(&also.url("postgres"), "SELECT 'reached'").await, "reached");
    drop(also);
    assert!(!sockets.exists());
}

#[test]
fn a_cluster_of_a_version_that_is_not_installed_is_refused_by_that_version() {
    let place = Place::open();
    fs::create_dir_all(place.dir.join("data")).unwrap();
    fs::write(place.dir.join("data/PG_VERSION"), "7\n").unwrap();
    let error = place.try_start(&Settings::for_tests()).unwrap_err();
    assert!(matches!(&error, LocalPostgresError::NoPrograms { wanted } if wanted == "7"), "{error}");
    assert!(error.to_string().contains("DATABASE_URL"));
}

#[test]
fn a_server_that_does_not_start_says_why_and_frees_the_cluster() {
    let place = Place::new();
    let error = place.try_start(&Settings::for_tests().with("max_connections", "many")).unwrap_err().to_string();
    assert!(error.contains("max_connections") && error.contains("postgres.log"), "{error}");
    place.start();
}

#[test]
fn a_folder_that_cannot_be_made_is_named_in_the_error() {
    let place = Place::new();
    fs::write(&place.dir, "a file, not a folder").unwrap();
    let error = LocalPostgres::start(&place.dir.join("below")).unwrap_err().to_string();
    assert!(error.contains(&*place.dir.to_string_lossy()), "{error}");
}

#[test]
fn a_command_finds_its_database_in_the_environment_and_its_exit_code_is_passed_on() {
    let place = Place::new();
    let ended = command(&place.dir, "echo $DATABASE_URL; exit 7").output().unwrap();
    assert_eq!(ended.status.code(), Some(7));
    assert!(ended.stdout.starts_with(b"postgres://postgres@"));
    assert!(!place.has_server());
}

#[test]
fn a_command_told_to_stop_ends_before_its_postgres_does() {
    let place = Place::new();
    let mut running = place.start_in_another_process();
    // Else waiting would close it, and so end the command by itself.
    let _kept_open = running.stdin.take();
    kill_process(Pid::from_child(&running), Signal::TERM).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(128 + 15));
    assert!(!place.has_server());
}

#[test]
fn a_postgres_that_database_url_names_is_left_as_it_is() {
    let place = Place::new();
    let theirs = "postgres://somebody@example.org/theirs";
    let ended = command(&place.dir, "echo $DATABASE_URL").env("DATABASE_URL", theirs).output().unwrap();
    assert_eq!(String::from_utf8(ended.stdout).unwrap().trim(), theirs);
    assert!(!place.dir.exists());

    let postgres = LocalPostgres::named("postgres://somebody:secret@example.org/theirs?sslmode=require").unwrap();
    assert_eq!(postgres.url("ours"), "postgres://somebody:secret@example.org/ours?sslmode=require");
    assert!(!postgres.is_private());
}

#[test]
fn a_database_url_of_another_kind_is_refused_without_repeating_its_password() {
    let place = Place::new();
    let ended = command(&place.dir, "true")
        .env("DATABASE_URL", "mysql://root:secret@localhost/x")
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(said.contains("DATABASE_URL is no Postgres URL") && !said.contains("secret"), "{said}");
}

#[tokio::test]
async fn a_command_that_wants_the_schema_gets_a_database_of_its_own_with_it() {
    let place = Place::new();
    let postgres = place.start();
    let migrations = place._folder.path().join("migrations");
    fs::create_dir(&migrations).unwrap();
    fs::write(migrations.join("0001_first.sql"), "CREATE TABLE first (number int);").unwrap();
    let mut with_schema = Command::new(env!("CARGO_BIN_EXE_rebate-local"));
    with_schema.args(["postgres", "--dir"]).arg(&place.dir).arg("--migrations").arg(&migrations);
    with_schema.args(["--", "sh", "-c", "echo $DATABASE_URL; cat"]).env_remove("DATABASE_URL");
    let mut running = with_schema.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(running.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
    assert_eq!(read(url.trim(), "SELECT 'first'::regclass::text").await, "first");

    drop(running.stdin.take());
    assert!(running.wait().unwrap().success());
    let left = "SELECT count(*)::text FROM pg_database WHERE datname LIKE 'rebate%'";
    assert_eq!(read(&postgres.url("postgres"), left).await, "0");
}
