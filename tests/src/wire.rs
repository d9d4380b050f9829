//! One HTTP/1.1 connection, byte by byte, from either end: for what HTTP libraries hide.

use std::future::Future;
use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::eventually::PATIENCE;

/// What is read at once at most.
const READ: usize = 64 * 1024;

/// A connection. Everything that waits gives up after [`PATIENCE`], with a panic.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

/// The first line and the headers of a message, as they were written.
#[derive(Debug, Clone)]
pub struct Head {
    /// The request line or the status line.
    pub line: String,
    /// Names and values in order; the names in the case that they came in.
    pub headers: Vec<(String, String)>,
}

impl Head {
    fn parse(text: &str) -> Self {
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let headers = lines
            .map(|line| line.split_once(':').expect("a header has a colon"))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Self {
            line,
            headers: headers.collect(),
        }
    }

    /// The status of an answer.
    ///
    /// # Panics
    /// When this is the head of no answer.
    pub fn status(&self) -> u16 {
        let code = self.line.strip_prefix("HTTP/1.1 ").and_then(|l| l.get(..3));
        let code = code.and_then(|code| code.parse().ok());
        code.unwrap_or_else(|| panic!("no status line: {}", self.line))
    }

    /// The method of a request.
    pub fn method(&self) -> &str {
        self.line.split(' ').next().unwrap_or_default()
    }

    /// The target of a request: path and query.
    pub fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    /// The values of a header, one for each line, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.headers.iter();
        lines
            .filter(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The value of a header that came once, or `None`.
    ///
    /// # Panics
    /// When it came more than once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() < 2, "{name} came more than once: {values:?}");
        values.first().copied()
    }
}

impl Wire {
    /// Connects to the server at `base`.
    ///
    /// # Panics
    /// When there is none.
    pub async fn connect(base: &str) -> Self {
        let address = base.strip_prefix("http://").expect("an http URL");
        let stream = TcpStream::connect(address).await;
        Self::new(stream.expect("a connection"))
    }

    fn new(stream: TcpStream) -> Self {
        // What is sent leaves at once, so that a test can tell what has arrived when.
        stream.set_nodelay(true).expect("a TCP connection");
        Self {
            stream,
            read: Vec::new(),
        }
    }

    /// Sends bytes.
    ///
    /// # Panics
    /// When the other end has closed.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.try_send(bytes).await;
        sent.expect("the connection is open");
    }

    /// Sends bytes to an end that may have closed.
    ///
    /// # Errors
    /// When it has.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        within("the other end reads", self.stream.write_all(bytes.as_ref())).await
    }

    /// Reads to the end of a message's head.
    ///
    /// # Panics
    /// When the connection ends before.
    pub async fn head(&mut self) -> Head {
        let end = self.find(b"\r\n\r\n", "a head").await;
        let bytes = self.take(end + 4);
        Head::parse(&String::from_utf8_lossy(&bytes[..end]))
    }

    /// Reads as many bytes.
    ///
    /// # Panics
    /// When the connection ends before.
    pub async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            let what = format!("{count} bytes, {} are there", self.read.len());
            assert!(self.fill(&what).await, "the connection ended: {what}");
        }
        self.take(count)
    }

    /// Reads a chunk of the chunked coding (RFC 9112, section 7.1), the last one without the trailers that follow it.
    ///
    /// # Panics
    /// When there is none.
    pub async fn chunk(&mut self) -> Vec<u8> {
        let line = self.line().await;
        let size = usize::from_str_radix(&line, 16).expect("a chunk has a size");
        if size == 0 {
            return Vec::new();
        }
        let chunk = self.bytes(size).await;
        assert_eq!(self.bytes(2).await, b"\r\n", "a chunk ends");
        chunk
    }

    /// Reads a line, without its end.
    ///
    /// # Panics
    /// When the connection ends before.
    pub async fn line(&mut self) -> String {
        let end = self.find(b"\r\n", "a line").await;
        let line = self.take(end + 2);
        String::from_utf8_lossy(&line[..end]).into_owned()
    }

    /// Reads the body that belongs to a head, by its framing; without any there is none.
    ///
    /// # Panics
    /// When the connection ends before.
    pub async fn body(&mut self, head: &Head) -> Vec<u8> {
        if let Some(length) = head.header("content-length") {
            return self.bytes(length.parse().expect("a length")).await;
        }
        let mut body = Vec::new();
        if head.header("transfer-encoding") == Some("chunked") {
            loop {
                let chunk = self.chunk().await;
                if chunk.is_empty() {
                    break;
                }
                body.extend(chunk);
            }
            self.line().await;
        }
        body
    }

    /// Reads whatever comes next, at least a byte; nothing when the other end has closed.
    pub async fn some(&mut self) -> Vec<u8> {
        if self.read.is_empty() {
            self.fill("more bytes").await;
        }
        std::mem::take(&mut self.read)
    }

    /// Reads until the other end closes, and gives what came.
    ///
    /// # Panics
    /// When it does not close in time.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.fill("the connection to be closed").await {}
        std::mem::take(&mut self.read)
    }

    /// The connection itself, for a library to speak on. Nothing may have been read of it that was not asked for.
    ///
    /// # Panics
    /// When something was.
    pub fn into_stream(self) -> TcpStream {
        assert!(self.read.is_empty(), "{:?}", self.read);
        self.stream
    }

    /// Closes it at once with a reset, not in order.
    pub fn reset(self) {
        // With nothing to linger for, closing drops the connection.
        let _ = self.stream.set_zero_linger();
    }

    async fn find(&mut self, what: &[u8], name: &str) -> usize {
        loop {
            let found = self.read.windows(what.len()).position(|w| w == what);
            if let Some(at) = found {
                return at;
            }
            let more = self.fill(name).await;
            let there = String::from_utf8_lossy(&self.read);
            assert!(more, "the connection ended before {name}: {there}");
        }
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let rest = self.read.split_off(count);
        std::mem::replace(&mut self.read, rest)
    }

    /// Whether more has come. A reset is an end too.
    async fn fill(&mut self, what: &str) -> bool {
        let mut part = vec![0; READ];
        let count = within(what, self.stream.read(&mut part)).await;
        let count = count.unwrap_or(0);
        self.read.extend_from_slice(&part[..count]);
        count > 0
    }
}

/// A server that does nothing of its own accord: the test reads and writes on the connections it accepts.
#[derive(Debug)]
pub struct WireServer {
    listener: TcpListener,
}

impl WireServer {
    /// Starts it on a free port.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        Self {
            listener: listener.expect("a port"),
        }
    }

    /// Its base URL.
    ///
    /// # Panics
    /// When it has no address.
    pub fn url(&self) -> String {
        let address = self.listener.local_addr().expect("an address");
        format!("http://{address}")
    }

    /// Waits for the next connection.
    ///
    /// # Panics
    /// When none comes in time.
    pub async fn accept(&self) -> Wire {
        let (stream, _) = within("a connection comes", self.listener.accept())
            .await
            .expect("a connection");
        Wire::new(stream)
    }
}

async fn within<T>(what: &str, happens: impl Future<Output = T>) -> T {
    let ended = timeout(PATIENCE, happens).await;
    ended.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}
