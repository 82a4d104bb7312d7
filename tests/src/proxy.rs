//! Stands between a process and Postgres, message by message, and breaks connections where a test says so.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
};

/// What becomes of a request to Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is answered.
    Answered,
    /// The connection breaks before Postgres hears of it.
    Unheard,
    /// The connection breaks after Postgres has answered and before the answer arrives.
    Unanswered,
}

/// Says what becomes of the request with this number, from 1.
type Judge = Arc<dyn Fn(u32) -> Fate + Send + Sync>;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Stands between a process and one database of the Postgres that `DATABASE_URL` names.
pub struct Proxy {
    database: PgConnectOptions,
    port: u16,
    requests: Arc<AtomicU32>,
    away: Arc<AtomicBool>,
}

impl Proxy {
    /// One that asks `judge` about each request.
    pub async fn new(database: PgConnectOptions, judge: impl Fn(u32) -> Fate + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, away) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let (server, judge) = (database.clone(), Arc::new(judge) as Judge);
        let (counter, is_away) = (Arc::clone(&requests), Arc::clone(&away));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Dropped, the connection is closed.
                if !is_away.load(Ordering::SeqCst) {
                    client.set_nodelay(true).unwrap();
                    let upstream = connect(&server).await;
                    let carrying = carry(client, upstream, Arc::clone(&judge), Arc::clone(&counter));
                    tokio::spawn(carrying);
                }
            }
        });
        Self { database, port, requests, away }
    }

    /// One that breaks a connection at one request. Also says whether it has.
    pub async fn that_cuts(database: PgConnectOptions, at: u32, fate: Fate) -> (Self, Arc<AtomicBool>) {
        let broken = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&broken);
        let is_cut = move |request| request == at && !flag.swap(true, Ordering::SeqCst);
        let proxy = Self::new(database, move |request| if is_cut(request) { fate } else { Fate::Answered }).await;
        (proxy, broken)
    }

    /// How many requests came through.
    pub fn requests(&self) -> u32 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Whether new connections are closed at once.
    pub fn away(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.away)
    }

    /// At most so many connections through it.
    pub fn pool(&self, connections: u32) -> PgPool {
        PgPoolOptions::new().max_connections(connections).connect_lazy(&self.url()).unwrap()
    }

    /// The URL of the database behind it.
    pub fn url(&self) -> String {
        let mut url = url::Url::parse(&std::env::var("DATABASE_URL").unwrap()).unwrap();
        let others: Vec<(String, String)> = url
            .query_pairs()
            .filter(|(name, _)| !["host", "port", "dbname", "sslmode"].contains(&name.as_ref()))
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(self.port)).unwrap();
        url.set_path(self.database.get_database().unwrap());
        url.query_pairs_mut().clear().extend_pairs(others).append_pair("sslmode", "disable");
        if url.username().is_empty() {
            url.query_pairs_mut().append_pair("user", self.database.get_username());
        }
        url.into()
    }
}

async fn connect(server: &PgConnectOptions) -> Box<dyn Stream> {
    match server.get_socket() {
        Some(folder) => {
            let path = folder.join(format!(".s.PGSQL.{}", server.get_port()));
            Box::new(UnixStream::connect(path).await.unwrap())
        }
        None => {
            let stream = TcpStream::connect((server.get_host(), server.get_port())).await.unwrap();
            // Messages are passed on one by one; each would wait for the one before to be acknowledged.
            stream.set_nodelay(true).unwrap();
            Box::new(stream)
        }
    }
}

/// Carries messages (PostgreSQL documentation, 55.7) both ways until an end goes away or the cut comes.
async fn carry(client: TcpStream, upstream: Box<dyn Stream>, judge: Judge, requests: Arc<AtomicU32>) -> Option<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(upstream);
    // The first message has no type.
    let length = from_client.read_u32().await.ok()?;
    let mut startup = vec![0; usize::try_from(length).ok()? - 4];
    from_client.read_exact(&mut startup).await.ok()?;
    to_server.write_all(&[&length.to_be_bytes(), startup.as_slice()].concat()).await.ok()?;

    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let answers = tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        loop {
            let read = tokio::select! {
                // The stop comes before the request that is cut off is sent. An answer that is there as well is that
                // request's already.
                biased;
                // The rest of the answers belongs to the request that is cut off.
                _ = &mut stopped => {
                    let _ = from_server.read(&mut buffer).await;
                    return None::<()>;
                }
                read = from_server.read(&mut buffer) => read.ok()?,
            };
            if read == 0 {
                return None;
            }
            to_client.write_all(&buffer[..read]).await.ok()?;
        }
    });
    let forward = async {
        loop {
            let kind = from_client.read_u8().await.ok()?;
            let length = from_client.read_u32().await.ok()?;
            let mut body = vec![0; usize::try_from(length).ok()? - 4];
            from_client.read_exact(&mut body).await.ok()?;
            let message = [&[kind], length.to_be_bytes().as_slice(), &body].concat();
            // Sync and simple Query: after these Postgres answers.
            let is_request = kind == b'S' || kind == b'Q';
            let fate = if is_request { judge(requests.fetch_add(1, Ordering::SeqCst) + 1) } else { Fate::Answered };
            match fate {
                Fate::Answered => {}
                Fate::Unheard => return None,
                Fate::Unanswered => return Some(message),
            }
            to_server.write_all(&message).await.ok()?;
        }
    };
    if let Some(last) = forward.await {
        let _ = stop.send(());
        to_server.write_all(&last).await.ok()?;
        let _ = answers.await;
    } else {
        answers.abort();
    }
    Some(())
}
