//! Connections: how many there may be, and how long a client may take.
//!
//! HTTP/1.1 alone; TLS and HTTP/2 are a proxy's. What axum serves with has no bound on connections, and would wait for a
//! request's first line for ever.

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, LazyLock},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::{ServiceExt, service_fn};

/// Longest request line and headers, in bytes.
const LONGEST_HEAD: usize = 32 * 1024;

/// Files that are open beside connections of clients: to databases, to the node, logs.
const OTHER_FILES: u64 = 256;

/// How many clients are told at once that there is no room.
const REFUSALS: usize = 64;

/// How long that may take.
const REFUSAL: Duration = Duration::from_millis(500);

/// A pause where no connection can be taken.
const PAUSE: Duration = Duration::from_millis(50);

/// What is said where there is no room; as `problem` would write it.
static NO_ROOM: LazyLock<String> = LazyLock::new(|| {
    let body = r#"{"type":"urn:rebate:problem:overloaded","title":"Too many requests at once","status":503,"detail":"this server has as many connections as it can; try again in a moment","instance":"/"}"#;
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n\
         retry-after: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
});

/// What bounds connections.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many there may be at once.
    pub connections: usize,
    /// How long a request's head may take to come, and how long a connection may wait for the next request.
    pub head: Duration,
    /// How long a client may take no byte of its answer.
    pub write: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections: 16_384, head: Duration::from_secs(20), write: Duration::from_secs(30) }
    }
}

/// Raises this process's limit of open files as far as it may, and says how many of `wanted` connections fit under it.
pub fn room_for(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files stays as it is");
            limit.current
        }
    };
    // No limit is none.
    let room = files.map_or(wanted, |files| {
        let room = files.saturating_sub(OTHER_FILES).max(files / 2);
        usize::try_from(room).unwrap_or(usize::MAX)
    });
    if room < wanted {
        tracing::warn!(wanted, room, "fewer connections fit under the limit of open files; raise it: ulimit -n");
    }
    wanted.min(room)
}

/// Answers on `listener` until `token` is cancelled, and returns when what was under way then is finished.
pub(crate) async fn serve(listener: TcpListener, router: Router, bounds: Bounds, token: CancellationToken) {
    let room = Arc::new(Semaphore::new(bounds.connections));
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = token.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Its client may have gone, which is no matter; or there are no files left, which passes.
                if !is_the_clients(&error) {
                    tracing::error!(%error, "no connection can be taken");
                    sleep(PAUSE).await;
                }
                continue;
            }
        };
        match Arc::clone(&room).try_acquire_owned() {
            Ok(permit) => {
                connections.spawn(answer(stream, peer, router.clone(), bounds, token.clone(), permit));
            }
            Err(_) => {
                // Where many are told already, the others just find the connection closed.
                if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
                    connections.spawn(refuse(stream, permit));
                }
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

async fn answer(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    bounds: Bounds,
    token: CancellationToken,
    _permit: OwnedSemaphorePermit,
) {
    // Answers are written whole.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(bounds.write));
    let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(bounds.head).max_buf_size(LONGEST_HEAD);
    let mut connection =
        pin!(builder.serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(service)));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = token.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, error, "a connection ended early");
    }
}

/// Says that there is no room, once the client has said something: closed before that, the answer would not reach it.
async fn refuse(mut stream: TcpStream, _permit: OwnedSemaphorePermit) {
    let told = async {
        let mut some = [0; 4_096];
        let _ = stream.read(&mut some).await?;
        stream.write_all(NO_ROOM.as_bytes()).await?;
        stream.shutdown().await
    };
    let _ = timeout(REFUSAL, told).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;

    #[test]
    fn who_finds_no_room_gets_a_whole_answer() {
        let (head, body) = NO_ROOM.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {} ", StatusCode::SERVICE_UNAVAILABLE.as_u16())));
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }

    #[test]
    fn there_is_room_for_some() {
        assert!(room_for(16) == 16);
        assert!(room_for(usize::MAX) > 100);
    }
}
