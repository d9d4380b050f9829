//! A tap on the wire between the browser and the edge: it passes bytes on unchanged and remembers the requests in them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as it went over the wire.
#[derive(Debug, Clone)]
pub struct Heard {
    /// The method.
    pub method: String,
    headers: Vec<(String, String)>,
}

impl Heard {
    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter();
        let found = all.find(|(one, _)| one.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// The tap.
pub struct Tap {
    port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
    server: JoinHandle<()>,
}

impl Tap {
    /// A tap on a free port in front of the server on `to`.
    pub async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let log = Arc::clone(&heard);
        let server = tokio::spawn(async move {
            while let Ok((browser, _)) = listener.accept().await {
                tokio::spawn(pass_on(browser, to, Arc::clone(&log)));
            }
        });
        Self {
            port,
            heard,
            server,
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The requests since the last call.
    pub fn take(&self) -> Vec<Heard> {
        std::mem::take(&mut *lock(&self.heard))
    }

    /// The methods of the requests since the last call.
    pub fn methods(&self) -> Vec<String> {
        self.take().into_iter().map(|heard| heard.method).collect()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(heard: &Mutex<Vec<Heard>>) -> MutexGuard<'_, Vec<Heard>> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn pass_on(browser: TcpStream, to: u16, heard: Arc<Mutex<Vec<Heard>>>) {
    let Ok(edge) = TcpStream::connect(("127.0.0.1", to)).await else {
        return;
    };
    let (from_browser, mut to_browser) = browser.into_split();
    let (mut from_edge, to_edge) = edge.into_split();
    let answers = tokio::spawn(async move { copy(&mut from_edge, &mut to_browser).await });
    listen(from_browser, to_edge, &heard).await;
    // Either side may hang up; that ends both ways.
    answers.abort();
}

async fn listen(
    mut from: impl AsyncRead + Unpin,
    mut to: OwnedWriteHalf,
    heard: &Mutex<Vec<Heard>>,
) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        bytes.extend_from_slice(&chunk[..read]);
        // Remembered before it is passed on: who has the answer finds the request here.
        while let Some((request, size)) = first_of(&bytes) {
            lock(heard).push(request);
            bytes.drain(..size.min(bytes.len()));
        }
        if to.write_all(&chunk[..read]).await.is_err() {
            return;
        }
    }
}

/// The first request in these bytes and its size, once it is there whole.
fn first_of(bytes: &[u8]) -> Option<(Heard, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let method = lines.next()?.split(' ').next()?.to_owned();
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let request = Heard { method, headers };
    let length = request.header("content-length");
    let body: usize = length.and_then(|text| text.parse().ok()).unwrap_or(0);
    let size = end + 4 + body;
    (bytes.len() >= size).then_some((request, size))
}
