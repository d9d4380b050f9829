//! A connection that does not wait for its peer forever.

use std::future::Future;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How far the requests of a connection have come.
#[derive(Debug, Clone, Default)]
pub struct Phase(Arc<Progress>);

#[derive(Debug, Default)]
struct Progress {
    /// How many heads have been read whole.
    heads: AtomicU64,
    is_serving: AtomicBool,
}

impl Phase {
    /// A request's head has been read; it is served until the guard is dropped.
    pub fn serving(&self) -> Serving {
        self.0.heads.fetch_add(1, Ordering::Relaxed);
        self.0.is_serving.store(true, Ordering::Relaxed);
        Serving(self.clone())
    }
}

/// A request is being served.
#[derive(Debug)]
pub struct Serving(Phase);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.0.is_serving.store(false, Ordering::Relaxed);
    }
}

/// Fails reads of a head that does not end in time, and writes that do not get on.
#[derive(Debug)]
pub struct Socket<S> {
    inner: S,
    phase: Phase,
    head: Duration,
    write: Duration,
    /// How many heads had been read at the last look.
    heads: u64,
    /// When the head that has begun must be whole.
    head_due: Option<Pin<Box<Sleep>>>,
    /// When the peer must have taken more.
    write_due: Option<Pin<Box<Sleep>>>,
}

impl<S> Socket<S> {
    /// A connection that has just begun, and with it its first head.
    pub fn new(inner: S, phase: Phase, head: Duration, write: Duration) -> Self {
        Self {
            inner,
            phase,
            head,
            write,
            heads: 0,
            head_due: Some(Box::pin(sleep(head))),
            write_due: None,
        }
    }

    /// Passes a write on, and bounds how long it waits.
    fn within<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<Result<T>>) -> Poll<Result<T>> {
        if outcome.is_ready() {
            self.write_due = None;
            return outcome;
        }
        let write = self.write;
        let due = self.write_due.get_or_insert_with(|| Box::pin(sleep(write)));
        due.as_mut().poll(cx).map(|()| Err(late()))
    }
}

fn late() -> Error {
    Error::from(ErrorKind::TimedOut)
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let outcome = Pin::new(&mut this.inner).poll_read(cx, buf);
        let heads = this.phase.0.heads.load(Ordering::Relaxed);
        if heads != this.heads {
            this.heads = heads;
            this.head_due = None;
        }
        if this.phase.0.is_serving.load(Ordering::Relaxed) {
            // What comes now is a body, which the routes bound.
            return outcome;
        }
        if buf.filled().len() > before && this.head_due.is_none() {
            this.head_due = Some(Box::pin(sleep(this.head)));
        }
        match &mut this.head_due {
            Some(due) if outcome.is_pending() => due.as_mut().poll(cx).map(|()| Err(late())),
            _ => outcome,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.inner).poll_write(cx, buf);
        this.within(cx, outcome)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.inner).poll_write_vectored(cx, bufs);
        this.within(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.inner).poll_flush(cx);
        this.within(cx, outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.inner).poll_shutdown(cx);
        this.within(cx, outcome)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::timeout;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(60);

    async fn within<T>(work: impl Future<Output = T>) -> T {
        let bounded = timeout(LONG / 3, work);
        bounded.await.expect("it ends in time")
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_on_is_given_up() {
        let (mut peer, server) = duplex(4);
        let mut socket = Socket::new(server, Phase::default(), LONG, SHORT);
        let written = within(socket.write_all(b"more than fits")).await;
        assert_eq!(written.unwrap_err().kind(), ErrorKind::TimedOut);
        // One that reads slowly gets on.
        let mut read = [0; 4];
        peer.read_exact(&mut read).await.unwrap();
        within(socket.write_all(b"fits")).await.unwrap();
    }

    #[tokio::test]
    async fn a_body_may_take_longer_than_a_head() {
        let (mut peer, server) = duplex(64);
        let phase = Phase::default();
        let mut socket = Socket::new(server, phase.clone(), SHORT, LONG);
        let mut buffer = [0; 4];
        peer.write_all(b"head").await.unwrap();
        within(socket.read_exact(&mut buffer)).await.unwrap();
        let serving = phase.serving();
        let (read, ()) = tokio::join!(within(socket.read_exact(&mut buffer)), async {
            sleep(3 * SHORT).await;
            peer.write_all(b"body").await.unwrap();
        });
        read.unwrap();
        drop(serving);
        // The next head has its time from its first byte.
        peer.write_all(b"he").await.unwrap();
        let read = within(socket.read_exact(&mut buffer)).await;
        assert_eq!(read.unwrap_err().kind(), ErrorKind::TimedOut);
    }
}
