//! Connections that break, and a database that goes away, at every point of the work.

use crate::{
    database::Database,
    kinds::chain_of_everything,
    source::{Script, index, index_with},
};
use rebate_indexer::Options;
use sqlx::postgres::PgPoolOptions;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
};

/// Where the connection breaks.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// At the request with this number, from 1.
    at: u32,
    /// Before Postgres hears of it, or after Postgres has answered and before the answer arrives.
    heard: bool,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Stands between the indexer and Postgres, and breaks one connection once.
struct Proxy {
    port: u16,
    requests: Arc<AtomicU32>,
    broken: Arc<AtomicBool>,
}

impl Proxy {
    async fn new(database: &Database, cut: Cut) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, broken) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let server = database.options();
        let (counter, flag) = (Arc::clone(&requests), Arc::clone(&broken));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                client.set_nodelay(true).unwrap();
                let upstream: Box<dyn Stream> = match server.get_socket() {
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
                };
                tokio::spawn(carry(client, upstream, cut, Arc::clone(&counter), Arc::clone(&flag)));
            }
        });
        Self { port, requests, broken }
    }
}

/// Carries messages (PostgreSQL documentation, 55.7) both ways until an end goes away or the cut comes.
async fn carry(
    client: TcpStream,
    upstream: Box<dyn Stream>,
    cut: Cut,
    requests: Arc<AtomicU32>,
    broken: Arc<AtomicBool>,
) -> Option<()> {
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
            let is_cut = is_request
                && requests.fetch_add(1, Ordering::SeqCst) + 1 == cut.at
                && !broken.swap(true, Ordering::SeqCst);
            if is_cut {
                return cut.heard.then_some(message);
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

/// The URL of the database behind the proxy.
fn through(proxy: &Proxy, database: &Database) -> String {
    let mut url = url::Url::parse(&std::env::var("DATABASE_URL").unwrap()).unwrap();
    let others: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| !["host", "port", "dbname", "sslmode"].contains(&name.as_ref()))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(proxy.port)).unwrap();
    url.set_path(database.options().get_database().unwrap());
    url.query_pairs_mut().clear().extend_pairs(others).append_pair("sslmode", "disable");
    if url.username().is_empty() {
        url.query_pairs_mut().append_pair("user", database.options().get_username());
    }
    url.into()
}

/// Indexes with one cut; false if the work was over before it came.
async fn index_with_cut(database: &Database, cut: Cut) -> bool {
    database
        .execute(
            "DELETE FROM balances; DELETE FROM users; DELETE FROM entries; DELETE FROM outcomes; DELETE FROM claims;
             DELETE FROM wallet_links; DELETE FROM redemptions; DELETE FROM refunds; DELETE FROM payments;
             DELETE FROM rules; DELETE FROM oracle_keys; DELETE FROM vaults; DELETE FROM assets;
             DELETE FROM order_shards; DELETE FROM utc_offsets; DELETE FROM platforms;
             DELETE FROM tree_nodes; DELETE FROM journals; DELETE FROM journal_months; DELETE FROM events;
             DELETE FROM transactions; DELETE FROM cursor",
        )
        .await;
    let proxy = Proxy::new(database, cut).await;
    let pool = PgPoolOptions::new().max_connections(2).connect_lazy(&through(&proxy, database)).unwrap();
    let options = Options { blocks_at_once: 1, ..Options::default() };
    index_with(pool, Script::of(&chain_of_everything()), options).await.unwrap();
    let requests = proxy.requests.load(Ordering::SeqCst);
    assert!(requests > 60, "only {requests} requests came through the proxy");
    proxy.broken.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_between_any_two_statements_loses_and_repeats_nothing() {
    let whole = Database::new().await;
    index(&whole, Script::of(&chain_of_everything())).await.unwrap();
    let content = Arc::new(whole.content().await);
    let next = Arc::new(AtomicU32::new(1));
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let (content, next) = (Arc::clone(&content), Arc::clone(&next));
            tokio::spawn(async move {
                let database = Database::new().await;
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    for heard in [false, true] {
                        let cut = Cut { at, heard };
                        if !index_with_cut(&database, cut).await {
                            return at;
                        }
                        assert_eq!(database.content().await, *content, "{cut:?}");
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        let end = worker.await.unwrap();
        assert!(end > 60, "the work was over after {end} requests");
    }
}

#[tokio::test]
async fn a_database_that_ends_every_connection_is_waited_for() {
    let database = Database::new().await;
    let ending = {
        let (options, name) = (database.options(), database.options().get_database().unwrap().to_owned());
        tokio::spawn(async move {
            let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options.application_name("killer"));
            for _ in 0..20 {
                tokio::time::sleep(std::time::Duration::from_millis(15)).await;
                sqlx::query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = $1 AND application_name <> 'killer'",
                )
                .bind(&name)
                .execute(&pool)
                .await
                .unwrap();
            }
        })
    };
    let chain = {
        let (mut chain, platform) = crate::chain::Chain::with_platform();
        for number in 0..150 {
            chain.pay(platform, number % 7, 5);
            chain.pay(platform, number % 5, 5);
            chain.seal();
        }
        chain
    };
    index(&database, Script::of(&chain)).await.unwrap();
    ending.await.unwrap();
    assert_eq!(database.count("tree_nodes").await, 1);
    let undisturbed = Database::new().await;
    index(&undisturbed, Script::of(&chain)).await.unwrap();
    assert_eq!(database.content().await, undisturbed.content().await);
}
