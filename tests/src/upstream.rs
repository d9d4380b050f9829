//! The API that is guarded: a server in the test's own process that answers what it was asked and remembers it.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use futures_util::stream;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How many requests are remembered with all they held; the counts go on.
const REMEMBERED: usize = 10_000;
const MAX_BODY: usize = 64 * 1024 * 1024;

/// An API to guard. Any path answers 200 with JSON: `method`, `path`, `query`, `headers` (name and value in turn),
/// `bodySize`. Except
/// - `/status/{code}`: that status;
/// - `/slow/{ms}`: 200 after that time;
/// - `/stream/{lines}/{ms}`: lines of JSON, with a pause before each;
/// - `/echo`: the body, as it comes;
/// - `/with-headers?name=value&…`: those headers in the answer.
#[derive(Debug)]
pub struct Upstream {
    port: u16,
    seen: Arc<Log>,
    server: JoinHandle<()>,
}

/// A request that reached the upstream.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Headers.
    pub headers: HeaderMap,
}

#[derive(Debug, Default)]
struct Log {
    count: AtomicU64,
    delay_ms: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    requests: VecDeque<Seen>,
    by_key: BTreeMap<String, u64>,
}

impl Log {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, request: &Request) {
        self.count.fetch_add(1, Ordering::SeqCst);
        let key = request.headers().get("x-keyward-key-id");
        let key = key.and_then(|id| id.to_str().ok()).unwrap_or_default();
        let mut kept = self.kept();
        *kept.by_key.entry(key.to_owned()).or_default() += 1;
        if kept.requests.len() == REMEMBERED {
            kept.requests.pop_front();
        }
        kept.requests.push_back(Seen {
            method: request.method().to_string(),
            target: request.uri().to_string(),
            headers: request.headers().clone(),
        });
    }
}

impl Upstream {
    /// Starts it on a free port.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::new(Log::default());
        let app = Router::new()
            .route("/status/{code}", any(status))
            .route("/slow/{ms}", any(slow))
            .route("/stream/{lines}/{ms}", any(lines))
            .route("/echo", any(body))
            .route("/with-headers", any(with_headers))
            .fallback(describe)
            .layer(from_fn_with_state(Arc::clone(&seen), remember));
        let server = tokio::spawn(async move {
            // It ends with the test.
            let _ = axum::serve(listener, app).await;
        });
        Self { port, seen, server }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many requests reached it.
    pub fn count(&self) -> u64 {
        self.seen.count.load(Ordering::SeqCst)
    }

    /// How many requests of a key reached it.
    pub fn count_of(&self, key: &str) -> u64 {
        self.seen.kept().by_key.get(key).copied().unwrap_or(0)
    }

    /// The last requests that reached it, oldest first.
    pub fn requests(&self) -> Vec<Seen> {
        self.seen.kept().requests.iter().cloned().collect()
    }

    /// The last request that reached it.
    pub fn last(&self) -> Option<Seen> {
        self.seen.kept().requests.back().cloned()
    }

    /// Makes every request take that much longer.
    pub fn set_delay(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.seen.delay_ms.store(millis, Ordering::SeqCst);
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn remember(State(log): State<Arc<Log>>, request: Request, next: Next) -> Response {
    log.note(&request);
    let delay = log.delay_ms.load(Ordering::SeqCst);
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    next.run(request).await
}

async fn describe(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = match axum::body::to_bytes(body, MAX_BODY).await {
        Ok(body) => body,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    let headers: Vec<[String; 2]> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            [name.to_string(), value.into_owned()]
        })
        .collect();
    Json(json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "query": parts.uri.query(),
        "headers": headers,
        "bodySize": body.len(),
    }))
    .into_response()
}

async fn status(Path(code): Path<u16>) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST)
}

async fn slow(Path(ms): Path<u64>) -> StatusCode {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    StatusCode::OK
}

async fn lines(Path((count, ms)): Path<(u32, u64)>) -> Response {
    let lines = stream::unfold(0, move |line| async move {
        if line == count {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(ms)).await;
        let text = format!("{}\n", json!({"line": line + 1, "of": count}));
        Some((Ok::<_, Infallible>(text), line + 1))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (kind, Body::from_stream(lines)).into_response()
}

async fn body(request: Request) -> Body {
    request.into_body()
}

async fn with_headers(Query(pairs): Query<Vec<(String, String)>>) -> Response {
    let mut response = StatusCode::OK.into_response();
    for (name, value) in pairs {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
