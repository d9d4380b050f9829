//! Delivery of changes to the edges.
//!
//! Any number of processes may share a database. Of each edge one of them is the holder, by a lease in its row, and
//! delivers with two [`pusher`]s, one for each lane; [`keeper`] looks after the leases. A call waits until every edge has its
//! change, whoever delivers it.

mod backoff;
mod batch;
pub mod drift;
pub mod edge_client;
mod holder;
mod keeper;
mod pace;
pub mod process;
mod pusher;
pub mod repair;

use std::sync::Arc;
use std::time::Duration;

use shared::secret::Secret;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::store::outbox::{Lane, Marks};
use crate::store::{Committed, Store, targets};
use edge_client::EdgeClient;
use process::Process;

/// How long a push under way may take to end when the server stops.
const GRACE: Duration = Duration::from_secs(3);

/// What is configured of delivery.
#[derive(Debug, Clone)]
pub struct SyncConfig {
    /// Base URLs of the edges, without a slash at the end.
    pub targets: Vec<String>,
    /// Signs the pushes.
    pub secret: Secret,
    /// How long a call waits for the edges.
    pub wait: Duration,
}

/// What the tasks of delivery share.
#[derive(Debug)]
struct Office {
    store: Store,
    clock: Arc<dyn Clock>,
    process: Process,
    /// Something was committed, here or elsewhere.
    committed: watch::Sender<()>,
    /// An edge may have come further by the work of another process.
    delivered: Notify,
}

/// An edge that this process is configured with.
#[derive(Debug)]
struct Edge {
    client: EdgeClient,
    /// How far it is known to have come.
    marks: watch::Sender<Marks>,
    /// Whether this process delivers to it.
    held: watch::Sender<bool>,
}

impl Edge {
    fn url(&self) -> &str {
        self.client.target()
    }

    /// It has come at least so far.
    fn has(&self, marks: Marks) {
        self.marks.send_if_modified(|known| {
            let before = *known;
            for lane in Lane::ALL {
                known.raise(lane, marks.of(lane));
            }
            *known != before
        });
    }
}

/// Tells the pushers of new changes, and the callers of delivered ones.
#[derive(Debug)]
pub struct Propagation {
    office: Arc<Office>,
    edges: Vec<Arc<Edge>>,
    secret: Secret,
    wait: Duration,
}

impl Propagation {
    /// Wakes the pushers and waits, within bounds, until every edge has the change: whether that is so. The edges are those
    /// that this process is configured with. Without any nothing is guarded, and the answer is no.
    pub async fn settle(&self, change: Committed) -> bool {
        self.office.committed.send_replace(());
        if self.edges.is_empty() {
            return false;
        }
        let all = async {
            for edge in &self.edges {
                let mut marks = edge.marks.subscribe();
                if marks.wait_for(|m| m.reach(change.0)).await.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(self.wait, all).await.unwrap_or(false)
    }

    /// Wakes the pushers.
    pub fn wake(&self) {
        self.office.committed.send_replace(());
    }

    /// A client of an edge that the database knows.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn client(&self, url: &str) -> anyhow::Result<EdgeClient> {
        EdgeClient::new(url, self.secret.clone())
    }
}

/// The tasks at work.
#[derive(Debug)]
pub struct Pushers {
    office: Arc<Office>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Pushers {
    /// Stops delivery, after the pushes under way, and gives the leases back, so that another process goes on at once.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::warn!("a push was cut off; it will be repeated");
        }
        self.tasks.shutdown().await;
        if let Err(error) = self.office.release().await {
            let error = error.to_string();
            tracing::warn!(
                error,
                "the leases of the edges could not be given back; they run out"
            );
        }
    }
}

impl Office {
    async fn release(&self) -> sqlx::Result<()> {
        let mut tx = self.store.write().await?;
        targets::release(&mut tx, self.process.name()).await?;
        tx.commit().await
    }
}

/// Starts delivery to the configured edges.
///
/// # Errors
/// When the database can't be written, or no HTTP client be made.
pub async fn start(
    store: &Store,
    clock: &Arc<dyn Clock>,
    config: &SyncConfig,
) -> anyhow::Result<(Propagation, Pushers)> {
    let mut tx = store.write().await?;
    targets::want(&mut tx, &config.targets, clock.now()).await?;
    tx.commit().await?;

    let office = Arc::new(Office {
        store: store.clone(),
        clock: Arc::clone(clock),
        process: Process::this(),
        committed: watch::Sender::new(()),
        delivered: Notify::new(),
    });
    let mut edges = Vec::new();
    for url in &config.targets {
        edges.push(Arc::new(Edge {
            client: EdgeClient::new(url, config.secret.clone())?,
            // Changes to come have higher numbers than any delivered before, so zero does as a beginning.
            marks: watch::Sender::new(Marks::default()),
            held: watch::Sender::new(false),
        }));
    }
    let (stop, _) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for edge in &edges {
        let (office, edge) = (Arc::clone(&office), Arc::clone(edge));
        tasks.spawn(holder::run(office, edge, stop.subscribe()));
    }
    tasks.spawn(keeper::listen(Arc::clone(&office), stop.subscribe()));
    let kept = edges.clone();
    tasks.spawn(keeper::run(Arc::clone(&office), kept, stop.subscribe()));
    let propagation = Propagation {
        office: Arc::clone(&office),
        edges,
        secret: config.secret.clone(),
        wait: config.wait,
    };
    let pushers = Pushers {
        office,
        stop,
        tasks,
    };
    Ok((propagation, pushers))
}
