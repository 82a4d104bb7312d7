//! Many clients that listen, while an indexer writes.

use crate::{chain::Chain, client::Times, server::Server};
use rebate_client::chain::Commitment;
use rebate_indexer::{database, stretch::Stretch, write::Writer};
use sqlx::postgres::PgPoolOptions;
use std::{
    cell::RefCell,
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
    time::{sleep, sleep_until, timeout},
};

/// Blocks a second, and payments in each.
const BLOCKS: u32 = 10;
const PAYMENTS: u64 = 5;

/// How long the last events are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was heard.
pub struct Heard {
    pub times: Times,
    pub mebibytes: f64,
}

/// When the indexer began to write an event, and how long it then took to each client.
#[derive(Default)]
struct Clock {
    begun: HashMap<u64, Instant>,
    took: Vec<Duration>,
    ready: u64,
}

/// `None` where the API has nothing to listen to.
pub async fn measure(database_url: &str, listeners: u64, span: Duration) -> Option<Heard> {
    let pool = PgPoolOptions::new().max_connections(4).connect(database_url).await.unwrap();
    database::migrate(&pool).await.unwrap();
    let (mut chain, platform) = Chain::with_platform();
    let writer = Writer::new(pool.clone(), chain.genesis_hash(), Commitment::Finalized);
    let mut last = None;
    let stretch = Stretch::of(last, &chain.blocks).unwrap();
    writer.write(&stretch).await.unwrap();
    last = stretch.end();
    let server = Server::start(database_url).await;
    let (at, clock) = (server.address(), Rc::new(RefCell::new(Clock::default())));
    let local = LocalSet::new();
    let blocks = BLOCKS * u32::try_from(span.as_secs()).unwrap();
    let events = u64::from(blocks) * PAYMENTS;
    let heard = local.run_until(async {
        let mut streams = Vec::new();
        for _ in 0..listeners {
            let mut stream = TcpStream::connect(at).await.unwrap();
            let request = "GET /v1/live HTTP/1.1\r\nhost: api\r\naccept: text/event-stream\r\n\r\n";
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut head = vec![0; 12];
            stream.read_exact(&mut head).await.unwrap();
            if head.ends_with(b"404") {
                eprintln!("api.sse: the API does not serve /v1/live");
                return false;
            }
            assert!(head.ends_with(b"200"), "{}", String::from_utf8_lossy(&head));
            streams.push(stream);
        }
        let listening: Vec<_> = streams
            .into_iter()
            .map(|stream| tokio::task::spawn_local(hear(stream, Rc::clone(&clock), events)))
            .collect();
        while clock.borrow().ready < listeners {
            sleep(Duration::from_millis(10)).await;
        }
        let begun = tokio::time::Instant::now();
        for block in 0..blocks {
            sleep_until(begun + Duration::from_secs(1) * block / BLOCKS).await;
            let first = chain.blocks.len();
            let payments: Vec<_> = (0..PAYMENTS)
                .map(|at| {
                    rebate_client::event::Event::PaymentRecorded(chain.payment(
                        platform,
                        u64::from(block) * PAYMENTS + at,
                        1_000,
                    ))
                })
                .collect();
            for payment in &payments {
                if let rebate_client::event::Event::PaymentRecorded(payment) = payment {
                    clock.borrow_mut().begun.insert(payment.journal_index, Instant::now());
                }
            }
            chain.emit(&payments);
            chain.seal();
            let stretch = Stretch::of(last, &chain.blocks[first..]).unwrap();
            writer.write(&stretch).await.unwrap();
            last = stretch.end();
        }
        for listening in listening {
            timeout(PATIENCE, listening).await.expect("not every client heard every event").unwrap();
        }
        true
    });
    let heard = heard.await;
    pool.close().await;
    heard.then(|| Heard {
        times: Times::of(std::mem::take(&mut clock.borrow_mut().took)),
        mebibytes: server.mebibytes(),
    })
}

/// Listens until so many events were heard.
async fn hear(mut stream: TcpStream, clock: Rc<RefCell<Clock>>, events: u64) {
    let (mut read, mut heard) = (Vec::with_capacity(16 * 1024), 0);
    while heard < events {
        assert!(stream.read_buf(&mut read).await.unwrap() > 0, "the API closed the connection");
        let now = Instant::now();
        let mut done = 0;
        while let Some(end) = find(&read[done..], b"\n\n") {
            let frame = &read[done..done + end];
            if find(frame, b"event: ready").is_some() {
                clock.borrow_mut().ready += 1;
            } else if let Some(index) = journal_index(frame) {
                heard += 1;
                let mut clock = clock.borrow_mut();
                let took = now - clock.begun[&index];
                clock.took.push(took);
            }
            done += end + 2;
        }
        read.drain(..done);
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|some| some == wanted)
}

fn journal_index(frame: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"\"journal_index\":";
    let rest = &frame[find(frame, NAME)? + NAME.len()..];
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}
