use crate::{ledger::Ledger, served::Served};
use rebate_api::{Bounds, Settings, room_for};
use rebate_client::explorer::Cluster;
use rebate_tests::database::TestDatabase;
use reqwest::Client;
use serde_json::Value;
use std::{process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::Command,
    time::{Instant, sleep, timeout},
};

const HEAD: Duration = Duration::from_millis(400);

/// Long enough for anything that comes at all.
const PATIENCE: Duration = Duration::from_secs(30);

async fn bounded(bounds: Bounds) -> Served {
    Served::with(Settings { bounds, ..Settings::new(Cluster::Devnet) }).await
}

async fn connect(served: &Served) -> TcpStream {
    TcpStream::connect(served.url.trim_start_matches("http://")).await.unwrap()
}

/// All that still comes, until the server hangs up.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is a hang-up, too.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.unwrap_or_else(|_| panic!("still connected"));
    bytes
}

#[tokio::test]
async fn a_client_that_sends_its_request_drop_by_drop_is_cut_off() {
    let served = bounded(Bounds { head: HEAD, ..Bounds::default() }).await;
    for beginning in ["", "G", "PRI * HTTP/2.0\r\n", "GET /health HTTP/1.1\r\nhost: a\r\n"] {
        let mut stream = connect(&served).await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let began = Instant::now();
        let (mut reader, mut writer) = stream.split();
        let dripping = async {
            // A header that never ends.
            while writer.write_all(b"x").await.is_ok() {
                sleep(Duration::from_millis(50)).await;
            }
            std::future::pending::<()>().await;
        };
        let mut bytes = [0; 1_024];
        let hang_up = async { while matches!(reader.read(&mut bytes).await, Ok(1..)) {} };
        tokio::select! {
            () = dripping, if !beginning.is_empty() => {}
            () = hang_up => {}
            () = sleep(PATIENCE) => panic!("{beginning:?} is still connected"),
        }
        assert!(began.elapsed() < HEAD * 20, "{:?}", began.elapsed());
    }
    assert_eq!(served.get("/health").await.status(), 200);
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed() {
    let served = bounded(Bounds { head: HEAD, ..Bounds::default() }).await;
    let mut stream = connect(&served).await;
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let text = String::from_utf8(rest(&mut stream).await).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK") && text.ends_with(r#"{"status":"up"}"#), "{text}");
}

#[tokio::test]
async fn a_client_that_takes_no_answer_is_cut_off() {
    let served = bounded(Bounds { write: HEAD, ..Bounds::default() }).await;
    let mut stream = connect(&served).await;
    let whole = served.get("/openapi.json").await.bytes().await.unwrap().len();
    // More than all buffers between here and there hold.
    const ASKED: usize = 400;
    let requests = "GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n".repeat(ASKED);
    stream.write_all(requests.as_bytes()).await.unwrap();
    sleep(HEAD * 3).await;
    let got = rest(&mut stream).await.len();
    assert!(got < whole * ASKED, "{got} of {}", whole * ASKED);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let settings = Settings { request_timeout: HEAD, ..Settings::new(Cluster::Devnet) };
    let served = Served::with(settings).await;
    let mut stream = connect(&served).await;
    let head =
        "POST /v1/sign-in/nonce HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let text = String::from_utf8(rest(&mut stream).await).unwrap();
    assert!(text.starts_with("HTTP/1.1 503 "), "{text}");
    assert!(text.contains("urn:rebate:problem:timeout"), "{text}");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let served = bounded(Bounds::default()).await;
    let mut stream = connect(&served).await;
    let head = format!("GET /health HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    let _ = stream.write_all(head.as_bytes()).await;
    let text = String::from_utf8(rest(&mut stream).await).unwrap();
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 431 "), "{text}");
    assert_eq!(served.get("/health").await.status(), 200);
}

#[tokio::test]
async fn who_finds_no_room_is_told_so_and_gets_in_when_there_is() {
    let served = bounded(Bounds { connections: 2, ..Bounds::default() }).await;
    let first = connect(&served).await;
    let second = connect(&served).await;
    // Whichever connections are taken first: those two are there before.
    let client = || Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let refused = client().get(format!("{}/health", served.url)).send().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.json::<Value>().await.unwrap()["type"], "urn:rebate:problem:overloaded");
    drop((first, second));
    let began = Instant::now();
    while client().get(format!("{}/health", served.url)).send().await.unwrap().status() != 200 {
        assert!(began.elapsed() < PATIENCE, "there is room again and nobody gets in");
        sleep(Duration::from_millis(20)).await;
    }
}

/// The binary itself, so that each side has the whole of its limit of open files.
#[tokio::test]
async fn ten_thousand_connections_leave_room_for_one_that_asks() {
    const CONNECTIONS: usize = 10_000;
    assert!(room_for(CONNECTIONS) == CONNECTIONS, "this test needs a limit of {CONNECTIONS} open files: ulimit -Hn");
    let database = TestDatabase::new().await.unwrap_or_else(|error| panic!("{error}"));
    let _ledger = Ledger::new(database.pool()).await;
    let mut server = Command::new("sh")
        // As a service manager would start it: it raises the limit itself.
        .args(["-c", "ulimit -Sn 1024 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_rebate-api")])
        .args(["--listen", "127.0.0.1:0", "--head-timeout", "300", "--max-connections", "12000"])
        .env("DATABASE_URL", database.url())
        .env_remove("OPERATORS_DATABASE_URL")
        .env("RUST_LOG", "info")
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap()).lines();
    let address = loop {
        let line = log.next_line().await.unwrap().unwrap_or_else(|| panic!("the server does not start"));
        if let Some((_, address)) = line.split_once("listening on http://") {
            break address.trim().to_owned();
        }
    };
    tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });

    let began = Instant::now();
    let mut open = Vec::with_capacity(CONNECTIONS);
    while open.len() < CONNECTIONS {
        let some = (0..250).map(|_| TcpStream::connect(&address));
        for stream in futures_util::future::join_all(some).await {
            let mut stream = stream.unwrap();
            // Half of them say nothing, half begin to say something.
            if open.len() % 2 == 0 {
                stream.write_all(b"GET /v1/rules HTTP/1.1\r\nhost: a\r\n").await.unwrap();
            }
            open.push(stream);
        }
    }
    let opened = began.elapsed();
    let client = Client::new();
    for path in ["/health", "/v1/rules", "/v1/platforms"] {
        let began = Instant::now();
        let answer = timeout(PATIENCE, client.get(format!("http://{address}{path}")).send()).await.unwrap().unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        println!("{path}: {:?} beside {CONNECTIONS} connections, opened in {opened:?}", began.elapsed());
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id().unwrap())).unwrap_or_default();
    println!("{}", status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default());
    // All of them were taken, none was hung up on.
    let mut one = open.pop().unwrap();
    one.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(String::from_utf8(rest(&mut one).await).unwrap().starts_with("HTTP/1.1 200 "));
    drop(open);
    server.kill().await.unwrap();
}
