//! Requests written byte by byte, for what HTTP clients refuse to send.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::answer::Answer;
use crate::eventually::PATIENCE;
use crate::world::API_HOST;

/// A request as it goes over the wire. It asks for the connection to be closed after the answer.
#[derive(Debug, Clone)]
pub struct RawRequest {
    line: Vec<u8>,
    headers: Vec<Vec<u8>>,
    body: Vec<u8>,
}

impl RawRequest {
    /// A request to the demo API with this request line.
    pub fn new(line: impl Into<Vec<u8>>) -> Self {
        Self::without_host(line).header(format!("Host: {API_HOST}"))
    }

    /// A request without `Host`, to give one or none.
    pub fn without_host(line: impl Into<Vec<u8>>) -> Self {
        Self {
            line: line.into(),
            headers: vec![b"Connection: close".to_vec()],
            body: Vec::new(),
        }
    }

    /// With one more header line.
    #[must_use]
    pub fn header(mut self, line: impl Into<Vec<u8>>) -> Self {
        self.headers.push(line.into());
        self
    }

    /// With a token.
    #[must_use]
    pub fn key(self, token: &str) -> Self {
        self.header(format!("Authorization: Bearer {token}"))
    }

    /// With a body, and its length.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let length = format!("Content-Length: {}", body.len());
        self.header(length).tail(body)
    }

    /// With bytes after the headers, and nothing said of them.
    #[must_use]
    pub fn tail(self, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            body: bytes.into(),
            ..self
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.line.clone();
        for line in &self.headers {
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(line);
        }
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Sends it to the server at `base`; `None` when the connection was closed without an answer.
    ///
    /// # Panics
    /// When there is no server, when it keeps the connection open, or when the answer can't be read.
    pub async fn send(&self, base: &str) -> Option<Answer> {
        let address = base.strip_prefix("http://").expect("an http URL");
        let stream = TcpStream::connect(address).await.expect("a connection");
        let (mut reader, mut writer) = stream.into_split();
        let bytes = self.bytes();
        let mut answer = Vec::new();
        let exchange = async {
            // A server may refuse before it has read all, and close: both ends then see errors, which say nothing.
            let written = async {
                let _ = writer.write_all(&bytes).await;
            };
            let read = async {
                let _ = reader.read_to_end(&mut answer).await;
            };
            tokio::join!(written, read);
        };
        let ended = timeout(PATIENCE, exchange).await;
        assert!(ended.is_ok(), "the connection stays open");
        (!answer.is_empty()).then(|| parse(&answer))
    }
}

fn parse(bytes: &[u8]) -> Answer {
    let end = find(bytes, b"\r\n\r\n").expect("an answer has headers");
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|code| code.parse().ok());
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        let value = HeaderValue::from_str(value.trim()).expect("a header value");
        headers.append(name, value);
    }
    let body = &bytes[end + 4..];
    let chunked = headers
        .get("transfer-encoding")
        .is_some_and(|v| v == "chunked");
    Answer {
        status: status.expect("an answer has a status"),
        headers,
        body: if chunked { join(body) } else { body.to_vec() },
    }
}

/// Takes chunks out of their framing (RFC 9112, section 7.1).
fn join(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = find(bytes, b"\r\n").expect("a chunk has a size");
        let size = String::from_utf8_lossy(&bytes[..end]);
        let size = usize::from_str_radix(&size, 16).expect("a size is hexadecimal");
        if size == 0 {
            return body;
        }
        let from = end + 2;
        body.extend_from_slice(&bytes[from..from + size]);
        bytes = &bytes[from + size + 2..];
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}
