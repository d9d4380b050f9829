//! Load as fast as it goes: one thread, 16 connections, each with one request at a time.
//!
//! Slices of it may be as short as one likes, and the connections stay: what is compared can take turns so quickly that
//! whatever else the machine does meets all alike.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures_util::future::try_join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use crate::request::{Request, Want};

const CONNECTIONS: usize = 16;
/// Longer than any stall of a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a slice saw.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// Answers; nothing is left unanswered.
    pub requests: u64,
    /// How long it took until the last of them.
    pub took: Duration,
}

/// Open connections, and what is sent on them.
pub struct Wire {
    /// Of its own, since it sends from one thread; `None` only while it is dropped.
    runtime: Option<Runtime>,
    lines: Vec<Line>,
    requests: Vec<Vec<u8>>,
    want: Want,
}

struct Line {
    stream: TcpStream,
    answer: Vec<u8>,
    next: usize,
}

impl Wire {
    /// Connects to the server at `base`.
    ///
    /// # Errors
    /// When it does not listen.
    pub async fn open(base: &str, request: &Request) -> Result<Self> {
        let mut wire = Self {
            runtime: Some(Builder::new_current_thread().enable_all().build()?),
            lines: Vec::new(),
            requests: request.wire(),
            want: request.want,
        };
        let address = base.trim_start_matches("http://").to_owned();
        let connecting = tokio::task::spawn_blocking(move || {
            let runtime = wire.runtime.as_ref().context("a wire has a runtime")?;
            let connecting = (0..CONNECTIONS).map(|number| Line::connect(&address, number));
            wire.lines = runtime.block_on(try_join_all(connecting))?;
            anyhow::Ok(wire)
        });
        connecting.await?
    }

    /// Sends for a while and waits for the answers under way. Gives itself back.
    ///
    /// # Errors
    /// When an answer is not what it should be.
    pub async fn run(mut self, span: Duration) -> Result<(Self, Seen)> {
        let sending = tokio::task::spawn_blocking(move || {
            let runtime = self.runtime.take().context("a wire has a runtime")?;
            let began = Instant::now();
            let until = began + span;
            let (requests, want) = (&self.requests, self.want);
            let lines = self
                .lines
                .iter_mut()
                .map(|line| line.send(requests, want, until));
            let counts = runtime.block_on(async {
                tokio::time::timeout(PATIENCE + span, try_join_all(lines)).await
            });
            self.runtime = Some(runtime);
            let counts = counts.context("no answer in time")??;
            let seen = Seen {
                requests: counts.iter().sum(),
                took: began.elapsed(),
            };
            anyhow::Ok((self, seen))
        });
        sending.await?
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // The plain drop waits, which is not allowed where other tasks run.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Line {
    async fn connect(address: &str, number: usize) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            answer: Vec::new(),
            // Where requests differ, connections begin at different ones.
            next: number * 61,
        })
    }

    async fn send(&mut self, requests: &[Vec<u8>], want: Want, until: Instant) -> Result<u64> {
        let mut count = 0;
        while Instant::now() < until {
            let request = requests
                .get(self.next % requests.len())
                .context("there is a request")?;
            self.next += 1;
            self.stream.write_all(request).await?;
            let status = self.answer().await?;
            let success = (200..300).contains(&status);
            ensure!(
                success == (want == Want::Success),
                "an answer was {status}, not {want:?}"
            );
            count += 1;
        }
        Ok(count)
    }

    /// Reads one answer whole; gives its status.
    async fn answer(&mut self) -> Result<u16> {
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                bail!("the server closed a connection");
            }
            if let Some(status) = complete(&self.answer)? {
                return Ok(status);
            }
        }
    }
}

/// The status, once the answer is whole. One answer at a time is on a connection, so it ends where the bytes end.
fn complete(answer: &[u8]) -> Result<Option<u16>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let (head, body) = answer.split_at(end + 4);
    let head = std::str::from_utf8(head).context("an answer's head is text")?;
    let status = head.get(9..12).and_then(|digits| digits.parse().ok());
    let status: u16 = status.context("an answer has a status")?;
    let field = |name: &str| {
        head.lines().find_map(|line| {
            let (of, value) = line.split_once(':')?;
            of.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let whole = match field("content-length") {
        Some(length) => body.len() >= length.parse()?,
        None if field("transfer-encoding").is_some() => body.ends_with(b"0\r\n\r\n"),
        None => status == 204 || status == 304,
    };
    Ok(whole.then_some(status))
}

/// Connects, and sends for a second to warm up.
///
/// # Errors
/// When an answer is not what it should be.
pub async fn warm(base: &str, request: &Request) -> Result<Wire> {
    let wire = Wire::open(base, request).await?;
    Ok(wire.run(Duration::from_secs(1)).await?.0)
}
