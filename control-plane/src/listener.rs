//! Accepts connections and speaks HTTP/1.1 on them, with a bound on everything that a peer can draw out.
//!
//! | what | bound |
//! |---|---|
//! | connections at a time | configured; more wait in the system's queue |
//! | a request's head, from its first byte | [`Limits::head`] |
//! | a connection between two requests | [`Limits::idle`] |
//! | an answer that the peer does not read on | [`Limits::write`] |
//! | a request from its head to its answer, the reading of its body included | a layer of the routes |
//! | headers | 100, and 64 KiB in all |

mod socket;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use socket::{Phase, Socket};

/// The most bytes of a request's head.
const MAX_HEAD: usize = 64 * 1024;
/// After a failure of the system, such as too many open files, nothing is accepted for a moment.
const PAUSE: Duration = Duration::from_millis(500);

/// How long peers are waited for.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From a request's first byte, or the connection's beginning, to the end of its head.
    pub head: Duration,
    /// Between two requests: longer than proxies keep connections, so that they don't send into a closing one.
    pub idle: Duration,
    /// For the peer to take more of an answer.
    pub write: Duration,
    /// For requests under way when the server stops.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            write: Duration::from_secs(30),
            grace: Duration::from_secs(10),
        }
    }
}

/// Serves until `stop` says true or its sender is gone; then finishes the requests under way, within bounds.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    max_connections: NonZeroU32,
    mut stop: watch::Receiver<bool>,
) {
    let places = usize::try_from(max_connections.get()).unwrap_or(Semaphore::MAX_PERMITS);
    let places = Arc::new(Semaphore::new(places));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            _ = stop.wait_for(|stopped| *stopped) => break,
        };
        while connections.try_join_next().is_some() {}
        let Some((stream, peer, place)) = accepted else {
            continue;
        };
        let router = router.clone();
        let stop = stop.clone();
        connections.spawn(async move {
            converse(stream, peer, router, limits, stop).await;
            drop(place);
        });
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(limits.grace, all).await.is_err() {
        tracing::warn!("some requests were cut off");
        connections.shutdown().await;
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    // A place first: what is accepted is served.
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(error) => {
            tracing::warn!(error = error.to_string(), "a connection can't be accepted");
            sleep(PAUSE).await;
            None
        }
    }
}

/// Serves the requests of one connection, one after the other.
async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    // Small answers should not wait for the acknowledgement of earlier ones. A failure costs only time.
    let _ = stream.set_nodelay(true);
    let phase = Phase::default();
    let socket = Socket::new(stream, phase.clone(), limits.head, limits.write);
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let serving = phase.serving();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.clone().oneshot(request);
        async move {
            let answer = answer.await;
            drop(serving);
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // For hyper this runs from the end of the request before.
        .header_read_timeout(limits.idle)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(socket), service);
    let mut connection = pin!(connection);
    let stopped = async {
        // An error means that the sender is gone, which is a reason to stop as well.
        let _ = stop.wait_for(|stopped| *stopped).await;
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stopped => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Peers that go away or send nonsense are everyday life.
        tracing::debug!(error = error.to_string(), "a connection ended early");
    }
}
