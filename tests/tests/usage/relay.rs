//! A bad line between the guards and the control plane: what is sent arrives, every second answer is lost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use reqwest::Client;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The line.
pub struct Relay {
    port: u16,
    line: Arc<Line>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Line {
    client: Client,
    control_plane: Mutex<Option<String>>,
    sent: Mutex<Vec<Batch>>,
    lost: AtomicU64,
}

/// A batch as it was sent, signature and all.
#[derive(Clone)]
pub struct Batch {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Relay {
    /// A line that is not connected yet.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let client = Client::builder().no_proxy().build();
        let line = Arc::new(Line {
            client: client.expect("a client"),
            ..Line::default()
        });
        let app = Router::new()
            .route("/v1/edge/usage", post(pass_on))
            .with_state(Arc::clone(&line));
        let server = tokio::spawn(async move {
            // It ends with the test.
            let _ = axum::serve(listener, app).await;
        });
        Self { port, line, server }
    }

    /// Where the guards post to.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Connects the line to a control plane.
    pub fn connect(&self, control_plane: &str) {
        *lock(&self.line.control_plane) = Some(control_plane.to_owned());
    }

    /// The batches that the control plane took, those sent again included.
    pub fn sent(&self) -> Vec<Batch> {
        lock(&self.line.sent).clone()
    }

    /// How many answers were lost.
    pub fn lost(&self) -> u64 {
        self.line.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn pass_on(State(line): State<Arc<Line>>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(control_plane) = lock(&line.control_plane).clone() else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let batch = Batch { headers, body };
    let Some(status) = send(&line.client, &control_plane, &batch).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    if status == StatusCode::OK {
        let mut sent = lock(&line.sent);
        sent.push(batch);
        if sent.len() % 2 == 1 {
            line.lost.fetch_add(1, Ordering::SeqCst);
            return StatusCode::GATEWAY_TIMEOUT.into_response();
        }
    }
    status.into_response()
}

/// Sends a batch to the control plane, as it is. The status, if there is an answer.
pub async fn send(client: &Client, control_plane: &str, batch: &Batch) -> Option<StatusCode> {
    let mut request = client
        .post(format!("{control_plane}/v1/edge/usage"))
        .body(batch.body.clone());
    for name in [
        "content-type",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    ] {
        request = request.header(name, batch.headers.get(name)?);
    }
    Some(request.send().await.ok()?.status())
}
