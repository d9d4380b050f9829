//! An edge that only receives: it verifies every push as an edge must, and keeps what it was given.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use shared::message::{MAX_PUSH_BYTES, PushBatch};
use shared::record::Record;
use shared::secret::Secret;
use shared::webhook::{self, SignedHeaders};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::PUSH_SECRET;

/// The receiver; dropping it closes its port.
pub struct Edge {
    pub address: SocketAddr,
    pub seen: Seen,
    task: JoinHandle<()>,
}

/// What was received; outlives the receiver.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<Inner>>, Arc<watch::Sender<Hold>>);

/// Pushes of so many records and more wait; `None`: none does.
type Hold = Option<usize>;

#[derive(Default)]
struct Inner {
    /// Every record taken, in order of arrival.
    records: Vec<Record>,
    /// Sizes of the batches taken.
    batches: Vec<usize>,
    /// Pushes that came, taken or not.
    attempts: usize,
    deliveries: HashSet<String>,
    faults: Vec<String>,
    /// The `traceparent` of every push that had one.
    traces: Vec<String>,
    answer: Option<Refusal>,
    /// Pushes that had to wait.
    held: usize,
}

/// How a push is answered when it is not taken.
#[derive(Clone, Copy)]
pub enum Refusal {
    /// With this status.
    Status(u16),
    /// With 503 when it holds more records than this: the edge could not finish in time.
    TooMany(usize),
    /// It is taken, but the answer is 200 with something else than a receipt.
    NoReceipt,
    /// It is taken, but the answer never comes.
    Silence,
}

impl Edge {
    /// An edge on a port of its own.
    pub async fn start() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), Seen::default()).await
    }

    /// An edge at an address, with what one before it has seen.
    pub async fn at(address: SocketAddr, seen: Seen) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/.keyward/push", post(push))
            .route(
                "/.keyward/health",
                get(|| async { axum::Json(json!({"status": "ok"})) }),
            )
            .layer(axum::extract::DefaultBodyLimit::max(MAX_PUSH_BYTES))
            .with_state(seen.clone());
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            address,
            seen,
            task,
        }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// An address where nobody listens, for an edge to come.
    pub async fn nowhere() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seen {
    /// From now on pushes are not taken; `None`: they are again.
    pub fn answer(&self, refusal: Option<Refusal>) {
        self.0.lock().unwrap().answer = refusal;
    }

    /// From now on pushes of so many records and more wait; `None`: no longer.
    pub fn hold(&self, least: Option<usize>) {
        self.1.send_replace(least);
    }

    /// How many pushes had to wait so far.
    pub fn held(&self) -> usize {
        self.0.lock().unwrap().held
    }

    /// Every record taken, in order of arrival.
    pub fn records(&self) -> Vec<Record> {
        let inner = self.0.lock().unwrap();
        assert_eq!(inner.faults, Vec::<String>::new());
        inner.records.clone()
    }

    /// The sizes of the batches taken.
    pub fn batches(&self) -> Vec<usize> {
        self.0.lock().unwrap().batches.clone()
    }

    /// The `traceparent` of every push that had one.
    pub fn traces(&self) -> Vec<String> {
        self.0.lock().unwrap().traces.clone()
    }

    /// How many pushes came.
    pub fn attempts(&self) -> usize {
        self.0.lock().unwrap().attempts
    }

    /// The versions taken of one record, in order of arrival.
    pub fn versions(&self, id: &str) -> Vec<u64> {
        let records = self.records();
        let of_id = records.iter().filter(|r| r.id() == id);
        of_id.map(Record::version).collect()
    }

    /// What an edge holds after all of it: the newest of each record.
    pub fn state(&self) -> BTreeMap<String, Record> {
        let mut state: BTreeMap<String, Record> = BTreeMap::new();
        for record in self.records() {
            let held = state.get(record.id()).map(Record::version);
            if shared::guard::replaces(held, record.version()) {
                state.insert(record.id().to_owned(), record);
            }
        }
        state
    }

    /// The newest record of a key.
    pub fn key(&self, id: &str) -> Option<shared::record::KeyRecord> {
        match self.state().remove(id) {
            Some(Record::Key(key)) => Some(key),
            _ => None,
        }
    }
}

async fn push(State(seen): State<Seen>, headers: HeaderMap, body: Bytes) -> Response {
    let holds = |hold: &Hold| hold.is_some_and(|least| size(&body) >= least);
    let mut hold = seen.1.subscribe();
    if holds(&hold.borrow_and_update()) {
        seen.0.lock().unwrap().held += 1;
        hold.wait_for(|hold| !holds(hold)).await.unwrap();
    }
    let silence = {
        let mut inner = seen.0.lock().unwrap();
        inner.attempts += 1;
        let trace = headers.get("traceparent");
        let trace = trace.map(|t| t.to_str().unwrap().to_owned());
        inner.traces.extend(trace);
        if let Some(Refusal::Status(status)) = inner.answer {
            return StatusCode::from_u16(status).unwrap().into_response();
        }
        if let Some(Refusal::TooMany(most)) = inner.answer
            && size(&body) > most
        {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        if let Err(fault) = inner.take(&headers, &body) {
            inner.faults.push(fault);
            return StatusCode::BAD_REQUEST.into_response();
        }
        match inner.answer {
            Some(Refusal::NoReceipt) => return "taken".into_response(),
            Some(Refusal::Silence) => true,
            _ => false,
        }
    };
    if silence {
        std::future::pending::<()>().await;
    }
    axum::Json(json!({"applied": 1, "known": 0})).into_response()
}

/// How many records a push holds.
fn size(body: &[u8]) -> usize {
    serde_json::from_slice::<PushBatch>(body).map_or(0, |batch| batch.records.len())
}

impl Inner {
    fn take(&mut self, headers: &HeaderMap, body: &[u8]) -> Result<(), String> {
        let get = |name| headers.get(name).and_then(|v| v.to_str().ok());
        let signed = SignedHeaders {
            id: get("webhook-id"),
            timestamp: get("webhook-timestamp"),
            signature: get("webhook-signature"),
        };
        let secret = Secret::from_webhook(PUSH_SECRET).unwrap();
        // Of the time only the signature is checked: the tests move the server's clock as they like.
        let sent: u64 = get("webhook-timestamp").unwrap_or("0").parse().unwrap_or(0);
        let delivery =
            webhook::verify(&secret, signed, body, sent).map_err(|error| error.to_string())?;
        if !self.deliveries.insert(delivery) {
            return Err("replayed".into());
        }
        if get("content-type") != Some("application/json") {
            return Err("not said to be JSON".into());
        }
        let batch: PushBatch = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        self.batches.push(batch.records.len());
        self.records.extend(batch.records);
        Ok(())
    }
}
