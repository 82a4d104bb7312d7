//! Asks over connections that stay open, as cheaply as can be: what it spends, the server lacks.

use std::{
    cell::Cell,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
};

/// How long things took, sorted.
pub struct Times(Vec<Duration>);

impl Times {
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What so many percent were not longer than, in milliseconds.
    pub fn percentile(&self, percent: usize) -> f64 {
        let place = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(place).copied().unwrap_or_default().as_secs_f64() * 1_000.0
    }
}

/// A connection that asks.
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
    body: (usize, usize),
}

impl Connection {
    pub async fn open(at: SocketAddr) -> Self {
        let stream = TcpStream::connect(at).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::with_capacity(16 * 1024), body: (0, 0) }
    }

    /// Gets an answer whole; its status.
    pub async fn get(&mut self, path: &str) -> u16 {
        let request = format!("GET {path} HTTP/1.1\r\nhost: api\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.read.clear();
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await;
        };
        let head = std::str::from_utf8(&self.read[..end]).unwrap();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
        });
        let length = length.expect("an answer says how long it is");
        while self.read.len() < end + length {
            self.more().await;
        }
        self.body = (end, end + length);
        status
    }

    /// Of the last answer.
    pub fn body(&self) -> &[u8] {
        &self.read[self.body.0..self.body.1]
    }

    async fn more(&mut self) {
        let read = self.stream.read_buf(&mut self.read).await.unwrap();
        assert!(read > 0, "the API closed the connection after:\n{}", String::from_utf8_lossy(&self.read));
    }
}

/// Asks on every connection for one path after the other. How long each answer took, and all of it.
pub async fn ask(
    at: SocketAddr,
    connections: u64,
    span: Duration,
    path: impl Fn(u64) -> String + Copy + 'static,
) -> (Times, Duration) {
    let begun = Instant::now();
    let next = Rc::new(Cell::new(0));
    let local = LocalSet::new();
    let asking: Vec<_> = (0..connections)
        .map(|_| {
            let next = Rc::clone(&next);
            local.spawn_local(async move {
                let (mut connection, mut times) = (Connection::open(at).await, Vec::new());
                while begun.elapsed() < span {
                    let path = path(next.replace(next.get() + 1));
                    let asked = Instant::now();
                    let status = connection.get(&path).await;
                    assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(connection.body()));
                    times.push(asked.elapsed());
                }
                times
            })
        })
        .collect();
    let all = local.run_until(async {
        let mut all = Vec::new();
        for asking in asking {
            all.extend(asking.await.unwrap());
        }
        all
    });
    (Times::of(all.await), begun.elapsed())
}
